using System.Buffers;
using System.Text;

namespace Rlgf.Tokenizers.Patterns;

/// <summary>Reads the escapes that mean the same within a character class and outside; the cursor stands behind the backslash.</summary>
internal sealed class EscapeReader(PatternCursor cursor)
{
    /// <summary>The set behind <c>\w</c> and its like as a class has them, or null where another escape comes.</summary>
    public CodePointSet? TrySet(PatternOptions options)
    {
        var name = (cursor.Peek | 0x20) switch { 'w' => "word", 'd' => "digit", 's' => "space", 'h' => "xdigit", _ => null };
        if (name is not null)
            return cursor.Take("") >= 'a' ? options.Posix(name) : options.Posix(name).Complement();
        return TryProperty(options)?.Set;
    }

    /// <summary>What <c>\p{…}</c> names, or null where another escape comes.</summary>
    public (CodePointSet Set, string Name, bool IsNegative)? TryProperty(PatternOptions options)
    {
        if (cursor.Peek is not ('p' or 'P') || cursor.PeekAt(1) != '{')
            return null;
        var isNegative = cursor.Take("") == 'P';
        cursor.Position++;
        if (cursor.TryTake('^'))
            isNegative = !isNegative;
        var start = cursor.Position;
        while (cursor.Peek is not ('}' or '(' or ')' or '{' or '|' or -1))
            cursor.Position++;
        var name = cursor.Since(start);
        if (!cursor.TryTake('}'))
            throw cursor.Error("a property without its closing brace", start);
        var set = options.Property(name) ?? throw cursor.Error($"the property \"{name}\", which Oniguruma does not have", start);
        return (isNegative ? set.Complement() : set, UnicodeProperties.Normalise(name), isNegative);
    }

    /// <summary>A character that is written as a number of its own, or null where another escape comes: <c>\x{…}</c>, <c>\o{…}</c>, <c>\u1234</c>.</summary>
    public int? TryCode()
    {
        var start = cursor.Position;
        if (cursor.Peek is 'x' or 'o' && cursor.PeekAt(1) == '{')
        {
            var numberBase = cursor.Take("") == 'x' ? 16 : 8;
            cursor.Position++;
            var code = cursor.Number(numberBase, numberBase == 16 ? 8 : 11);
            if (code is null)
            {
                cursor.Position = start;
                return null;
            }
            if (cursor.TryTake('}'))
                return Checked(code.Value, start);
            throw cursor.Error(
                cursor.Peek is ' ' or '\n' ? "several code points in one pair of braces, which isn't supported" : "a number without its closing brace", start);
        }
        if (cursor.Peek != 'u' || cursor.PeekAt(1) < 0)
            return null;
        cursor.Position++;
        var digits = cursor.Position;
        var value = cursor.Number(16, 4);
        return cursor.Position - digits == 4 ? Checked(value!.Value, start) : throw cursor.Error("\\u without four hexadecimal digits", start);
    }

    /// <summary>A byte of UTF-8, or null where another escape comes: <c>\xHH</c>, and in octal digits where <paramref name="octal"/> allows it.</summary>
    public int? TryByte(bool octal)
    {
        var start = cursor.Position;
        if (cursor.Peek == 'x' && cursor.PeekAt(1) >= 0 && cursor.PeekAt(1) != '{')
        {
            cursor.Position++;
            return (int)(cursor.Number(16, 2) ?? 0);
        }
        if (!octal || cursor.Peek is < '0' or > '7')
            return null;
        return cursor.Number(8, 3) is { } value and < 256 ? (int)value : throw cursor.Error("an octal number above 377", start);
    }

    /// <summary>The character of several bytes that begins with one, which is read.</summary>
    /// <param name="first">The first byte.</param>
    /// <param name="octal">Whether the others may be in octal digits.</param>
    /// <param name="start">Where the first one's escape begins.</param>
    public int Character(int first, bool octal, int start)
    {
        List<byte> bytes = [(byte)first];
        while (true)
        {
            var status = Rune.DecodeFromUtf8([.. bytes], out var rune, out _);
            if (status == OperationStatus.Done)
                return rune.Value;
            if (status == OperationStatus.InvalidData || !cursor.TryTake('\\') || TryByte(octal) is not { } next)
                throw cursor.Error("bytes that aren't UTF-8", start);
            bytes.Add((byte)next);
        }
    }

    /// <summary>The character that any other escape stands for: a control, or itself.</summary>
    /// <param name="depth">How many escapes this one is part of.</param>
    public int Control(int depth = 0)
    {
        var start = cursor.Position;
        var code = cursor.Take("a backslash at its end");
        switch (code)
        {
            case 'M':
                if (!cursor.TryTake('-'))
                    throw cursor.Error("\\M without a hyphen", start);
                return (Meant() & 0xFF) | 0x80;
            case 'C':
                if (!cursor.TryTake('-'))
                    throw cursor.Error("\\C without a hyphen", start);
                goto case 'c';
            case 'c':
                return cursor.TryTake('?') ? 0x7F : Meant() & 0x9F;
            default:
                return code switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'f' => '\f', 'a' => '\a', 'b' => '\b', 'e' => 0x1B, 'v' => '\v', _ => code };
        }

        int Meant() => !cursor.TryTake('\\') ? cursor.Take("a control character that lacks its letter")
            : depth < 3 ? Control(depth + 1)
            : throw cursor.Error("escapes within escapes within escapes", start);
    }

    private int Checked(long code, int start) =>
        code < CodePointSet.End ? (int)code : throw cursor.Error("a number beyond Unicode's characters, which isn't supported", start);
}
