using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Optimizers;
using Rlgf.Tests.Shared;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Models on a device that is not the CPU give what they give on the CPU: nothing that they make stays behind there.</summary>
public sealed class LazyDeviceTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    /// <summary>
    /// One of each kind of layer, but for those with several projections in one map (gpt2, gpt_neox, phi3) and half a rotation (gptj): libtorch gives pieces of a lazy tensor (<c>split</c>, <c>chunk</c>) that are none.
    /// </summary>
    public static TheoryData<string> LanguageModels => ["llama", "opt", "bart", "t5"];

    public static TheoryData<string> Classifiers => ["bert_classifier"];

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Tensors_of_two_devices_do_not_meet()
    {
        var there = ones([2], device: LazyDevice.Get());
        Assert.ThrowsAny<Exception>(() => (there + ones([2], device: CPU)).cpu());
        Assert.Equal(2, (there + ones([2], device: there.device)).cpu()[0].item<float>());
    }

    [Theory]
    [MemberData(nameof(LanguageModels))]
    public void Training_a_language_model(string name)
    {
        var device = LazyDevice.Get();
        var (here, there) = (Gradients(name, CPU), Gradients(name, device));
        Assert.Equal(here.Keys, there.Keys);
        foreach (var (parameter, gradient) in here) Fixture.Close(gradient, there[parameter], Tolerance);
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("t5")]
    public void Writing(string name)
    {
        var device = LazyDevice.Get();
        var sampling = new SamplingSettings
        {
            MaxNewTokens = 3, TopK = 50, TopP = 0.9, MinP = 0.01, TypicalP = 0.95, Temperature = 0.8, RepetitionPenalty = 1.2, NoRepeatNgram = 2, MinNewTokens = 2, EndTokens = [3],
        };
        Assert.Equal(Written(name, CPU, sampling), Written(name, device, sampling));
        if (name != "llama") return;
        var beams = new SamplingSettings { MaxNewTokens = 3, Beams = new BeamSettings { Width = 2 } };
        Assert.Equal(Written(name, CPU, beams), Written(name, device, beams));
    }

    [Theory]
    [MemberData(nameof(Classifiers))]
    public void A_classifier(string name)
    {
        var device = LazyDevice.Get();
        using var fixture = new Fixture(name);
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder, device);
        using var gradients = no_grad();
        Fixture.Close(fixture.Tensor("logits"), classifier.Logits(Fixture.Rows(fixture.Expected["right_padded"]!)).cpu(), Tolerance);
    }

    /// <summary>What an optimiser is given; libtorch's fused step itself has no kernel for lazy tensors.</summary>
    private static Dictionary<string, Tensor> Gradients(string name, Device device)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder, device);
        using var optimizer = new FusedAdamW(ParameterGroup.Of(model.Module, 1e-3, 0.1));
        optimizer.ClearGradients();
        (-model.Logits(model.ResponseStates([new([5, 6, 7], [8, 9]), new([4], [10, 11, 12])])).log_softmax(-1)).mean().backward();
        return model.Module.named_parameters().Where(pair => pair.parameter.grad is not null).ToDictionary(pair => pair.name, pair => pair.parameter.grad!.cpu().clone());
    }

    private static string Written(string name, Device device, SamplingSettings settings)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder, device);
        GenerationRequest[] requests = [new(new TokenRow([5, 6, 7, 8], []), 1), new(new TokenRow([9], []), 2), new(new TokenRow([4, 5], []), 3)];
        return string.Join('|', TextGenerator.Generate(model, requests, settings, 7).Select(row => string.Join(' ', row.Tokens)));
    }
}
