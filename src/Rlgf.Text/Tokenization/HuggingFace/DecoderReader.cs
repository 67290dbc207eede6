using Rlgf.Text.Tokenization.Decoding;
using Rlgf.Text.Tokenization.Words;

namespace Rlgf.Text.Tokenization.HuggingFace;

/// <summary>Reads the "decoder" section of <c>tokenizer.json</c>.</summary>
internal static class DecoderReader
{
    /// <summary>Reads a decoder.</summary>
    /// <param name="root">The whole file.</param>
    /// <param name="isByteLevel">Whether the vocabulary spells bytes; then there is one decoder that fits.</param>
    /// <returns>The steps, or null for a vocabulary that spells bytes.</returns>
    public static IReadOnlyList<IPieceStep>? Read(JsonPart root, bool isByteLevel)
    {
        if (root.Optional("decoder") is not { } decoder)
            throw root.Error(isByteLevel ? "lacks \"decoder\"; a byte-level tokenizer has \"ByteLevel\" there" : "lacks \"decoder\"");
        if (isByteLevel)
            return IsByteLevel(decoder) ? null : throw TokenizerJson.Unsupported(decoder, "\"ByteLevel\" is, since the pre_tokenizer is");
        var steps = new List<IPieceStep>();
        Add(decoder, steps);
        return steps;
    }

    private static bool IsByteLevel(JsonPart decoder) => TokenizerJson.TypeOf(decoder) switch
    {
        "ByteLevel" => true,
        "Sequence" => decoder.Required("decoders").Items().ToList() is [var only] && IsByteLevel(only),
        _ => false,
    };

    private static void Add(JsonPart decoder, List<IPieceStep> steps)
    {
        switch (TokenizerJson.TypeOf(decoder))
        {
            case "Metaspace":
                var (mark, scheme) = PreTokenizerReader.ReadMetaspace(decoder);
                steps.Add(new MetaspaceStep(mark, dropsFirst: scheme != PrependScheme.Never));
                break;
            case "ByteFallback":
                steps.Add(new ByteFallbackStep());
                break;
            case "Fuse":
                steps.Add(new FuseStep());
                break;
            case "Strip":
                var content = decoder.Required("content");
                var character = content.AsString() is [var only] ? only : throw content.Error("must be one character");
                steps.Add(new StripStep(character, decoder.Required("start").AsCount(), decoder.Required("stop").AsCount(), steps.Exists(step => step is FuseStep)));
                break;
            case "Replace":
                steps.Add(new ReplaceStep(PatternReader.Read(decoder), decoder.Required("content").AsShortString()));
                break;
            case "WordPiece":
                steps.Add(new WordPieceStep(decoder.Optional("prefix")?.AsString() ?? "##", decoder.Flag("cleanup", otherwise: true)));
                break;
            case "Sequence":
                foreach (var part in decoder.Required("decoders").Items())
                    Add(part, steps);
                break;
            default:
                throw TokenizerJson.Unsupported(decoder, "ByteLevel (with a \"ByteLevel\" pre_tokenizer), Metaspace, ByteFallback, Fuse, Strip, Replace, WordPiece and Sequence are");
        }
    }
}
