namespace Rlgf.Rewards;

/// <summary>Scores as bytes, every number whole, for other ranks.</summary>
internal static class ScoreBytes
{
    /// <summary>Writes a score.</summary>
    public static void Write(BinaryWriter writer, RewardScore score)
    {
        writer.Write(score.Total);
        writer.Write(score.Parts.Count);
        foreach (var (name, value) in score.Parts)
        {
            writer.Write(name);
            writer.Write(value);
        }

        writer.Write(score.PerToken?.Length ?? -1);
        foreach (var value in score.PerToken ?? []) writer.Write(value);
        writer.Write(score.Problem is not null);
        if (score.Problem is { } problem) writer.Write(problem);
    }

    /// <summary>Reads a score.</summary>
    public static RewardScore Read(BinaryReader reader)
    {
        var total = reader.ReadDouble();
        var parts = new Dictionary<string, double>();
        for (var left = reader.ReadInt32(); left > 0; left--) parts.Add(reader.ReadString(), reader.ReadDouble());
        var tokens = reader.ReadInt32() is >= 0 and var count ? new float[count] : null;
        for (var t = 0; t < tokens?.Length; t++) tokens[t] = reader.ReadSingle();
        return new(total, parts, tokens) { Problem = reader.ReadBoolean() ? reader.ReadString() : null };
    }
}
