using System.CommandLine;
using System.Text;
using Rlgf.App.Terminals;
using Rlgf.Distributed;
using Rlgf.Distributed.Mpi;
using Rlgf.Models;
using Rlgf.Recipes;

namespace Rlgf.App;

/// <summary>The whole <c>rlgf</c> command line: <c>return await RlgfApp.CreateBuilder(args).Build().RunAsync();</c> is a program.</summary>
public sealed class RlgfApp
{
    private readonly string[] _args;
    private readonly PartKinds _kinds;
    private readonly string _program;

    private readonly IReadOnlyList<Func<Terminal, Command>> _commands;

    internal RlgfApp(string[] args, PartKinds kinds, string program, IReadOnlyList<Func<Terminal, Command>> commands) => (_args, _kinds, _program, _commands) = (args, kinds, program, commands);

    /// <summary>Begins a command line.</summary>
    /// <param name="args">The program's arguments.</param>
    public static RlgfAppBuilder CreateBuilder(string[] args) => new(args);

    /// <summary>Runs the command that the arguments name, on the process's own streams. What goes wrong is one line on standard error.</summary>
    /// <returns>The exit code: 0 done, 1 failed, 2 wrong use, 130 stopped.</returns>
    public async Task<int> RunAsync()
    {
        // The process is this program's own.
        TorchRuntime.TuneProcess();
        var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
        using var input = new StreamReader(StandardStream.Input(), utf8);
        await using var output = new StreamWriter(StandardStream.Output(), new UTF8Encoding(false));
        // Signals are handled on a thread of their own, which writes here too.
        await using var error = TextWriter.Synchronized(new StreamWriter(StandardStream.Error(), new UTF8Encoding(false)) { AutoFlush = true });
        using var several = new SeveralProcesses(error);
        // mpirun's terminal is none that anybody sees: .NET would begin by telling it how its keys should work, and that would stand in logs.
        if (several.WereStarted) Environment.SetEnvironmentVariable("TERM", "dumb");
        using var interrupt = new Interrupt(several.IsFirst ? error : TextWriter.Null, isOneOfSeveral: several.WereStarted);
        try
        {
            several.Begin();
        }
#pragma warning disable CA1031 // As of a command: a line.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            return Failure.Report(failure, new Terminal(TextReader.Null, TextWriter.Null, several.IsFirst ? error : TextWriter.Null));
        }

        var terminal = new Terminal(several.IsFirst ? input : TextReader.Null, several.IsFirst ? output : TextWriter.Null, several.IsFirst ? error : TextWriter.Null)
        {
            Program = _program,
            Ranks = several.Ranks,
            EndAll = several.EndAll,
            AboutRanks = several.About,
            Stop = interrupt.Token,
            RewritesLines = !several.WereStarted && !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb",
            OutColumns = several.WereStarted || Console.IsOutputRedirected ? 80 : Math.Max(40, Console.BufferWidth),
            Width = several.WereStarted || Console.IsErrorRedirected ? 0 : Math.Max(40, Console.BufferWidth),
        };
        interrupt.Stopping = () => !several.WereStarted ? Interrupt.AskedTwice(terminal.Stopping)
            // mpirun asks the others to stop, too, when one was killed.
            : several.HaveLostOne ? null : $"asked to stop: {terminal.Stopping}, while all ranks are there";
        return several.End(CommandLine.Run(_args, terminal, _kinds, _commands));
    }
}
