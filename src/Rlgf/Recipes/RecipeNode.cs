using System.Globalization;
using Rlgf.Base;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Rlgf.Recipes;

/// <summary>A piece of YAML that remembers where it was written.</summary>
/// <param name="Location">"recipes/imdb/ppo.yaml:12", or "--set seed=2" for an override.</param>
internal abstract record RecipeNode(string Location)
{
    /// <summary>The most sections and lists inside each other; the records need 8, and a sum of sums 3 for each.</summary>
    public const int MostDepth = 40;

    /// <summary>What it is, for messages.</summary>
    public abstract string What { get; }

    /// <summary>Reads one YAML document. Anchors, aliases and tags are refused: a recipe says each thing where it is used.</summary>
    /// <param name="text">The document.</param>
    /// <param name="locate">Makes a location from a line, from 1.</param>
    /// <exception cref="InputException">It isn't YAML, isn't one document, or has a key twice.</exception>
    public static RecipeNode Parse(string text, Func<long, string> locate)
    {
        RecipeText.RequireReadable(text, locate);
        var parser = new Parser(new StringReader(text));
        try
        {
            parser.Consume<StreamStart>();
            if (parser.TryConsume<StreamEnd>(out _))
            {
                return new RecipeScalar(locate(1), "", IsPlain: true);
            }

            parser.Consume<DocumentStart>();
            var root = ParseNode(parser, locate, "", 0);
            parser.Consume<DocumentEnd>();
            return parser.TryConsume<StreamEnd>(out _) ? root : throw new InputException($"{locate(parser.Current!.Start.Line)}: a second document begins; a recipe is one");
        }
        catch (YamlException e)
        {
            if (RecipeText.TabThatSpoils(text, e) is { } tabbed)
                throw new InputException($"{locate(tabbed)}: not valid YAML: the line is indented by a tab; YAML takes blanks alone", e);
            throw new InputException($"{locate(e.Start.Line)}: not valid YAML at column {e.Start.Column}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        catch (Exception e) when (e is InvalidOperationException or EndOfStreamException)
        {
            // The scanner gives up like this inside brackets that are never closed.
            throw new InputException($"{locate(parser.Current?.Start.Line ?? 1)}: not valid YAML from here on: a bracket, a brace or a quote is not closed", e);
        }
    }

    private static RecipeNode ParseNode(Parser parser, Func<long, string> locate, string key, int depth)
    {
        var start = parser.Consume<ParsingEvent>();
        var location = locate(start.Start.Line);
        var place = key.Length == 0 ? location : $"{location}: {RecipeText.Shown(key)}";
        if (depth > MostDepth)
        {
            throw new InputException($"{place}: more than {MostDepth} lists and sections inside each other; no recipe is that deep");
        }

        if (start is AnchorAlias || start is NodeEvent { Anchor.IsEmpty: false })
        {
            throw new InputException($"{place}: anchors (&) and aliases (*) aren't used in recipes; write the value where it is needed, in quotes if it is text");
        }

        if (start is NodeEvent { Tag.IsEmpty: false })
        {
            throw new InputException($"{place}: tags (!) aren't used in recipes; put text that begins with ! in quotes");
        }

        switch (start)
        {
            case Scalar scalar:
                return new RecipeScalar(location, scalar.Value, scalar.Style == ScalarStyle.Plain);
            case SequenceStart:
                var items = new List<RecipeNode>();
                while (!parser.TryConsume<SequenceEnd>(out _))
                {
                    items.Add(ParseNode(parser, locate, Child(key, items.Count.ToString(CultureInfo.InvariantCulture)), depth + 1));
                }

                return new RecipeList(location, items);
            default:
                return new RecipeSection(location, ParseEntries(parser, locate, key, depth));
        }
    }

    private static List<RecipeEntry> ParseEntries(Parser parser, Func<long, string> locate, string section, int depth)
    {
        var entries = new Dictionary<string, RecipeEntry>();
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            var node = ParseNode(parser, locate, section, depth + 1);
            var key = node as RecipeScalar ?? throw new InputException($"{node.Location}: a key must be a plain word");
            var path = Child(section, key.Text);
            if (entries.TryGetValue(key.Text, out var earlier))
            {
                throw new InputException($"{key.Location}: the key '{RecipeText.Shown(path)}' is there twice, first at {earlier.Location}");
            }

            entries.Add(key.Text, new RecipeEntry(key.Location, key.Text, ParseNode(parser, locate, path, depth + 1)));
        }

        return [.. entries.Values];
    }

    private static string Child(string section, string key) => section.Length == 0 ? key : $"{section}.{key}";
}

/// <summary>A single value.</summary>
/// <param name="Location">Where it was written.</param>
/// <param name="Text">The value as written, without quotes.</param>
/// <param name="IsPlain">Whether it was written without quotes, so that it may be a number, a truth value or null.</param>
internal sealed record RecipeScalar(string Location, string Text, bool IsPlain) : RecipeNode(Location)
{
    public bool IsNull => IsPlain && Text is "" or "null" or "~";

    public override string What => IsNull ? "nothing" : $"'{RecipeText.Shown(Text)}'";
}

/// <summary>A list of values.</summary>
internal sealed record RecipeList(string Location, IReadOnlyList<RecipeNode> Items) : RecipeNode(Location)
{
    public override string What => "a list";
}

/// <summary>Keys and values.</summary>
internal sealed record RecipeSection(string Location, IReadOnlyList<RecipeEntry> Entries) : RecipeNode(Location)
{
    public override string What => "a section";

    public RecipeNode? this[string key] => Entries.FirstOrDefault(entry => entry.Key == key)?.Value;
}

/// <summary>A key and its value.</summary>
internal sealed record RecipeEntry(string Location, string Key, RecipeNode Value);
