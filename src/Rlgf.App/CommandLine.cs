using System.CommandLine;
using System.CommandLine.Help;
using Rlgf.App.Commands;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Recipes;

namespace Rlgf.App;

/// <summary>The `rlgf` command: its commands, and what becomes of their errors.</summary>
internal static class CommandLine
{
    /// <summary>Runs one command line.</summary>
    /// <param name="args">Arguments, without the program's name.</param>
    /// <param name="terminal">Where it reads and writes.</param>
    /// <param name="kinds">The kinds of parts that recipes can name; null for the built-in ones.</param>
    /// <param name="added">Commands that the program brings itself; null for none.</param>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static int Run(string[] args, Terminal terminal, PartKinds? kinds = null, IReadOnlyList<Func<Terminal, Command>>? added = null)
    {
        try
        {
            kinds?.ThrowIfWrong();
            var parsed = Create(terminal, kinds, added).Parse(args, new ParserConfiguration { EnablePosixBundling = false });
            if (WrongUse(parsed, args, terminal.Program) is { } line)
            {
                throw new UsageException(line);
            }

            // Help and the version are said once, by the first.
            if (terminal.Ranks.Size > 1 && parsed.Action == parsed.CommandResult.Command.Action && parsed.CommandResult.Command.Name is not TrainCommand.Name)
                throw new UsageException($"'{PathOf(parsed.CommandResult, terminal.Program)}' runs in one process, and {terminal.Ranks.Size} were started together: leave mpirun or srun out ('{terminal.Program} {TrainCommand.Name}' runs in several)");

            // Exceptions and signals are handled here, not by the library, so that each error is one line and each kind has its exit code.
            var code = parsed.Invoke(new InvocationConfiguration
            {
                Output = terminal.Out,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            });
            terminal.Out.Flush();
            return code;
        }
#pragma warning disable CA1031 // The one place where every exception ends: a user sees a line, not a stack trace.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            FlushIfPossible(terminal.Out);
            return Failure.Report(exception, terminal);
        }
    }

    /// <summary>Rows that were printed before the failure belong to their reader; if they can't be, the failure is still the one to report.</summary>
    private static void FlushIfPossible(TextWriter output)
    {
        try
        {
            output.Flush();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Said by the failure that is being reported.
        }
    }

    /// <summary>The root command with all others below it.</summary>
    public static Command Create(Terminal terminal, PartKinds? kinds = null, IReadOnlyList<Func<Terminal, Command>>? added = null)
    {
        kinds ??= AppKinds.New();
        var root = new Command(terminal.Program, "Tunes text models by reinforcement learning with guided feedback.\n\nExample: rlgf quickstart");
        foreach (var command in All(terminal, kinds).Concat((added ?? []).Select(create => create(terminal))))
        {
            root.Subcommands.Add(command);
        }

        root.Options.Add(new HelpOption { Action = new HelpWithShortList(terminal.OutWidth) });
        root.Options.Add(new VersionOption());
        ShowHelpWithoutAction(root, terminal);
        CallBy(terminal.Program, root);
        return root;
    }

    private static IEnumerable<Command> All(Terminal terminal, PartKinds kinds) =>
    [
        QuickstartCommand.Create(terminal, kinds),
        TrainCommand.Create(terminal, kinds),
        CheckCommand.Create(terminal, kinds),
        EvaluateCommand.Create(terminal, kinds),
        CompareCommand.Create(terminal),
        SweepCommand.Create(terminal, kinds),
        SupervisedCommands.CreateSft(terminal, kinds),
        SupervisedCommands.CreateDpo(terminal, kinds),
        new Command("classifier", "Trains classifiers.") { SupervisedCommands.CreateClassifierTrain(terminal, kinds) },
        new Command("pairs", "Pairs of answers for reward models and DPO.") { PairsMakeCommand.Create(terminal, kinds) },
        new Command("tokenizer", "Trains tokenizers.") { TokenizerTrainCommand.Create(terminal) },
        new Command("guide", "Asks guides.") { GuideSampleCommand.Create(terminal, kinds) },
        CacheCommands.Create(terminal),
        TaskCommands.Create(terminal),
        GenerateCommand.Create(terminal),
        ScoreCommand.Create(terminal),
        MetricsCommand.Create(terminal),
        new Command("reward", "Trains reward models, and asks rewards of recipes.") { SupervisedCommands.CreateRewardTrain(terminal, kinds), RewardScoreCommand.Create(terminal, kinds) },
        TokenizeCommand.Create(terminal),
        FetchCommand.Create(terminal),
        FamiliesCommand.Create(terminal),
        InspectCommand.Create(terminal),
        ConvertCommand.Create(terminal),
        ReferenceCommand.Create(terminal, kinds),
    ];

    /// <summary>Examples name the program that shows them.</summary>
    private static void CallBy(string program, Command command)
    {
        command.Description = command.Description?.Replace(Terminal.Rlgf + " ", program + " ", StringComparison.Ordinal);
        foreach (var child in command.Subcommands) CallBy(program, child);
    }

    /// <summary>A command that only groups others shows its help: there is nothing else that could have been meant.</summary>
    private static void ShowHelpWithoutAction(Command command, Terminal terminal)
    {
        if (command.Action is null)
        {
            command.SetAction(parsed =>
            {
                new HelpWithShortList(terminal.OutWidth).Invoke(parsed);
                return ExitCode.WrongUse;
            });
        }

        foreach (var child in command.Subcommands)
        {
            ShowHelpWithoutAction(child, terminal);
        }
    }

    /// <summary>One line about what is wrong with a command line, or null if nothing is.</summary>
    private static string? WrongUse(ParseResult parsed, string[] args, string program)
    {
        var command = parsed.CommandResult.Command;
        var path = PathOf(parsed.CommandResult, program);
        // The library takes an option that it does not know for a value, and then blames what follows it.
        var known = command.Options.SelectMany(option => option.Aliases.Prepend(option.Name)).Concat(["--help", "-h", "-?"]).ToArray();
        if (parsed.UnmatchedTokens.Count > 0 || TakenAsArguments(parsed.CommandResult).Any(LooksLikeOption))
        {
            var unknown = args.TakeWhile(word => word != "--").Where(LooksLikeOption).Select(word => word.Split('=', ':')[0]).FirstOrDefault(word => !known.Contains(word));
            if (unknown is not null) return $"'{path}' has no option '{unknown}'{Hint(unknown, known.Where(name => name.StartsWith("--", StringComparison.Ordinal)))}; see '{path} --help'";
        }

        if (parsed.UnmatchedTokens is [var unexpected, ..])
        {
            return command.Subcommands.Count > 0 || parsed.CommandResult.Parent is null
                ? $"there is no command '{path} {unexpected}'{Hint(unexpected, command.Subcommands.Select(child => child.Name))}; see '{path} --help'"
                : $"'{path}' does not expect '{unexpected}'; see '{path} --help'";
        }

        // The library lists what is allowed on lines of their own, and begins with a capital letter.
        if (parsed.Errors is not [var first, ..]) return null;
        var message = string.Join(' ', first.Message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).TrimEnd('.');
        return $"{char.ToLowerInvariant(message[0])}{message[1..]}; see '{path} --help'";
    }

    private static string Hint(string word, IEnumerable<string> names) => Spelling.Nearest(word, names) is { } name ? $" (did you mean '{name}'?)" : "";

    private static IEnumerable<string> TakenAsArguments(System.CommandLine.Parsing.CommandResult result) =>
        result.Children.OfType<System.CommandLine.Parsing.ArgumentResult>().SelectMany(argument => argument.Tokens).Select(token => token.Value);

    /// <summary>A dash alone is standard input or output, and a dash before a digit a number.</summary>
    private static bool LooksLikeOption(string word) => word is ['-', '-', _, ..] or ['-', not ('-' or '.' or (>= '0' and <= '9'))];

    private static string PathOf(System.CommandLine.Parsing.CommandResult result, string program) =>
        result.Parent is System.CommandLine.Parsing.CommandResult parent ? $"{PathOf(parent, program)} {result.Command.Name}" : program;
}
