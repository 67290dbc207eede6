using System.Globalization;

namespace Rlgf.Runs;

/// <summary>What a run's checkpoints are called: known to those who write them and to those who only ask whether there are any.</summary>
/// <param name="Prefix">Before the number in a name.</param>
/// <param name="Digits">Digits of the number, at least.</param>
internal sealed record CheckpointNaming(string Prefix, int Digits)
{
    /// <summary>The file that makes a folder a checkpoint.</summary>
    public const string StateFile = "state.json";

    /// <summary>Of reinforcement learning: <c>iteration-00010</c>.</summary>
    public static CheckpointNaming Iterations { get; } = new("iteration-", 5);

    /// <summary>Of supervised training: <c>step-0000500</c>.</summary>
    public static CheckpointNaming Steps { get; } = new("step-", 7);

    /// <summary>The name of a checkpoint.</summary>
    public string NameOf(int number) => Prefix + number.ToString($"D{Digits}", CultureInfo.InvariantCulture);

    /// <summary>The number of a name; null for what is no name of a checkpoint.</summary>
    public int? NumberOf(string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && int.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && NameOf(number) == name ? number : null;

    /// <summary>Numbers that have a folder, in any order.</summary>
    public IEnumerable<int> NumbersIn(string folder) => Directory.Exists(folder) ? Directory.GetDirectories(folder).Select(path => NumberOf(Path.GetFileName(path))).OfType<int>() : [];

    /// <summary>Whether there is any checkpoint in a folder, whole or not.</summary>
    public bool AnyIn(string folder) => NumbersIn(folder).Any(number => HasState(Path.Combine(folder, NameOf(number))));

    /// <summary>Whether a folder of such a name is a checkpoint.</summary>
    public static bool HasState(string path) => File.Exists(Path.Combine(path, StateFile));
}
