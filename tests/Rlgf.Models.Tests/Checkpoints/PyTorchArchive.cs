using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>A tensor as <c>torch.save</c> describes it.</summary>
/// <param name="Name">Its name in the state_dict.</param>
/// <param name="Storage">Type of its storage, such as <c>FloatStorage</c>.</param>
/// <param name="Key">File of its numbers.</param>
/// <param name="StorageElements">How many numbers that file holds.</param>
/// <param name="Offset">Its first number.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Strides">Steps between numbers in each dimension.</param>
internal sealed record ArchivedTensor(string Name, string Storage, string Key, long StorageElements, long Offset, long[] Shape, long[] Strides);

/// <summary>Writes files as <c>torch.save</c> does, and others that it never would.</summary>
internal static class PyTorchArchive
{
    /// <summary>An archive with a state_dict.</summary>
    public static byte[] Of(IReadOnlyList<ArchivedTensor> tensors, IReadOnlyDictionary<string, byte[]> storages) => Of(StateDictionary(tensors), storages);

    /// <summary>An archive with any pickle and any storages.</summary>
    public static byte[] Of(byte[] pickle, IReadOnlyDictionary<string, byte[]> storages, string byteOrder = "little", CompressionLevel compression = CompressionLevel.NoCompression) =>
        OfParts(compression, [("data.pkl", pickle), ("byteorder", Encoding.ASCII.GetBytes(byteOrder)), .. storages.Select(pair => ($"data/{pair.Key}", pair.Value)), ("version", "3\n"u8.ToArray())]);

    /// <summary>An archive with any parts.</summary>
    public static byte[] OfParts(params (string Name, byte[] Content)[] parts) => OfParts(CompressionLevel.NoCompression, parts);

    private static byte[] OfParts(CompressionLevel compression, (string Name, byte[] Content)[] parts)
    {
        using var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create))
        {
            foreach (var (name, content) in parts)
            {
                using var part = archive.CreateEntry($"model/{name}", compression).Open();
                part.Write(content);
            }
        }

        return stream.ToArray();
    }

    /// <summary>The pickle of a state_dict, with the versions of modules that PyTorch attaches to one.</summary>
    public static byte[] StateDictionary(IReadOnlyList<ArchivedTensor> tensors)
    {
        var pickle = new Pickle().Raw(0x80, 2).Global("collections", "OrderedDict").Raw((byte)')', (byte)'R').Raw((byte)'(');
        foreach (var tensor in tensors) pickle.Text(tensor.Name).Tensor(tensor);
        return pickle.Raw((byte)'u')
            .Raw((byte)'}').Text("_metadata").Global("collections", "OrderedDict").Raw((byte)')', (byte)'R', (byte)'s', (byte)'b')
            .Raw((byte)'.').ToArray();
    }

    /// <summary>The bytes of float32 numbers.</summary>
    public static byte[] Floats(params float[] numbers) => System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(numbers).ToArray();
}

/// <summary>A pickle, operation by operation.</summary>
internal sealed class Pickle
{
    private readonly List<byte> _bytes = [];

    public Pickle Raw(params byte[] bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    public Pickle Text(string text)
    {
        var utf8 = Encoding.UTF8.GetBytes(text);
        var length = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, utf8.Length);
        return Raw((byte)'X').Raw(length).Raw(utf8);
    }

    /// <summary>LONG1 with eight bytes, which holds every number.</summary>
    public Pickle Number(long number)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        return Raw(0x8A, 8).Raw(bytes);
    }

    public Pickle Global(string module, string name) => Raw((byte)'c').Raw(Encoding.UTF8.GetBytes($"{module}\n{name}\n"));

    public Pickle Tuple(params long[] numbers)
    {
        Raw((byte)'(');
        foreach (var number in numbers) Number(number);
        return Raw((byte)'t');
    }

    public Pickle Tensor(ArchivedTensor tensor) =>
        Global("torch._utils", "_rebuild_tensor_v2").Raw((byte)'(')
            .Raw((byte)'(').Text("storage").Global("torch", tensor.Storage).Text(tensor.Key).Text("cpu").Number(tensor.StorageElements).Raw((byte)'t', (byte)'Q')
            .Number(tensor.Offset).Tuple(tensor.Shape).Tuple(tensor.Strides).Raw(0x89).Global("collections", "OrderedDict").Raw((byte)')', (byte)'R')
            .Raw((byte)'t', (byte)'R');

    public byte[] ToArray() => [.. _bytes];
}
