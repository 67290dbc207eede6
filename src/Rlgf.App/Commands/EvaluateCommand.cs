using System.CommandLine;
using System.Globalization;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf evaluate</c>: lets a model answer a recipe's held-out prompts and measures the answers.</summary>
internal static class EvaluateCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var model = new Option<string?>("--model") { HelpName = "DIR", Description = "The model to evaluate, such as the policy folder of a checkpoint. Without it, the recipe's starting model." };
        var guide = new Option<bool>("--guide") { Description = "Evaluate the recipe's guide instead of a model." };
        var output = new Option<string?>("--output") { HelpName = "FILE", Description = "Also write one row for each prompt, with its response and scores, as JSON lines; - is standard output." };
        var command = new Command("evaluate", CommonOptions.Describe(
            "Lets a model answer the held-out prompts of a recipe and measures the answers: reward, judge, KL to the start, perplexity under the start, distinct-2, length. " +
            "The prompts and the random numbers are the same each time, so that results can be compared row by row.",
            "rlgf evaluate recipes/quickstart/ppo.yaml --model runs/quickstart-ppo/checkpoints/iteration-00040/policy"))
        {
            recipe, set, model, guide, output,
        };
        command.SetAction(parsed =>
        {
            var (folder, isGuide) = (parsed.GetValue(model), parsed.GetValue(guide));
            if (folder is not null && isGuide) throw new UsageException("--model and --guide exclude each other: a command evaluates one of them");
            return Run(RecipeOptions.Read<TrainRecipe>(parsed.GetRequiredValue(recipe), parsed.GetValue(set)!), folder, isGuide, parsed.GetValue(output), terminal);
        });
        return command;
    }

    private static int Run(TrainRecipe recipe, string? modelFolder, bool isGuide, string? output, Terminal terminal)
    {
        using var run = new TrainingRun(recipe);
        var evaluator = run.Evaluator ?? throw recipe.Refusal("data.evaluation_path", "the recipe has no held-out prompts: set it");
        EvaluationRecord record;
        if (isGuide)
        {
            record = evaluator.Evaluate(run.Setup.Guide ?? throw recipe.Refusal("guide", "the recipe has none to evaluate"), terminal.Stop);
        }
        else if (modelFolder is null)
        {
            record = evaluator.Evaluate(0, run.Policy.Model, terminal.Stop);
        }
        else
        {
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
        // What there is none of has no line: a judge's score without a judge, the KL of a guide.
        foreach (var (name, value) in record.Metrics.Where(metric => !double.IsNaN(metric.Value)))
        {
            // What rounds to zero has no sign.
            table.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-24}{(Math.Round(value, 4) == 0 ? 0 : value),12:0.0000}"));
        }

        return ExitCode.Ok;
    }
}
