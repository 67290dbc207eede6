using System.Text;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public SafetensorsTests() => TorchRuntime.Load();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void The_bytes_on_disk_are_those_of_the_format()
    {
        var path = _folder.File("x.safetensors");
        SafetensorsWriter.Write(path, new Dictionary<string, Tensor> { ["b"] = tensor([1f, 2f]), ["a"] = tensor(new long[] { 7 }, [1, 1]) });
        var bytes = File.ReadAllBytes(path);
        var header = Encoding.UTF8.GetString(bytes, 8, (int)BitConverter.ToUInt64(bytes, 0));
        Assert.Equal(
            """{"__metadata__":{"format":"pt"},"a":{"dtype":"I64","shape":[1,1],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}""",
            header.TrimEnd(' '));
        Assert.Equal(0, header.Length % 8);
        Assert.Equal([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0x40], bytes[(8 + header.Length)..]);
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Int16)]
    [InlineData(ScalarType.Int8)]
    [InlineData(ScalarType.Byte)]
    [InlineData(ScalarType.Bool)]
    public void Every_type_comes_back_as_it_was(ScalarType type)
    {
        var path = _folder.File("x.safetensors");
        var stored = tensor([0f, 1f, 2f, 3f, 100f, 5f], [2, 3]).to(type);
        SafetensorsWriter.Write(path, new Dictionary<string, Tensor> { ["x"] = stored.t(), ["none"] = empty(0, 4), ["one"] = stored[1, 1] });
        using var file = SafetensorsFile.Open(path);
        Assert.Equal(type, file.Read("x").dtype);
        Assert.True(file.Read("x").eq(stored.t()).all().item<bool>());
        Assert.Equal([0, 4], file.Read("none").shape);
        Assert.Empty(file.Read("one").shape);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Int32)]
    public void A_tensor_that_is_read_in_several_pieces_is_whole(ScalarType type)
    {
        // More than two pieces of 2²⁰ numbers, each of its own value: whole numbers up to 2²⁴ are exact in float32.
        var path = _folder.File("x.safetensors");
        var numbers = arange(2_200_003, dtype: type);
        SafetensorsWriter.Write(path, new Dictionary<string, Tensor> { ["before"] = zeros(3), ["x"] = numbers });
        using var file = SafetensorsFile.Open(path);
        var read = empty(2_200_003);
        file.CopyTo("x", read);
        Assert.True(read.eq(numbers).all().item<bool>());
    }

    [Fact]
    public void Half_precision_is_widened_exactly()
    {
        var path = _folder.File("x.safetensors");
        // 1 + 2⁻⁷ needs the last bit of bfloat16, 1 + 2⁻¹⁰ that of float16.
        SafetensorsWriter.Write(path, new Dictionary<string, Tensor> { ["b"] = tensor([1.0078125f]).to(bfloat16), ["h"] = tensor([1.0009765625f]).to(float16) });
        using var file = SafetensorsFile.Open(path);
        var wide = zeros(1);
        file.CopyTo("b", wide);
        Assert.Equal(1.0078125f, wide.item<float>());
        file.CopyTo("h", wide);
        Assert.Equal(1.0009765625f, wide.item<float>());
    }

    [Theory]
    [InlineData("", "too few")]
    [InlineData("abc", "too few")]
    public void A_file_shorter_than_its_length_field_is_refused(string content, string message) => Refused(Encoding.ASCII.GetBytes(content), message);

    [Fact]
    public void A_header_longer_than_the_file_is_refused() => Refused([.. BitConverter.GetBytes(1000UL), .. "{}"u8], "cut short or not a safetensors file");

    [Fact]
    public void A_header_length_beyond_all_bounds_is_refused() => Refused([.. BitConverter.GetBytes(ulong.MaxValue), .. "{}"u8], "cut short or not a safetensors file");

    [Theory]
    [InlineData("NaN", "header can't be read")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("""{"x":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}""", "header can't be read")]
    [InlineData("""{"x":{"dtype":"F32","shape":[2]}}""", "header can't be read")]
    [InlineData("""{"x":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", "header can't be read")]
    [InlineData("""{"x":{"dtype":"F12","shape":[2],"data_offsets":[0,8]}}""", "of the type F12")]
    [InlineData("""{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "needs 12 bytes and has 8")]
    [InlineData("""{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "impossible shape")]
    [InlineData("""{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}""", "impossible shape")]
    [InlineData("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "impossible offsets")]
    [InlineData("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}""", "impossible offsets")]
    [InlineData("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8,16]}}""", "impossible offsets")]
    [InlineData("""{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "take 16 bytes and 8 are there")]
    [InlineData("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "take 4 bytes and 8 are there")]
    [InlineData("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "the bytes of 'y' begin at 4")]
    [InlineData("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "the bytes of 'x' begin at 4")]
    [InlineData("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "twice")]
    public void A_malformed_header_is_refused(string header, string message) =>
        Refused([.. BitConverter.GetBytes((ulong)Encoding.UTF8.GetByteCount(header)), .. Encoding.UTF8.GetBytes(header), .. new byte[8]], message);

    private void Refused(byte[] content, string message)
    {
        var path = _folder.File("bad.safetensors");
        File.WriteAllBytes(path, content);
        var fault = Assert.Throws<InputException>(() => SafetensorsFile.Open(path));
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
        Assert.StartsWith(path, fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', fault.Message);
    }
}
