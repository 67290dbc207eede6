using Rlgf.Distributed;
using System.Reflection;

namespace Rlgf.App.Terminals;

/// <summary>Where a command reads and writes: the process's own streams, or a test's. Data goes to <see cref="Out"/>, everything about the work to <see cref="Error"/>.</summary>
internal sealed class Terminal(TextReader input, TextWriter output, TextWriter error)
{
    /// <summary>What the command is called where it is not part of another program.</summary>
    public const string Rlgf = "rlgf";

    /// <summary>What is said of the first Ctrl-C by commands that say nothing of their own.</summary>
    public const string StoppingByDefault = "stopping where nothing is lost";

    /// <summary>What the program is called, in help and in messages that say how to go on.</summary>
    public string Program { get; init; } = Rlgf;

    /// <summary>How this program is started once more, as a process of its own: a file and the arguments that come before the command's.</summary>
    public IReadOnlyList<string> OwnProgram { get; init; } = OfThisProcess();

    /// <summary>Standard input.</summary>
    public TextReader In { get; } = input;

    /// <summary>Standard output: data, tables, help.</summary>
    public TextWriter Out { get; } = output;

    /// <summary>Standard error: progress, warnings, errors.</summary>
    public TextWriter Error { get; } = error;

    /// <summary>Cancelled by the first Ctrl-C: work saves what it has and stops.</summary>
    public CancellationToken Stop { get; init; }

    /// <summary>The processes that were started together; this one alone mostly. Those but the first have streams that nobody sees.</summary>
    public ICommunicator Ranks { get; init; } = OneProcess.Alone;

    /// <summary>Lines about those processes, for a command that uses them.</summary>
    public IReadOnlyList<string> AboutRanks { get; init; } = [];

    /// <summary>Ends all of several processes, with a line that is said once and an exit code; null for a process alone.</summary>
    public Action<string, int>? EndAll { get; init; }

    /// <summary>What is said when the first Ctrl-C, or a signal like it, comes; a command whose work has no steps says what it does.</summary>
    public string Stopping { get; set; } = StoppingByDefault;

    /// <summary>Whether <see cref="Error"/> is a terminal on which a line can be written over; otherwise progress is plain lines, seldom.</summary>
    public bool RewritesLines { get; init; }

    /// <summary>Columns of the terminal; 0 where there is none.</summary>
    public int Width { get; init; }

    /// <summary>Columns that a table on <see cref="Out"/> may have: the terminal's, or 80 where it goes into a file or a pipe.</summary>
    public int OutColumns { get; init; } = 80;

    /// <summary>Columns to wrap help at.</summary>
    public int OutWidth => Width > 0 ? Math.Min(Width, 140) : 120;

    /// <summary>The clock, for rates and times left.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>By <c>dotnet</c> with the program's assembly, where the process was started so; else the process's own file, as which a built program and a tool are started.</summary>
    private static string[] OfThisProcess()
    {
        var file = Environment.ProcessPath ?? throw new PlatformNotSupportedException("the system does not say which file this process was started from");
        var isHost = Path.GetFileNameWithoutExtension(file).Equals("dotnet", StringComparison.OrdinalIgnoreCase);
        return isHost && Assembly.GetEntryAssembly() is { Location: { Length: > 0 } assembly } ? [file, assembly] : [file];
    }
}
