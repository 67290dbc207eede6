using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Text.Tasks;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf task</c>: problems whose answers can be checked, as data.</summary>
internal static class TaskCommands
{
    private static readonly Dictionary<string, ChainSkill> Skills = new(StringComparer.Ordinal) { ["sums"] = ChainSkill.Sums, ["parities"] = ChainSkill.Parities, ["carries"] = ChainSkill.Carries };
    private static readonly Dictionary<string, TableQuestion> Questions = new(StringComparer.Ordinal) { ["find"] = TableQuestion.Find, ["order"] = TableQuestion.Order, ["sum"] = TableQuestion.Sum };

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal) => new("task", "Makes problems to learn from.") { Chain(terminal), Table(terminal), Stack(terminal) };

    private static Command Chain(Terminal terminal)
    {
        var skill = Named("--skill", Skills.Keys, "sums", "What a link adds: sums (modulo 10, of digits), parities (of bits), carries (of two numbers added up, last digit first).");
        var length = CommonOptions.Number("--length", 6, "Links of a problem: digits, or bits.");
        return Kind(
            "chain",
            "Makes problems whose answer is right only if every link of it is, such as the running sums of digits: 291417= is answered by 212674. Recipes split them by filters: part(prompt, 4) == 0.",
            "rlgf task chain --length 6 --rows 8000 --output chain.jsonl",
            "{\"prompt\", \"answer\"}",
            [skill, length],
            (parsed, count, seed) => ChainTask.Problems(Skills[parsed.GetRequiredValue(skill)], Within(parsed, length, 1, 1000, "a problem has 1 to 1000 links"), count, seed),
            terminal);
    }

    private static Command Table(Terminal terminal)
    {
        var question = Named("--question", Questions.Keys, "order", "What is asked: find (one cell), order (all names by age), sum (all ages added up).");
        var people = CommonOptions.Number("--people", 4, "Rows of a table.");
        return Kind(
            "table",
            "Makes questions about a table that stands in the prompt: lub 34 mira;kos 21 dena;tev 52 pofa?by age= is answered by kos lub tev.",
            "rlgf task table --people 4 --rows 8000 --output table.jsonl",
            "{\"prompt\", \"answer\"}",
            [question, people],
            (parsed, count, seed) => TableTask.Problems(Questions[parsed.GetRequiredValue(question)], Within(parsed, people, 2, 50, "a table has 2 to 50 people"), count, seed),
            terminal);
    }

    private static Command Stack(Terminal terminal)
    {
        var operators = CommonOptions.Number("--operators", 4, "Operators of a formula.");
        return Kind(
            "stack",
            "Makes formulas that are to be written as programs for a stack: a*(b-3)+c= is answered by ab3-*c+, or by any other program that does the same; a recipe's reward kind stack_program runs them on the row's cases.",
            "rlgf task stack --operators 4 --rows 8000 --output stack.jsonl",
            "{\"prompt\", \"answer\", \"cases\"}",
            [operators],
            (parsed, count, seed) => StackTask.Problems(Within(parsed, operators, 1, 100, "a formula has 1 to 100"), count, seed),
            terminal);
    }

    private static Command Kind(
        string name, string description, string example, string columns, Option[] own, Func<ParseResult, int, ulong, IEnumerable<TaskProblem>> problems, Terminal terminal)
    {
        var rows = CommonOptions.Number("--rows", 8000, "How many problems, each another one.");
        var skip = CommonOptions.Number("--skip", 0, "How many of the seed's problems to leave out before: --rows 400 --skip 8000 are 400 that are not among its first 8,000.");
        var seed = CommonOptions.Number<ulong>("--seed", 0, "Which problems.");
        var output = CommonOptions.Output(columns);
        var command = new Command(name, CommonOptions.Describe(description, example));
        foreach (var option in (Option[])[.. own, rows, skip, seed, output]) command.Add(option);
        command.SetAction(parsed =>
        {
            var (count, before) = (Within(parsed, rows, 1, int.MaxValue, "ask for at least 1"), parsed.GetValue(skip));
            if (before < 0 || before > int.MaxValue - count) throw new InputException($"--skip is {before}: it is 0 or more, and with --rows less than 2^31.");
            return Write(problems(parsed, before + count, parsed.GetValue(seed)).Skip(before), count, parsed.GetRequiredValue(output), terminal);
        });
        return command;
    }

    private static int Write(IEnumerable<TaskProblem> problems, int count, string output, Terminal terminal)
    {
        RowOutput.Require(output);
        using var writer = new RowOutput(output, terminal);
        foreach (var problem in problems)
        {
            if (terminal.Stop.IsCancellationRequested) throw writer.Stopped(count);
            // By what it is: a problem with cases has them in its row.
            writer.Write<object>(problem);
        }

        writer.Complete();
        return ExitCode.Ok;
    }

    private static Option<string> Named(string name, IEnumerable<string> values, string usual, string description)
    {
        var option = new Option<string>(name) { HelpName = "NAME", DefaultValueFactory = _ => usual, Description = description };
        option.AcceptOnlyFromAmong([.. values]);
        return option;
    }

    private static int Within(ParseResult parsed, Option<int> option, int atLeast, int atMost, string rule) =>
        parsed.GetValue(option) is var value && value >= atLeast && value <= atMost ? value : throw new InputException($"{option.Name} is {value}: {rule}.");
}
