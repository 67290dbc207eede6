using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Text.Tasks;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf task chain</c>: compositional problems as data.</summary>
internal static class TaskChainCommand
{
    private static readonly Dictionary<string, ChainSkill> Skills = new(StringComparer.Ordinal) { ["sums"] = ChainSkill.Sums, ["parities"] = ChainSkill.Parities, ["carries"] = ChainSkill.Carries };

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var skill = new Option<string>("--skill")
        {
            HelpName = "NAME", DefaultValueFactory = _ => "sums",
            Description = "What a link adds: sums (modulo 10, of digits), parities (of bits), carries (of two numbers added up, last digit first).",
        };
        skill.AcceptOnlyFromAmong([.. Skills.Keys]);
        var length = CommonOptions.Number("--length", 6, "Links of a problem: digits, or bits.");
        var rows = CommonOptions.Number("--rows", 8000, "How many problems, each another one.");
        var skip = CommonOptions.Number("--skip", 0, "How many of the seed's problems to leave out before: --rows 400 --skip 8000 are 400 that are not among its first 8,000.");
        var seed = CommonOptions.Number<ulong>("--seed", 0, "Which problems.");
        var output = CommonOptions.Output("{\"prompt\", \"answer\"}");
        var command = new Command("chain", CommonOptions.Describe(
            "Makes problems whose answer is right only if every link of it is, such as the running sums of digits: 291417= is answered by 212674. Recipes split them by filters: part(prompt, 4) == 0.",
            "rlgf task chain --length 6 --rows 8000 --output chain.jsonl"))
        {
            skill, length, rows, skip, seed, output,
        };
        command.SetAction(parsed => Run(
            Skills[parsed.GetRequiredValue(skill)], parsed.GetValue(length), parsed.GetValue(rows), parsed.GetValue(skip), parsed.GetValue(seed), parsed.GetRequiredValue(output), terminal));
        return command;
    }

    private static int Run(ChainSkill skill, int length, int rows, int skip, ulong seed, string output, Terminal terminal)
    {
        if (length is < 1 or > 1000) throw new InputException($"--length is {length}: a problem has 1 to 1000 links.");
        if (rows < 1) throw new InputException($"--rows is {rows}: ask for at least 1.");
        if (skip < 0 || skip > int.MaxValue - rows) throw new InputException($"--skip is {skip}: it is 0 or more, and with --rows less than 2^31.");
        RowOutput.Require(output);
        var problems = ChainTask.Problems(skill, length, skip + rows, seed).Skip(skip);
        using var writer = new RowOutput(output, terminal);
        foreach (var problem in problems)
        {
            if (terminal.Stop.IsCancellationRequested) throw writer.Stopped(rows);
            writer.Write(problem);
        }

        writer.Complete();
        return ExitCode.Ok;
    }
}
