using System.CommandLine;
using System.Globalization;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Composition;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Statistics;
using Rlgf.Training;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf evaluate</c>: lets a model answer a recipe's held-out prompts and measures the answers.</summary>
internal static class EvaluateCommand
{
    private const double UsualSuccess = 1;

    private const int MostSamples = 1 << 16;

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var device = CommonOptions.Device();
        var model = new Option<string?>("--model") { HelpName = "DIR", Description = "The model to evaluate, such as the policy folder of a checkpoint. Without it, of a run the policy of its newest checkpoint, of a recipe the starting model." };
        var start = new Option<bool>("--start") { Description = "Evaluate the model that the recipe starts from, of a run too." };
        var guide = new Option<bool>("--guide") { Description = "Evaluate the recipe's guide instead of a model." };
        var samples = CommonOptions.OptionalNumber(
            "--samples", "Answers to each prompt, each drawn with random numbers of its own; then measured are the mean reward, pass@k, the expected best of k, and how many prompts are never solved.");
        var success = CommonOptions.OptionalReal("--success", "With --samples: an answer is right whose reward is at least this; 1 by default.");
        var against = new Option<string?>("--against")
        {
            HelpName = "DIR",
            Description = "Also evaluate another model, or the newest policy of another run, on the same prompts, and say how often the first is better (ties count half).",
        };
        var output = new Option<string?>("--output")
        {
            HelpName = "FILE",
            Description = "Also write one row for each prompt, as JSON lines; - is standard output. It has the response and its scores; with --samples the columns of the prompt's data row, how many answers are right, and the difficulty: " +
                "never (0), hard (up to 25 %), easy (from 75 % on), medium between. evaluation.by names such a column, and results are then also given by its values.",
        };
        var command = new Command("evaluate", CommonOptions.Describe(
            "Lets a model answer the held-out prompts of a recipe and measures the answers: reward, judge, KL to the start, perplexity under the start, distinct-2, length. " +
            "A mean over the prompts has its 95 % interval beside it. The prompts and the random numbers are the same each time, so that results can be compared row by row.",
            "rlgf evaluate runs/quickstart-ppo --samples 16 --success 0.9"))
        {
            recipe, set, device, model, start, guide, samples, success, against, output,
        };
        command.SetAction(parsed =>
        {
            var (folder, isStart, isGuide) = (parsed.GetValue(model), parsed.GetValue(start), parsed.GetValue(guide));
            if (new[] { folder is not null, isStart, isGuide }.Count(isGiven => isGiven) > 1) throw new UsageException("--model, --start and --guide exclude each other: a command evaluates one of them");
            var count = parsed.GetValue(samples);
            if (count is < 1 or > MostSamples) throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"--samples {count}: expected 1 to {MostSamples} answers to each prompt"));
            if (count is null && parsed.GetValue(success) is not null) throw new UsageException("--success says which of several answers are right: it needs --samples");
            var source = parsed.GetRequiredValue(recipe);
            var read = RecipeOptions.Read<TrainRecipe>(source, RecipeOptions.Changes(parsed, set, device), kinds);
            if (folder is null && !isStart && !isGuide && RecipeOptions.RunOf(source) is { } run) folder = RecipeOptions.NewestPolicy(run, "evaluate; --start evaluates the model that it starts from");
            var other = parsed.GetValue(against) is { } path ? RecipeOptions.RunOf(path) is { HoldsRun: true } otherRun ? RecipeOptions.NewestPolicy(otherRun, "evaluate") : path : null;
            var target = parsed.GetValue(output);
            if (target is not null) RowOutput.Require(target, [RecipeOptions.FileOf(source), .. read.Inputs()]);
            return Run(new Request(read, folder, isGuide, other, count, parsed.GetValue(success) ?? UsualSuccess, target), terminal);
        });
        return command;
    }

    private static int Run(Request request, Terminal terminal)
    {
        var recipe = request.Recipe;
        using var run = new TrainingRun(recipe, terminal.Error.WriteLine, terminal.Stop);
        var evaluator = run.Evaluator ?? throw recipe.Refusal("data.evaluation_path", "the recipe has no held-out prompts: set it");
        run.RequireHeldOutRows();
        using var own = request.IsGuide ? new Answerer($"the guide, {run.Setup.Guide?.Name}", null, run.Setup.Guide ?? throw recipe.Refusal("guide", "the recipe has none to evaluate"))
            : request.Model is null ? new Answerer($"the starting model, {recipe.Model.Path}", run.Policy.Model)
            : Answerer.Load(request.Model, run);
        using var other = request.Against is null ? null : Answerer.Load(request.Against, run);
        // With rows on standard output, the means go where they don't mix.
        var table = new MeansTable(request.Output == "-" ? terminal.Error : terminal.Out);
        if (request.Samples is { } samples)
        {
            SampledEvaluation.Run(evaluator, own, other, samples, request.Success, request.Output, table, terminal);
            return ExitCode.Ok;
        }

        var record = own.Evaluate(evaluator, terminal.Stop);
        var otherRecord = other?.Evaluate(evaluator, terminal.Stop);
        if (request.Output is not null)
        {
            using var writer = new RowOutput(request.Output, terminal);
            foreach (var row in record.Rows) writer.Write(row);
            writer.Complete();
        }

        table.Text("model", own.Name);
        table.Count("prompts", record.Rows.Count);
        // What there is none of has no line: a judge's score without a judge, the KL of a guide.
        foreach (var (name, value) in record.Metrics.Where(metric => !double.IsNaN(metric.Value)))
            table.Mean(name, value, Evaluator.Values(name, record.Rows) is { } values ? Interval.OfMean(values).HalfWidth : double.NaN);
        if (otherRecord is not null) SampledEvaluation.Compare(SampledScores.Of(record), SampledScores.Of(otherRecord), evaluator.Groups, other!.Name, table);
        return ExitCode.Ok;
    }

    /// <summary>What a command line asks for.</summary>
    private sealed record Request(TrainRecipe Recipe, string? Model, bool IsGuide, string? Against, int? Samples, double Success, string? Output);
}

