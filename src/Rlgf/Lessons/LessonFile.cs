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
        RowBytes.WriteList(writer, state.Memory.Rows, row =>
        {
            writer.Write(row.PromptId);
            RowBytes.WriteList(writer, row.Row.Prompt, writer.Write);
            RowBytes.WriteList(writer, row.Row.Response, writer.Write);
            foreach (var set in row.Choices) RowBytes.Write(writer, set);
            foreach (var number in (double[])[row.Reward, row.ReferenceLogProb, row.Level, row.Price]) writer.Write(number);
        });
        foreach (var window in (IReadOnlyList<double>[])[state.Asking.Guide, state.Asking.Policy, state.Asking.GuideTokens, state.Asking.PolicyTokens, state.PolicyRewards, state.Rewards]) RowBytes.WriteList(writer, window, writer.Write);
        writer.Write(state.Guidance.Factor);
        writer.Write(state.Guidance.ExemptFactor);
        RowBytes.WriteList(writer, [.. state.Guidance.Exempt.Order(StringComparer.Ordinal)], writer.Write);
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
            var memory = RowBytes.ReadList(reader, () =>
            {
                var id = reader.ReadString();
                var row = new TokenRow([.. RowBytes.ReadList(reader, reader.ReadInt32)], [.. RowBytes.ReadList(reader, reader.ReadInt32)]);
                var choices = new TokenSet[row.Response.Length];
                for (var t = 0; t < choices.Length; t++) choices[t] = RowBytes.ReadSet(reader);
                return new Lesson(id, row, choices, reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble());
            });
            var (guide, policy) = (RowBytes.ReadList(reader, reader.ReadDouble), RowBytes.ReadList(reader, reader.ReadDouble));
            var (guideTokens, policyTokens) = format == WithoutTokens ? ([], []) : (RowBytes.ReadList(reader, reader.ReadDouble), RowBytes.ReadList(reader, reader.ReadDouble));
            var (policyRewards, rewards) = (RowBytes.ReadList(reader, reader.ReadDouble), RowBytes.ReadList(reader, reader.ReadDouble));
            var (factor, exemptFactor) = (reader.ReadDouble(), reader.ReadDouble());
            return new(new([.. memory]), new(guide, policy) { GuideTokens = guideTokens, PolicyTokens = policyTokens }, policyRewards, rewards, new Guidance(factor)
            {
                ExemptFactor = exemptFactor,
                Exempt = RowBytes.ReadList(reader, reader.ReadString).ToHashSet(StringComparer.Ordinal),
            });
        }
        catch (Exception fault) when (fault is EndOfStreamException or FormatException or ArgumentException)
        {
            throw new InputException($"{path}: the memory of lessons is damaged; resume from another checkpoint.", fault);
        }
    }
}
