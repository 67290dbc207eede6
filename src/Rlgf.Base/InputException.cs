namespace Rlgf.Base;

/// <summary>
/// Input that can't be used: a file, a setting, a combination of them. The message is one line that says what, where (file, line, key) and what to do;
/// the command line prints it alone, without a stack trace.
/// </summary>
public sealed class InputException : Exception
{
    /// <summary>Creates the exception with a one-line message. Line ends and other control characters, which names from a file may hold, become spaces.</summary>
    public InputException(string message) : base(OneLine(message)) { }

    /// <summary>Creates the exception with a one-line message and what caused it.</summary>
    public InputException(string message, Exception innerException) : base(OneLine(message), innerException) { }

    /// <summary>Creates the exception without a message.</summary>
    public InputException() { }

    private static string OneLine(string message) =>
        message.AsSpan().IndexOfAnyInRange('\0', '\x1F') < 0 ? message : string.Concat(message.ReplaceLineEndings(" ").Select(character => char.IsControl(character) ? ' ' : character));
}
