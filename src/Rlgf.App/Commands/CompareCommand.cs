using System.CommandLine;
using Rlgf.App.Report;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Runs;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf compare</c>: several runs and seeds in one table and one report.</summary>
internal static class CompareCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var runs = new Argument<string[]>("runs") { HelpName = "DIR", Description = "Folders of runs, or folders that hold such folders.", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string?>("--output") { HelpName = "DIR", Description = $"Also write {ResultsFolder.ReportName}, {ResultsFolder.TableName} and {ResultsFolder.PicturesName}/ into this folder." };
        var title = new Option<string>("--title") { HelpName = "TEXT", Description = "Title of the report.", DefaultValueFactory = _ => "Comparison" };
        var command = new Command("compare", CommonOptions.Describe(
            "Puts runs into one table: one row for each algorithm and setting, averaged over its seeds, with the paired difference to PPO and to the guide. Of several seeds the mean is taken " +
            "prompt by prompt first; 95 % intervals are then over the held-out prompts, which must be the same in all runs. They say what other prompts could have given with these " +
            "trained models, not what other seeds could have: the report shows how far the seeds lie apart.",
            "rlgf compare runs/imdb-small --output results"))
        {
            runs, output, title,
        };
        command.SetAction(parsed => Run(parsed.GetRequiredValue(runs), parsed.GetValue(output), parsed.GetRequiredValue(title), terminal));
        return command;
    }

    private static int Run(string[] paths, string? output, string title, Terminal terminal)
    {
        var folders = paths.SelectMany(RunsIn).DistinctBy(folder => Path.GetFullPath(folder.Path)).ToArray();
        if (output is not null) Outputs.RequireFolder(output);
        var data = new ReportData(title, [.. folders.Select(ReportRun.Read)]);
        var table = ResultsTable.Of(RunGroup.Of(data.Runs));
        if (table.Algorithms.Count == 0) throw new InputException("none of these runs has been evaluated: set evaluation prompts in their recipes");

        ResultsText.Print(terminal.Out, table, terminal.OutColumns);
        // Where both go into one file, what follows on standard error comes after the table, not into the middle of it.
        terminal.Out.Flush();
        if (output is not null)
        {
            ResultsFolder.Write(output, data);
            terminal.Error.WriteLine($"wrote {Path.Combine(output, ResultsFolder.ReportName)}, {ResultsFolder.TableName} and {ResultsFolder.PicturesName}/ beside it");
        }
        return ExitCode.Ok;
    }

    /// <summary>The folder itself if a run wrote it, else the runs' folders below it, at any depth.</summary>
    private static List<RunFolder> RunsIn(string path)
    {
        if (!Directory.Exists(path)) throw MissingFolder.Fault(path, "give folders that `rlgf train` wrote");
        var folder = new RunFolder(path);
        if (folder.HoldsRun) return [folder];
        var below = Directory.EnumerateDirectories(path, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(p => new RunFolder(p)).Where(f => f.HoldsRun && !f.IsSupervised).ToList();
        return below.Count > 0 ? below : throw new InputException($"{path}: holds no run; give folders that `rlgf train` wrote");
    }
}
