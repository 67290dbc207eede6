using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Text.Tests.Data;

namespace Rlgf.Text.Tests.Tokenization;

/// <summary>
/// Regular expressions of <c>tokenizer.json</c> mean what they mean to Hugging Face's tokenizers. fixtures/regex has what those (by way of transformers 5.23) make
/// of 64 expressions in a Split and in a Replace, 42 texts each, or that they refuse the expression.
/// </summary>
public sealed class TokenizerPatternTests
{
    private const string Gap = "|";

    public static TheoryData<string, string, string> Cases()
    {
        var rows = new TheoryData<string, string, string>();
        foreach (var line in File.ReadLines(PatternTokenizers.PathOf("regex.jsonl")))
        {
            var row = JsonNode.Parse(line)!;
            rows.Add((string)row["use"]!, (string)row["pattern"]!, row["refused"] is null ? row["cases"]!.ToJsonString() : "");
        }
        return rows;
    }

    [Theory]
    [MemberData(nameof(Cases), DisableDiscoveryEnumeration = true)]
    public void Ids_are_those_of_Hugging_Faces_tokenizers(string use, string pattern, string cases)
    {
        if (cases.Length == 0)
        {
            Assert.Contains("pattern.Regex is a regular expression with ", Refusal(use, pattern), StringComparison.Ordinal);
            return;
        }
        var tokenizer = PatternTokenizers.Load(use, pattern);
        Assert.All(JsonNode.Parse(cases)!.AsArray(), entry =>
            Assert.Equal(entry![1]!.AsArray().Select(id => (int)id!), tokenizer.Encode((string)entry[0]!)));
    }

    [Theory]
    // cl100k as its files have it, with possessive quantifiers.
    [InlineData(@"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+", "It's  12345 𝕏!!\n\n é", "It|'s| | |123|45| 𝕏|!!\n\n| é")]
    // BLOOM: white space, a bar, brackets and stops within a class within a class.
    [InlineData(@" ?[^(\s|[.,!?…。，、।۔،])]+", "Hi, (you) | 你好。", "Hi~, (~you~) |~ 你好~。", "~")]
    [InlineData(@"\p{Han}+|\p{Hiragana}", "日本語ひらa𠀀", "日本語~ひ~ら~a~𠀀", "~")]
    [InlineData(@"\h+", "x0fGaé", "x~0f~G~a~é", "~")]
    [InlineData(@"\w+", "क्षि Ⅻa²", "क्षि~ ~Ⅻa²", "~")] // marks and letter-numbers are letters of a word
    [InlineData(@"[\w]+", "Ⅻa²", "Ⅻa~²", "~")] // but superscripts are not in a class
    [InlineData(@"[👦-👩]+", "a👩👧b", "a~👩👧~b", "~")]
    [InlineData(@"[^👩]", "a👩👧", "a~👩~👧", "~")]
    [InlineData("(?=[A-Z])", "aBC", "a~B~C", "~")]
    [InlineData("a{,2}b", "aaab", "a~aab", "~")]
    [InlineData("(?i)ss", "ßSSſs", "ß~SS~ſs", "~")]
    [InlineData("(?i)ß", "ssßẞs", "ss~ß~ẞ~s", "~")]
    [InlineData("(?i)s(?:s)", "aß", "a~ß", "~")]
    [InlineData("(?i)[s][s]", "aßss", "aß~ss", "~")] // not one text, so no ß
    [InlineData(@"\X", "e\u0301👩\u200D👧🇩🇪🇫\r\n", "e\u0301~👩\u200D👧~🇩🇪~🇫~\r\n", "~")]
    [InlineData("(a|b)\\1", "abbaa𝕏", "a~bb~aa~𝕏", "~")]
    [InlineData("(?<n>.)\\k<n>", "𝕏𝕏𝕐𝕏", "𝕏𝕏~𝕐𝕏", "~")]
    [InlineData(@"a\Kb", "aabb", "aa~b~b", "~")]
    [InlineData("(?~ab)", "xxaby", "xx~a~by", "~")]
    [InlineData("(?<=a|bc)d", "adbcdcd", "a~d~bc~d~cd", "~")]
    [InlineData("(?<=(?>ab|a.)c)d", "abcdaxcd", "abc~d~axc~d", "~")]
    [InlineData("(?<=(a)(?(1)b|c))d", "abdacd", "ab~d~acd", "~")] // read forwards, though .NET reads look-behind backwards
    [InlineData("(?:(a)|b)(?(1)c|d)", "acbdbcad", "ac~bd~bcad", "~")]
    [InlineData(@"^.", "ab\ncd\n", "a~b\n~c~d\n", "~")]
    [InlineData(@"(?x) a b # c", "xabab", "x~ab~ab", "~")]
    [InlineData(@"\xE3\x81\x82|\x{1F600}|\u0041|\101", "あ😀AAx", "あ~😀~A~A~x", "~")]
    [InlineData("(?W)\\w+(?-W:\\w)", "aéb", "aé~b", "~")]
    public void Words_are_cut_as_Oniguruma_matches(string pattern, string text, string words, string gap = Gap)
    {
        var tokenizer = PatternTokenizers.Words($$"""{"type": "Split", "pattern": {"Regex": {{JsonSerializer.Serialize(pattern)}}}, "behavior": "Isolated"}""");
        Assert.Equal(words.Split(gap), tokenizer.EncodeWithOffsets(text).Offsets.Select(offset => text[offset.Start..offset.End]));
    }

