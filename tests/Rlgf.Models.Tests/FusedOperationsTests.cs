using System.Runtime.Intrinsics;
using Rlgf.Models.Blocks;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using TorchSharp;
using static TorchSharp.torch;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Tests;

/// <summary>What is fused where tokens are written: against libtorch in float64, and whole models against the way without.</summary>
[Collection(TensorCountCollection.Name)]
public sealed class FusedOperationsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly IDisposable _gradients = no_grad();
    private readonly Generator _random = new(1);

    /// <summary>Type of the states, and what a result may differ by as a share of the largest number that went into it.</summary>
    public static TheoryData<ScalarType, double> Types => new() { { ScalarType.Float32, 1e-6 }, { ScalarType.BFloat16, 1.0 / 256 } };

    public void Dispose()
    {
        _random.Dispose();
        _gradients.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public unsafe void Exponentials_are_right_to_two_units_in_the_last_place()
    {
        var x = stackalloc float[8];
        var y = stackalloc float[8];
        for (var first = -87.3f; first < 88.7f; first += 0.37f)
        {
            for (var i = 0; i < 8; i++) x[i] = first + i * 0.041f;
            VectorNumbers.Exp(Vector256.Load(x)).Store(y);
            for (var i = 0; i < 8 && x[i] < 88.7f; i++) Assert.InRange(Math.Abs(y[i] / Math.Exp(x[i]) - 1), 0, 2.4e-7);
        }

        var limits = VectorNumbers.Exp(Vector256.Create(float.NegativeInfinity, -200, 0, float.NaN, 88.7f, 0, 0, 0));
        Assert.Equal([0, 0, 1], [limits[0], limits[1], limits[2]]);
        Assert.True(float.IsNaN(limits[3]) && float.IsFinite(limits[4]));
    }

    [Fact]
    public unsafe void Numbers_are_rounded_to_bfloat16_as_libtorch_rounds_them()
    {
        // Ties to either side, the largest numbers and those that aren't normal.
        float[] special = [1.00390625f, 1.01171875f, -1.00390625f, float.MaxValue, 3.3895314e38f, 1e-40f, -1e-45f, 0, -0f, float.PositiveInfinity, float.NegativeInfinity, 1f / 3, 1e38f, -2f / 3, 65_535, 1e30f];
        var numbers = cat([tensor(special, device: CPU), randn(1008, device: CPU, generator: _random)]);
        var expected = numbers.to_type(ScalarType.BFloat16);
        var actual = empty_like(expected);
        VectorNumbers.Copy<Float32Numbers, Bfloat16Numbers>(VectorNumbers.Address(numbers), VectorNumbers.Address(actual), 1024);
        Assert.Equal(new ReadOnlySpan<ushort>(VectorNumbers.Address(expected), 1024).ToArray(), new ReadOnlySpan<ushort>(VectorNumbers.Address(actual), 1024).ToArray());
        Bfloat16Numbers.Store(Vector256.Create(float.NaN), VectorNumbers.Address(actual));
        Assert.True(float.IsNaN(actual[0].to_type(ScalarType.Float32).item<float>()));
        var widened = empty_like(numbers);
        VectorNumbers.Copy<Bfloat16Numbers, Float32Numbers>(VectorNumbers.Address(expected), VectorNumbers.Address(widened), 1024);
        Assert.Equal(expected.to_type(ScalarType.Float32).data<float>().ToArray(), widened.data<float>().ToArray());
    }

    [Theory, MemberData(nameof(Types))]
    public void Norms_are_those_of_their_formula(ScalarType type, double tolerance)
    {
        foreach (var shape in (long[][])[[1, 8], [3, 72], [2, 3, 4, 16]])
        {
            // Heads that lie apart in memory, as those of a joint product do.
            var x = shape.Length == 4 ? Numbers([2, 3, 9, 16], type).narrow(2, 2, 4) : Numbers(shape, type);
            var weight = Numbers([shape[^1]], type);
            var (exact, scale) = (x.to(float64), weight.to(float64));
            Assert.Equal(FusedOperations.AreOn, FusedOperations.Fit(x));
            foreach (var fromOne in (bool[])[false, true])
            {
                var root = (exact.square().mean([-1], keepdim: true) + 1e-5).sqrt();
                Close(exact / root * (fromOne ? scale + 1 : scale), FusedOperations.RmsNorm(x, weight, 1e-5, fromOne), type, tolerance);
            }
        }
    }

    [Fact]
    public void A_norm_of_float32_by_a_weight_in_bfloat16_rounds_once()
    {
        var (x, weight) = (Numbers([3, 72], ScalarType.Float32), Numbers([72], ScalarType.BFloat16));
        var exact = x.to(float64);
        var expected = exact / (exact.square().mean([-1], keepdim: true) + 1e-5).sqrt() * weight.to(float64);
        Close(expected, FusedOperations.RmsNorm(x, weight, 1e-5, fromOne: false), ScalarType.BFloat16, 1.0 / 256);
    }

    [Theory, MemberData(nameof(Types))]
    public void Gates_and_sums_are_those_of_their_formulas(ScalarType type, double tolerance)
    {
        var halves = Numbers([3, 48], type).mul(4).chunk(2, -1);
        var (gate, up) = (halves[0], halves[1]);
        var (exact, factor) = (gate.to(float64), up.to(float64));
        var gelu = nn.functional.gelu(exact, TorchSharp.Modules.GELU.Approximate.tanh);
        Close(gelu * factor, FusedOperations.Gate(gate, up, isGelu: true), type, tolerance);
        Close(nn.functional.silu(exact) * factor, FusedOperations.Gate(gate, up, isGelu: false), type, tolerance);

        var y = up.contiguous();
        Close(exact + factor, FusedOperations.Sum(gate.contiguous(), y), type, tolerance);
        if (FusedOperations.AreOn) Close(exact + factor, y, type, tolerance);
        // What is asked for a gradient, and what lies apart, stays as it was.
        var apart = up.clone();
        Close(exact + factor, FusedOperations.Sum(gate, up), type, tolerance);
        Close(apart, up, type, 0);
        using var gradients = enable_grad();
        Assert.False(FusedOperations.Fit(y));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void A_pair_is_turned_as_a_complex_number_is(ScalarType type)
    {
        using var tables = new RotaryTables(new RotarySettings(RotarySettings.Plain(10_000, 16)), CPU);
        // Of heads of 24 the first 16 are turned; they stand among others.
        var x = Numbers([2, 3, 5, 24], type).narrow(2, 1, 3);
        var before = x.to(float64);
        long[] positions = [0, 1, 7, 3, 200, 11];
        var rotation = tables.At(new TokenPositions(tensor(positions), 201), 2, 3, 201);
        var turned = rotation.Apply(x);
        if (FusedOperations.AreOn && type == ScalarType.Float32) Assert.Same(x, turned);
        // What was rounded isn't rounded again.
        Assert.Equal(ScalarType.Float32, turned.dtype);
        var angles = tensor(positions).to(float64).view(2, 3, 1, 1) * tensor(RotarySettings.Plain(10_000, 16)).to(float64);
        var (a, b) = (before.narrow(3, 0, 8), before.narrow(3, 8, 8));
        Close(cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin(), before.narrow(3, 16, 8)], 3), turned, ScalarType.Float32, 2e-5);
    }

    [Theory, MemberData(nameof(Types))]
    public void A_token_is_written_into_its_column_only(ScalarType type, double tolerance)
    {
        var cache = randn([2, 3, 5, 16], device: CPU, generator: _random);
        var expected = cache.clone();
        var x = Numbers([2, 1, 7, 16], type).narrow(2, 3, 3).transpose(1, 2);
        expected.narrow(2, 4, 1).copy_(x);
        FusedOperations.WriteToken(x, cache, 4);
        Close(expected, cache, ScalarType.Float32, tolerance * 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void One_product_gives_what_several_give_also_after_one_of_them_has_changed(bool hasBias)
    {
        Linear[] maps = [new(16, 24, hasBias, CPU), new(16, 8, hasBias, CPU), new(16, 40, hasBias, CPU)];
        foreach (var map in maps) map.Initialise(1, _random);
        maps[1].Adapt(new LoraConfiguration([], 2, 4, false, 0, [], ""), new LoraSize(2, 2), CPU);
        maps[1].Adapter!.Initialise(_random);
        using var joint = JointProjection.Of(maps)!;
        if (joint.TryForward(Numbers([3, 16], ScalarType.Float32)) is null) Assert.False(PackedProducts.IsAvailable && PackedProducts.IsOn);
        for (var change = 0; change < 6; change++)
        {
            // All of a map, then its bias alone.
            foreach (var parameter in change >= 3 && maps[change % 3].Bias is { } bias ? [bias] : maps[change % 3].parameters()) parameter.normal_(0, 1, _random);
            var x = Numbers([3, 16], ScalarType.Float32);
            if (joint.TryForward(x) is { } y) Close(cat([.. maps.Select(map => map.Forward(x))], -1).to(float64), y, ScalarType.Float32, 1e-5);
        }

        using (enable_grad()) Assert.Null(joint.TryForward(Numbers([3, 16], ScalarType.Float32)));
        foreach (var map in maps) map.Dispose();
    }

    [Theory, MemberData(nameof(PackedProductsTests.DecodingModels), MemberType = typeof(PackedProductsTests))]
    public void In_bfloat16_written_tokens_are_as_near_to_those_in_float32_as_without(string name)
    {
        var exact = Written(name, Precision.Float32, rowCount: 2);
        foreach (var rowCount in (int[])[1, 2])
        {
            double plain;
            using (PackedProducts.Off()) plain = Distance();
            Assert.InRange(Distance(), 0, 1.5 * plain + 1e-3);

            double Distance() => Math.Sqrt(Written(name, Precision.Bfloat16, rowCount).Zip(exact, (a, b) => (a - b.narrow(0, 0, rowCount)).square().mean().item<float>()).Average());
        }
    }

    private static List<Tensor> Written(string name, Precision precision, int rowCount)
    {
        using var fixture = new Fixture(name);
        using var loaded = LanguageModelFolder.Load(fixture.Folder);
        using var copy = PrecisionOfModels.CopyAs(loaded, precision);
        TokenRow[] rows = [new([3, 1, 4], []), new([5, 2], [])];
        using var decoder = copy.StartDecoding(rows[..rowCount], 6);
        List<Tensor> logits = [];
        for (var step = 0; step < 6; step++)
        {
            logits.Add(decoder.NextLogits.clone());
            decoder.Append(new[] { 7 + step, 8 }.AsSpan(0, rowCount));
        }

        return logits;
    }

    private static void Close(Tensor expected, Tensor actual, ScalarType type, double tolerance)
    {
        Assert.Equal(type, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        var exact = expected.to(float64);
        Assert.InRange((actual.to(float64) - exact).abs().max().item<double>(), 0, tolerance * exact.abs().max().item<double>());
    }

    private Tensor Numbers(long[] shape, ScalarType type) => randn(shape, device: CPU, generator: _random).to_type(type);
}
