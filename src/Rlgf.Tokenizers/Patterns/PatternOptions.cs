namespace Rlgf.Tokenizers.Patterns;

/// <summary>What <c>(?imxWDSP)</c> switches.</summary>
/// <param name="IgnoreCase">i.</param>
/// <param name="DotMatchesNewline">m.</param>
/// <param name="Extended">x: white space and what follows <c>#</c> in a line mean nothing.</param>
/// <param name="AsciiWord">W.</param>
/// <param name="AsciiDigit">D.</param>
/// <param name="AsciiSpace">S.</param>
/// <param name="AsciiPosix">P: all names of POSIX brackets.</param>
internal readonly record struct PatternOptions(
    bool IgnoreCase, bool DotMatchesNewline, bool Extended, bool AsciiWord, bool AsciiDigit, bool AsciiSpace, bool AsciiPosix)
{
    public bool WordsAreAscii => AsciiWord || AsciiPosix;

    /// <summary>The set behind the name of a POSIX bracket under these options.</summary>
    public CodePointSet Posix(string name)
    {
        var isAscii = AsciiPosix || (name == "word" && AsciiWord) || (name == "digit" && AsciiDigit) || (name == "space" && AsciiSpace);
        return isAscii ? UnicodeProperties.Posix(name).Intersect(CodePointSet.Ascii) : UnicodeProperties.Posix(name);
    }

    /// <summary>The set behind a property's name; null where there is none.</summary>
    public CodePointSet? Property(string name) => UnicodeProperties.Normalise(name) switch
    {
        "punct" => UnicodeProperties.Find(name), // The category, though the bracket of that name takes symbols too.
        "posixpunct" => Posix("punct"),
        var normal when UnicodeProperties.PosixBrackets.Contains(normal) => Posix(normal),
        _ => UnicodeProperties.Find(name),
    };

    /// <summary><c>\w</c> outside a character class, and what <c>\b</c> goes by.</summary>
    public CodePointSet WordOutsideClass => WordsAreAscii ? UnicodeProperties.WordOutsideClass.Intersect(CodePointSet.Ascii) : UnicodeProperties.WordOutsideClass;
}