    [Theory]
    [InlineData("Removed", false, "a|B|C")]
    [InlineData("Isolated", false, "a|B|C")]
    [InlineData("MergedWithPrevious", false, "a|B|C")]
    [InlineData("MergedWithNext", false, "a|B|C")]
    [InlineData("Contiguous", false, "a|B|C")]
    [InlineData("Removed", true, "")]
    [InlineData("Isolated", true, "a|B|C")]
    public void An_empty_match_cuts_and_is_no_word(string behavior, bool invert, string words)
    {
        // Empty matches before B and before C: what lies between is a, B and C, as the tokenizers library's Split has it; an empty delimiter never is a word.
        var tokenizer = PatternTokenizers.Words($$"""{"type": "Split", "pattern": {"Regex": "(?=[A-Z])"}, "behavior": "{{behavior}}", "invert": {{(invert ? "true" : "false")}}}""");
        Assert.Equal(words.Split(Gap, StringSplitOptions.RemoveEmptyEntries), tokenizer.EncodeWithOffsets("aBC").Offsets.Select(offset => "aBC"[offset.Start..offset.End]));
    }

    [Theory]
    [InlineData(@"a\g<1>(b)", "a call of a group, \\g, which isn't supported (character 2)")]
    [InlineData(@"(?<n>a)\k<n+1>", "a reference to a level of recursion, which isn't supported (character 8)")]
    [InlineData(@"(?i)(a)\1", "a reference to a group where case is ignored, which isn't supported (character 8)")]
    [InlineData(@"(a\1)", "a reference to a group within that group, which isn't supported")]
    [InlineData(@"\2(a)", "a reference to group 2, which does not exist (character 1)")]
    [InlineData(@"(?<n>a)(b)\1", "a reference by number though there are named groups (character 11)")]
    [InlineData(@"x(?~|a|b)", "(?~|…), a limit to where may be read, which isn't supported (character 2)")]
    [InlineData(@"(?~(?~a))", "an absent operator in another, which isn't supported (character 1)")]
    [InlineData(@"(?=a\K)", "\\K within look-around or an absent operator, which isn't supported (character 6)")]
    [InlineData(@"(*FAIL)", "a callout, which isn't supported (character 1)")]
    [InlineData(@"(?y{w})\X", "the option y{w}, which isn't supported (character 1)")]
    [InlineData(@"(?L)a", "the option L, which isn't supported (character 1)")]
    [InlineData(@"(?s).", "the option \"s\", which Oniguruma does not have (character 1)")]
    [InlineData(@"(?<=a*+b)c", "an atomic group or a reference in a look-behind of varying length, which isn't supported (character 1)")]
    [InlineData(@"(?<!(a))b", "a look-behind with a part that Oniguruma does not allow there (character 1)")]
    [InlineData(@"a\p{IsGreek}", "the property \"IsGreek\", which Oniguruma does not have (character 5)")]
    [InlineData(@"[[:nope:]]", "the POSIX bracket [:nope:], which does not exist (character 2)")]
    [InlineData(@"[\w-z]", "a range that begins with a set of characters (character 4)")]
    [InlineData(@"[z-a]", "a range that ends before it begins (character 4)")]
    [InlineData(@"[a", "a character class that lacks its closing bracket (character 2)")]
    [InlineData(@"[]", "an empty character class (character 1)")]
    [InlineData(@"a)", "a closing parenthesis that opens nowhere (character 2)")]
    [InlineData(@"^*", "a quantifier of what takes no character (character 2)")]
    [InlineData(@"a|*", "a quantifier of nothing (character 3)")]
    [InlineData(@"\xC3", "bytes that aren't UTF-8 (character 1)")]
    [InlineData(@"\x{110000}", "a number beyond Unicode's characters, which isn't supported (character 2)")]
    [InlineData(@"\u12", "\\u without four hexadecimal digits (character 2)")]
    [InlineData(@"a{100001}", "a repetition of more than 100000 (character 2)")]
    [InlineData("a\\", "a backslash at its end (character 2)")]
    public void What_can_not_be_said_is_refused_by_name_and_place(string pattern, string message)
    {
        Assert.EndsWith($"pre_tokenizer.pretokenizers[0].pattern.Regex is a regular expression with {message}.", Refusal("split", pattern), StringComparison.Ordinal);
        Assert.EndsWith($"normalizer.pattern.Regex is a regular expression with {message}.", Refusal("replace", pattern), StringComparison.Ordinal);
    }

