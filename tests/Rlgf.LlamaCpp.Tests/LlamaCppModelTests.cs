using Rlgf.Models;
using Rlgf.Models.Conversion;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.LlamaCpp.Tests;

/// <summary>What llama.cpp computes through this package: against recorded values of llama.cpp's own server, and against the same file converted and computed on TorchSharp.</summary>
public sealed class LlamaCppModelTests
{
    [Theory]
    [InlineData("llama.f32", 2e-5)]
    // Its gelu is a table in float16.
    [InlineData("gpt2.f32", 2e-3)]
    // Activations are rounded to eight bits, in groups that depend on the batch.
    [InlineData("qwen3.q8_0", 0.02)]
    public void Next_tokens_have_the_recorded_log_probabilities(string name, double tolerance)
    {
        using var model = LlamaCppModel.Load(GgufFixture.PathOf(name), GgufFixture.Exact);
        var cases = GgufFixture.Cases(name);
        using var decoder = model.StartDecoding([.. cases.Select(found => new TokenRow(found.Ids, []))], 1);
        using var logProbs = decoder.NextLogits.log_softmax(1);
        for (var i = 0; i < cases.Count; i++)
        {
            foreach (var (id, expected) in cases[i].Top) Assert.Equal(expected, logProbs[i, id].item<float>(), tolerance);
        }
    }

    [Fact]
    public void Rows_that_grow_are_dropped_doubled_and_multiplied_have_the_logits_of_rows_read_at_once()
    {
        using var model = LlamaCppModel.Load(GgufFixture.PathOf("llama.f32"), GgufFixture.Exact);
        int[][] prompts = [[5, 9, 14], [40, 41, 42, 43, 44, 45], [7]];
        using var decoder = model.StartDecoding([.. prompts.Select(prompt => new TokenRow(prompt, []))], 8);
        var texts = prompts.Select(prompt => prompt.ToList()).ToList();
        Check();
        Append(11, 12, 13);
        Select(2, 0);
        Append(21, 22);
        Select(1, 1, 0);
        Append(31, 32, 33);
        // More than there was room for.
        Select(0, 1, 2, 2, 0);
        Append(50, 51, 52, 53, 54);
        Select(4);
        Append(60);

        void Append(params int[] tokens)
        {
            for (var i = 0; i < tokens.Length; i++) texts[i].Add(tokens[i]);
            decoder.Append(tokens);
            Check();
        }

        void Select(params int[] rows)
        {
            texts = [.. rows.Select(row => texts[row].ToList())];
            decoder.Select(rows);
            Check();
        }

        void Check()
        {
            Assert.Equal(texts.Count, decoder.Rows);
            using var whole = model.StartDecoding([.. texts.Select(text => new TokenRow([.. text], []))], 1);
            Assert.True(allclose(whole.NextLogits, decoder.NextLogits, 1e-4, 1e-4));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Texts_equal_those_of_the_converted_model(bool sampled)
    {
        using var gguf = GgufFixture.Load("llama.f32");
        using var folder = Converted("llama.f32");
        Assert.Equal(folder.EndTokens, gguf.EndTokens);
        string[] prompts = ["The", "It was", "A film", "In the", "Why", "When I", "They are", "He said", "One", "No", "The old", "We", "Not", "She", "This", "All of", "But", "Then", "If", "And so"];
        var settings = new SamplingSettings { MaxNewTokens = 12, Greedy = !sampled, TopK = sampled ? 20 : 0, EndTokens = gguf.EndTokens };
        var expected = Write(folder.Model, text => folder.Tokenizer.Encode(text, addSpecialTokens: true));
        var written = Write(gguf.Model, text => gguf.Tokenizer.Encode(text, addSpecialTokens: true));
        for (var i = 0; i < prompts.Length; i++)
        {
            Assert.Equal(expected[i].Tokens, written[i].Tokens);
            for (var t = 0; t < written[i].Tokens.Length; t++) Assert.Equal(expected[i].RawLogProbs[t], written[i].RawLogProbs[t], 2e-4f);
        }

        IReadOnlyList<GeneratedRow> Write(IDecodingModel model, Func<string, int[]> encode) =>
            TextGenerator.Generate(model, [.. prompts.Select((text, i) => new GenerationRequest(new TokenRow(encode(text), []), (ulong)i))], settings, seed: 3, TestContext.Current.CancellationToken);
    }

    [Fact]
    public void A_row_is_the_same_alone_and_among_others()
    {
        using var gguf = GgufFixture.Load("llama.f32");
        var settings = new SamplingSettings { MaxNewTokens = 10, EndTokens = gguf.EndTokens };
        var rows = Enumerable.Range(0, 9).Select(i => new GenerationRequest(new TokenRow([3 + (i / 3)], []), (ulong)(100 + i))).ToArray();
        var together = TextGenerator.Generate(gguf.Model, rows, settings, seed: 1, TestContext.Current.CancellationToken);
        for (var i = 0; i < rows.Length; i++)
            Assert.Equal(TextGenerator.Generate(gguf.Model, [rows[i]], settings, seed: 1, TestContext.Current.CancellationToken)[0].Tokens, together[i].Tokens);
        Assert.Equal(9, together.Select(row => string.Join(',', row.Tokens)).Distinct().Count());
    }

    [Fact]
    public void A_beam_search_finds_what_it_finds_with_the_converted_model()
    {
        using var gguf = GgufFixture.Load("llama.f32");
        using var folder = Converted("llama.f32");
        var settings = new SamplingSettings { MaxNewTokens = 8, Beams = new BeamSettings { Width = 3 }, EndTokens = gguf.EndTokens };
        GenerationRequest[] rows = [new(new TokenRow([5, 9, 14], []), 0), new(new TokenRow([40, 41], []), 1)];
        Assert.Equal(
            TextGenerator.Generate(folder.Model, rows, settings, seed: 1, TestContext.Current.CancellationToken).Select(row => string.Join(',', row.Tokens)),
            TextGenerator.Generate(gguf.Model, rows, settings, seed: 1, TestContext.Current.CancellationToken).Select(row => string.Join(',', row.Tokens)));
    }

    private static TextModel Converted(string name)
    {
        var folder = Directory.CreateTempSubdirectory("rlgf-gguf-").FullName;
        try
        {
            GgufConversion.Convert(GgufFixture.PathOf(name), folder, ScalarType.Float32);
            return TextModel.Load(folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
