using Rlgf.Models.Generation;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Generation;

[Collection(TensorCountCollection.Name)]
public class GenerationMemoryTests
{
    [Fact]
    public void Five_hundred_generations_leave_no_tensor()
    {
        using var model = TabularLanguageModel.OfWholeHistory(11);
        var requests = Enumerable.Range(0, 6).Select(i => new GenerationRequest(new TokenRow([1, i / 2], []), (ulong)i)).ToArray();
        SamplingSettings[] settings =
        [
            new() { MaxNewTokens = 3, EndTokens = [4] },
            new() { MaxNewTokens = 3, Greedy = true },
            new() { MaxNewTokens = 3, EndTokens = [4], MinNewTokens = 1, Temperature = 0.7, TopK = 5, TopP = 0.9, RepetitionPenalty = 1.1 },
            new() { MaxNewTokens = 3, TopP = 0.9 },
        ];
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = Tensor.TotalCount;

        for (var call = 0; call < 500; call++)
        {
            TextGenerator.Generate(model, requests, settings[call % settings.Length], seed: (ulong)call);
        }

        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public void A_generation_that_fails_leaves_no_tensor()
    {
        using var model = new TabularLanguageModel(3, tokens => tokens.Count < 3 ? [0, 1, 2] : [0, float.NaN, 1]);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = Tensor.TotalCount;

        Assert.ThrowsAny<Exception>(() => TextGenerator.Generate(model, [new(new TokenRow([1], []), 1)], new() { MaxNewTokens = 5 }, seed: 1));

        Assert.Equal(before, Tensor.TotalCount);
    }
}
