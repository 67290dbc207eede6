using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Statistics;
using Rlgf.Text.Data;
using static TorchSharp.torch;

namespace Rlgf.Composition;

/// <summary>What became of a number of prompts.</summary>
/// <param name="Prompts">Prompts that were answered.</param>
/// <param name="Pairs">Pairs that came of them.</param>
/// <param name="Ties">Prompts whose best and worst answer have rewards that lie no farther apart than the recipe's least difference.</param>
/// <param name="Same">Prompts whose two answers are the same text.</param>
/// <param name="Empty">Prompts of which one of the two answers is empty.</param>
/// <param name="NoneRight">Prompts of which no answer of the guide is right, where pairs are made so.</param>
/// <param name="NoneWrong">Prompts of which no answer of the model is wrong, where pairs are made so.</param>
public sealed record PairCounts(int Prompts, int Pairs, int Ties, int Same, int Empty, int NoneRight, int NoneWrong)
{
    /// <summary>The sum of two.</summary>
    public static PairCounts operator +(PairCounts one, PairCounts other) => new(
        one.Prompts + other.Prompts, one.Pairs + other.Pairs, one.Ties + other.Ties, one.Same + other.Same, one.Empty + other.Empty, one.NoneRight + other.NoneRight, one.NoneWrong + other.NoneWrong);

    /// <summary>Why prompts gave no pair, with how many did; only what was there.</summary>
    public IEnumerable<string> Dropped =>
        from reason in new (int Count, string Why)[] { (Ties, "are ties"), (Same, "have two answers that are the same"), (Empty, "have an empty answer"), (NoneRight, "have no right answer of the guide"), (NoneWrong, "have no wrong answer of the model") }
        where reason.Count > 0
        select FormattableString.Invariant($"{reason.Count} {reason.Why}");
}

/// <summary>
/// Makes pairs as a recipe says it: a model, and a guide where there is one, answer prompts, and a reward orders the answers. The folder gets <c>pairs.jsonl</c>; while they are made the rows are in
/// <c>pairs.unfinished.jsonl</c>, and <c>progress.jsonl</c> has a row of counts for every batch of prompts that is whole. What is drawn is a pure function of the recipe and the prompt's number.
/// </summary>
public static class PairsRun
{
    /// <summary>Keeps the guide's draws apart from the model's ("guide" in ASCII).</summary>
    private const ulong GuidePurpose = 0x6775696465;

    /// <summary>Makes them.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="resume">Go on where the folder's rows end; where there are none, it begins anew.</param>
    /// <param name="tell">Told in lines of what takes time before anything is written; null for nobody.</param>
    /// <param name="done">Told after each batch what there is, and of how many prompts; null for nobody.</param>
    /// <param name="cancellationToken">Stops between tokens; the batch at hand is written again by who goes on.</param>
    /// <returns>What became of all prompts.</returns>
    /// <exception cref="InputException">Something can't be loaded, scored or written, or there is no pair.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; whole batches are saved.</exception>
    public static PairCounts Make(PairsRecipe recipe, bool resume, Action<string>? tell, Action<PairCounts, int>? done, CancellationToken cancellationToken)
    {
        recipe = (PairsRecipe)recipe.Resolved();
        recipe.RequireDevices();
        using var claim = RunClaim.Take(recipe, resume, "rlgf pairs make");
        var folder = new RunFolder(recipe.Output!);
        using var run = new TrainingRun(recipe.AsTraining(), tell, cancellationToken);
        var maker = new Maker(recipe, run);
        var prompts = Math.Min(recipe.Prompts ?? int.MaxValue, run.Setup.Prompts.Count);
        foreach (var note in claim.Notes) tell?.Invoke($"warning: {note}");
        if (recipe.Prompts > prompts) tell?.Invoke($"warning: {recipe.Locations.Say("prompts", FormattableString.Invariant($"there are {prompts} prompts, fewer than {recipe.Prompts}; each is answered once"))}");
        claim.Keep(folder);
        if (!File.Exists(folder.EnvironmentPath)) RunJson.WriteFile(folder.EnvironmentPath, RunEnvironment.Capture());
        var counts = GoOn(folder);
        if (counts.Prompts > prompts) throw recipe.Refusal("prompts", FormattableString.Invariant($"{prompts} are fewer than the {counts.Prompts} that have been answered; pairs can be made of more prompts, not of fewer"));
        var order = new ShuffledOrder(run.Setup.Prompts.Count, recipe.Seed, counts.Prompts);
        while (counts.Prompts < prompts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var rows = order.Next(Math.Min(recipe.PromptsAtOnce, prompts - counts.Prompts));
            var (pairs, batch) = maker.Batch([.. rows.Select(row => run.Setup.Prompts[row])], counts.Prompts, cancellationToken);
            AtomicFile.AppendText(folder.UnfinishedPairsPath, string.Concat(pairs.Select(pair => Line(pair) + "\n")));
            // Last: it says that the rows are whole.
            RowFile.Append(folder.PairProgressPath, RunJson.ToLine(batch));
            counts += batch;
            done?.Invoke(counts, prompts);
        }

        if (counts.Pairs == 0) throw new InputException($"{folder.Path}: no pair came of {counts.Prompts} prompts: {string.Join(", ", counts.Dropped)}; ask for more answers, or look at reward and generation");
        AtomicFile.Complete(folder.UnfinishedPairsPath, folder.PairsPath);
        return counts;
    }

