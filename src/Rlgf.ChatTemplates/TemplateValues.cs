using System.Numerics;
using Rlgf.ChatTemplates.Jinja;

namespace Rlgf.ChatTemplates;

/// <summary>Messages and other values as templates see them.</summary>
internal static class TemplateValues
{
    private const string Role = "role", Content = "content", Reasoning = "reasoning_content", Thinking = "thinking";

    /// <summary>A message as a dictionary: what is null is left out, and reasoning stands under both names that templates know it by, as the transformers library has it.</summary>
    public static PythonDict Of(ChatMessage message)
    {
        var dict = PythonDict.Of([new(Role, message.Role)]);
        if (!message.Other.ContainsKey(Content)) dict[Content] = message.Content;
        foreach (var (key, value) in message.Other)
        {
            if (value is not null && key != Role) dict[key] = Of(value);
        }

        string[] names = [Reasoning, Thinking, "reasoning"];
        if (names.FirstOrDefault(name => dict.TryGet(name, out _)) is { } known && dict.TryGet(known, out var thought))
        {
            dict[Reasoning] = thought;
            if (!dict.TryGet(Thinking, out _)) dict[Thinking] = thought;
        }

        return dict;
    }

    /// <summary>A value: texts, numbers, truth values, null, lists and dictionaries.</summary>
    public static object? Of(object? value) => value switch
    {
        null or string or bool or double => value,
        int number => (BigInteger)number,
        long number => (BigInteger)number,
        float number => (double)number,
        IReadOnlyDictionary<string, object?> named => PythonDict.Of(named.Select(entry => KeyValuePair.Create(entry.Key, Of(entry.Value)))),
        IEnumerable<object?> list => list.Select(inner => Of(inner)).ToList(),
        _ => throw new ArgumentException($"a template can't be given a {value.GetType().Name}", nameof(value)),
    };

    /// <summary>Appends to a message's text, or to the last text of its parts.</summary>
    /// <returns>The text as it was; null where there is none.</returns>
    public static string? AppendToContent(PythonDict message, string end)
    {
        if (!message.TryGet(Content, out var content)) return null;
        if (content is string text)
        {
            message[Content] = text + end;
            return text;
        }

        var last = (content as List<object?>)?.OfType<PythonDict>().LastOrDefault(part => part.TryGet("text", out _));
        if (last is null || !last.TryGet("text", out var value) || value is not string open) return null;
        last["text"] = open + end;
        return open;
    }

    /// <summary>How many characters of text a value holds.</summary>
    public static long Characters(object? value) => value switch
    {
        string text => text.Length,
        List<object?> list => list.Sum(inner => Characters(inner)),
        PythonDict dict => dict.Values.Sum(inner => Characters(inner)),
        _ => 0,
    };

    /// <summary>Characters for private use that neither a template nor its messages have, so that they can stand for something.</summary>
    public static IEnumerable<char> UnusedCharacters(string source, IReadOnlyList<ChatMessage> messages)
    {
        var used = new HashSet<char>(source.Where(IsPrivate));
        foreach (var message in messages) AddPrivate(message.Content, used);
        foreach (var message in messages) AddPrivate(message.Role, used);
        foreach (var other in messages.SelectMany(message => message.Other.Values)) AddPrivate(other, used);
        return Enumerable.Range('\uE000', '\uF8FF' - '\uE000' + 1).Select(code => (char)code).Where(character => !used.Contains(character));
    }

    private static bool IsPrivate(char character) => character is >= '\uE000' and <= '\uF8FF';

    private static void AddPrivate(object? value, HashSet<char> used)
    {
        switch (value)
        {
            case string text:
                used.UnionWith(text.Where(IsPrivate));
                break;
            case IReadOnlyDictionary<string, object?> named:
                foreach (var (key, inner) in named)
                {
                    AddPrivate(key, used);
                    AddPrivate(inner, used);
                }

                break;
            case IEnumerable<object?> list:
                foreach (var inner in list) AddPrivate(inner, used);
                break;
        }
    }
}
