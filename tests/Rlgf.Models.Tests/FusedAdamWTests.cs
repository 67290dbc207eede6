using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Models.Optimizers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

public sealed class FusedAdamWTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public FusedAdamWTests() => TorchRuntime.Load();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void The_first_step_is_the_learning_rate_times_the_sign_of_the_gradient_after_decay()
    {
        // In step 1 the corrected means are g and g², so the update is lr · g / (|g| + ε) = ± lr; before it the weight decays by lr · 0.1 · w.
        var weight = new Parameter(tensor([2f, -3f]));
        using var optimizer = new FusedAdamW([Group("w", weight, 0.01, 0.1)], new AdamWSettings { MaxGradientNorm = null });
        Give(weight, 5f, -0.5f);
        Assert.Equal(Math.Sqrt(25.25), optimizer.Step(), 1e-5);
        Fixture.Close(tensor([2f - 0.002f - 0.01f, -3f + 0.003f + 0.01f]), weight, 1e-6);
    }

    [Fact]
    public void Gradients_above_the_limit_are_scaled_down_to_it_over_all_groups_together()
    {
        var first = new Parameter(tensor([0f]));
        var second = new Parameter(tensor([0f]));
        using var optimizer = new FusedAdamW([Group("a", first, 0, 0), Group("b", second, 0, 0)], new AdamWSettings { MaxGradientNorm = 1 });
        Give(first, 3f);
        Give(second, 4f);
        Assert.Equal(5, optimizer.Step(), 1e-5);
        Assert.Equal(0.6, first.grad!.item<float>(), 1e-5);
        Assert.Equal(0.8, second.grad!.item<float>(), 1e-5);
    }

    [Fact]
    public void Parameters_without_a_gradient_stay_and_each_group_has_its_own_rate()
    {
        var slow = new Parameter(tensor([1f]));
        var fast = new Parameter(tensor([1f]));
        var idle = new Parameter(tensor([1f]));
        using var optimizer = new FusedAdamW([Group("slow", slow, 0.01, 0), new ParameterGroup(new Dictionary<string, Parameter> { ["fast"] = fast, ["idle"] = idle }, 0.1, 0.5)]);
        Give(slow, 0.1f);
        Give(fast, 0.1f);
        optimizer.Step();
        Assert.Equal(0.99, slow.item<float>(), 1e-5);
        Assert.Equal(1 - 0.05 - 0.1, fast.item<float>(), 1e-5);
        Assert.Equal(1f, idle.item<float>());
        Assert.Equal(0f, optimizer.State().Single(pair => pair.Key == "idle.steps").Value.item<float>());
    }

    [Fact]
    public void A_gradient_that_is_not_finite_changes_nothing_and_is_reported()
    {
        var weight = new Parameter(tensor([1f]));
        using var optimizer = new FusedAdamW([Group("w", weight, 0.1, 0.1)]);
        Give(weight, float.NaN);
        Assert.Equal(double.NaN, optimizer.Step());
        Assert.Equal(1f, weight.item<float>());
    }

    [Fact]
    public void Norms_and_biases_do_not_decay()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("gpt2"));
        var groups = ParameterGroup.Of(model.Module, 1e-3, 0.01);
        Assert.All(groups[0].Parameters, pair => Assert.EndsWith(".weight", pair.Key, StringComparison.Ordinal));
        Assert.Equal(0.01, groups[0].WeightDecay);
        Assert.Contains(groups[1].Parameters, pair => pair.Key == "transformer.h.0.ln_1.weight");
        Assert.Contains(groups[1].Parameters, pair => pair.Key == "transformer.h.0.attn.c_attn.bias");
        Assert.Equal(0, groups[1].WeightDecay);
        Assert.Equal(model.Module.parameters().Count(), groups.Sum(group => group.Parameters.Count));
    }

    [Fact]
    public void A_resumed_state_goes_on_bit_for_bit()
    {
        using var folder = new TemporaryFolder();
        var through = new Parameter(tensor([1f, -2f, 3f]));
        var resumed = new Parameter(tensor([1f, -2f, 3f]));
        using var uninterrupted = new FusedAdamW([Group("w", through, 0.01, 0.1)]);
        using var before = new FusedAdamW([Group("w", resumed, 0.01, 0.1)]);
        for (var step = 0; step < 6; step++)
        {
            Give(through, 0.3f * step, -0.7f, 1f / (step + 1));
            uninterrupted.Step();
        }

        for (var step = 0; step < 3; step++)
        {
            Give(resumed, 0.3f * step, -0.7f, 1f / (step + 1));
            before.Step();
        }

        before.Save(folder.File("optimizer.safetensors"));
        using var after = new FusedAdamW([Group("w", resumed, 0.01, 0.1)]);
        after.Load(folder.File("optimizer.safetensors"));
        for (var step = 3; step < 6; step++)
        {
            Give(resumed, 0.3f * step, -0.7f, 1f / (step + 1));
            after.Step();
        }

        Assert.Equal(through.data<float>().ToArray(), resumed.data<float>().ToArray());
    }

    [Fact]
    public void The_state_of_other_parameters_is_refused()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("optimizer.safetensors");
        using var small = new FusedAdamW([Group("w", new Parameter(zeros(2)), 0.1, 0)]);
        small.Save(path);
        using var larger = new FusedAdamW([Group("w", new Parameter(zeros(3)), 0.1, 0)]);
        using var renamed = new FusedAdamW([Group("v", new Parameter(zeros(2)), 0.1, 0)]);
        Assert.Contains("'w.mean' has the shape [2] where [3]", Assert.Throws<InputException>(() => larger.Load(path)).Message, StringComparison.Ordinal);
        Assert.Contains("no 'v.mean'", Assert.Throws<InputException>(() => renamed.Load(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Steps_leave_no_tensors_behind()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("gpt2"));
        using var optimizer = new FusedAdamW(ParameterGroup.Of(model.Module, 1e-3, 0.01));
        Step();
        var before = Tensor.TotalCount;
        for (var step = 0; step < 5; step++) Step();
        Assert.Equal(before, Tensor.TotalCount);

        void Step()
        {
            using var scope = NewDisposeScope();
            optimizer.ClearGradients();
            model.Logits(model.ResponseStates([new TokenRow([1, 2], [3, 4, 5])])).square().mean().backward();
            optimizer.Step();
        }
    }

    [Fact]
    public void Steps_are_right_while_garbage_is_collected()
    {
        // With β₁ = β₂ = 0, ε = 0 and no decay a step is lr · sign(g): 2000 steps of 1/1024 add up exactly. Arguments that the collector may take away during the call would show.
        var weight = new Parameter(tensor([0f]));
        using var optimizer = new FusedAdamW([Group("w", weight, 1.0 / 1024, 0)], new AdamWSettings { Beta1 = 0, Beta2 = 0, Epsilon = 0, MaxGradientNorm = null });
        Give(weight, -1f);
        using var stop = new CancellationTokenSource();
        var collector = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            for (var step = 0; step < 2000; step++) optimizer.Step();
        }
        finally
        {
            stop.Cancel();
            collector.Join();
        }

        Assert.Equal(2000f / 1024, weight.item<float>());
    }

    private static ParameterGroup Group(string name, Parameter parameter, double rate, double decay) => new([KeyValuePair.Create(name, parameter)], rate, decay);

    private static void Give(Parameter parameter, params float[] gradient) => parameter.grad = tensor(gradient);
}
