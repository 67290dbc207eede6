using System.Buffers.Binary;
using System.Text;
using Rlgf.Base;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>Numbers in a file of their own inside a <c>pytorch_model.bin</c>; several tensors may be views of them.</summary>
/// <param name="Type">Their type.</param>
/// <param name="Key">Name of the file below <c>data/</c>.</param>
/// <param name="Elements">How many there are.</param>
internal sealed record PickledStorage(ScalarType Type, string Key, long Elements);

/// <summary>A view of a storage: number (i, j, …) of the tensor is number Offset + i · Strides[0] + j · Strides[1] + … of the storage.</summary>
internal sealed record PickledTensor(PickledStorage Storage, long Offset, long[] Shape, long[] Strides);

/// <summary>
/// Reads the pickle of a <c>state_dict</c>. A pickle is a program for a stack machine, and one from a stranger may call any function; this machine knows only the operations below, which put
/// texts, numbers, lists, dictionaries and descriptions of tensors together. Whatever else a pickle asks for is refused by its name, and nothing is run.
/// </summary>
/// <remarks>Operations are those of Python's <c>pickletools</c>; functions and storages are those that <c>torch.save</c> writes for tensors.</remarks>
internal sealed class PickledWeights
{
    /// <summary>About twenty are spent on a tensor. The bound keeps what a hostile file can make of its bytes small.</summary>
    private const int MostOperations = 2_000_000;

    private const string RebuildTensor = "torch._utils._rebuild_tensor_v2";
    private const string RebuildParameter = "torch._utils._rebuild_parameter";
    private const string OrderedDictionary = "collections.OrderedDict";

    private static readonly Dictionary<string, ScalarType> Storages = new(StringComparer.Ordinal)
    {
        ["torch.DoubleStorage"] = ScalarType.Float64,
        ["torch.FloatStorage"] = ScalarType.Float32,
        ["torch.HalfStorage"] = ScalarType.Float16,
        ["torch.BFloat16Storage"] = ScalarType.BFloat16,
        ["torch.LongStorage"] = ScalarType.Int64,
        ["torch.IntStorage"] = ScalarType.Int32,
        ["torch.ShortStorage"] = ScalarType.Int16,
        ["torch.CharStorage"] = ScalarType.Int8,
        ["torch.ByteStorage"] = ScalarType.Byte,
        ["torch.BoolStorage"] = ScalarType.Bool,
    };

    private readonly string _path;
    private readonly byte[] _pickle;
    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = new();
    private readonly Dictionary<long, object?> _memo = [];
    private int _at;

    private PickledWeights(string path, byte[] pickle)
    {
        _path = path;
        _pickle = pickle;
    }

    /// <summary>Reads a pickle, which must be of one dictionary of tensors.</summary>
    /// <param name="path">The file it is in, for messages.</param>
    /// <param name="pickle">The pickle.</param>
    /// <exception cref="InputException">It asks for something that weights don't need, or is malformed.</exception>
    public static Dictionary<string, PickledTensor> Read(string path, byte[] pickle)
    {
        var reader = new PickledWeights(path, pickle);
        if (reader.Run() is not Dictionary<object, object?> dictionary) throw reader.Fault("it holds something other than a dictionary of tensors; save the model's state_dict");
        var tensors = new Dictionary<string, PickledTensor>(StringComparer.Ordinal);
        foreach (var (key, value) in dictionary)
        {
            if (key is not string name) throw reader.Fault($"a tensor is named by {key}, which is not a text");
            tensors.Add(name, value as PickledTensor ?? throw reader.Fault($"'{name}' is not a tensor; save the model's state_dict alone"));
        }

        return tensors;
    }

