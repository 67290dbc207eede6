using System.Text;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>Writes GGUF files, also wrong ones. See https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.</summary>
internal sealed class GgufWriter
{
    private readonly List<byte[]> _values = [];
    private readonly List<(string Name, long[] Shape, uint Type, byte[] Data, ulong? Offset)> _tensors = [];
    private readonly HashSet<string> _left = new(StringComparer.Ordinal);

    public uint Version { get; init; } = 3;

    public int Alignment { get; init; } = 32;

    /// <summary>Leaves out a key that is written later.</summary>
    public GgufWriter Without(string key)
    {
        _left.Add(key);
        return this;
    }

    public GgufWriter Whole(string key, uint value) => Add(key, 4, writer => writer.Write(value));

    public GgufWriter Number(string key, float value) => Add(key, 6, writer => writer.Write(value));

    public GgufWriter Flag(string key, bool value) => Add(key, 7, writer => writer.Write(value));

    public GgufWriter Text(string key, string value) => Add(key, 8, writer => Write(writer, value));

    public GgufWriter Texts(string key, IReadOnlyList<string> values) => List(key, 8, values, Write);

    public GgufWriter Wholes(string key, IReadOnlyList<int> values) => List(key, 5, values, (writer, value) => writer.Write(value));

    public GgufWriter Numbers(string key, IReadOnlyList<float> values) => List(key, 6, values, (writer, value) => writer.Write(value));

    /// <summary>A key with any type and content.</summary>
    public GgufWriter Add(string key, uint type, Action<BinaryWriter> value)
    {
        if (_left.Contains(key)) return this;
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        Write(writer, key);
        writer.Write(type);
        value(writer);
        _values.Add(stream.ToArray());
        return this;
    }

    /// <summary>A tensor; <paramref name="shape"/> with the fastest index last, as everywhere here.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="type">Number of its type.</param>
    /// <param name="data">Its bytes.</param>
    /// <param name="offset">Where it is said to begin; where it does, by default.</param>
    public GgufWriter Tensor(string name, long[] shape, uint type, byte[] data, ulong? offset = null)
    {
        if (!_left.Contains(name)) _tensors.Add((name, shape, type, data, offset));
        return this;
    }

    public GgufWriter Floats(string name, long[] shape, params float[] numbers) => Tensor(name, shape, 0, PyTorchArchive.Floats(numbers));

    public byte[] ToArray()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)_tensors.Count);
        writer.Write((ulong)_values.Count);
        foreach (var value in _values) writer.Write(value);
        ulong offset = 0;
        foreach (var (name, shape, type, data, said) in _tensors)
        {
            Write(writer, name);
            writer.Write((uint)shape.Length);
            foreach (var length in shape.Reverse()) writer.Write(length);
            writer.Write(type);
            writer.Write(said ?? offset);
            offset += (ulong)Padded(data.Length);
        }

        writer.Write(new byte[Padded(stream.Position) - stream.Position]);
        foreach (var tensor in _tensors)
        {
            writer.Write(tensor.Data);
            writer.Write(new byte[Padded(tensor.Data.Length) - tensor.Data.Length]);
        }

        return stream.ToArray();
    }

    private long Padded(long length) => (length + Alignment - 1) / Alignment * Alignment;

    private GgufWriter List<T>(string key, uint type, IReadOnlyList<T> values, Action<BinaryWriter, T> write) => Add(key, 9, writer =>
    {
        writer.Write(type);
        writer.Write((ulong)values.Count);
        foreach (var value in values) write(writer, value);
    });

    private static void Write(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }
}
