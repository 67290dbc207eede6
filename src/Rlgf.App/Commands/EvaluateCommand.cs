using System.CommandLine;
using System.Globalization;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Composition;
using Rlgf.Evaluation;
using Rlgf.Models.Loading;
using Rlgf.Recipes;
using Rlgf.Statistics;
using Rlgf.Training;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf evaluate</c>: lets a model answer a recipe's held-out prompts and measures the answers.</summary>
internal static class EvaluateCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var model = new Option<string?>("--model") { HelpName = "DIR", Description = "The model to evaluate, such as the policy folder of a checkpoint. Without it, of a run the policy of its newest checkpoint, of a recipe the starting model." };
        var start = new Option<bool>("--start") { Description = "Evaluate the model that the recipe starts from, of a run too." };
        var guide = new Option<bool>("--guide") { Description = "Evaluate the recipe's guide instead of a model." };
        var output = new Option<string?>("--output") { HelpName = "FILE", Description = "Also write one row for each prompt, with its response and scores, as JSON lines; - is standard output." };
        var command = new Command("evaluate", CommonOptions.Describe(
            "Lets a model answer the held-out prompts of a recipe and measures the answers: reward, judge, KL to the start, perplexity under the start, distinct-2, length. " +
            "A mean over the prompts has its 95 % interval beside it. The prompts and the random numbers are the same each time, so that results can be compared row by row.",
            "rlgf evaluate runs/quickstart-ppo"))
        {
            recipe, set, model, start, guide, output,
        };
        command.SetAction(parsed =>
        {
            var (folder, isStart, isGuide) = (parsed.GetValue(model), parsed.GetValue(start), parsed.GetValue(guide));
            if (new[] { folder is not null, isStart, isGuide }.Count(isGiven => isGiven) > 1) throw new UsageException("--model, --start and --guide exclude each other: a command evaluates one of them");
            var source = parsed.GetRequiredValue(recipe);
            var read = RecipeOptions.Read<TrainRecipe>(source, parsed.GetValue(set)!, kinds);
            if (folder is null && !isStart && !isGuide && RecipeOptions.RunOf(source) is { } run)
            {
                folder = CheckpointFolder.NewestPolicy(run.CheckpointsFolder)?.Path
                    ?? throw new InputException($"{run.Path}: the run has no checkpoint yet, so there is no trained policy to evaluate; --start evaluates the model that it starts from");
            }

            var target = parsed.GetValue(output);
            if (target is not null) RowOutput.Require(target, [RecipeOptions.FileOf(source), .. read.Inputs()]);
            return Run(read, folder, isGuide, target, terminal);
        });
        return command;
    }

    private static int Run(TrainRecipe recipe, string? modelFolder, bool isGuide, string? output, Terminal terminal)
    {
        using var run = new TrainingRun(recipe);
        var evaluator = run.Evaluator ?? throw recipe.Refusal("data.evaluation_path", "the recipe has no held-out prompts: set it");
        EvaluationRecord record;
        string measured;
        if (isGuide)
        {
            measured = $"the guide, {run.Setup.Guide?.Name}";
            record = evaluator.Evaluate(run.Setup.Guide ?? throw recipe.Refusal("guide", "the recipe has none to evaluate"), terminal.Stop);
        }
        else if (modelFolder is null)
        {
            measured = $"the starting model, {recipe.Model.Path}";
            record = evaluator.Evaluate(0, run.Policy.Model, terminal.Stop);
        }
        else
        {
            measured = modelFolder;
            using var other = TextModel.Load(modelFolder);
            if (!Guides.LocalModelGuide.HaveSameVocabulary(other.Tokenizer, run.Policy.Tokenizer))
            {
                throw new InputException($"{modelFolder}: its tokenizer is not that of the recipe's model, so prompts and KL would not be the same; make a recipe for it");
            }

            record = evaluator.Evaluate(0, other.Model, terminal.Stop);
        }

        if (output is not null)
        {
            using var writer = new RowOutput(output, terminal);
            foreach (var row in record.Rows) writer.Write(row);
            writer.Complete();
        }

        // With rows on standard output, the means go where they don't mix.
        var table = output == "-" ? terminal.Error : terminal.Out;
        table.WriteLine($"{"model",-24}{measured}");
        table.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{"prompts",-24}{record.Rows.Count,12}"));
        // What there is none of has no line: a judge's score without a judge, the KL of a guide.
        foreach (var (name, value) in record.Metrics.Where(metric => !double.IsNaN(metric.Value)))
        {
            var half = Evaluator.Values(name, record.Rows) is { } values ? Interval.OfMean(values).HalfWidth : double.NaN;
            table.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-24}{Rounded(value),12:0.0000}{(double.IsFinite(half) ? $" ± {Rounded(half):0.0000}" : "")}"));
        }

        return ExitCode.Ok;
    }

    // What rounds to zero has no sign.
    private static double Rounded(double value) => Math.Round(value, 4) == 0 ? 0 : value;
}
