using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>Reads the "normalizer" section of <c>tokenizer.json</c>.</summary>
internal static class NormalizerReader
{
    /// <summary>Reads a normalizer; null where it does nothing.</summary>
    public static INormalizer? Read(JsonPart normalizer)
    {
        switch (TokenizerJson.TypeOf(normalizer))
        {
            case "NFC":
                return new UnicodeNormalizer(UnicodeForm.C);
            case "NFD":
                return new UnicodeNormalizer(UnicodeForm.D);
            case "NFKC":
                return new UnicodeNormalizer(UnicodeForm.KC);
            case "NFKD":
                return new UnicodeNormalizer(UnicodeForm.KD);
            case "Lowercase":
                return new LowercaseNormalizer();
            case "StripAccents":
                return new StripAccentsNormalizer();
            case "Strip":
                return new StripNormalizer(normalizer.Flag("strip_left", otherwise: true), normalizer.Flag("strip_right", otherwise: true));
            case "Prepend":
                return new PrependNormalizer(normalizer.Required("prepend").AsShortString());
            case "Replace":
                return new ReplaceNormalizer(PatternReader.Read(normalizer), normalizer.Required("content").AsShortString());
            case "Nmt":
                return new NmtNormalizer();
            case "ByteLevel":
                return new ByteSpelling();
            case "BertNormalizer":
                var lowercases = normalizer.Flag("lowercase", otherwise: true);
                return new BertNormalizer(
                    normalizer.Flag("clean_text", otherwise: true),
                    normalizer.Flag("handle_chinese_chars", otherwise: true),
                    stripsAccents: normalizer.Flag("strip_accents", otherwise: lowercases),
                    lowercases);
            case "Precompiled":
                return ReadPrecompiled(normalizer.Required("precompiled_charsmap"));
            case "Sequence":
                var steps = normalizer.Required("normalizers").Items().Select(Read).OfType<INormalizer>().ToList();
                return steps.Count == 0 ? null : new NormalizerSequence(steps);
            default:
                throw TokenizerJson.Unsupported(normalizer, "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, Nmt, BertNormalizer, Precompiled, ByteLevel and Sequence are");
        }
    }

    private static PrecompiledNormalizer ReadPrecompiled(JsonPart table)
    {
        var base64 = table.AsString();
        var bytes = new byte[base64.Length / 4 * 3 + 3];
        return Convert.TryFromBase64String(base64, bytes, out var length) && PrecompiledNormalizer.TryRead(bytes.AsSpan(0, length)) is { } normalizer
            ? normalizer
            : throw table.Error("must be a compiled table of sentencepiece in base 64");
    }
}
