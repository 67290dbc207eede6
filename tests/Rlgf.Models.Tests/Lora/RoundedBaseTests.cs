using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Rlgf.Models.Blocks;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using Rlgf.Models.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Lora;

/// <summary>An adapter in float32 on a base in bfloat16: what is rounded, what isn't, and what is in memory once.</summary>
public sealed class RoundedBaseTests : IDisposable
{
    /// <summary>Half the distance from 1 to the next number that has eight significant bits.</summary>
    private const double U = 1.0 / 256;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Gradients_of_one_map_are_within_three_roundings_of_those_in_float64()
    {
        TorchRuntime.Load();
        using var random = new Generator(1);
        Linear made;
        using (new Weights.TypeScope(ScalarType.BFloat16)) made = new Linear(24, 40, bias: false, CPU);
        using var map = made;
        map.Initialise(0.3, random);
        var configuration = new LoraSettings { Rank = 4, Alpha = 6 }.ToConfiguration(["x"], "base", "CAUSAL_LM", transposed: false, []);
        map.Adapt(configuration, configuration.SizeOf("x"), CPU);
        var parameters = map.named_parameters().ToDictionary(named => named.name, named => named.parameter, StringComparer.Ordinal);
        var (w, down, up) = (parameters["weight"], parameters["lora_A.weight"], parameters["lora_B.weight"]);
        w.requires_grad = false;
        using (no_grad())
        {
            down.normal_(0, 0.3, random);
            up.normal_(0, 0.3, random);
        }

        var x = randn([70, 24], generator: random).to(bfloat16).requires_grad_();
        var g = randn([70, 40], generator: random).to(bfloat16);
        map.Forward(x).backward([g]);

        // In float64, from the factors as they are multiplied: y = x Wᵀ + s (x Aᵀ) Bᵀ.
        const double s = 1.5;
        Tensor Exact(Tensor tensor) => tensor.detach().to(bfloat16).to(float64);
        var (xs, gs, a, b) = (Exact(x), Exact(g), Exact(down), Exact(up));
        var narrow = s * xs.matmul(a.t());
        var back = s * gs.matmul(b);
        // Each has what is between rounded twice, and itself once.
        Within(gs.t().matmul(narrow), gs.t().abs().matmul(narrow.abs()), up.grad!);
        Within(back.t().matmul(xs), back.t().abs().matmul(xs.abs()), down.grad!);
        Within(gs.matmul(Exact(w)) + back.matmul(a), gs.abs().matmul(Exact(w).abs()) + back.abs().matmul(a.abs()), x.grad!);
        Assert.Equal([ScalarType.Float32, ScalarType.Float32], [down.grad!.dtype, up.grad!.dtype]);
        Assert.Null(w.grad);

        static void Within(Tensor exact, Tensor sizes, Tensor actual)
        {
            var difference = (actual.to(float64) - exact).abs();
            // Sums are in float32; what that rounds is far below.
            Assert.True((difference <= sizes * (Math.Pow(1 + U, 3) - 1 + 1e-4)).all().item<bool>());
            Assert.True(difference.max().item<double>() > 0);
        }
    }

    [Theory]
    [InlineData("llama", 0.03)]
    [InlineData("gpt2", 0.03)]
    // Its scores aren't divided by anything, so that small differences of queries are large ones of what is seen.
    [InlineData("t5", 0.1)]
    public void On_a_base_that_has_no_more_digits_the_two_types_learn_the_same_up_to_rounding(string name, double most)
    {
        using var rounded = RoundedFolder(name);
        using var exact = Adapted(rounded.Path, Precision.Float32);
        using var model = Adapted(rounded.Path, Precision.Bfloat16);
        var (expected, actual) = (Gradients(exact), Gradients(model));

        // Some twenty products lie between, each of which rounds by up to 2^-8; twice what was measured is let pass.
        Assert.InRange((actual - expected).norm().item<double>() / expected.norm().item<double>(), 1e-5, most);
        foreach (var (parameterName, parameter) in model.Module.named_parameters())
        {
            var isFactor = parameterName.Contains("lora_", StringComparison.Ordinal);
            Assert.Equal(isFactor ? ScalarType.Float32 : ScalarType.BFloat16, parameter.dtype);
            Assert.Equal(isFactor, parameter.requires_grad);
            Assert.Equal(isFactor ? ScalarType.Float32 : null, parameter.grad?.dtype);
        }

        using var optimizer = new FusedAdamW(ParameterGroup.Of(model.Module, learningRate: 1e-4, weightDecay: 0));
        Assert.All(optimizer.State(), state => Assert.Equal(ScalarType.Float32, state.Value.dtype));
    }

    [Fact]
    public void The_base_is_in_memory_once_for_all_that_is_on_it()
    {
        using var policy = Adapted(Fixture.PathOf("llama"), Precision.Bfloat16);
        using var reference = PrecisionOfModels.CopyAs(policy, Precision.Bfloat16);
        using var critic = policy.Clone();
        using var guide = LanguageModelFolder.Load(Fixture.PathOf("llama"), precision: Precision.Bfloat16, sharing: policy);
        var models = new[] { policy, reference, critic, guide };
        var weights = models.SelectMany(model => model.Module.named_parameters()).Where(named => !named.name.Contains("lora_", StringComparison.Ordinal)).ToArray();
        var once = weights.DistinctBy(named => Address(named.parameter)).ToArray();

        Assert.All(weights, named => Assert.Equal(ScalarType.BFloat16, named.parameter.dtype));
        Assert.Equal(guide.Module.parameters().Count(), once.Length);
        Assert.Equal(models.Length * once.Length, weights.Length);
        Assert.Equal(2 * guide.Module.parameters().Sum(parameter => parameter.numel()), once.Sum(named => named.parameter.bytes.Length));
        // Factors are each model's own: what one learns, the others don't.
        foreach (var model in new[] { reference, critic })
        {
            var own = model.Module.named_parameters().Where(named => named.name.Contains("lora_", StringComparison.Ordinal)).ToDictionary(named => named.name, named => named.parameter, StringComparer.Ordinal);
            foreach (var (name, parameter) in policy.Module.named_parameters().Where(named => own.ContainsKey(named.name)))
            {
                Assert.NotEqual(Address(parameter), Address(own[name]));
                Assert.Equal(parameter.data<float>().ToArray(), own[name].data<float>().ToArray());
            }
        }
    }

