using System.Text;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Rollouts;

namespace Rlgf.Lessons;

/// <summary>The state of lessons as bytes, for checkpoints: every number whole, so that a run that goes on is the same run.</summary>
internal static class LessonFile
{
    private const string Format = "rlgf lessons 2";

    /// <summary>Before answers' tokens were counted; it is still read.</summary>
    private const string WithoutTokens = "rlgf lessons 1";

    /// <summary>Writes a state.</summary>
    public static void Write(Stream stream, LessonState state)
    {
        using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write(Format);
        Write(writer, state.Memory.Rows, row =>
        {
            writer.Write(row.PromptId);
            Write(writer, row.Row.Prompt, writer.Write);
            Write(writer, row.Row.Response, writer.Write);
            foreach (var set in row.Choices)
            {
                writer.Write(set.AreOutside);
                Write(writer, set.Ids, writer.Write);
            }
            foreach (var number in (double[])[row.Reward, row.ReferenceLogProb, row.Level, row.Price]) writer.Write(number);
        });
        foreach (var window in (IReadOnlyList<double>[])[state.Asking.Guide, state.Asking.Policy, state.Asking.GuideTokens, state.Asking.PolicyTokens, state.PolicyRewards, state.Rewards]) Write(writer, window, writer.Write);
        writer.Write(state.Guidance.Factor);
        writer.Write(state.Guidance.ExemptFactor);
        Write(writer, [.. state.Guidance.Exempt.Order(StringComparer.Ordinal)], writer.Write);
    }

    /// <summary>Reads what <see cref="Write(Stream, LessonState)"/> wrote.</summary>
    /// <exception cref="InputException">The file is of another format or ends too early; names it.</exception>
    public static LessonState Read(string path)
    {
        using var stream = RegularFile.Open(path);
        using var reader = new BinaryReader(stream, Encoding.UTF8);
        try
        {
            var format = reader.ReadString();
            if (format is not (Format or WithoutTokens)) throw new InputException($"{path}: the memory of lessons is of the format '{format}', and this version reads '{Format}': resume with the version that made it.");
            var memory = Read(reader, () =>
            {
                var id = reader.ReadString();
                var row = new TokenRow([.. Read(reader, reader.ReadInt32)], [.. Read(reader, reader.ReadInt32)]);
                var choices = new TokenSet[row.Response.Length];
                for (var t = 0; t < choices.Length; t++) choices[t] = reader.ReadBoolean() ? TokenSet.Without(Read(reader, reader.ReadInt32)) : TokenSet.Among([.. Read(reader, reader.ReadInt32)]);
                return new Lesson(id, row, choices, reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble());
            });
            var (guide, policy) = (Read(reader, reader.ReadDouble), Read(reader, reader.ReadDouble));
            var (guideTokens, policyTokens) = format == WithoutTokens ? ([], []) : (Read(reader, reader.ReadDouble), Read(reader, reader.ReadDouble));
            var (policyRewards, rewards) = (Read(reader, reader.ReadDouble), Read(reader, reader.ReadDouble));
            var (factor, exemptFactor) = (reader.ReadDouble(), reader.ReadDouble());
            return new(new([.. memory]), new(guide, policy) { GuideTokens = guideTokens, PolicyTokens = policyTokens }, policyRewards, rewards, new Guidance(factor)
            {
                ExemptFactor = exemptFactor,
                Exempt = Read(reader, reader.ReadString).ToHashSet(StringComparer.Ordinal),
            });
        }
        catch (Exception fault) when (fault is EndOfStreamException or FormatException or ArgumentException)
        {
            throw new InputException($"{path}: the memory of lessons is damaged; resume from another checkpoint.", fault);
        }
    }

    private static void Write<T>(BinaryWriter writer, IReadOnlyList<T> items, Action<T> write)
    {
        writer.Write(items.Count);
        foreach (var item in items) write(item);
    }

    private static T[] Read<T>(BinaryReader reader, Func<T> read)
    {
        var items = new List<T>();
        for (var left = reader.ReadInt32(); left > 0; left--) items.Add(read());
        return [.. items];
    }
}
