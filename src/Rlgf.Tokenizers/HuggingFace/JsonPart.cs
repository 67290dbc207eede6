using System.Text;
using System.Text.Json;
using Rlgf.Base;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>A value in a JSON file, which knows the file and the key it stands at, so that every error can say where.</summary>
internal readonly struct JsonPart
{
    /// <summary>Larger ids are taken for mistakes: tables have a place for every id below the largest.</summary>
    public const int MostTokens = 1 << 22;

    /// <summary>A small file must not make a text as large as it likes.</summary>
    private const int LongestRepeated = 256;

    private readonly string _file;
    private readonly string _key;
    private readonly JsonElement _element;

    private JsonPart(string file, string key, JsonElement element)
    {
        _file = file;
        _key = key;
        _element = element;
    }

    /// <summary>Reads a file's content; it must be one object.</summary>
    public static JsonPart Parse(string file, byte[] content)
    {
        try
        {
            // Some editors put a byte order mark before a text, which JSON doesn't know.
            using var document = JsonDocument.Parse(content.AsMemory(content.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0));
            var root = new JsonPart(file, "", document.RootElement.Clone());
            return root._element.ValueKind == JsonValueKind.Object ? root : throw root.Error("must be a JSON object");
        }
        catch (JsonException error)
        {
            throw JsonFault.Of(file, error);
        }
    }

    /// <summary>The value under a key, or null where the key is missing or its value is null.</summary>
    public JsonPart? Optional(string key)
    {
        if (_element.ValueKind != JsonValueKind.Object)
            throw Error("must be an object");
        return TryGet(key) is { ValueKind: not JsonValueKind.Null } value ? new JsonPart(_file, KeyOf(key), value) : null;
    }

    /// <summary>The value under a key.</summary>
    public JsonPart Required(string key) => Optional(key) ?? throw Error($"lacks \"{key}\"");

    /// <summary>The value under a key as true or false; <paramref name="otherwise"/> where there is none.</summary>
    public bool Flag(string key, bool otherwise = false) => Optional(key)?.AsFlag() ?? otherwise;

    /// <summary>The value as a string.</summary>
    public string AsString() => _element.ValueKind == JsonValueKind.String ? Characters(_element.GetString)! : throw Error("must be a string");

    /// <summary>The value as a string that is written many times over, and so can't be long.</summary>
    public string AsShortString() => AsString() is { Length: <= LongestRepeated } text ? text : throw Error($"must have at most {LongestRepeated} characters");

    /// <summary>The value as a token id.</summary>
    public int AsId() =>
        _element.ValueKind == JsonValueKind.Number && _element.TryGetInt32(out var id) && id is >= 0 and < MostTokens ? id : throw Error("must be a token id");

    /// <summary>The value as a count.</summary>
    public int AsCount() =>
        _element.ValueKind == JsonValueKind.Number && _element.TryGetInt32(out var count) && count >= 0 ? count : throw Error("must be a count");

    /// <summary>The value as true or false.</summary>
    public bool AsFlag() => _element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Error("must be true or false"),
    };

    /// <summary>The value as a number.</summary>
    public double AsNumber() => _element.ValueKind == JsonValueKind.Number ? _element.GetDouble() : throw Error("must be a number");

    public bool IsObject => _element.ValueKind == JsonValueKind.Object;

    public bool IsString => _element.ValueKind == JsonValueKind.String;

    /// <summary>Whether the object has the key, be its value null.</summary>
    public bool Mentions(string key) => _element.ValueKind == JsonValueKind.Object && TryGet(key) is not null;

    /// <summary>The elements of an array.</summary>
    public IEnumerable<JsonPart> Items()
    {
        if (_element.ValueKind != JsonValueKind.Array)
            throw Error("must be an array");
        var (file, key) = (_file, _key);
        return _element.EnumerateArray().Select((item, index) => new JsonPart(file, $"{key}[{index}]", item));
    }

    /// <summary>The keys and values of an object.</summary>
    public IEnumerable<(string Key, JsonPart Value)> Members()
    {
        if (_element.ValueKind != JsonValueKind.Object)
            throw Error("must be an object");
        var (file, key) = (_file, _key);
        var whole = this;
        return _element.EnumerateObject().Select(member =>
        {
            var name = whole.Characters(() => member.Name)!;
            return (name, new JsonPart(file, Join(key, name), member.Value));
        });
    }

    /// <summary>The error to throw about this value.</summary>
    public InputException Error(string what) => new(_key.Length == 0 ? $"{_file}: {what}." : $"{_file}: {_key} {what}.");

    private JsonElement? TryGet(string key)
    {
        var element = _element;
        return Characters(() => element.TryGetProperty(key, out var value) ? value : (JsonElement?)null);
    }

    /// <summary>JSON is read as it stands, so that broken characters show only where they are asked for.</summary>
    private T Characters<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException error)
        {
            throw new InputException($"{Error("has characters that aren't valid").Message.TrimEnd('.')}: half a surrogate pair, or bytes that aren't UTF-8.", error);
        }
    }

    private string KeyOf(string key) => Join(_key, key);

    private static string Join(string parent, string key) => parent.Length == 0 ? key : $"{parent}.{key}";
}
