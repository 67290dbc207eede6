using System.Text.Json.Nodes;
using Rlgf.Models;
using Rlgf.Models.Conversion;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Tests;
using static TorchSharp.torch;

namespace Rlgf.LlamaCpp.Tests;

/// <summary>A published model of 135 million parameters in four bits, by llama.cpp and as the folder that it converts to. It is too large for the repository.</summary>
public sealed class RealGgufTests
{
    private static readonly string[] Openings =
    [
        "The film begins", "My grandmother used to say", "In 1969, the first", "Water boils at", "The capital of France is", "Once upon a time", "To bake bread you need", "She opened the door and", "The best way to learn", "Dear Sir,",
        "A triangle has", "He never thought that", "The weather today is", "Scientists have found", "When the war ended,", "Music is", "In the garden there were", "The committee decided to", "It was raining, so", "Every morning I",
    ];

    [Fact]
    public void Log_probabilities_are_those_of_the_server_of_llama_cpp()
    {
        using var gguf = GgufTextModel.Load(SharedFolder.Require("real", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf"));
        var row = File.ReadLines(SharedFolder.Require("fixtures", "openai", "llama.jsonl")).Select(line => JsonNode.Parse(line)!).First(row => (string)row["id"]! == "cmpl-logprobs3");
        var said = JsonNode.Parse((string)row["response"]!["body"]!)!["choices"]![0]!["logprobs"]!["content"]!.AsArray();
        var prompt = (string)JsonNode.Parse((string)row["request"]!["body"]!)!["prompt"]!;
        using var decoder = gguf.Model.StartDecoding([new TokenRow(gguf.Tokenizer.Encode(prompt), [])], said.Count);
        foreach (var token in said)
        {
            using var logProbs = decoder.NextLogits.log_softmax(1);
            foreach (var top in token!["top_logprobs"]!.AsArray()) Assert.Equal((double)top!["logprob"]!, logProbs[0, (int)top["id"]!].item<float>(), 0.2);
            decoder.Append([(int)token["id"]!]);
        }
    }

    [Fact]
    public void Greedy_texts_and_log_probabilities_agree_within_what_quantised_activations_allow()
    {
        var path = SharedFolder.Require("real", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf");
        var folder = Directory.CreateTempSubdirectory("rlgf-gguf-").FullName;
        try
        {
            GgufConversion.Convert(path, folder, ScalarType.Float32);
            using var converted = TextModel.Load(folder);
            using var gguf = GgufTextModel.Load(path);
            var settings = new SamplingSettings { MaxNewTokens = 12, Greedy = true, EndTokens = gguf.EndTokens };
            Assert.Equal(converted.EndTokens.Order(), gguf.EndTokens.Order());
            GenerationRequest[] rows = [.. Openings.Select((text, i) => new GenerationRequest(new TokenRow(gguf.Tokenizer.Encode(text), []), (ulong)i))];
            Assert.All(Openings, text => Assert.Equal(converted.Tokenizer.Encode(text), gguf.Tokenizer.Encode(text)));
            var expected = TextGenerator.Generate(converted.Model, rows, settings, seed: 1, TestContext.Current.CancellationToken);
            var written = TextGenerator.Generate(gguf.Model, rows, settings, seed: 1, TestContext.Current.CancellationToken);

            var (same, largest, sum, count) = (0, 0.0, 0.0, 0);
            for (var i = 0; i < rows.Length; i++)
            {
                if (expected[i].Tokens.AsSpan().SequenceEqual(written[i].Tokens)) same++;
                // Up to where the two part, both have read the same.
                for (var t = 0; t < expected[i].Tokens.Length && expected[i].Tokens[t] == written[i].Tokens[t]; t++)
                {
                    var difference = Math.Abs(expected[i].RawLogProbs[t] - written[i].RawLogProbs[t]);
                    (largest, sum, count) = (Math.Max(largest, difference), sum + difference, count + 1);
                }
            }

            // llama.cpp rounds what is multiplied with weights of four bits to eight, so that the two part where two tokens are about as likely; with float32 weights all texts are equal (LlamaCppModelTests).
            TestContext.Current.SendDiagnosticMessage($"{same} of {rows.Length} greedy texts of {settings.MaxNewTokens} tokens are equal; log-probabilities of {count} tokens differ by {sum / count:0.000} in the mean, {largest:0.000} at most");
            Assert.True(sum / count < 0.08 && largest < 0.6, $"{sum / count} in the mean, {largest} at most");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