    /// <summary>What the folder has, after rows were cut off that belong to no whole batch.</summary>
    private static PairCounts GoOn(RunFolder folder)
    {
        PairCounts[] batches = [.. RowFile.ReadIfExists(folder.PairProgressPath, RunJson.Parse<PairCounts>)];
        var counts = batches.Aggregate(new PairCounts(0, 0, 0, 0, 0, 0, 0), (sum, batch) => sum + batch);
        // A folder that was complete goes on as one that is not.
        if (File.Exists(folder.PairsPath) && !File.Exists(folder.UnfinishedPairsPath)) File.Copy(folder.PairsPath, folder.UnfinishedPairsPath);
        string[] lines = File.Exists(folder.UnfinishedPairsPath) ? RegularFile.ReadText(folder.UnfinishedPairsPath).Split('\n', StringSplitOptions.RemoveEmptyEntries) : [];
        if (lines.Length < counts.Pairs) throw new InputException($"{folder.UnfinishedPairsPath}: has {lines.Length} rows, and {folder.PairProgressPath} counts {counts.Pairs}; begin anew in another folder");
        // The last line of progress may have been cut by a kill, and would be joined to the next.
        RowFile.Write(folder.PairProgressPath, batches.Select(RunJson.ToLine));
        RowFile.Write(folder.UnfinishedPairsPath, lines.Take(counts.Pairs));
        return counts;
    }

    private static string Line(Dictionary<string, object?> pair) => System.Text.Json.JsonSerializer.Serialize(pair, JsonLines.WriteOptions);

    /// <summary>An answer with its reward.</summary>
    private sealed record Answer(Response Response, double Reward, bool IsGuides);

    private sealed class Maker(PairsRecipe recipe, TrainingRun run)
    {
        private readonly Training.TrainingSetup _setup = run.Setup;
        private readonly RolloutWriter _asker = new(run.Setup.Writer, run.Setup.Policy.Shape, run.Setup.Tokenizer, run.Setup.Guide, run.Setup.Sampling, RandomStream.Combine(run.Setup.Seed, GuidePurpose));

        /// <summary>The pairs of some prompts, as rows.</summary>
        /// <param name="prompts">The prompts.</param>
        /// <param name="first">Number of the first of all that are answered.</param>
        /// <param name="cancellationToken">Stops between tokens.</param>
        public (List<Dictionary<string, object?>> Pairs, PairCounts Counts) Batch(Prompt[] prompts, int first, CancellationToken cancellationToken)
        {
            using var scope = NewDisposeScope();
            var written = Own(prompts, first, cancellationToken).Concat(Guides(prompts, first, cancellationToken)).ToArray();
            var scores = recipe.Locations.Of("reward", () => CheckedScores.Of(_setup.Reward, [.. written.Select(answer => answer.Response)], cancellationToken));
            var answers = Enumerable.Range(0, prompts.Length).Select(_ => new List<Answer>()).ToArray();
            foreach (var (i, (prompt, response, isGuides)) in written.Index()) answers[prompt].Add(new(response, scores[i].Return, isGuides));
            var pairs = new List<Dictionary<string, object?>>();
            var counts = new PairCounts(0, 0, 0, 0, 0, 0, 0);
            for (var prompt = 0; prompt < prompts.Length; prompt++)
            {
                var (pair, became) = Pair(answers[prompt]);
                counts += became with { Prompts = 1 };
                if (pair is { } found) pairs.Add(Row(prompts[prompt], found.Chosen, found.Rejected));
            }

            return (pairs, counts);
        }