/// <summary>Who answers: a model, or a guide.</summary>
/// <param name="name">What it is called.</param>
/// <param name="model">The model; null for a guide.</param>
/// <param name="guide">The guide; null for a model.</param>
/// <param name="loaded">What is disposed with it; null for what belongs to the run.</param>
internal sealed class Answerer(string name, ILanguageModel? model, IGuide? guide = null, IDisposable? loaded = null) : IDisposable
{
    /// <summary>What it is called.</summary>
    public string Name => name;

    /// <summary>Loads a model of the recipe's vocabulary.</summary>
    /// <exception cref="InputException">It can't be loaded, or has another tokenizer.</exception>
    public static Answerer Load(string folder, TrainingRun run)
    {
        // Another adapter on the policy's base is as training saw it, on the same memory.
        var precision = LanguageModelFolder.HoldsAdapter(folder) ? PrecisionOfModels.PrecisionOf(run.Policy.Model) : Precision.Float32;
        var other = TextModel.Load(folder, device: run.Policy.Model.Device, precision: precision, sharing: run.Policy.Model);
        if (LocalModelGuide.HaveSameVocabulary(other.Tokenizer, run.Policy.Tokenizer)) return new Answerer(folder, other.Model, null, other);
        other.Dispose();
        throw new InputException($"{folder}: its tokenizer is not that of the recipe's model, so prompts and KL would not be the same; make a recipe for it");
    }

    /// <summary>One answer to each prompt.</summary>
    public EvaluationRecord Evaluate(Evaluator evaluator, CancellationToken stop) => guide is null ? evaluator.Evaluate(0, model!, stop) : evaluator.Evaluate(guide, stop);

    /// <summary>Several answers to each prompt.</summary>
    public SampledScores Sample(Evaluator evaluator, int samples, Action<int> done, CancellationToken stop) =>
        guide is null ? evaluator.Sample(model!, samples, done, stop) : evaluator.Sample(guide, samples, done, stop);

    /// <inheritdoc/>
    public void Dispose() => loaded?.Dispose();
}
