using System.Globalization;
using System.Text;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>The functions that chat templates are given.</summary>
internal static class Globals
{
    private const int LongestRange = 100_000;

    /// <summary>Gives them to a template.</summary>
    public static void AddTo(Frame frame)
    {
        var rendering = frame.Rendering;
        frame.Set("raise_exception", (Callable)((arguments, _, _) => throw rendering.Refusal(Values.Text(arguments.ElementAtOrDefault(0)))));
        frame.Set("namespace", (Callable)((arguments, named, line) => arguments.Count == 0
            ? new Namespace(new Dictionary<string, object?>(named))
            : throw rendering.Error(line, "calls namespace() with values that have no names, which isn't supported")));
        frame.Set("dict", (Callable)((arguments, named, line) => arguments.Count == 0
            ? new OrderedDictionary<string, object?>(named)
            : throw rendering.Error(line, "calls dict() with values that have no names, which isn't supported")));
        frame.Set("range", (Callable)((arguments, _, line) => Range(arguments, rendering, line)));
        frame.Set("strftime_now", (Callable)((arguments, _, line) => Time(rendering.Now, Values.Text(arguments.ElementAtOrDefault(0)), rendering, line)));
    }

    private static List<object?> Range(IReadOnlyList<object?> arguments, Rendering rendering, int line)
    {
        var numbers = arguments.Select(argument => Values.Integer(argument) ?? throw rendering.Error(line, $"calls range() with a {Values.TypeOf(argument)}")).ToArray();
        var (start, stop, step) = numbers switch
        {
            [var end] => (0, end, 1),
            [var from, var to] => (from, to, 1),
            [var from, var to, var by] when by != 0 => (from, to, by),
            _ => throw rendering.Error(line, "calls range() with numbers that it can't count by"),
        };
        var list = new List<object?>();
        for (Int128 at = start; step > 0 ? at < stop : at > stop; at += step)
        {
            if (list.Count == LongestRange)
                throw rendering.Error(line, $"calls range() for more than {LongestRange} numbers");
            list.Add((long)at);
        }
        rendering.Step(line, list.Count);
        return list;
    }

    /// <summary>C's <c>strftime</c>, in English.</summary>
    private static string Time(DateTime now, string format, Rendering rendering, int line)
    {
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }
            text.Append(format[++i] switch
            {
                'Y' => Part("yyyy"),
                'y' => Part("yy"),
                'm' => Part("MM"),
                'd' => Part("dd"),
                'H' => Part("HH"),
                'I' => Part("hh"),
                'M' => Part("mm"),
                'S' => Part("ss"),
                'p' => Part("tt"),
                'A' => Part("dddd"),
                'a' => Part("ddd"),
                'B' => Part("MMMM"),
                'b' => Part("MMM"),
                'j' => now.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
                '%' => "%",
                var other => throw rendering.Error(line, $"asks for the time by %{other}, which isn't supported"),
            });
        }
        return text.ToString();

        string Part(string code) => now.ToString(code, CultureInfo.InvariantCulture);
    }
}