    [Fact]
    public void Deep_and_long_expressions_are_refused_or_read_but_never_crash()
    {
        Assert.Contains("groups nested deeper than 200", Refusal("split", new string('(', 100_000)), StringComparison.Ordinal);
        Assert.Contains("classes nested deeper than 100", Refusal("split", new string('[', 100_000)), StringComparison.Ordinal);
        Assert.Contains("escapes within escapes", Refusal("split", string.Concat(Enumerable.Repeat("\\M-", 100_000))), StringComparison.Ordinal);
        Assert.Contains("more than 2000 sets of characters", Refusal("split", string.Concat(Enumerable.Range(0x4E00, 3000).Select(code => (char)code))), StringComparison.Ordinal);
        Assert.NotEmpty(PatternTokenizers.Load("split", string.Concat(Enumerable.Repeat("ab|", 20_000))).Encode("abc"));
    }

    [Fact]
    public void An_expression_that_backtracks_for_ever_is_stopped_with_one_line()
    {
        var tokenizer = PatternTokenizers.Load("split", "(?:a|ab|b)*c");
        var error = Assert.Throws<InputException>(() => tokenizer.Encode(string.Concat(Enumerable.Repeat("ab", 2500))));
        Assert.StartsWith("the tokenizer's regular expression \"(?:a|ab|b)*c\" takes more than 1 s on a text of 5000 characters", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void General_categories_are_those_that_dot_NET_has()
    {
        // Two tables made from Unicode's data by different hands, over all characters that both know.
        int[] known = [.. Enumerable.Range(0, 0x110000).Where(code => code is not (>= 0xD800 and <= 0xDFFF) && CharUnicodeInfo.GetUnicodeCategory(code) != UnicodeCategory.OtherNotAssigned)];
        var text = new StringBuilder();
        foreach (var code in known)
            text.Append(char.ConvertFromUtf32(code));
        var all = text.ToString();
        (UnicodeCategory, string)[] names =
        [
            (UnicodeCategory.UppercaseLetter, "Lu"), (UnicodeCategory.LowercaseLetter, "Ll"), (UnicodeCategory.TitlecaseLetter, "Lt"), (UnicodeCategory.ModifierLetter, "Lm"),
            (UnicodeCategory.OtherLetter, "Lo"), (UnicodeCategory.NonSpacingMark, "Mn"), (UnicodeCategory.SpacingCombiningMark, "Mc"), (UnicodeCategory.EnclosingMark, "Me"),
            (UnicodeCategory.DecimalDigitNumber, "Nd"), (UnicodeCategory.LetterNumber, "Nl"), (UnicodeCategory.OtherNumber, "No"), (UnicodeCategory.SpaceSeparator, "Zs"),
            (UnicodeCategory.Control, "Cc"), (UnicodeCategory.Format, "Cf"), (UnicodeCategory.PrivateUse, "Co"), (UnicodeCategory.ConnectorPunctuation, "Pc"),
            (UnicodeCategory.DashPunctuation, "Pd"), (UnicodeCategory.OpenPunctuation, "Ps"), (UnicodeCategory.ClosePunctuation, "Pe"), (UnicodeCategory.InitialQuotePunctuation, "Pi"),
            (UnicodeCategory.FinalQuotePunctuation, "Pf"), (UnicodeCategory.OtherPunctuation, "Po"), (UnicodeCategory.MathSymbol, "Sm"), (UnicodeCategory.CurrencySymbol, "Sc"),
            (UnicodeCategory.ModifierSymbol, "Sk"), (UnicodeCategory.OtherSymbol, "So"),
        ];
        foreach (var (category, name) in names)
        {
            var tokenizer = PatternTokenizers.Words($$"""{"type": "Split", "pattern": {"Regex": "\\P{{{name}}}+"}, "behavior": "Removed"}""");
            var matched = string.Concat(tokenizer.EncodeWithOffsets(all).Offsets.Select(offset => all[offset.Start..offset.End]));
            var expected = string.Concat(known.Where(code => CharUnicodeInfo.GetUnicodeCategory(code) == category).Select(char.ConvertFromUtf32));
            Assert.True(matched == expected, $"{name}: {matched.Length} UTF-16 units, right: {expected.Length}");
        }
    }

    private static string Refusal(string use, string pattern)
    {
        var error = Assert.Throws<InputException>(() => PatternTokenizers.Load(use, pattern));
        Assert.DoesNotContain('\n', error.Message);
        return error.Message;
    }
}
