using System.Buffers;
using System.Text;
using Rlgf.Base;

namespace Rlgf.Gguf;

/// <summary>A tensor that is to be written.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">How its numbers are stored.</param>
/// <param name="Shape">Its shape, the fastest index last.</param>
/// <param name="Numbers">Its numbers in their order, in pieces of whole rows; asked for once, when its turn comes, and all of a piece may be overwritten after it.</param>
/// <param name="Origin">Where its numbers are from, for messages; null for its own name.</param>
public sealed record GgufTensorToWrite(string Name, GgufType Type, IReadOnlyList<long> Shape, IEnumerable<ReadOnlyMemory<float>> Numbers, string? Origin = null)
{
    /// <summary>Bytes of its numbers in the file.</summary>
    public long Bytes => Shapes.Elements(Shape)!.Value / GgufTypes.BlockOf(Type).Numbers * GgufTypes.BlockOf(Type).Bytes;
}

/// <summary>Writes GGUF files, version 3. A file appears under its name only when it is complete.</summary>
/// <remarks>The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.</remarks>
public sealed class GgufFileWriter
{
    private const int Alignment = 32;

    private readonly Dictionary<string, byte[]> _values = new(StringComparer.Ordinal);
    private readonly List<GgufTensorToWrite> _tensors = [];

    /// <summary>The value types of the format.</summary>
    private enum ValueType : uint
    {
        Byte = 0,
        UInt32 = 4,
        Int32 = 5,
        Float32 = 6,
        Bool = 7,
        String = 8,
        Array = 9,
    }

    /// <summary>The tensors, in the order in which they are written.</summary>
    public IReadOnlyList<GgufTensorToWrite> Tensors => _tensors;

    /// <summary>Adds a whole number that isn't negative.</summary>
    public void Whole(string key, long value) => Add(key, ValueType.UInt32, writer => writer.Write(checked((uint)value)));

    /// <summary>Adds a number, as float32.</summary>
    public void Number(string key, double value) => Add(key, ValueType.Float32, writer => writer.Write((float)value));

    /// <summary>Adds yes or no.</summary>
    public void Flag(string key, bool value) => Add(key, ValueType.Bool, writer => writer.Write(value));

    /// <summary>Adds a text.</summary>
    public void Text(string key, string value) => Add(key, ValueType.String, writer => Write(writer, value));

    /// <summary>Adds a list of texts.</summary>
    public void Texts(string key, IReadOnlyCollection<string> values) => List(key, ValueType.String, values, Write);

    /// <summary>Adds a list of whole numbers.</summary>
    public void Wholes(string key, IReadOnlyCollection<int> values) => List(key, ValueType.Int32, values, (writer, value) => writer.Write(value));

    /// <summary>Adds a list of numbers, as float32.</summary>
    public void Numbers(string key, IReadOnlyCollection<float> values) => List(key, ValueType.Float32, values, (writer, value) => writer.Write(value));

    /// <summary>Adds bytes.</summary>
    public void Bytes(string key, IReadOnlyCollection<byte> values) => List(key, ValueType.Byte, values, (writer, value) => writer.Write(value));

    /// <summary>Adds a tensor.</summary>
    /// <exception cref="ArgumentException">The blocks of its type don't fit into its rows, or there is one of its name.</exception>
    public void Add(GgufTensorToWrite tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (tensor.Shape.Count == 0 || tensor.Shape[^1] % GgufTypes.BlockOf(tensor.Type).Numbers != 0) throw new ArgumentException($"'{tensor.Name}' of shape {Shapes.Format(tensor.Shape)} can't be stored as {tensor.Type}.", nameof(tensor));
        if (_tensors.Exists(other => other.Name == tensor.Name)) throw new ArgumentException($"'{tensor.Name}' is there already.", nameof(tensor));
        _tensors.Add(tensor);
    }

    /// <summary>Writes the file.</summary>
    /// <param name="path">The file; one of that name is replaced once the new one is whole.</param>
    /// <param name="threads">How many threads pack numbers.</param>
    /// <param name="written">Is told the bytes of each piece of the tensors; what it throws ends the writing.</param>
    /// <exception cref="InputException">The disk has no room, or a number isn't finite or beyond what its type can hold; no file is left.</exception>
    /// <exception cref="IOException">The file can't be written; none is left.</exception>
    public void Write(string path, int threads = 1, Action<long>? written = null)
    {
        var head = Head();
        RequireRoom(path, head.Length + _tensors.Sum(tensor => Padded(tensor.Bytes)));
        AtomicFile.Write(path, stream =>
        {
            stream.Write(head);
            foreach (var tensor in _tensors)
            {
                WriteNumbers(stream, tensor, path, threads, written);
                stream.Write(new byte[Padded(tensor.Bytes) - tensor.Bytes]);
            }
        });
    }

