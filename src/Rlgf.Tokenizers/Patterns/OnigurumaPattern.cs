using System.Text.RegularExpressions;
using Rlgf.Base;

namespace Rlgf.Tokenizers.Patterns;

/// <summary>A regular expression of a tokenizer file, with the meaning that it has in Hugging Face's tokenizers: Oniguruma's.</summary>
internal sealed class OnigurumaPattern
{
    /// <summary>How long one match may take: a file's expression may be one that backtracks for ever.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly string _pattern;
    private readonly PatternNode _lowered;
    private readonly bool _searchesAnew;

    // Null where the expression refers to what a group matched: then symbols must tell all characters of a text apart.
    private readonly (Alphabet Alphabet, Regex Expression)? _compiled;

    /// <summary>Reads an expression.</summary>
    /// <exception cref="PatternException">It can't be used.</exception>
    public OnigurumaPattern(string pattern)
    {
        _pattern = pattern;
        _lowered = PatternLowering.Lower(PatternParser.Parse(pattern));
        List<PatternNode> all = [.. _lowered.All];
        _searchesAnew = all.Any(node => node is KeepNode or AnchorNode { Kind: AnchorKind.SearchStart });
        if (!all.Any(node => node is ReferenceNode))
            _compiled = Compile(Alphabet.Of([.. all.OfType<SetNode>().Select(node => node.Set).Distinct()]));
    }

    /// <summary>The matches in order, start inclusive, end exclusive, in UTF-16 units. One may be empty, but not where the one before it ends.</summary>
    /// <exception cref="InputException">The expression takes too long.</exception>
    public List<(int Start, int End)> Matches(string text)
    {
        var (alphabet, expression) = _compiled ?? Compile(Alphabet.OfText(text));
        var (symbols, starts) = alphabet.Translate(text);
        var matches = new List<(int Start, int End)>();
        try
        {
            if (_searchesAnew)
                AddEach(expression, symbols, matches);
            else
                Add(expression, symbols, matches);
        }
        catch (RegexMatchTimeoutException error)
        {
            throw new InputException(
                $"the tokenizer's regular expression \"{_pattern}\" takes more than {Patience.TotalSeconds:0} s on a text of {text.Length} characters; use a tokenizer with a simpler one.", error);
        }
        if (starts is not null)
        {
            for (var i = 0; i < matches.Count; i++)
                matches[i] = (starts[matches[i].Start], starts[matches[i].End]);
        }
        return matches;
    }

    private static void Add(Regex expression, string symbols, List<(int Start, int End)> matches)
    {
        foreach (var match in expression.EnumerateMatches(symbols))
        {
            if (match.Length > 0 || matches is not [.., (_, var end)] || end != match.Index)
                matches.Add((match.Index, match.Index + match.Length));
        }
    }

    /// <summary>
    /// The same with a search of its own for every match, since <c>\G</c> is where that begins. With <c>\K</c> a match begins where the last of them was passed;
    /// the search goes on at its end all the same.
    /// </summary>
    private static void AddEach(Regex expression, string symbols, List<(int Start, int End)> matches)
    {
        for (var at = 0; at <= symbols.Length;)
        {
            var match = expression.Match(symbols, at);
            if (!match.Success)
                return;
            var end = match.Index + match.Length;
            var start = match.Groups[PatternWriter.KeepGroup] is { Success: true } keep ? keep.Index : match.Index;
            if (start == end && matches is [.., (_, var last)] && last == end)
            {
                at++;
                continue;
            }
            matches.Add((start, end));
            at = end;
        }
    }

    private (Alphabet, Regex) Compile(Alphabet alphabet)
    {
        try
        {
            return (alphabet, new Regex(PatternWriter.Write(_lowered, alphabet), RegexOptions.CultureInvariant, Patience));
        }
        catch (ArgumentException error)
        {
            throw new PatternException($"more than .NET's regular expressions can do ({error.Message.ReplaceLineEndings(" ")})", 0);
        }
    }
}
