using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Generation;

public sealed class Gpt2GenerationTests : IDisposable
{
    private readonly Fixture _fixture = new("gpt2");
    private readonly ILanguageModel _model;
    private readonly int[][] _prompts;

    public Gpt2GenerationTests()
    {
        _model = LanguageModelFolder.Load(_fixture.Folder);
        _prompts = Fixture.Rows(_fixture.Expected["left_padded"]!);
    }

    public void Dispose()
    {
        _model.Dispose();
        _fixture.Dispose();
    }

    [Theory]
    [InlineData("greedy")]
    [InlineData("greedy_min_new_tokens")]
    [InlineData("greedy_ends_early")]
    public void Greedy_tokens_equal_those_of_transformers(string name)
    {
        var generation = _fixture.Expected["generation"]!.AsArray().Single(item => (string)item!["name"]! == name)!;
        var columns = Fixture.Ints(_fixture.Expected["left_padded"]!["input_ids"])[0].Length;
        var settings = new SamplingSettings
        {
            Greedy = true,
            MaxNewTokens = (int)generation["settings"]!["max_new_tokens"]!,
            MinNewTokens = (int?)generation["settings"]!["min_new_tokens"] ?? 0,
            EndTokens = [(int)generation["settings"]!["eos_token_id"]!],
        };

        var rows = TextGenerator.Generate(_model, Requests(1), settings, seed: 0);

        foreach (var (expected, row) in Fixture.Ints(generation["sequences"]).Zip(rows))
        {
            var end = Array.IndexOf(expected, settings.EndTokens[0], columns);
            Assert.Equal(expected[columns..(end < 0 ? expected.Length : end + 1)], row.Tokens);
            Assert.Equal(end >= 0, row.Ended);
        }
    }

    [Fact]
    public void Sampled_rows_are_the_same_alone_and_together_though_they_are_padded_there()
    {
        var settings = new SamplingSettings { MaxNewTokens = 12, EndTokens = [83], Temperature = 0.9, TopK = 40 };
        var together = TextGenerator.Generate(_model, Requests(4), settings, seed: 3);

        var alone = Requests(4).Select(request => TextGenerator.Generate(_model, [request], settings, seed: 3)[0]).ToArray();

        Assert.Equal(together.Select(row => row.Tokens), alone.Select(row => row.Tokens));
        Assert.Contains(together, row => row.Ended);
        Assert.Contains(together, row => !row.Ended);
    }

    [Fact]
    public void Raw_log_probabilities_are_those_of_reading_the_whole_response()
    {
        var settings = new SamplingSettings { MaxNewTokens = 9, EndTokens = [83], TopK = 40, TopP = 0.95, RepetitionPenalty = 1.1 };
        var requests = Requests(3);
        var rows = TextGenerator.Generate(_model, requests, settings, seed: 4);

        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var logProbs = _model.Logits(_model.ResponseStates([.. requests.Zip(rows, (request, row) => request.Row with { Response = row.Tokens })])).log_softmax(-1);

        for (var b = 0; b < rows.Count; b++)
        {
            for (var t = 0; t < rows[b].Tokens.Length; t++)
            {
                Assert.Equal(logProbs[b, t, rows[b].Tokens[t]].item<float>(), rows[b].RawLogProbs[t], 1e-4);
            }
        }
    }

    [Fact]
    public void A_generation_leaves_no_tensor()
    {
        var settings = new SamplingSettings { MaxNewTokens = 6, EndTokens = [83], TopK = 40 };
        TextGenerator.Generate(_model, Requests(4), settings, seed: 1);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = Tensor.TotalCount;

        for (var call = 0; call < 20; call++)
        {
            TextGenerator.Generate(_model, Requests(4), settings, seed: (ulong)call);
        }

        Assert.Equal(before, Tensor.TotalCount);
    }

    private GenerationRequest[] Requests(int samples) =>
        [.. _prompts.SelectMany((prompt, row) => Enumerable.Range(0, samples).Select(i => new GenerationRequest(new TokenRow(prompt, []), (ulong)(row * 100 + i))))];
}
