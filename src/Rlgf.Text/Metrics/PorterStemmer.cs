using System.Text;

namespace Rlgf.Text.Metrics;

/// <summary>
/// The stems of English words by Porter, "An algorithm for suffix stripping" (Program 14, 1980), with the extensions that nltk's <c>PorterStemmer</c> has by default: what ROUGE and METEOR are computed with.
/// </summary>
/// <remarks>Equal to nltk 3.10 on the words of the fixture, those on which the extensions show among them.</remarks>
public static class PorterStemmer
{
    private static readonly Dictionary<string, string> Irregular = new(StringComparer.Ordinal)
    {
        ["sky"] = "sky", ["skies"] = "sky", ["dying"] = "die", ["lying"] = "lie", ["tying"] = "tie", ["news"] = "news", ["innings"] = "inning", ["inning"] = "inning",
        ["outings"] = "outing", ["outing"] = "outing", ["cannings"] = "canning", ["canning"] = "canning", ["howe"] = "howe", ["proceed"] = "proceed", ["exceed"] = "exceed", ["succeed"] = "succeed",
    };

    private static readonly (string Suffix, string Replacement)[] Second =
    [
        ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"),
        ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"),
    ];

    private static readonly (string Suffix, string Replacement)[] Third =
        [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

    private static readonly string[] Fourth =
        ["al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize"];

    /// <summary>The stem of a word, in lower case.</summary>
    public static string Stem(string word)
    {
        var stem = PythonText.Lower(word);
        if (Irregular.TryGetValue(word, out var irregular)) return irregular;
        if (word.Length <= 4 && word.EnumerateRunes().Count() <= 2) return stem;
        stem = Plural(stem);
        stem = PastOrGerund(stem);
        if (stem.EndsWith('y') && stem.Length > 2 && IsConsonant(stem, stem.Length - 2)) stem = stem[..^1] + "i";
        stem = SecondStep(stem);
        stem = Replace(stem, Third);
        stem = FourthStep(stem);
        if (stem.EndsWith('e') && stem[..^1] is var shorter && (Measure(shorter) is var measure) && (measure > 1 || (measure == 1 && !EndsShort(shorter)))) stem = shorter;
        return stem.EndsWith("ll", StringComparison.Ordinal) && Measure(stem.AsSpan(..^1)) > 1 ? stem[..^1] : stem;
    }

    private static string Plural(string word)
    {
        if (Ends(word, "ies")) return word.Length == 4 ? word[..^1] : word[..^2];
        if (Ends(word, "sses")) return word[..^2];
        return word.EndsWith('s') && !Ends(word, "ss") ? word[..^1] : word;
    }

    private static string PastOrGerund(string word)
    {
        if (Ends(word, "ied")) return word.Length == 4 ? word[..^1] : word[..^2];
        if (Ends(word, "eed")) return Measure(word.AsSpan(..^3)) > 0 ? word[..^1] : word;
        if ((Cut(word, "ed") ?? Cut(word, "ing")) is not { } stem) return word;
        if (Ends(stem, "at") || Ends(stem, "bl") || Ends(stem, "iz")) return stem + "e";
        if (stem.Length > 1 && stem[^1] == stem[^2] && IsConsonant(stem, stem.Length - 1)) return stem[^1] is 'l' or 's' or 'z' ? stem : stem[..^1];
        return Measure(stem) == 1 && EndsShort(stem) ? stem + "e" : stem;

        static string? Cut(string word, string suffix) => Ends(word, suffix) && HasVowel(word.AsSpan(..^suffix.Length)) ? word[..^suffix.Length] : null;
    }

    private static string SecondStep(string word)
    {
        if (Ends(word, "alli") && Measure(word.AsSpan(..^4)) > 0) return SecondStep(word[..^2]);
        // The l of logi is counted with the stem, so that short ones such as geo- are stems too.
        if (Ends(word, "logi") && Measure(word.AsSpan(..^3)) > 0) return word[..^1];
        return Replace(word, Second);
    }

    private static string FourthStep(string word)
    {
        foreach (var suffix in Fourth)
        {
            if (!Ends(word, suffix)) continue;
            var stem = word[..^suffix.Length];
            return Measure(stem) > 1 && (suffix != "ion" || stem[^1] is 's' or 't') ? stem : word;
        }

        return word;
    }

    /// <summary>Replaces the first suffix that the word has, where what is left has a measure above 0.</summary>
    private static string Replace(string word, (string Suffix, string Replacement)[] rules)
    {
        foreach (var (suffix, replacement) in rules)
            if (Ends(word, suffix)) return Measure(word.AsSpan(..^suffix.Length)) > 0 ? string.Concat(word.AsSpan(..^suffix.Length), replacement) : word;
        return word;
    }

    private static bool Ends(string word, string suffix) => word.EndsWith(suffix, StringComparison.Ordinal);

    private static bool IsConsonant(ReadOnlySpan<char> word, int at)
    {
        // A y is a consonant at the beginning and after a vowel, and so turn by turn in a row of them.
        var isConsonant = true;
        while (at > 0 && word[at] == 'y') (at, isConsonant) = (at - 1, !isConsonant);
        return word[at] is 'a' or 'e' or 'i' or 'o' or 'u' ? !isConsonant : isConsonant;
    }

    private static bool HasVowel(ReadOnlySpan<char> word)
    {
        for (var at = 0; at < word.Length; at++) if (!IsConsonant(word, at)) return true;
        return false;
    }

    /// <summary>How often a consonant follows a vowel.</summary>
    private static int Measure(ReadOnlySpan<char> word)
    {
        var measure = 0;
        for (var at = 1; at < word.Length; at++) if (IsConsonant(word, at) && !IsConsonant(word, at - 1)) measure++;
        return measure;
    }

    /// <summary>Consonant, vowel, consonant other than w, x, y; or a word of a vowel and a consonant.</summary>
    private static bool EndsShort(ReadOnlySpan<char> word)
    {
        var last = word.Length - 1;
        if (last == 1) return !IsConsonant(word, 0) && IsConsonant(word, 1);
        return last >= 2 && IsConsonant(word, last - 2) && !IsConsonant(word, last - 1) && IsConsonant(word, last) && word[last] is not ('w' or 'x' or 'y');
    }
}
