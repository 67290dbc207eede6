using Rlgf.Guides;
using Rlgf.Models.Generation;

namespace Rlgf.Rollouts;

/// <summary>What was written as bytes, every number whole: for other ranks and for checkpoints.</summary>
internal static class RowBytes
{
    /// <summary>Writes a list.</summary>
    public static void WriteList<T>(BinaryWriter writer, IReadOnlyList<T> items, Action<T> write)
    {
        writer.Write(items.Count);
        foreach (var item in items) write(item);
    }

    /// <summary>Reads a list.</summary>
    public static T[] ReadList<T>(BinaryReader reader, Func<T> read)
    {
        var items = new List<T>();
        for (var left = reader.ReadInt32(); left > 0; left--) items.Add(read());
        return [.. items];
    }

    /// <summary>Writes the tokens that could be drawn.</summary>
    public static void Write(BinaryWriter writer, TokenSet set)
    {
        writer.Write(set.AreOutside);
        WriteList(writer, set.Ids, writer.Write);
    }

    /// <summary>Reads the tokens that could be drawn.</summary>
    public static TokenSet ReadSet(BinaryReader reader) => reader.ReadBoolean() ? TokenSet.Without(ReadList(reader, reader.ReadInt32)) : TokenSet.Among(ReadList(reader, reader.ReadInt32));

    /// <summary>Writes a row that a writer wrote.</summary>
    public static void Write(BinaryWriter writer, GeneratedRow row)
    {
        WriteList(writer, row.Tokens, writer.Write);
        WriteList(writer, row.SampledLogProbs, writer.Write);
        WriteList(writer, row.RawLogProbs, writer.Write);
        writer.Write(row.Ended);
        writer.Write(row.Stopped);
        WriteList(writer, row.Choices, set => Write(writer, set));
    }

    /// <summary>Reads such a row.</summary>
    public static GeneratedRow ReadRow(BinaryReader reader) =>
        new(ReadList(reader, reader.ReadInt32), ReadList(reader, reader.ReadSingle), ReadList(reader, reader.ReadSingle), reader.ReadBoolean())
        {
            Stopped = reader.ReadBoolean(),
            Choices = ReadList(reader, () => ReadSet(reader)),
        };

    /// <summary>Writes a guide's answer; null where it left the row to the policy.</summary>
    public static void Write(BinaryWriter writer, GuideContinuation? answer)
    {
        writer.Write(answer is not null);
        if (answer is null) return;
        writer.Write(answer.Text);
        writer.Write(answer.Ended);
        writer.Write(answer.Tokens is not null);
        if (answer.Tokens is { } tokens) WriteList(writer, tokens, writer.Write);
        writer.Write(answer.By is not null);
        if (answer.By is { } by) writer.Write(by);
    }

    /// <summary>Reads such an answer.</summary>
    public static GuideContinuation? ReadAnswer(BinaryReader reader) => !reader.ReadBoolean() ? null
        : new(reader.ReadString(), reader.ReadBoolean(), reader.ReadBoolean() ? ReadList(reader, reader.ReadInt32) : null) { By = reader.ReadBoolean() ? reader.ReadString() : null };
}
