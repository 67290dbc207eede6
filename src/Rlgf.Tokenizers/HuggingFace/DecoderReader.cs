using Rlgf.Tokenizers.Decoding;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>Reads the "decoder" section of <c>tokenizer.json</c>.</summary>
internal static class DecoderReader
{
    /// <summary>Reads a decoder.</summary>
    /// <param name="decoder">The section; without one, tokens are put together with spaces between them.</param>
    /// <returns>The steps, or null where all that is done is to read the bytes that tokens spell.</returns>
    public static IReadOnlyList<IPieceStep>? Read(JsonPart? decoder)
    {
        if (decoder is not { } section)
            return [new SpacesStep()];
        var steps = new List<IPieceStep>();
        Add(section, steps);
        return steps is [ByteLevelStep] ? null : steps;
    }

    private static void Add(JsonPart decoder, List<IPieceStep> steps)
    {
        switch (TokenizerJson.TypeOf(decoder))
        {
            case "ByteLevel":
                steps.Add(new ByteLevelStep());
                break;
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
                steps.Add(new StripStep(character, decoder.Required("start").AsCount(), decoder.Required("stop").AsCount(), steps.Exists(step => step.Fuses)));
                break;
            case "Replace":
                steps.Add(new ReplaceStep(PatternReader.Read(decoder), decoder.Required("content").AsShortString()));
                break;
            case "WordPiece":
                steps.Add(new WordPieceStep(decoder.Optional("prefix")?.AsString() ?? "##", decoder.Flag("cleanup", otherwise: true)));
                break;
            case "BPEDecoder":
                steps.Add(new BpeStep(decoder.Optional("suffix") is { } suffix ? NotEmpty(suffix) : "</w>"));
                break;
            case "CTC":
                steps.Add(new CtcStep(NotEmpty(decoder.Required("pad_token")), NotEmpty(decoder.Required("word_delimiter_token")), decoder.Flag("cleanup", otherwise: true)));
                break;
            case "Sequence":
                foreach (var part in decoder.Required("decoders").Items())
                    Add(part, steps);
                break;
            default:
                throw TokenizerJson.Unsupported(decoder, "ByteLevel, Metaspace, ByteFallback, Fuse, Strip, Replace, WordPiece, BPEDecoder, CTC and Sequence are");
        }
    }

    private static string NotEmpty(JsonPart text) => text.AsString() is { Length: > 0 } value ? value : throw text.Error("must not be empty");
}