    private static void WriteNumbers(Stream stream, GgufTensorToWrite tensor, string path, int threads, Action<long>? written)
    {
        var (inBlock, bytesOfBlock) = GgufTypes.BlockOf(tensor.Type);
        long left = tensor.Bytes;
        foreach (var piece in tensor.Numbers)
        {
            var blocks = piece.Length / inBlock;
            var length = blocks * bytesOfBlock;
            left -= length;
            if (piece.Length % inBlock != 0 || left < 0) throw new ArgumentException($"'{tensor.Name}' gave numbers that aren't those of its shape {Shapes.Format(tensor.Shape)}.");
            RequireNumbers(tensor, piece.Span, path);
            var stored = ArrayPool<byte>.Shared.Rent(length);
            try
            {
                // Parts of some size, so that threads have something to do each.
                const int LeastBlocks = 64;
                var parts = Math.Clamp(Math.Min(threads * 4, blocks / LeastBlocks), 1, blocks);
                Parallel.For(0, parts, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, threads) }, part =>
                {
                    var (first, end) = ((int)((long)blocks * part / parts), (int)((long)blocks * (part + 1) / parts));
                    GgufQuantizer.Quantize(tensor.Type, piece.Span[(first * inBlock)..(end * inBlock)], stored.AsSpan(first * bytesOfBlock, (end - first) * bytesOfBlock));
                });
                stream.Write(stored, 0, length);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(stored);
            }

            written?.Invoke(length);
        }

        if (left != 0) throw new ArgumentException($"'{tensor.Name}' gave too few numbers for its shape {Shapes.Format(tensor.Shape)}.");
    }

    private static void RequireNumbers(GgufTensorToWrite tensor, ReadOnlySpan<float> numbers, string path)
    {
        // Scales are float16 too, and the largest of a run is at most 127 of them.
        const float MostOfHalf = 65_504;
        var most = tensor.Type switch { GgufType.F32 or GgufType.BF16 => float.MaxValue, _ => MostOfHalf };
        var origin = tensor.Origin ?? $"{path}: '{tensor.Name}'";
        foreach (var number in numbers)
        {
            if (!float.IsFinite(number)) throw new InputException($"{origin} has a number that is not finite (NaN or infinite): the model is damaged, or its training went astray.");
            if (MathF.Abs(number) > most) throw new InputException($"{origin} has a number beyond the range of float16 (65,504), which {tensor.Type} needs: store it as bf16 or f32.");
        }
    }

    private byte[] Head()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)_tensors.Count);
        writer.Write((ulong)_values.Count);
        foreach (var (key, value) in _values)
        {
            Write(writer, key);
            writer.Write(value);
        }

        long offset = 0;
        foreach (var tensor in _tensors)
        {
            Write(writer, tensor.Name);
            writer.Write((uint)tensor.Shape.Count);
            foreach (var length in tensor.Shape.Reverse()) writer.Write((ulong)length);
            writer.Write((uint)tensor.Type);
            writer.Write((ulong)offset);
            offset += Padded(tensor.Bytes);
        }

        writer.Write(new byte[Padded(stream.Length) - stream.Length]);
        return stream.ToArray();
    }

    /// <summary>Rather now than after an hour. A disk that doesn't say how much is free is tried.</summary>
    private static void RequireRoom(string path, long bytes)
    {
        long free;
        try
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            while (!Directory.Exists(folder)) folder = Path.GetDirectoryName(folder)!;
            free = new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return;
        }

        if (free < bytes) throw new InputException(FormattableString.Invariant($"{path}: the file needs {bytes / 1e6:0.0} MB, and its disk has {free / 1e6:0.0} MB free: make room, or write to another disk."));
    }

    private static long Padded(long length) => (length + Alignment - 1) / Alignment * Alignment;

    private void Add(string key, ValueType type, Action<BinaryWriter> write)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write((uint)type);
        write(writer);
        writer.Flush();
        if (!_values.TryAdd(key, stream.ToArray())) throw new ArgumentException($"'{key}' is there already.", nameof(key));
    }

    private void List<T>(string key, ValueType type, IReadOnlyCollection<T> values, Action<BinaryWriter, T> write) => Add(key, ValueType.Array, writer =>
    {
        writer.Write((uint)type);
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
