using Rlgf.Base;
using Rlgf.Models.Families.Decoders;
using Rlgf.Models.Families.EncoderDecoders;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Layers whose activations are computed again in the backward pass, on every language model of fixtures/models.</summary>
public sealed class RecomputedActivationsTests : IDisposable
{
    private static readonly TokenRow[] TextRows = [new([5, 6, 7], [8, 9, 10, 11]), new([4], [10, 11]), new([5, 6, 7], [12]), new([9, 8], [3, 4, 5, 6, 7])];

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, double?> Models()
    {
        var data = new TheoryData<string, double?>();
        foreach (var name in Fixture.Of("causal_lm").Concat(Fixture.Of("seq2seq_lm"))) foreach (var dropout in (double?[])[null, 0, 0.4]) data.Add(name, dropout);
        return data;
    }

    public void Dispose() => _scope.Dispose();

    /// <summary>All weights trained, or an adapter without dropout and with it.</summary>
    [Theory, MemberData(nameof(Models))]
    public void States_and_gradients_are_those_of_kept_activations(string name, double? dropout)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        if (dropout is { } share)
        {
            LoraAdapters.Attach(model, new LoraSettings { Rank = 2, Dropout = share }, Fixture.PathOf(name), seed: 1);
            using var gradients = no_grad();
            using var random = new Generator(2);
            foreach (var parameter in model.Module.parameters().Where(parameter => parameter.requires_grad)) parameter.normal_(0, 0.1, random);
        }
        model.Module.train();

        var (kept, keptGradients, keptNext) = Pass(recompute: false);
        var (states, gradientsAgain, next) = Pass(recompute: true);

        Fixture.Close(kept, states, 0);
        // Whatever is drawn afterwards is what would have been drawn.
        Fixture.Close(keptNext, next, 0);
        Assert.Equal(keptGradients.Keys, gradientsAgain.Keys);
        Assert.NotEmpty(keptGradients);
        foreach (var (parameter, gradient) in keptGradients)
        {
            Assert.True(gradient.isfinite().all().item<bool>(), parameter);
            Fixture.Close(gradient, gradientsAgain[parameter], 1e-6 * (1 + gradient.abs().max().item<float>()));
        }
        if (dropout > 0) Assert.True((kept - Pass(recompute: false, seed: 8).States).abs().max().item<float>() > 0, "Nothing was left out.");

        (Tensor States, Dictionary<string, Tensor> Gradients, Tensor Next) Pass(bool recompute, long seed = 7)
        {
            model.RecomputesActivations = recompute;
            model.Module.zero_grad();
            manual_seed(seed);
            var of = model.ResponseStates(TextRows);
            (model.Logits(of).log_softmax(-1).select(2, 3).sum() + of.square().mean()).Backward();
            var drawn = rand(4);
            return (of.detach(), model.Module.named_parameters().Where(named => named.parameter.grad is not null).ToDictionary(named => named.name, named => named.parameter.grad!.clone(), StringComparer.Ordinal), drawn);
        }
    }

    /// <summary>A policy that is trained so writes too, by the same model.</summary>
    [Theory]
    [InlineData("llama")]
    [InlineData("gpt2")]
    [InlineData("t5")]
    [InlineData("t5_v1_1")]
    [InlineData("bart")]
    public void What_is_written_is_what_is_written_without(string name)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        var expected = Written();
        model.RecomputesActivations = true;
        foreach (var (kept, again) in expected.Zip(Written())) Fixture.Close(kept, again, 0);

        List<Tensor> Written()
        {
            using var decoder = model.StartDecoding(TextRows, 3);
            List<Tensor> logits = [decoder.NextLogits.clone()];
            for (var step = 0; step < 2; step++)
            {
                decoder.Append([5, 6, 7, 8 + step]);
                logits.Add(decoder.NextLogits.clone());
            }

            return logits;
        }
    }

    [Fact]
    public void Each_layer_is_computed_twice_where_gradients_are_asked_and_once_elsewhere()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("llama"));
        var read = 0;
        var module = (DecoderModule)model.Module;
        module.LayerInput = _ => read++;
        model.RecomputesActivations = true;
        using (no_grad()) _ = model.ResponseStates(TextRows);
        var layers = read;
        var states = model.ResponseStates(TextRows);
        Assert.Equal(2 * layers, read);
        states.sum().Backward();
        Assert.Equal(3 * layers, read);
        Assert.Equal(module.Layers, layers);
    }

    [Fact]
    public void Tensors_are_gone_after_a_backward_pass_and_without_one()
    {
        foreach (var name in (string[])["gpt2", "t5"])
        {
            using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
            model.RecomputesActivations = true;
            List<long> counts = [];
            for (var step = 0; step < 5; step++)
            {
                using (NewDisposeScope())
                {
                    var sum = model.ResponseStates(TextRows).sum();
                    if (step != 3) sum.Backward();
                }
                counts.Add(Tensor.TotalCount);
            }
            Assert.True(counts.Skip(1).All(count => count == counts[1]), string.Join(", ", counts));
        }
    }

    [Fact]
    public void What_fails_when_a_layer_is_computed_again_is_thrown_by_the_backward_pass()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("gpt2"));
        model.RecomputesActivations = true;
        var states = model.ResponseStates(TextRows);
        ((DecoderModule)model.Module).LayerInput = _ => throw new InputException("no memory");
        Assert.Equal("no memory", Assert.Throws<InputException>(() => states.sum().Backward()).Message);
    }
}