    /// <summary>Works through the pickle to its end; gives what it leaves on the stack.</summary>
    private object? Run()
    {
        for (var operation = 0; operation < MostOperations; operation++)
        {
            var code = Byte();
            switch (code)
            {
                case 0x80: // PROTO
                    if (Byte() is var version and (< 2 or > 5)) throw Fault($"its pickle is of version {version}; 2 to 5 are read");
                    break;
                case 0x95: // FRAME: how many bytes may be read ahead
                    Take(8);
                    break;
                case (byte)'.': // STOP
                    return Pop();
                case (byte)'(': // MARK
                    _marks.Push(_stack.Count);
                    break;
                case (byte)'a': // APPEND
                    Append(PopLast(1));
                    break;
                case (byte)'e': // APPENDS
                    Append(PopToMark());
                    break;
                case (byte)'s': // SETITEM
                    SetItems(PopLast(2));
                    break;
                case (byte)'u': // SETITEMS
                    SetItems(PopToMark());
                    break;
                case (byte)'q': // BINPUT
                    _memo[Byte()] = Top();
                    break;
                case (byte)'r': // LONG_BINPUT
                    _memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Top();
                    break;
                case 0x94: // MEMOIZE
                    _memo[_memo.Count] = Top();
                    break;
                case (byte)'b': // BUILD: a state_dict carries the versions of its modules as an attribute, which nothing here depends on
                    Pop();
                    if (Top() is not Dictionary<object, object?>) throw Fault("it sets the state of an object, which weights have no need of");
                    break;
                default:
                    _stack.Add(Value(code));
                    break;
            }
        }

        throw Fault("its pickle is longer than any model's");
    }

