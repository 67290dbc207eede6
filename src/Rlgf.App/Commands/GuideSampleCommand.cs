using System.CommandLine;
using System.Globalization;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Composition;
using Rlgf.Prompts;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Text.Data;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf guide sample</c>: the guide's answers to the training prompts, with what the reward says of them: data for supervised training, the baseline of every guided run.</summary>
internal static class GuideSampleCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var device = CommonOptions.Device();
        var answers = CommonOptions.Number("--answers", 1000, "How many answers. Prompts are taken in the recipe's seeded order, again from the beginning where there are fewer.");
        var output = CommonOptions.Output("{\"prompt\", \"text\", \"ended\", \"tokens\", \"reward\"}");
        var command = new Command("sample", CommonOptions.Describe(
            "Lets a recipe's guide answer its training prompts and scores the answers by its reward. Supervised training learns from the right ones by prompt_column: prompt and filter: reward == 1, " +
            "which is what guided training has to beat.",
            "rlgf guide sample recipes/chain/adaptive.yaml --answers 2000 --output answers.jsonl"))
        {
            recipe, set, device, answers, output,
        };
        command.SetAction(parsed =>
        {
            var (source, target, count) = (parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(output), parsed.GetValue(answers));
            if (count < 1) throw new InputException($"--answers is {count}: ask for at least 1.");
            var read = RecipeOptions.Read<TrainRecipe>(source, RecipeOptions.Changes(parsed, set, device), kinds);
            RowOutput.Require(target, [RecipeOptions.FileOf(source), .. read.Inputs()]);
            RowOutput.RequireNothingUnfinished(target);
            if (read.Guide is null) throw read.Refusal("guide", "the recipe has none to ask: set it");
            return Run(read, count, target, terminal);
        });
        return command;
    }

    private static int Run(TrainRecipe recipe, int count, string output, Terminal terminal)
    {
        using var run = new TrainingRun(recipe, terminal.Error.WriteLine, terminal.Stop);
        var setup = run.Setup;
        var order = new ShuffledOrder(setup.Prompts.Count, setup.Seed);
        var writer = new RolloutWriter(setup.Writer, setup.Policy.Shape, setup.Tokenizer, setup.Guide, setup.Sampling, setup.Seed);
        var plan = new RolloutPlan(Actor.Guide, Actor.Policy, 1, RollInLengths.Limit);
        using var rows = new RowOutput(output, terminal);
        using var progress = new ProgressLine(terminal, "guide sample", "answers", count);
        var (sum, tokens, unanswered) = (0.0, 0L, 0);
        for (var first = 0; first < count; first += setup.RowsPerIteration)
        {
            if (terminal.Stop.IsCancellationRequested) throw rows.Stopped(count);
            var prompts = order.Next(Math.Min(setup.RowsPerIteration, count - first)).Select(row => setup.Prompts[row]).ToArray();
            var asked = writer.RollIn([.. prompts.Select((prompt, i) => new PlannedRow(prompt, plan, first + i) { Number = first + i })], iteration: 0, terminal.Stop);
            var answered = prompts.Zip(asked, (prompt, row) => (Prompt: prompt, row.WholeGuideResponse)).Where(row => row.WholeGuideResponse is not null).ToArray();
            unanswered += prompts.Length - answered.Length;
            Response[] responses = Array.ConvertAll(answered, row => new Response(row.Prompt, writer.TextOf(row.WholeGuideResponse!.Tokens, row.WholeGuideResponse.Ended), row.WholeGuideResponse.Tokens, row.WholeGuideResponse.Ended)
            {
                StandsAlone = setup.Policy.Shape.ReadsPromptApart,
            });
            foreach (var (response, score) in responses.Zip(CheckedScores.Of(setup.Reward, responses, terminal.Stop)))
            {
                rows.Write(new Answer(response.Prompt.Text, response.Text, response.Ended, response.Tokens.Length, score.Return, score.Parts.Count > 0 ? score.Parts : null));
                sum += score.Return;
                tokens += response.Tokens.Length;
            }

            rows.Flush();
            progress.Report(first + prompts.Length, string.Create(CultureInfo.InvariantCulture, $"reward {sum / Math.Max(1, rows.Count):0.000}"));
        }

        rows.Complete();
        progress.Note(string.Create(CultureInfo.InvariantCulture, $"{output}: {rows.Count:#,0} answers of {tokens:#,0} tokens, mean reward {sum / Math.Max(1, rows.Count):0.0000}{(unanswered > 0 ? $"; {unanswered:#,0} were left unanswered" : "")}"));
        return ExitCode.Ok;
    }

    /// <summary>A row of the output.</summary>
    private sealed record Answer(string Prompt, string Text, bool Ended, int Tokens, double Reward, IReadOnlyDictionary<string, double>? Parts);
}
