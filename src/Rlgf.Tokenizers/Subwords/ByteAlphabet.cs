using System.Text;

namespace Rlgf.Tokenizers.Subwords;

/// <summary>GPT-2's spelling of bytes: each of the 256 is one visible character, so that vocabularies can be text files.</summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = MakeCharacters();
    private static readonly Dictionary<char, byte> Bytes = Enumerable.Range(0, 256).ToDictionary(value => Characters[value], value => (byte)value);

    /// <summary>The character that spells a byte.</summary>
    public static char CharacterOf(byte value) => Characters[value];

    /// <summary>Whether a character spells a byte.</summary>
    public static bool Has(char character) => Bytes.ContainsKey(character);

    /// <summary>Spells a text's UTF-8 bytes.</summary>
    public static string Spell(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        var length = Encoding.UTF8.GetBytes(text, bytes);
        return string.Create(length, bytes, static (characters, bytes) =>
        {
            for (var i = 0; i < characters.Length; i++)
                characters[i] = Characters[bytes[i]];
        });
    }

    /// <summary>The bytes that a token spells; those of its own UTF-8 where a character of it isn't in the alphabet, as in a special token with a space.</summary>
    public static byte[] Read(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < token.Length; i++)
        {
            if (!Bytes.TryGetValue(token[i], out bytes[i]))
                return Encoding.UTF8.GetBytes(token);
        }
        return bytes;
    }

    private static char[] MakeCharacters()
    {
        var characters = new char[256];
        var next = 256;
        for (var value = 0; value < 256; value++)
        {
            // Visible characters of Latin-1 spell themselves, all others move up beyond it.
            var visible = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            characters[value] = (char)(visible ? value : next++);
        }
        return characters;
    }
}
