using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Text.Metrics;
using Rlgf.Text.Tokenization;
using static TorchSharp.torch;

namespace Rlgf.Evaluation;

/// <summary>Lets a model or a guide answer held-out prompts, and measures the answers. The same prompts and random numbers each time, so that results can be paired.</summary>
public sealed class Evaluator
{
    private const int RowsPerBatch = 64;

    /// <summary>The held-out prompts.</summary>
    public required IReadOnlyList<Prompt> Prompts { get; init; }

    /// <summary>How responses are drawn.</summary>
    public required SamplingSettings Sampling { get; init; }

    /// <summary>The training reward, without KL.</summary>
    public required IReward Reward { get; init; }

    /// <summary>A score that training never saw; null for none.</summary>
    public IReward? Judge { get; init; }

    /// <summary>The starting model π_0.</summary>
    public required ILanguageModel Reference { get; init; }

    /// <summary>The policy's tokenizer.</summary>
    public required ITokenizer Tokenizer { get; init; }

    /// <summary>Seed of the responses.</summary>
    public ulong Seed { get; init; }

    /// <summary>Evaluates a model.</summary>
    /// <param name="iteration">Iterations of training before it.</param>
    /// <param name="model">The model.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    public EvaluationRecord Evaluate(int iteration, ILanguageModel model, CancellationToken cancellationToken)
    {
        var requests = Prompts.Select((prompt, row) => new GenerationRequest(new TokenRow(prompt.Tokens, []), (ulong)row));
        var rows = TextGenerator.Generate(model, [.. requests], Sampling, Seed, cancellationToken);
        return Measure(iteration, [.. rows.Select(row => new Written(row.Tokens, row.Ended))], [.. rows.Select(row => row.RawLogProbs.Sum(x => (double)x))], cancellationToken);
    }

    /// <summary>Evaluates a guide's whole responses. It has no log-probabilities, so no KL.</summary>
    /// <param name="guide">The guide.</param>
    /// <param name="cancellationToken">Passed on to the guide.</param>
    public EvaluationRecord Evaluate(IGuide guide, CancellationToken cancellationToken)
    {
        var writer = new RolloutWriter(Reference, Tokenizer, guide, Sampling, Seed);
        var plan = new RolloutPlan(Actor.Policy, Actor.Guide, 0, RollInLengths.Limit);
        var rollouts = writer.RollOut(plan, Prompts, [.. Prompts.Select(_ => RollInResult.None)], 0, cancellationToken);
        return Measure(0, [.. rollouts.Select(rollout => new Written(rollout.Tokens, rollout.Ended))], null, cancellationToken);
    }

    private EvaluationRecord Measure(int iteration, Written[] written, double[]? logProbs, CancellationToken cancellationToken)
    {
        var responses = written.Select((w, row) => new Response(
            Prompts[row].Text, ResponseText.Decode(Tokenizer, Reference.Shape, w.Ended ? w.Tokens.AsSpan(..^1) : w.Tokens), w.Tokens, w.Ended, Prompts[row].Row)
        {
            StandsAlone = Reference.Shape.ReadsPromptApart,
        }).ToArray();
        var rewards = CheckedScores.Of(Reward, responses, cancellationToken);
        var judged = Judge is { } judge ? CheckedScores.Of(judge, responses, cancellationToken) : null;
        var start = StartLogProbs(written, cancellationToken);
        var rows = responses.Select((response, row) => new EvaluationRow(
            response.Prompt, response.Text, response.Tokens.Length, response.Ended, rewards[row].Return, rewards[row].Parts,
            judged?[row].Return ?? double.NaN, logProbs is null ? double.NaN : logProbs[row] - start[row], start[row])).ToArray();
        return new(iteration, Means(rows), rows);
    }

    /// <summary>Means over rows, by the names that reports use.</summary>
    public static IReadOnlyDictionary<string, double> Means(IReadOnlyList<EvaluationRow> rows)
    {
        var tokens = rows.Sum(row => row.Tokens);
        var means = new Dictionary<string, double>
        {
            ["reward/mean"] = rows.Average(row => row.Reward),
            ["judge/mean"] = rows.Average(row => row.Judge),
            ["kl/start"] = rows.Average(row => row.Kl),
            ["perplexity/start"] = tokens == 0 ? double.NaN : Math.Exp(-rows.Sum(row => row.StartLogProb) / tokens),
            ["distinct/2"] = NgramDiversity.Of(rows.Select(row => NgramDiversity.Words(row.Response)), 2).Distinct,
            ["response/length"] = rows.Average(row => row.Tokens),
            ["response/ended"] = rows.Average(row => row.Ended ? 1.0 : 0),
        };
        foreach (var part in rows[0].RewardParts.Keys) means[$"reward/part/{part}"] = rows.Average(row => row.RewardParts[part]);
        return means;
    }

    /// <summary>Σ_t log π_0 of each response.</summary>
    private double[] StartLogProbs(Written[] written, CancellationToken cancellationToken)
    {
        var sums = new double[written.Length];
        foreach (var batch in Enumerable.Range(0, written.Length).Where(row => written[row].Tokens.Length > 0).Chunk(RowsPerBatch))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var noGradient = no_grad();
            using var scope = NewDisposeScope();
            TokenRow[] rows = [.. batch.Select(row => new TokenRow(Prompts[row].Tokens, written[row].Tokens))];
            var logProbs = TokenLogProbs.OfRows(Reference, rows).sum(1).cpu().data<float>().ToArray();
            for (var i = 0; i < batch.Length; i++) sums[batch[i]] = logProbs[i];
        }
        return sums;
    }
}
