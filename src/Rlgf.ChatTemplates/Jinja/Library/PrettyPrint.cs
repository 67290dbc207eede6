using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Python's <c>pprint.pformat</c>: dictionaries are sorted, and what is wider than a line is broken.</summary>
internal sealed class PrettyPrint(Rendering rendering)
{
    private const int Width = 80;

    private readonly StringBuilder _text = new();

    /// <summary>Writes a value.</summary>
    public static string Of(object? value, Rendering rendering)
    {
        var print = new PrettyPrint(rendering);
        print.Write(value, 0, 0, 0);
        return print._text.ToString();
    }

    /// <param name="value">What is written.</param>
    /// <param name="indent">Where it begins in the line.</param>
    /// <param name="allowance">How many characters follow it in its last line.</param>
    /// <param name="level">How deep it is nested.</param>
    private void Write(object? value, int indent, int allowance, int level)
    {
        rendering.Step();
        var line = PythonText.Repr(Sorted(value));
        if (CodePoints.Count(line) <= Width - indent - allowance)
        {
            _text.Append(line);
            return;
        }
        switch (value)
        {
            case PythonDict dict:
                var entries = Entries(dict);
                Broken("{", "}", entries, indent + 1, allowance, (entry, after) =>
                {
                    var key = PythonText.Repr(Sorted(entry.Key));
                    _text.Append(key).Append(": ");
                    Write(entry.Value, indent + 1 + CodePoints.Count(key) + 2, after, level + 1);
                });
                break;
            case List<object?> list:
                Broken("[", "]", list, indent + 1, allowance, (item, after) => Write(item, indent + 1, after, level + 1));
                break;
            case PythonTuple tuple:
                Broken("(", tuple.Items.Count == 1 ? ",)" : ")", tuple.Items, indent + 1, allowance, (item, after) => Write(item, indent + 1, after, level + 1));
                break;
            case string { Length: > 0 } text:
                WriteText(text, indent + (level == 0 ? 1 : 0), allowance + (level == 0 ? 1 : 0), isBracketed: level == 0);
                break;
            default:
                _text.Append(line);
                break;
        }
    }

    private void Broken<T>(string open, string close, IReadOnlyList<T> items, int indent, int allowance, Action<T, int> write)
    {
        _text.Append(open);
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0)
                _text.Append(",\n").Append(' ', indent);
            write(items[i], i == items.Count - 1 ? allowance + close.Length : 1);
        }
        _text.Append(close);
    }

    /// <summary>A text as several, line by line and, where one is too wide, word by word.</summary>
    private void WriteText(string text, int indent, int allowance, bool isBracketed)
    {
        var chunks = new List<string>();
        var lines = WhiteSpace.Lines(text, keepEnds: true);
        for (var i = 0; i < lines.Count; i++)
        {
            var isLast = i == lines.Count - 1;
            if (CodePoints.Count(PythonText.Quoted(lines[i])) <= Width - indent - (isLast ? allowance : 0))
            {
                chunks.Add(lines[i]);
                continue;
            }
            var (current, words) = ("", Words(lines[i]));
            for (var j = 0; j < words.Count; j++)
            {
                var width = Width - indent - (isLast && j == words.Count - 1 ? allowance : 0);
                if (CodePoints.Count(PythonText.Quoted(current + words[j])) > width)
                {
                    if (current.Length > 0)
                        chunks.Add(current);
                    current = "";
                }
                current += words[j];
            }
            if (current.Length > 0)
                chunks.Add(current);
        }
        var isOpen = isBracketed && chunks.Count > 1;
        _text.Append(isOpen ? "(" : "").AppendJoin("\n" + new string(' ', indent), chunks.Select(chunk => PythonText.Quoted(chunk))).Append(isOpen ? ")" : "");
    }

    /// <summary>Words with the white space behind them.</summary>
    private static List<string> Words(string line)
    {
        var words = new List<string>();
        for (var start = 0; start < line.Length;)
        {
            var end = start;
            while (end < line.Length && !WhiteSpace.Is(line[end]))
                end++;
            while (end < line.Length && WhiteSpace.Is(line[end]))
                end++;
            words.Add(line[start..end]);
            start = end;
        }
        return words;
    }

    /// <summary>A value whose dictionaries are sorted.</summary>
    private object? Sorted(object? value)
    {
        rendering.Step();
        switch (value)
        {
            case PythonDict dict:
                var sorted = new PythonDict();
                foreach (var (key, entry) in Entries(dict))
                    sorted[key] = Sorted(entry);
                return sorted;
            case List<object?> list:
                return list.ConvertAll(Sorted);
            case PythonTuple tuple:
                return new PythonTuple([.. tuple.Items.Select(Sorted)]);
            default:
                return value;
        }
    }

    private static List<KeyValuePair<object?, object?>> Entries(PythonDict dict) =>
        [.. dict.Order(Comparer<KeyValuePair<object?, object?>>.Create((a, b) => Compare(a.Key, b.Key)))];

    private static int Compare(object? a, object? b)
    {
        try
        {
            return Equality.IsOrdered("<", a, b) ? -1 : Equality.IsOrdered("<", b, a) ? 1 : 0;
        }
        catch (TemplateException)
        {
            // Values without an order go by the names of their types.
            return string.CompareOrdinal(PythonText.TypeOf(a), PythonText.TypeOf(b));
        }
    }
}
