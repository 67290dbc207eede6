using System.Diagnostics;
using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Models.Optimizers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Products with packed weights. Where they can't be had, all goes the other way, and the tests hold all the same.</summary>
[Collection(TensorCountCollection.Name)]
public sealed class PackedProductsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Generator _random = new(1);

    public static TheoryData<string> DecodingModels => [.. Fixture.Of("causal_lm"), .. Fixture.Of("seq2seq_lm"), "llama_lora", "gpt2_lora"];

    public void Dispose()
    {
        _random.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void They_are_there_where_they_were_found()
    {
        // On the platform that the functions were looked for on; a libtorch without them is slower and says nothing else.
        if (OperatingSystem.IsLinux() && System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64) Assert.True(PackedProducts.IsAvailable);
        if (PackedProducts.IsOn) Assert.Equal(PackedProducts.IsAvailable, TorchRuntime.Load().PackedWeights);
    }

    [Fact]
    public void What_the_environment_says_of_packing_is_done_or_refused()
    {
        Assert.All(["", "1", null], value => Assert.True(PackedProducts.IsWanted(value)));
        Assert.False(PackedProducts.IsWanted("0"));
        foreach (var value in (string[])["off", "false", " 0", "2"])
            Assert.Contains($"RLGF_PACKED_WEIGHTS is '{value}'", Assert.Throws<InputException>(() => PackedProducts.IsWanted(value)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 24, 40, true)]
    [InlineData(3, 64, 64, false)]
    [InlineData(8, 96, 288, true)]
    [InlineData(32, 576, 130, false)]
    [InlineData(256, 33, 17, true)]
    public void Products_are_as_exact_as_numbers_of_their_type_allow(int rows, int inputs, int outputs, bool hasBias)
    {
        using var gradients = no_grad();
        foreach (var (type, rounding) in new[] { (ScalarType.Float32, 1e-6), (ScalarType.BFloat16, 1.0 / 128) })
        {
            var weight = new Parameter(Numbers([outputs, inputs]).to_type(type));
            var bias = hasBias ? Numbers([outputs]).to_type(type) : null;
            var x = Numbers([rows, inputs]).to_type(type);
            // In float64, beside the sum of magnitudes that rounding errors are shares of.
            var exact = x.to(float64).matmul(weight.to(float64).t());
            var most = x.to(float64).abs().matmul(weight.to(float64).abs().t());
            if (bias is not null) (exact, most) = (exact + bias.to(float64), most + bias.to(float64).abs());
            using var product = new ProductWeight(weight);
            using var turned = new Parameter(weight.t().contiguous());
            using var transposed = new ProductWeight(turned, isTransposed: true);
            foreach (var y in new[] { product.Multiply(x, bias), product.Multiply(x.view(1, rows, inputs), bias).view(rows, outputs), transposed.Multiply(x, bias) })
            {
                Assert.Equal(type, y.dtype);
                Assert.InRange(((y.to(float64) - exact).abs() / most).max().item<double>(), 0, rounding);
            }
        }
    }

    [Fact]
    public void States_that_lie_apart_in_memory_are_multiplied_too()
    {
        using var gradients = no_grad();
        var weight = new Parameter(Numbers([10, 16]));
        using var product = new ProductWeight(weight);
        var states = Numbers([4, 3, 16]);
        Fixture.Close(states.select(1, 2).contiguous().matmul(weight.t()), product.Multiply(states.select(1, 2), null), 1e-5);
    }

    [Fact]
    public void A_weight_that_has_changed_is_packed_anew()
    {
        var (inputs, outputs) = (16, 10);
        var x = Numbers([2, inputs]);
        var weight = new Parameter(Numbers([outputs, inputs]));
        using var product = new ProductWeight(weight);
        using var optimizer = new FusedAdamW([new ParameterGroup([KeyValuePair.Create("w", weight)], learningRate: 0.1, weightDecay: 0.1)]);
        var path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.safetensors");
        Models.Checkpoints.SafetensorsWriter.Write(path, [KeyValuePair.Create("w", Numbers([outputs, inputs]))]);
        try
        {
            Action[] changes =
            [
                () => weight.copy_(Numbers([outputs, inputs])),
                () => weight.normal_(0, 1, _random),
                () => weight.narrow(0, 1, 2).zero_(),
                () => weight.set_(Numbers([outputs, inputs])),
                () =>
                {
                    using (enable_grad()) product.Multiply(x, null).square().sum().backward();
                    product.Multiply(x, null);
                    optimizer.Step();
                },
                () =>
                {
                    using var file = Models.Checkpoints.SafetensorsFile.Open(path);
                    file.CopyTo("w", weight);
                },
            ];
            using var gradients = no_grad();
            foreach (var change in changes)
            {
                product.Multiply(x, null);
                var before = weight.clone();
                change();
                Assert.NotEqual(0, (before - weight).abs().max().item<float>());
                Fixture.Close(x.to(float64).matmul(weight.to(float64).t()), product.Multiply(x, null), 1e-4);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_gradient_is_that_of_the_weight_itself()
    {
        var weight = new Parameter(Numbers([10, 16]));
        using var product = new ProductWeight(weight);
        var x = Numbers([2, 16]);
        using (no_grad()) product.Multiply(x, null);
        product.Multiply(x, null).sum().backward();
        Fixture.Close(x.sum(0, keepdim: true).expand(10, 16), weight.grad!, 1e-5);
    }

    [Theory, MemberData(nameof(DecodingModels))]
    public void Logits_of_written_tokens_are_the_same_with_packing_and_without(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        TokenRow[] rows = [new([3, 1, 4], []), new([5, 2], [])];
        var plain = new List<Tensor>();
        using (PackedProducts.Off()) Write(plain);
        var packed = new List<Tensor>();
        Write(packed);
        foreach (var (expected, actual) in plain.Zip(packed)) Fixture.Close(expected, actual, 1e-4);

        void Write(List<Tensor> logits)
        {
            using var decoder = model.StartDecoding(rows, 3);
            for (var step = 0; step < 3; step++)
            {
                logits.Add(decoder.NextLogits.clone());
                decoder.Append([7, 8]);
            }
        }
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("gpt2")]
    [InlineData("gpt_neox")]
    [InlineData("t5")]
    [InlineData("bart")]
    public void A_model_that_wrote_leaves_no_packed_weight(string name)
    {
        Left();
        int plain;
        using (PackedProducts.Off()) plain = Left();
        // A parameter's making leaves an empty tensor to the collector, with packing or without.
        Assert.Equal(plain, Left());

        int Left()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            var before = (int)Tensor.TotalCount;
            using (var model = LanguageModelFolder.Load(Fixture.PathOf(name)))
            using (var decoder = model.StartDecoding([new([3, 1, 4], [])], 2)) decoder.Append([7]);
            return (int)Tensor.TotalCount - before;
        }
    }

    [Fact]
    public void Ten_thousand_products_and_packed_weights_leave_memory_as_it_was()
    {
        using var gradients = no_grad();
        var x = Numbers([8, 256]);
        Multiply(100);
        var before = ResidentBytes();
        Multiply(10_000);
        // Ten thousand weights would be 2.4 GiB, their packed copies as much, and the products 156 MiB.
        Assert.InRange(ResidentBytes() - before, long.MinValue, 40 << 20);

        void Multiply(int times)
        {
            for (var time = 0; time < times; time++)
            {
                using var weight = new Parameter(empty(256, 256, device: CPU));
                using var product = new ProductWeight(weight);
                product.Multiply(x, null).Dispose();
                product.Multiply(x, null).Dispose();
                weight.zero_().Dispose();
            }
        }

        static long ResidentBytes()
        {
            using var process = Process.GetCurrentProcess();
            return process.WorkingSet64;
        }
    }

    private Tensor Numbers(long[] shape) => randn(shape, device: CPU, generator: _random);
}
