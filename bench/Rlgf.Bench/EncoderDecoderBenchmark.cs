using System.Globalization;
using System.Text.Json.Nodes;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;

namespace Rlgf.Bench;

/// <summary>Generation by an encoder–decoder with random weights: a T5 of 6 + 6 layers × 512, vocabulary 32,128, 32 rows, prompts of 20 tokens, responses of 20.</summary>
/// <param name="How">Sampling or beam search.</param>
/// <param name="TokensPerSecond">New tokens of the rows that are wanted, a second; those of beams that are dropped don't count.</param>
/// <param name="PeakMebibytes">The most memory that the process held.</param>
public sealed record EncoderDecoderFigures(string How, double TokensPerSecond, double PeakMebibytes);

internal static class EncoderDecoderBenchmark
{
    public const string Name = "t5-small";

    private const int Vocabulary = 32128, Rows = 32, PromptTokens = 20, ResponseTokens = 20, Beams = 5;

    /// <summary>A model of this shape.</summary>
    public static ILanguageModel NewModel(ulong seed) => LanguageModelFolder.Create(Configuration(), seed);

    public static IReadOnlyList<EncoderDecoderFigures> Run(int repeats)
    {
        using var model = NewModel(seed: 1);
        var random = new Random(1);
        GenerationRequest[] requests =
        [
            .. Enumerable.Range(0, Rows).Select(row => new GenerationRequest(new TokenRow([.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(2, Vocabulary))], []), (ulong)row)),
        ];
        // No end token: every response has its full length.
        var sampling = new SamplingSettings { MaxNewTokens = ResponseTokens, TopK = 50 };
        var searching = new SamplingSettings { MaxNewTokens = ResponseTokens, Beams = new BeamSettings { Width = Beams } };
        return
        [
            Measure("top-k 50", () => TextGenerator.Generate(model, requests, sampling, seed: 1)),
            Measure(string.Create(CultureInfo.InvariantCulture, $"{Beams} beams"), () => BeamSearch.Search(model, requests, searching)),
        ];

        EncoderDecoderFigures Measure(string how, Action write)
        {
            write();
            PeakMemory.Reset();
            var seconds = Clock.Median(Enumerable.Range(0, repeats).Select(_ => Clock.Time(write)));
            return new EncoderDecoderFigures(how, Rows * ResponseTokens / seconds, PeakMemory.Mebibytes);
        }
    }

    private static ModelConfiguration Configuration() => new(
        new JsonObject
        {
            ["model_type"] = "t5",
            ["architectures"] = new JsonArray("T5ForConditionalGeneration"),
            ["vocab_size"] = Vocabulary,
            ["d_model"] = 512,
            ["d_kv"] = 64,
            ["d_ff"] = 2048,
            ["num_heads"] = 8,
            ["num_layers"] = 6,
            ["num_decoder_layers"] = 6,
            ["feed_forward_proj"] = "relu",
            ["decoder_start_token_id"] = 0,
            ["pad_token_id"] = 0,
            ["is_encoder_decoder"] = true,
            ["tie_word_embeddings"] = true,
        },
        "the benchmark's T5");
}
