using System.Globalization;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>C's <c>strftime</c>, in English, with the flags of the GNU library, which is what Python has on Linux.</summary>
internal static class TimeText
{
    /// <summary>Writes a time.</summary>
    /// <param name="now">The time.</param>
    /// <param name="format">How it is written.</param>
    /// <param name="call">The call.</param>
    public static string Of(DateTime now, string format, BoundCall call)
    {
        var text = new StringBuilder();
        for (var at = 0; at < format.Length;)
        {
            if (format[at] != '%')
            {
                text.Append(format[at++]);
                continue;
            }
            var start = at++;
            var flags = Take(format, ref at, "_-0^#");
            var width = Take(format, ref at, "0123456789");
            Take(format, ref at, "EO");
            var piece = at < format.Length ? Piece(now, format[at++], call) : null;
            call.Rendering.RequireSize(width.Length > 6 ? long.MaxValue : width.Length > 0 ? int.Parse(width, CultureInfo.InvariantCulture) : 0);
            // What the library doesn't know it writes as it stands.
            text.Append(piece is var (value, digits, pad) ? Styled(value, digits, pad, flags, width) : format[start..at]);
            call.Rendering.RequireRoom(text.Length);
        }
        return text.ToString();
    }

    private static string Take(string format, ref int at, string characters)
    {
        var start = at;
        while (at < format.Length && characters.Contains(format[at], StringComparison.Ordinal))
            at++;
        return format[start..at];
    }

    private static string Styled(string value, int digits, char pad, string flags, string width)
    {
        foreach (var flag in flags)
            pad = flag switch { '_' => ' ', '0' => '0', '-' => '-', _ => pad };
        if (flags.Contains('^', StringComparison.Ordinal))
            value = value.ToUpperInvariant();
        else if (flags.Contains('#', StringComparison.Ordinal))
            value = value is "AM" or "PM" ? value.ToLowerInvariant() : value.ToUpperInvariant();
        var least = width.Length > 0 ? int.Parse(width, CultureInfo.InvariantCulture) : digits;
        return pad == '-' ? value : value.PadLeft(least, pad);
    }

    /// <summary>What a letter stands for, how many characters it fills at least and with what; null for an unknown letter.</summary>
    private static (string Value, int Digits, char Pad)? Piece(DateTime now, char kind, BoundCall call)
    {
        return kind switch
        {
            'Y' => Number(now.Year, 1),
            'C' => Number(now.Year / 100, 2),
            'y' => Number(now.Year % 100, 2),
            'm' => Number(now.Month, 2),
            'd' => Number(now.Day, 2),
            'e' => Number(now.Day, 2, ' '),
            'H' => Number(now.Hour, 2),
            'k' => Number(now.Hour, 2, ' '),
            'I' => Number((now.Hour + 11) % 12 + 1, 2),
            'l' => Number((now.Hour + 11) % 12 + 1, 2, ' '),
            'M' => Number(now.Minute, 2),
            'S' => Number(now.Second, 2),
            'f' => Number(now.Ticks % TimeSpan.TicksPerSecond / 10, 6),
            'j' => Number(now.DayOfYear, 3),
            'u' => Number(((int)now.DayOfWeek + 6) % 7 + 1, 1),
            'w' => Number((int)now.DayOfWeek, 1),
            'U' => Number((now.DayOfYear + 6 - (int)now.DayOfWeek) / 7, 2),
            'W' => Number((now.DayOfYear + 6 - ((int)now.DayOfWeek + 6) % 7) / 7, 2),
            'V' => Number(ISOWeek.GetWeekOfYear(now), 2),
            'G' => Number(ISOWeek.GetYear(now), 1),
            'g' => Number(ISOWeek.GetYear(now) % 100, 2),
            's' => Number(new DateTimeOffset(now).ToUnixTimeSeconds(), 1),
            'p' => Words(now.Hour < 12 ? "AM" : "PM"),
            'P' => Words(now.Hour < 12 ? "am" : "pm"),
            'A' => Words(now.ToString("dddd", CultureInfo.InvariantCulture)),
            'a' => Words(now.ToString("ddd", CultureInfo.InvariantCulture)),
            'B' => Words(now.ToString("MMMM", CultureInfo.InvariantCulture)),
            'b' or 'h' => Words(now.ToString("MMM", CultureInfo.InvariantCulture)),
            'F' => Words(Of(now, "%Y-%m-%d", call)),
            'D' or 'x' => Words(Of(now, "%m/%d/%y", call)),
            'T' or 'X' => Words(Of(now, "%H:%M:%S", call)),
            'R' => Words(Of(now, "%H:%M", call)),
            'r' => Words(Of(now, "%I:%M:%S %p", call)),
            'c' => Words(Of(now, "%a %b %e %H:%M:%S %Y", call)),
            'n' => Words("\n"),
            't' => Words("\t"),
            '%' => Words("%"),
            // The time is told without its zone.
            'z' or 'Z' => Words(""),
            _ => null,
        };

        static (string, int, char)? Number(long value, int digits, char pad = '0') => (value.ToString(CultureInfo.InvariantCulture), digits, pad);

        static (string, int, char)? Words(string value) => (value, 0, ' ');
    }
}
