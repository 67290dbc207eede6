using System.Globalization;
using Rlgf.Base;

namespace Rlgf.Gguf;

/// <summary>The keys and values of a GGUF file: sizes, the tokenizer, the chat template.</summary>
public sealed class GgufMetadata
{
    /// <summary>A file has dozens. A key takes ten times its bytes in memory, so that there must be a bound.</summary>
    private const int MostKeys = 1 << 16;

    /// <summary>The largest vocabularies have 256 thousand tokens and half a million merges.</summary>
    private const int MostItems = 4_000_000;

    private readonly string _path;
    private readonly Dictionary<string, object> _values = new(StringComparer.Ordinal);

    private GgufMetadata(string path) => _path = path;

    /// <summary>Reads the keys and values of a file alone, whatever its tensors are stored as.</summary>
    /// <param name="path">The file; of a model in parts, the first.</param>
    /// <exception cref="InputException">It's absent, cut short or malformed.</exception>
    public static GgufMetadata Open(string path) => GgufFile.OpenMetadata(path);

    /// <summary>Reads the values, whose number stands before them.</summary>
    internal static GgufMetadata Read(string path, GgufReader reader, int count)
    {
        var metadata = new GgufMetadata(path);
        for (var i = 0; i < count; i++)
        {
            var key = reader.Text();
            if (!metadata._values.TryAdd(key, metadata.ReadValue(key, reader))) throw metadata.Fault(key, "is there twice");
        }

        return metadata;
    }

    /// <summary>How many keys the reader may expect.</summary>
    internal static int ReadCount(GgufReader reader) => reader.Count(leastBytes: 13, "the number of keys", MostKeys);

    /// <summary>Whether there is a key.</summary>
    public bool Has(string key) => _values.ContainsKey(key);

    /// <summary>All keys.</summary>
    public IEnumerable<string> Keys => _values.Keys;

    /// <summary>Whether a value, or each of a list's, is one of some numbers; yes counts as 1 and no as 0.</summary>
    internal bool IsAmong(string key, double[] numbers) => _values[key] switch
    {
        long whole => numbers.Contains(whole),
        double number => numbers.Contains(number),
        bool flag => numbers.Contains(flag ? 1 : 0),
        long[] wholes => Array.TrueForAll(wholes, whole => numbers.Contains(whole)),
        double[] list => Array.TrueForAll(list, number => numbers.Contains(number)),
        _ => false,
    };

    /// <summary>A value for a message.</summary>
    internal string Shown(string key) => _values[key] switch
    {
        string text => $"'{text}'",
        bool flag => flag ? "true" : "false",
        Array list => $"a list of {list.Length}",
        var number => string.Create(CultureInfo.InvariantCulture, $"{number}"),
    };

    /// <summary>A text, or null where the key is absent.</summary>
    public string? Text(string key) => Get<string>(key, "a text");

    /// <summary>A whole number that fits and isn't negative, or null where the key is absent.</summary>
    public int? Whole(string key) => Get<long?>(key, "a whole number") switch
    {
        null => null,
        >= 0 and <= int.MaxValue and var number => (int)number,
        var number => throw Fault(key, $"is {number}, which can't be"),
    };

    /// <summary>A positive whole number that must be there.</summary>
    internal int Size(string key) => Whole(key) is { } size ? size > 0 ? size : throw Fault(key, "is 0: it must be positive") : throw Fault(key, "is missing");

    /// <summary>A number, or null where the key is absent.</summary>
    public double? Number(string key) => _values.GetValueOrDefault(key) is long whole ? whole : Get<double?>(key, "a number");

    /// <summary>Yes or no, or null where the key is absent.</summary>
    public bool? Flag(string key) => Get<bool?>(key, "true or false");

    /// <summary>A list of texts, or null where the key is absent.</summary>
    public string[]? Texts(string key) => Get<string[]>(key, "a list of texts");

    /// <summary>A list of whole numbers, or null where the key is absent.</summary>
    public long[]? Wholes(string key) => Get<long[]>(key, "a list of whole numbers");

    /// <summary>A list of numbers, or null where the key is absent.</summary>
    public double[]? Numbers(string key) => Get<double[]>(key, "a list of numbers");

    /// <summary>An error about a key.</summary>
    public InputException Fault(string key, string what) => new($"{_path}: {key} {what}.");

    private T? Get<T>(string key, string kind) => _values.GetValueOrDefault(key) switch
    {
        null => default,
        T value => value,
        _ => throw Fault(key, $"is not {kind}"),
    };

    private object ReadValue(string key, GgufReader reader) => reader.UInt32() is var type && type == 9 ? ReadList(key, reader) : ReadScalar(key, type, reader);

    private object ReadScalar(string key, uint type, GgufReader reader) => type switch
    {
        0 => (long)reader.Byte(),
        1 => (long)(sbyte)reader.Byte(),
        2 => (long)reader.UInt16(),
        3 => (long)(short)reader.UInt16(),
        4 => (long)reader.UInt32(),
        5 => (long)(int)reader.UInt32(),
        6 => (double)reader.Single(),
        7 => reader.Byte() != 0,
        8 => reader.Text(),
        10 => reader.UInt64() is var number && number <= long.MaxValue ? (long)number : throw Fault(key, $"is {number}, which can't be"),
        11 => (long)reader.UInt64(),
        12 => reader.Double(),
        _ => throw Fault(key, $"is of the type {type}, which isn't known"),
    };

    private object ReadList(string key, GgufReader reader)
    {
        var type = reader.UInt32();
        var bytes = type switch
        {
            0 or 1 or 7 => 1,
            2 or 3 => 2,
            4 or 5 or 6 => 4,
            8 or 10 or 11 or 12 => 8,
            9 => throw Fault(key, "is a list of lists, which isn't read"),
            _ => throw Fault(key, $"is a list of the type {type}, which isn't known"),
        };
        var count = reader.Count(bytes, $"the length of {key}", MostItems);
        switch (type)
        {
            case 8:
                var texts = new string[count];
                for (var i = 0; i < count; i++) texts[i] = reader.Text();
                return texts;
            case 6 or 12:
                var numbers = new double[count];
                for (var i = 0; i < count; i++) numbers[i] = type == 6 ? reader.Single() : reader.Double();
                return numbers;
            default:
                var wholes = new long[count];
                for (var i = 0; i < count; i++) wholes[i] = type == 7 ? reader.Byte() : (long)ReadScalar(key, type, reader);
                return wholes;
        }
    }
}