        private ((Answer Chosen, Answer Rejected)? Pair, PairCounts Became) Pair(List<Answer> answers)
        {
            var none = new PairCounts(0, 0, 0, 0, 0, 0, 0);
            Answer? chosen, rejected;
            if (recipe.Choose == PairChoice.GuideRightModelWrong)
            {
                var success = recipe.Success ?? 1;
                chosen = answers.Where(answer => answer.IsGuides && answer.Reward >= success).MaxBy(answer => answer.Reward);
                rejected = answers.Where(answer => !answer.IsGuides && answer.Reward < success).MinBy(answer => answer.Reward);
                if (chosen is null) return (null, none with { NoneRight = 1 });
                if (rejected is null) return (null, none with { NoneWrong = 1 });
            }
            else
            {
                (chosen, rejected) = (answers.MaxBy(answer => answer.Reward)!, answers.MinBy(answer => answer.Reward)!);
            }

            // Rewards of models are equal to rounding only.
            if (chosen.Reward - rejected.Reward <= recipe.LeastDifference || Spread.IsNone([chosen.Reward, rejected.Reward])) return (null, none with { Ties = 1 });
            if (chosen.Response.Text == rejected.Response.Text) return (null, none with { Same = 1 });
            if (string.IsNullOrWhiteSpace(chosen.Response.Text) || string.IsNullOrWhiteSpace(rejected.Response.Text)) return (null, none with { Empty = 1 });
            return ((chosen, rejected), none with { Pairs = 1 });
        }

        private IEnumerable<(int Prompt, Response Response, bool IsGuides)> Own(Prompt[] prompts, int first, CancellationToken cancellationToken)
        {
            var requests = prompts.SelectMany((prompt, i) => Enumerable.Range(0, recipe.Answers).Select(answer =>
                new GenerationRequest(new TokenRow(prompt.Tokens, []), ((ulong)(first + i) * (ulong)recipe.Answers) + (ulong)answer))).ToArray();
            var rows = CheckedRows.Of(_setup.EvaluationWriter, requests, _setup.Sampling, _setup.Seed, cancellationToken);
            return rows.Select((row, i) => (i / recipe.Answers, ResponseOf(prompts[i / recipe.Answers], row.Tokens, row.Ended), false));
        }

        private IEnumerable<(int Prompt, Response Response, bool IsGuides)> Guides(Prompt[] prompts, int first, CancellationToken cancellationToken)
        {
            if (_setup.Guide is null) return [];
            var each = recipe.GuideAnswers ?? 1;
            var plan = new RolloutPlan(Actor.Guide, Actor.Policy, 1, RollInLengths.Limit);
            var rows = recipe.Locations.Of("guide", () => _asker.RollIn(
                [.. Enumerable.Range(0, prompts.Length * each).Select(i => new PlannedRow(prompts[i / each], plan, (first * each) + i) { Number = (first * each) + i })], iteration: 0, cancellationToken));
            return rows.Select((row, i) => (Prompt: i / each, row.WholeGuideResponse)).Where(row => row.WholeGuideResponse is not null)
                .Select(row => (row.Prompt, ResponseOf(prompts[row.Prompt], row.WholeGuideResponse!.Tokens, row.WholeGuideResponse.Ended), true));
        }

        private Response ResponseOf(Prompt prompt, int[] tokens, bool ended) =>
            new(prompt, ResponseText.Decode(_setup.Tokenizer, _setup.Policy.Shape, ended ? tokens.AsSpan(..^1) : tokens), tokens, ended) { StandsAlone = _setup.Policy.Shape.ReadsPromptApart };

        private static Dictionary<string, object?> Row(Prompt prompt, Answer chosen, Answer rejected) => new()
        {
            ["prompt"] = prompt.Messages is { } messages ? messages.Select(Message).ToArray() : prompt.Text,
            ["chosen"] = chosen.Response.Text,
            ["rejected"] = rejected.Response.Text,
            ["chosen_reward"] = chosen.Reward,
            ["rejected_reward"] = rejected.Reward,
            ["margin"] = chosen.Reward - rejected.Reward,
            ["chosen_by"] = chosen.IsGuides ? "guide" : "model",
            ["rejected_by"] = rejected.IsGuides ? "guide" : "model",
            ["chosen_ended"] = chosen.Response.Ended,
            ["rejected_ended"] = rejected.Response.Ended,
        };

        private static Dictionary<string, object?> Message(ChatMessage message)
        {
            var row = new Dictionary<string, object?> { ["role"] = message.Role, ["content"] = message.Content };
            foreach (var (key, value) in message.Other) row[key] = value;
            return row;
        }
    }
}
