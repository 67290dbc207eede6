using System.Runtime.InteropServices;
using Rlgf.Base;

namespace Rlgf.App.Terminals;

/// <summary>What the process returns; scripts rely on it.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    public const int Ok = 0;

    /// <summary>The work failed: bad input, a full disk, a defect.</summary>
    public const int Failed = 1;

    /// <summary>The command line makes no sense.</summary>
    public const int WrongUse = 2;

    /// <summary>Stopped by Ctrl-C.</summary>
    public const int Stopped = 130;
}

/// <summary>The command line makes no sense in a way that the parser can't see, such as two options that exclude each other.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>Turns what went wrong into one line and an exit code.</summary>
internal static class Failure
{
    /// <summary>Set to 1, the stack trace of an unexpected error is printed.</summary>
    public const string TraceVariable = "RLGF_TRACE";

    // Operating systems' numbers for a full disk and an exhausted quota; .NET gives the raw number on Unix and an HRESULT on Windows.
    private static readonly int[] DiskFull = [28, 122, unchecked((int)0x80070070), unchecked((int)0x80070027)];

    /// <summary>Prints one line about an exception and gives the exit code for it.</summary>
    public static int Report(Exception exception, Terminal terminal)
    {
        while (exception is AggregateException { InnerException: { } inner })
        {
            exception = inner;
        }

        var trace = Environment.GetEnvironmentVariable(TraceVariable) is "1" or "true";
        if (exception is OperationCanceledException)
        {
            terminal.Error.WriteLine(exception is StoppedException ? exception.Message : "stopped");
            return ExitCode.Stopped;
        }

        if (trace)
        {
            terminal.Error.WriteLine(exception);
        }

        var code = exception is UsageException ? ExitCode.WrongUse : ExitCode.Failed;
        if (terminal.EndAll is { } end) end(Describe(exception), code);
        else terminal.Error.WriteLine(Line(Describe(exception)));
        return code;
    }

    /// <summary>A failure as it is said.</summary>
    public static string Line(string failure) => $"error: {failure}";

    /// <summary>The first line of a text: native libraries append their own stack traces to a message.</summary>
    public static string FirstLine(string text) => text.AsSpan().Trim().ToString().Split('\n', 2)[0].TrimEnd();

    private static string Describe(Exception exception) => exception switch
    {
        InputException or UsageException => FirstLine(exception.Message),
        IOException io when DiskFull.Contains(io.HResult) => $"the disk is full: {FirstLine(io.Message)}; what was written before is kept",
        FileNotFoundException { FileName: { } file } => $"{file}: there is no such file",
        // The system's sentences begin with a capital letter, all others here without.
        UnauthorizedAccessException or IOException when FirstLine(exception.Message) is { Length: > 1 } sentence => char.IsLower(sentence[1]) ? char.ToLowerInvariant(sentence[0]) + sentence[1..] : sentence,
        OutOfMemoryException => "out of memory; use smaller batches",
        DllNotFoundException or TypeInitializationException or NotSupportedException when IsAboutTorch(exception) =>
            "the native tensor library could not be loaded; on Linux it needs a libstdc++ of GCC 10 or newer and a build for this system" + Hint,
        ExternalException when exception.Message.Contains("not enough memory", StringComparison.OrdinalIgnoreCase) => "out of memory; use smaller batches",
        _ => $"unexpected {exception.GetType().Name}: {FirstLine(exception.Message)}{Hint}",
    };

    private static string Hint => $" (set {TraceVariable}=1 and run again for the stack trace)";

    private static bool IsAboutTorch(Exception exception) => exception.ToString().Contains("torch", StringComparison.OrdinalIgnoreCase);
}

/// <summary>Work that stopped on request, with a line that says what is saved and how to go on.</summary>
internal sealed class StoppedException(string message) : OperationCanceledException(message);
