namespace Rlgf.App.Terminals;

/// <summary>Tells what is unusual about a model's files and was dealt with.</summary>
internal static class LoadingNotes
{
    /// <summary>One line for each note.</summary>
    /// <param name="terminal">Where.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="notes">The notes; mostly none.</param>
    public static void Tell(this Terminal terminal, string folder, IReadOnlyList<string> notes)
    {
        foreach (var note in notes) terminal.Error.WriteLine($"note: {folder}: {note}");
    }
}