    [Fact]
    public void A_float32_model_on_the_same_base_has_the_files_own_digits()
    {
        using var policy = Adapted(Fixture.PathOf("llama"), Precision.Bfloat16);
        using var guide = LanguageModelFolder.Load(Fixture.PathOf("llama"), sharing: policy);
        using var alone = LanguageModelFolder.Load(Fixture.PathOf("llama"));
        var expected = alone.Module.named_parameters().ToDictionary(named => named.name, named => named.parameter, StringComparer.Ordinal);
        Assert.All(guide.Module.named_parameters(), named => Assert.Equal(expected[named.name].data<float>().ToArray(), named.parameter.data<float>().ToArray()));
    }

    [Fact]
    public void What_is_written_is_the_adapter_as_it_was_trained_and_a_merged_model_has_its_sum_in_float32()
    {
        using var policy = Adapted(Fixture.PathOf("llama"), Precision.Bfloat16);
        using var adapter = new TemporaryFolder();
        using var merged = new TemporaryFolder();
        LanguageModelFolder.Save(policy, adapter.Path);
        LanguageModelFolder.Save(policy, merged.Path, mergeAdapter: true);
        using var again = LanguageModelFolder.Load(adapter.Path, precision: Precision.Bfloat16);
        using var whole = LanguageModelFolder.Load(merged.Path);
        using var gradients = no_grad();
        var trained = policy.Module.named_parameters().ToDictionary(named => named.name, named => named.parameter, StringComparer.Ordinal);
        Assert.All(again.Module.named_parameters(), named => Assert.True(named.parameter.bytes.SequenceEqual(trained[named.name].bytes), named.name));
        foreach (var (name, parameter) in whole.Module.named_parameters())
        {
            var sum = trained[name].to(float64);
            var map = name[..name.LastIndexOf('.')];
            if (trained.TryGetValue($"{map}.lora_A.weight", out var down)) sum += 2 * trained[$"{map}.lora_B.weight"].to(float64).matmul(down.to(float64));
            Assert.True((parameter.to(float64) - sum).abs().max().item<double>() < 1e-6, name);
        }
    }

    [Fact]
    public void Packed_factors_give_what_the_others_do_and_follow_a_step()
    {
        using var model = Adapted(Fixture.PathOf("llama"), Precision.Bfloat16);
        using var optimizer = new FusedAdamW(ParameterGroup.Of(model.Module, learningRate: 0.05, weightDecay: 0));
        var before = Compared();
        Gradients(model);
        optimizer.Step();
        Assert.True((Compared() - before).abs().max().item<float>() > 0.5);

        Tensor Compared()
        {
            using var packed = model.StartDecoding([new TokenRow([5, 6, 7], [])], 1);
            using var off = PackedProducts.Off();
            using var plain = model.StartDecoding([new TokenRow([5, 6, 7], [])], 1);
            Fixture.Close(plain.NextLogits, packed.NextLogits, 0.1);
            return packed.NextLogits.clone();
        }
    }

    private static nint Address(Tensor tensor) => Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref MemoryMarshal.GetReference(tensor.bytes));

    /// <summary>A fixture's model with every weight rounded to eight significant bits.</summary>
    private static TemporaryFolder RoundedFolder(string name)
    {
        var folder = new TemporaryFolder();
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        LanguageModelFolder.Save(model, folder.Path, ScalarType.BFloat16);
        return folder;
    }

    /// <summary>A model with an adapter of scaling 2 that has moved, so that both of its factors have a gradient.</summary>
    private static ILanguageModel Adapted(string folder, Precision precision)
    {
        var model = LanguageModelFolder.Load(folder, precision: precision);
        LoraAdapters.Attach(model, new LoraSettings { Rank = 4, Alpha = 8 }, folder, seed: 1);
        using var random = new Generator(2);
        using var gradients = no_grad();
        foreach (var (name, parameter) in model.Module.named_parameters().Where(named => named.name.Contains("lora_B", StringComparison.Ordinal))) parameter.normal_(0, 0.05, random);
        return model;
    }

    /// <summary>The adapter's gradients of a policy gradient's loss, one after the other.</summary>
    private static Tensor Gradients(ILanguageModel model)
    {
        TokenRow[] rows = [new([5, 6, 7], [8, 9, 3, 12]), new([11], [12, 13, 2, 7])];
        var chosen = tensor(rows.SelectMany(row => row.Response.Select(token => (long)token)).ToArray());
        var logProbs = -nn.functional.cross_entropy(model.Logits(model.ResponseStates(rows)).view(8, -1), chosen, reduction: nn.Reduction.None);
        (logProbs * tensor(new float[] { 1, -0.5f, 0.3f, -1, 0.7f, 2, -0.2f, -1.2f })).sum().backward();
        return cat([.. model.Module.parameters().Where(parameter => parameter.requires_grad).Select(parameter => parameter.grad!.to(float64).reshape(-1))]);
    }
}
