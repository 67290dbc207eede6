using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>What <c>torch.save</c> writes is read, and nothing else is: a pickle is a program, and one that a stranger wrote may call anything.</summary>
public sealed class PyTorchFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public PyTorchFileTests() => TorchRuntime.Load();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void A_view_reads_its_own_numbers_of_a_shared_storage()
    {
        // The storage counts 0 … 11. With offset 2 and strides (1, 2), element (i, j) is 2 + i + 2j; the transpose of a [3, 4] matrix has strides (1, 4).
        ArchivedTensor[] tensors =
        [
            Float("whole", 12, 0, [12], [1]),
            Float("matrix", 12, 0, [3, 4], [4, 1]),
            Float("transposed", 12, 0, [4, 3], [1, 4]),
            Float("view", 12, 2, [2, 3], [1, 2]),
            Float("one", 12, 7, [], []),
            Float("last", 12, 11, [1, 1], [5, 9]),
            Float("nothing", 12, 0, [0, 4], [4, 1]),
        ];
        using var file = Open(tensors, PyTorchArchive.Floats([.. Enumerable.Range(0, 12).Select(i => (float)i)]));
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], Numbers(file, "whole"));
        Assert.Equal([3, 4], file.Read("matrix").shape);
        Assert.Equal([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11], Numbers(file, "transposed"));
        Assert.Equal([2, 4, 6, 3, 5, 7], Numbers(file, "view"));
        Assert.Equal([7], Numbers(file, "one"));
        Assert.Empty(file.Read("one").shape);
        Assert.Equal([11], Numbers(file, "last"));
        Assert.Equal([0, 4], file.Read("nothing").shape);
    }

    [Theory]
    [InlineData("DoubleStorage", ScalarType.Float64)]
    [InlineData("FloatStorage", ScalarType.Float32)]
    [InlineData("HalfStorage", ScalarType.Float16)]
    [InlineData("BFloat16Storage", ScalarType.BFloat16)]
    [InlineData("LongStorage", ScalarType.Int64)]
    [InlineData("IntStorage", ScalarType.Int32)]
    [InlineData("ShortStorage", ScalarType.Int16)]
    [InlineData("CharStorage", ScalarType.Int8)]
    [InlineData("ByteStorage", ScalarType.Byte)]
    [InlineData("BoolStorage", ScalarType.Bool)]
    public void Every_type_is_read_and_widened(string storage, ScalarType type)
    {
        var numbers = tensor([0f, 1f, 1f, 0f]).to(type);
        using var file = Open([new ArchivedTensor("x", storage, "0", 4, 0, [2, 2], [1, 2])], numbers.bytes.ToArray());
        Assert.Equal(type, file.Entries["x"].Type);
        var wide = zeros(2, 2);
        file.CopyTo("x", wide);
        Assert.Equal([0f, 1f, 1f, 0f], wide.t().contiguous().data<float>().ToArray());
    }

    [Fact]
    public void Shards_with_an_index_are_read()
    {
        using var fixture = new Fixture("gpt2");
        File.Copy(Path.Combine(fixture.Folder, "config.json"), _folder.File("config.json"));
        var map = new JsonObject();
        using (var weights = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors")))
        {
            foreach (var (names, shard) in weights.Entries.Keys.Chunk(10).Select((names, index) => (names, $"pytorch_model-{index}.bin")))
            {
                File.WriteAllBytes(_folder.File(shard), PyTorchArchive.Of(
                    [.. names.Select((name, key) => InOrder(name, $"{key}", weights.Entries[name].Shape))],
                    names.Select((name, key) => (Key: $"{key}", Bytes: weights.Read(name).bytes.ToArray())).ToDictionary(pair => pair.Key, pair => pair.Bytes)));
                foreach (var name in names) map[name] = shard;
            }
        }

        File.WriteAllText(_folder.File("pytorch_model.bin.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());
        using var model = LanguageModelFolder.Load(_folder.Path);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), 1e-4);
    }

    [Theory]
    [InlineData("os", "system")]
    [InlineData("builtins", "eval")]
    [InlineData("builtins", "getattr")]
    [InlineData("subprocess", "Popen")]
    [InlineData("torch", "load")]
    [InlineData("torch._utils", "_rebuild_sparse_tensor")]
    [InlineData("torch.storage", "_load_from_bytes")]
    [InlineData("collections", "OrderedDict.fromkeys")]
    public void A_function_that_weights_do_not_need_is_refused_by_name(string module, string name)
    {
        var call = new Pickle().Raw(0x80, 2).Global(module, name).Raw((byte)'(').Text("echo").Raw((byte)'t', (byte)'R', (byte)'.').ToArray();
        Assert.Contains($"asks for {module}.{name}", Refused(call), StringComparison.Ordinal);
        var onStack = new Pickle().Raw(0x80, 4).Text(module).Text(name).Raw(0x93, (byte)'(', (byte)'t', (byte)'R', (byte)'.').ToArray();
        Assert.Contains($"asks for {module}.{name}", Refused(onStack), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData((byte)'i', "0x69 ('i')")] // INST: calls a class
    [InlineData((byte)'o', "0x6F ('o')")] // OBJ
    [InlineData(0x81, "0x81")] // NEWOBJ
    [InlineData(0x92, "0x92")] // NEWOBJ_EX
    [InlineData(0x82, "0x82")] // EXT1: a function by number
    [InlineData((byte)'P', "0x50 ('P')")] // PERSID
    [InlineData((byte)'I', "0x49 ('I')")] // INT as text
    [InlineData(0x8F, "0x8F")] // EMPTY_SET
    [InlineData(0xFF, "0xFF")]
    public void Another_operation_is_refused_by_its_code(byte operation, string shown) =>
        Assert.Contains($"operation {shown}", Refused(new Pickle().Raw(0x80, 2, operation).ToArray()), StringComparison.Ordinal);

    [Fact]
    public void A_known_function_with_other_arguments_is_refused()
    {
        Assert.Contains("arguments that don't fit", Refused(new Pickle().Raw(0x80, 2).Global("torch._utils", "_rebuild_tensor_v2").Raw((byte)')', (byte)'R', (byte)'.').ToArray()), StringComparison.Ordinal);
        Assert.Contains("no function", Refused(new Pickle().Raw(0x80, 2).Text("x").Raw((byte)')', (byte)'R', (byte)'.').ToArray()), StringComparison.Ordinal);
        Assert.Contains("arguments that don't fit", Refused(new Pickle().Raw(0x80, 2).Global("torch", "FloatStorage").Tuple(1_000_000_000_000).Raw((byte)'R', (byte)'.').ToArray()), StringComparison.Ordinal);
        Assert.Contains("something other than a storage", Refused(new Pickle().Raw(0x80, 2).Text("/etc/passwd").Raw((byte)'Q', (byte)'.').ToArray()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_pickle_of_something_else_is_refused()
    {
        Assert.Contains("other than a dictionary", Refused(new Pickle().Raw(0x80, 2).Text("x").Raw((byte)'.').ToArray()), StringComparison.Ordinal);
        Assert.Contains("'epoch' is not a tensor", Refused(new Pickle().Raw(0x80, 2, (byte)'}').Text("epoch").Number(3).Raw((byte)'s', (byte)'.').ToArray()), StringComparison.Ordinal);
        Assert.Contains("named by 3", Refused(new Pickle().Raw(0x80, 2, (byte)'}').Number(3).Number(3).Raw((byte)'s', (byte)'.').ToArray()), StringComparison.Ordinal);
        Assert.Contains("cut short", Refused([]), StringComparison.Ordinal);
        Assert.Contains("more values than it has made", Refused(new Pickle().Raw(0x80, 2, (byte)'.').ToArray()), StringComparison.Ordinal);
        Assert.Contains("version 1", Refused(new Pickle().Raw(0x80, 1).ToArray()), StringComparison.Ordinal);
        Assert.Contains("never remembered", Refused(new Pickle().Raw(0x80, 2, (byte)'h', 7).ToArray()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, new long[] { 13 }, new long[] { 1 }, "too few")]
    [InlineData(1, new long[] { 12 }, new long[] { 1 }, "reaches beyond")]
    [InlineData(0, new long[] { 2, 2 }, new long[] { 11, 1 }, "reaches beyond")]
    [InlineData(0, new long[] { 2, 2 }, new long[] { long.MaxValue, long.MaxValue }, "reaches beyond")]
    [InlineData(long.MaxValue, new long[] { 2 }, new long[] { 1 }, "reaches beyond")]
    [InlineData(-1, new long[] { 1 }, new long[] { 1 }, "impossible")]
    [InlineData(0, new long[] { -1 }, new long[] { 1 }, "impossible")]
    [InlineData(0, new long[] { 4 }, new long[] { -1 }, "impossible")]
    [InlineData(0, new long[] { 2, 2 }, new long[] { 1 }, "impossible")]
    [InlineData(0, new long[] { 1L << 40, 1L << 40 }, new long[] { 0, 0 }, "impossible")]
    [InlineData(0, new long[] { 1L << 40 }, new long[] { 0 }, "too few")]
    public void A_view_beyond_its_storage_is_refused(long offset, long[] shape, long[] strides, string message) =>
        Assert.Contains(message, Refused(PyTorchArchive.StateDictionary([Float("x", 12, offset, shape, strides)]), new byte[48]), StringComparison.Ordinal);

    [Fact]
    public void A_storage_of_another_length_or_none_is_refused()
    {
        var pickle = PyTorchArchive.StateDictionary([Float("x", 12, 0, [12], [1])]);
        Assert.Contains("data/0 has 44 bytes where 12 numbers of type F32", Refused(pickle, new byte[44]), StringComparison.Ordinal);
        Assert.Contains("no part data/0", RefusedFile(PyTorchArchive.Of(pickle, new Dictionary<string, byte[]>())), StringComparison.Ordinal);
        Assert.Contains("data/0 has 0 bytes", Refused(PyTorchArchive.StateDictionary([Float("x", long.MaxValue, 0, [1], [1])]), []), StringComparison.Ordinal);
    }

    [Fact]
    public void Other_archives_are_refused()
    {
        var pickle = PyTorchArchive.StateDictionary([Float("x", 100, 0, [100], [1])]);
        var storages = new Dictionary<string, byte[]> { ["0"] = new byte[400] };
        Assert.Contains("compressed", RefusedFile(PyTorchArchive.Of(pickle, storages, compression: CompressionLevel.Optimal)), StringComparison.Ordinal);
        Assert.Contains("byte order 'big'", RefusedFile(PyTorchArchive.Of(pickle, storages, byteOrder: "big")), StringComparison.Ordinal);
        Assert.Contains("TorchScript", RefusedFile(PyTorchArchive.OfParts(("data.pkl", pickle), ("constants.pkl", [1]))), StringComparison.Ordinal);
        Assert.Contains("no part data.pkl", RefusedFile(PyTorchArchive.OfParts(("version", [1]))), StringComparison.Ordinal);
        var whole = PyTorchArchive.Of(pickle, storages);
        foreach (var length in (int[])[4, 40, whole.Length / 2, whole.Length - 1]) Assert.Contains("pytorch_model.bin: ", RefusedFile(whole[..length]), StringComparison.Ordinal);
    }

    [Fact]
    public void The_format_before_PyTorch_1_6_is_refused_by_name() =>
        Assert.Contains("before PyTorch 1.6", RefusedFile([0x80, 2, 0x8A, 10, .. Encoding.Latin1.GetBytes("l\xfc\x9cF\xf9 j\xa8P\x19.")]), StringComparison.Ordinal);

    private static ArchivedTensor Float(string name, long storageElements, long offset, long[] shape, long[] strides) => new(name, "FloatStorage", "0", storageElements, offset, shape, strides);

    private static ArchivedTensor InOrder(string name, string key, IReadOnlyList<long> shape)
    {
        var strides = new long[shape.Count];
        long step = 1;
        for (var dimension = shape.Count - 1; dimension >= 0; dimension--)
        {
            strides[dimension] = step;
            step *= shape[dimension];
        }

        return new ArchivedTensor(name, "FloatStorage", key, step, 0, [.. shape], strides);
    }

    private static float[] Numbers(PyTorchFile file, string name) => file.Read(name).contiguous().data<float>().ToArray();

    private PyTorchFile Open(ArchivedTensor[] tensors, byte[] storage)
    {
        File.WriteAllBytes(_folder.File("pytorch_model.bin"), PyTorchArchive.Of(tensors, new Dictionary<string, byte[]> { ["0"] = storage }));
        return PyTorchFile.Open(_folder.File("pytorch_model.bin"));
    }

    private string Refused(byte[] pickle, byte[]? storage = null) => RefusedFile(PyTorchArchive.Of(pickle, new Dictionary<string, byte[]> { ["0"] = storage ?? [] }));

    private string RefusedFile(byte[] content)
    {
        File.WriteAllBytes(_folder.File("pytorch_model.bin"), content);
        return Assert.Throws<InputException>(() => PyTorchFile.Open(_folder.File("pytorch_model.bin"))).Message;
    }
}