    /// <summary>What an operation puts onto the stack, of those that do nothing else.</summary>
    private object? Value(byte code) => code switch
    {
        (byte)'N' => null, // NONE
        0x88 => true, // NEWTRUE
        0x89 => false, // NEWFALSE
        (byte)'K' => (long)Byte(), // BININT1
        (byte)'M' => (long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)), // BININT2
        (byte)'J' => (long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)), // BININT
        0x8A => LongNumber(), // LONG1
        (byte)'G' => BinaryPrimitives.ReadDoubleBigEndian(Take(8)), // BINFLOAT
        0x8C => Encoding.UTF8.GetString(Take(Byte())), // SHORT_BINUNICODE
        (byte)'X' => Encoding.UTF8.GetString(Take(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))), // BINUNICODE
        (byte)'}' => new Dictionary<object, object?>(), // EMPTY_DICT
        (byte)']' => new List<object?>(), // EMPTY_LIST
        (byte)')' => Array.Empty<object?>(), // EMPTY_TUPLE
        0x85 => PopLast(1), // TUPLE1
        0x86 => PopLast(2), // TUPLE2
        0x87 => PopLast(3), // TUPLE3
        (byte)'t' => PopToMark(), // TUPLE
        (byte)'h' => Remembered(Byte()), // BINGET
        (byte)'j' => Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))), // LONG_BINGET
        (byte)'c' => Known(Line(), Line()), // GLOBAL
        0x93 => PopLast(2) is [string module, string name] ? Known(module, name) : throw Fault("a name in it is not a text"), // STACK_GLOBAL
        (byte)'Q' => Storage(Pop()), // BINPERSID
        (byte)'R' => Called(Pop()), // REDUCE
        _ => throw Fault($"its pickle uses the operation 0x{code:X2}{(code is > 0x20 and < 0x7F ? $" ('{(char)code}')" : "")}, which isn't among those that weights need"),
    };

    /// <summary>What the function below its arguments makes of them.</summary>
    private object? Called(object? arguments) => Call(Pop() as Global, arguments as object?[]);

    private Global Known(string module, string name)
    {
        var global = $"{module}.{name}";
        return global is RebuildTensor or RebuildParameter or OrderedDictionary || Storages.ContainsKey(global)
            ? new Global(global)
            : throw Fault($"its pickle asks for {global}, which isn't among the things that weights need (nothing of it was run)");
    }

    private object Call(Global? function, object?[]? arguments)
    {
        switch (function?.Name, arguments)
        {
            case (OrderedDictionary, []):
                return new Dictionary<object, object?>();
            case (OrderedDictionary, [List<object?> pairs]):
                var dictionary = new Dictionary<object, object?>();
                foreach (var pair in pairs)
                {
                    if (pair is not object?[] { Length: 2 } items) throw Fault("an entry of a dictionary in it is no pair");
                    Set(dictionary, items[0], items[1]);
                }

                return dictionary;
            case (RebuildParameter, [PickledTensor tensor, _, _]):
                return tensor;
            case (RebuildTensor, [PickledStorage storage, long offset, object?[] shape, object?[] strides, _, _, ..] and { Length: 6 or 7 }):
                return View(storage, offset, [.. shape.Select(Number)], [.. strides.Select(Number)]);
            default:
                throw Fault(function is null ? "it calls something that is no function" : $"it calls {function.Name} with arguments that don't fit");
        }
    }

    private PickledTensor View(PickledStorage storage, long offset, long[] shape, long[] strides)
    {
        var text = $"a view of shape {Shapes.Format(shape)}, strides {Shapes.Format(strides)} and offset {offset} into {storage.Elements} numbers";
        if (shape.Length != strides.Length || offset < 0 || strides.Any(stride => stride < 0) || Shapes.Elements(shape) is not { } elements) throw Fault($"it has {text}, which is impossible");
        // More numbers than the storage has: a view that repeats them, which no stored weight is.
        if (elements > storage.Elements) throw Fault($"it has {text}, which is too few");
        long last = offset;
        try
        {
            for (var dimension = 0; dimension < shape.Length; dimension++) last = checked(last + Math.Max(0, shape[dimension] - 1) * strides[dimension]);
        }
        catch (OverflowException)
        {
            last = long.MaxValue;
        }

        if (elements > 0 && last >= storage.Elements) throw Fault($"it has {text}, which reaches beyond them");
        return new PickledTensor(storage, offset, shape, strides);
    }

    /// <summary>What a persistent id stands for: ('storage', its type, the name of its file, a device, how many numbers).</summary>
    private PickledStorage Storage(object? id) =>
        id is object?[] and ["storage", Global type, string key, string, long elements] && Storages.TryGetValue(type.Name, out var scalar) && elements >= 0
            ? new PickledStorage(scalar, key, elements)
            : throw Fault("it refers to something other than a storage of numbers");

    private void Append(object?[] values)
    {
        if (Top() is not List<object?> list) throw Fault("it appends to something that is no list");
        list.AddRange(values);
    }

    private void SetItems(object?[] pairs)
    {
        if (Top() is not Dictionary<object, object?> dictionary || pairs.Length % 2 != 0) throw Fault("it sets items of something that is no dictionary");
        for (var i = 0; i < pairs.Length; i += 2) Set(dictionary, pairs[i], pairs[i + 1]);
    }

    private void Set(Dictionary<object, object?> dictionary, object? key, object? value)
    {
        if (key is not (string or long)) throw Fault("a key of a dictionary in it is neither a text nor a number");
        dictionary[key] = value;
    }

    private long Number(object? value) => value is long number ? number : throw Fault("a length in it is no whole number");

    private long LongNumber()
    {
        var bytes = Take(Byte());
        if (bytes.Length > 8) throw Fault("a number in it has more than 64 bits");
        long value = bytes.Length > 0 && bytes[^1] >= 0x80 ? -1 : 0; // The sign's bits, above those that are there.
        for (var i = bytes.Length - 1; i >= 0; i--) value = value << 8 | bytes[i];
        return value;
    }

    private object? Remembered(long key) => _memo.TryGetValue(key, out var value) ? value : throw Fault($"its pickle refers to number {key}, which it never remembered");

    private object? Top() => _stack.Count > Floor ? _stack[^1] : throw Empty();

    private object? Pop()
    {
        var value = Top();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private object?[] PopLast(int count) => _stack.Count - count >= Floor ? PopFrom(_stack.Count - count) : throw Empty();

    private object?[] PopToMark() => _marks.TryPop(out var mark) ? PopFrom(mark) : throw Empty();

    private object?[] PopFrom(int first)
    {
        var values = _stack.GetRange(first, _stack.Count - first).ToArray();
        _stack.RemoveRange(first, values.Length);
        return values;
    }

    /// <summary>What lies below the last mark can't be taken before the mark is.</summary>
    private int Floor => _marks.TryPeek(out var mark) ? mark : 0;

    private byte Byte() => Take(1)[0];

    private ReadOnlySpan<byte> Take(long count)
    {
        if (count > _pickle.Length - _at) throw Fault("its pickle is cut short");
        _at += (int)count;
        return _pickle.AsSpan(_at - (int)count, (int)count);
    }

    /// <summary>Text up to the end of a line.</summary>
    private string Line()
    {
        var length = _pickle.AsSpan(_at).IndexOf((byte)'\n');
        if (length < 0) throw Fault("its pickle is cut short");
        var line = Encoding.UTF8.GetString(Take(length));
        _at++;
        return line;
    }

    private InputException Empty() => Fault("its pickle takes more values than it has made");

    private InputException Fault(string what) => new($"{_path}: {what}; nothing is loaded from it. If you trust the file, load it in Python and write it as safetensors (model.save_pretrained(folder)).");

    private sealed record Global(string Name);
}
