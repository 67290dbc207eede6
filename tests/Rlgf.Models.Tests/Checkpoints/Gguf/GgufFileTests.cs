using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

public sealed class GgufFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public GgufFileTests() => TorchRuntime.Load();

    public static TheoryData<uint> Quantised => [2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 15];

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Plain_numbers_come_back_in_their_types()
    {
        var numbers = tensor([0f, -1f, 2.5f, 100f, 0.125f, 7f], [3, 2]);
        using var file = Open(new GgufWriter { Version = 2 }
            .Tensor("f32", [3, 2], 0, numbers.bytes.ToArray())
            .Tensor("f16", [3, 2], 1, numbers.to(float16).bytes.ToArray())
            .Tensor("bf16", [3, 2], 30, numbers.to(bfloat16).bytes.ToArray()));
        Assert.Equal([ScalarType.Float32, ScalarType.Float16, ScalarType.BFloat16], new[] { "f32", "f16", "bf16" }.Select(name => file.Entries[name].Type));
        foreach (var name in file.Entries.Keys)
        {
            Assert.Equal([3, 2], file.Entries[name].Shape);
            Assert.True(file.Read(name).eq(numbers).all().item<bool>(), name);
        }
    }

    [Theory, MemberData(nameof(Quantised))]
    public void Quantised_rows_are_read_as_float32_into_any_type(uint number)
    {
        // Several rows, more than are read at once: each block must land where it belongs.
        var type = GgufTypes.Parse(number)!.Value;
        var (count, bytes) = GgufTypes.BlockOf(type);
        var random = new Random(7);
        const int rows = 1100;
        var data = new byte[rows * 1024 / count * bytes];
        random.NextBytes(data);
        // Any bit pattern is a number, but for the scales, which must be finite: the highest bit of the exponent is cleared.
        for (var i = 0; i < data.Length; i++) data[i] &= 0xBF;
        using var file = Open(new GgufWriter().Floats("before", [3], 1, 2, 3).Tensor("x", [rows, 1024], number, data).Floats("after", [1], 4));
        var expected = new float[rows * 1024];
        GgufBlocks.Dequantize(type, data, expected);
        Assert.Equal(ScalarType.Float32, file.Entries["x"].Type);
        Assert.Equal(expected, file.Read("x").data<float>().ToArray());
        var narrow = zeros(rows, 1024, dtype: bfloat16);
        file.CopyTo("x", narrow);
        Assert.True(narrow.eq(tensor(expected, [rows, 1024]).to(bfloat16)).all().item<bool>());
        Assert.Equal([4f], file.Read("after").data<float>().ToArray());
    }

    [Theory]
    [InlineData(16u, "IQ2_XXS")]
    [InlineData(20u, "IQ4_NL")]
    [InlineData(9u, "Q8_1")]
    [InlineData(26u, "I32")]
    [InlineData(39u, "MXFP4")]
    [InlineData(77u, "number 77")]
    [InlineData(uint.MaxValue, "number 4294967295")]
    public void Another_type_is_refused_by_name(uint number, string name) =>
        Assert.Contains($"'x' is stored as {name}, which isn't read; read are F32, F16, ", Refused(new GgufWriter().Tensor("x", [256], number, new byte[256]).ToArray()), StringComparison.Ordinal);

    [Fact]
    public void Heads_that_cannot_be_are_refused()
    {
        Assert.Contains("not a GGUF file", Refused([.. "GGML"u8, .. new byte[40]]), StringComparison.Ordinal);
        Assert.Contains("too few", Refused("GGUF"u8.ToArray()), StringComparison.Ordinal);
        Assert.Contains("version 1", Refused(new GgufWriter { Version = 1 }.ToArray()), StringComparison.Ordinal);
        Assert.Contains("big-endian", Refused(new GgufWriter { Version = 3 << 24 }.ToArray()), StringComparison.Ordinal);
        Assert.Contains("the number of tensors is", Refused([.. "GGUF"u8, 3, 0, 0, 0, .. BitConverter.GetBytes(ulong.MaxValue), .. new byte[8]]), StringComparison.Ordinal);
        Assert.Contains("the number of keys is", Refused([.. "GGUF"u8, 3, 0, 0, 0, .. new byte[8], .. BitConverter.GetBytes(1UL << 40)]), StringComparison.Ordinal);
        Assert.Contains("'x' is there twice", Refused(new GgufWriter().Floats("x", [1], 1).Floats("x", [1], 1).ToArray()), StringComparison.Ordinal);
        Assert.Contains("a is there twice", Refused(new GgufWriter().Whole("a", 1).Whole("a", 1).ToArray()), StringComparison.Ordinal);
        Assert.Contains("the length of a is", Refused(new GgufWriter().Add("a", 9, writer => { writer.Write(8u); writer.Write(1UL << 60); }).ToArray()), StringComparison.Ordinal);
        Assert.Contains("a list of lists", Refused(new GgufWriter().Add("a", 9, writer => { writer.Write(9u); writer.Write(1UL); }).ToArray()), StringComparison.Ordinal);
        Assert.Contains("of the type 13", Refused(new GgufWriter().Add("a", 13, _ => { }).ToArray()), StringComparison.Ordinal);
        Assert.Contains("5 dimensions", Refused(new GgufWriter().Floats("x", [1, 1, 1, 1, 1], 1).ToArray()), StringComparison.Ordinal);
        Assert.Contains("impossible shape", Refused(new GgufWriter().Floats("x", [1L << 40, 1L << 40], 1).ToArray()), StringComparison.Ordinal);
        Assert.Contains("don't fit into its rows", Refused(new GgufWriter().Tensor("x", [2, 16], 8, new byte[34]).ToArray()), StringComparison.Ordinal);
        Assert.Contains("no multiple of 32", Refused(new GgufWriter().Tensor("x", [1], 0, new byte[4], offset: 4).ToArray()), StringComparison.Ordinal);
        Assert.Contains("beyond the file's end", Refused(new GgufWriter().Tensor("x", [1], 0, new byte[4], offset: 1UL << 40).ToArray()), StringComparison.Ordinal);
        Assert.Contains("beyond the file's end", Refused(new GgufWriter().Tensor("x", [1000], 0, new byte[4]).ToArray()), StringComparison.Ordinal);
        Assert.Contains("overlap", Refused(new GgufWriter().Tensor("x", [16], 0, new byte[64]).Tensor("y", [16], 0, new byte[64], offset: 32).ToArray()), StringComparison.Ordinal);
        Assert.Contains("general.alignment is 3", Refused(new GgufWriter().Whole("general.alignment", 3).ToArray()), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_alignment_is_kept_to()
    {
        using var file = Open(new GgufWriter { Alignment = 64 }.Whole("general.alignment", 64).Floats("x", [1], 1).Floats("y", [1], 2));
        Assert.Equal([2f], file.Read("y").data<float>().ToArray());
    }

    private GgufTensors Open(GgufWriter writer)
    {
        File.WriteAllBytes(_folder.File("x.gguf"), writer.ToArray());
        return GgufTensors.Open(_folder.File("x.gguf"));
    }

    private string Refused(byte[] content)
    {
        File.WriteAllBytes(_folder.File("x.gguf"), content);
        return Assert.Throws<InputException>(() => GgufFile.Open(_folder.File("x.gguf"))).Message;
    }
}
