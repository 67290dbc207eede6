using Rlgf.Base;
using Rlgf.Distributed;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Text.Metrics;
using Rlgf.Tokenizers;
using static TorchSharp.torch;

namespace Rlgf.Evaluation;

/// <summary>Lets a model or a guide answer held-out prompts, and measures the answers. The same prompts and random numbers each time, so that results can be paired.</summary>
public sealed class Evaluator
{
    private const int RowsPerBatch = 64, MostGroups = 20;

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

    /// <summary>The processes among which prompts are dealt; by default this one alone.</summary>
    public ICommunicator Ranks { get; init; } = OneProcess.Alone;

    /// <summary>A column of the prompts' data rows by whose values rewards are also given; null for none.</summary>
    public string? By { get; init; }

    /// <summary>The value of <see cref="By"/> of each prompt, as text; null without such a column.</summary>
    /// <exception cref="InputException">A row lacks the column, or there are more than 20 values.</exception>
    public IReadOnlyList<string>? Groups => field ??= By is not { } column ? null : GroupsBy(column);

    private string[] GroupsBy(string column)
    {
        string[] groups = [.. Prompts.Select(prompt => prompt.Row is not { } row
            ? throw new InputException($"{OwnCode.Place(prompt)} came from no data row, so it has no column '{column}' to give results by")
            : row[column] switch
            {
                string text => text,
                long or double => FormattableString.Invariant($"{row[column]}"),
                bool flag => flag ? "true" : "false",
                _ => throw row.Invalid(column, "results are given by a text, a number, or true and false"),
            })];
        return groups.Distinct().Count() is > MostGroups and var count
            ? throw new InputException($"the column '{column}' has {count} values in the held-out rows; results are given by at most {MostGroups}")
            : groups;
    }

    /// <summary>Evaluates a model, which writes its answers itself.</summary>
    /// <param name="iteration">Iterations of training before it.</param>
    /// <param name="model">The model.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    public EvaluationRecord Evaluate(int iteration, ILanguageModel model, CancellationToken cancellationToken) => Evaluate(iteration, model, new ModelWriter(model), cancellationToken);

    /// <summary>Evaluates a model.</summary>
    /// <param name="iteration">Iterations of training before it.</param>
    /// <param name="model">The model.</param>
    /// <param name="writer">Writes its answers, with the model's weights as they are now.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    public EvaluationRecord Evaluate(int iteration, ILanguageModel model, ITextWriter writer, CancellationToken cancellationToken)
    {
        var rows = Write(writer, Sampling, cancellationToken);
        // What is not drawn token by token has no distribution that could be compared.
        var kl = Sampling.Greedy || Sampling.Beams is not null ? null : Kl(model, writer, rows, Sampling, cancellationToken);
        return Measure(iteration, [.. rows.Select(row => new Written(row.Tokens, row.Ended))], kl, Sampling == RawSampling ? kl : Kl(model, writer, Write(writer, RawSampling, cancellationToken), RawSampling, cancellationToken), cancellationToken);
    }

    /// <summary>
    /// Sampling from the model's own distribution, within the same limit: Σ_t log π − log π_0 of the raw models by responses that are drawn so is the same measure whatever a run's sampling is.
    /// </summary>
    private SamplingSettings RawSampling => new() { MaxNewTokens = Sampling.MaxNewTokens, EndTokens = Sampling.EndTokens, BatchRows = Sampling.BatchRows };

    /// <summary>Σ_t log π − log π_0 for each prompt.</summary>
    private double[] Kl(ILanguageModel model, ITextWriter writer, IReadOnlyList<GeneratedRow> written, SamplingSettings sampling, CancellationToken cancellationToken)
    {
        // What is compared is computed in one type: rounding alone would show as a divergence.
        using var copy = PrecisionOfModels.PrecisionOf(model) == PrecisionOfModels.PrecisionOf(Reference) ? null : PrecisionOfModels.CopyAs(model, PrecisionOfModels.PrecisionOf(Reference));
        // Where it computes in bfloat16, writing token by token rounds otherwise than reading whole rows does, which is how the reference reads them.
        var own = copy is null && ReferenceEquals(writer.LogProbsOf, model) && PrecisionOfModels.PrecisionOf(model) == Precision.Float32 ? [.. written.Select(row => row.SampledLogProbs.Sum(x => (double)x))] : LogProbs(copy ?? model, written, sampling, cancellationToken);
        return [.. LogProbs(Reference, written, sampling, cancellationToken).Select((reference, row) => own[row] - reference)];
    }

    private IReadOnlyList<GeneratedRow> Write(ITextWriter writer, SamplingSettings sampling, CancellationToken cancellationToken) => Write(writer, sampling, Seed, cancellationToken);

    private IReadOnlyList<GeneratedRow> Write(ITextWriter writer, SamplingSettings sampling, ulong seed, CancellationToken cancellationToken) =>
        CheckedRows.Of(writer, [.. Prompts.Select((prompt, row) => new GenerationRequest(new TokenRow(prompt.Tokens, []), (ulong)row))], sampling, seed, Ranks, EachAlone, cancellationToken);

    /// <summary>Every prompt is a group of its own.</summary>
    private int[] EachAlone => [.. Enumerable.Range(0, Prompts.Count)];

    private IReadOnlyList<RewardScore> Scores(IReward reward, Response[] responses, CancellationToken cancellationToken) => CheckedScores.Of(reward, responses, Ranks, EachAlone, cancellationToken);

    /// <summary>Lets a model answer each prompt several times, each time with random numbers of its own, and scores the answers. The first are those of an evaluation.</summary>
    /// <param name="model">The model, which writes its answers itself.</param>
    /// <param name="samples">Answers to each prompt.</param>
    /// <param name="done">Told how many answers there are now; null for nobody.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    /// <exception cref="InputException">Nothing is drawn, so that all answers to a prompt would be the same.</exception>
    public SampledScores Sample(ILanguageModel model, int samples, Action<int>? done, CancellationToken cancellationToken)
    {
        if (samples > 1 && (Sampling.Greedy || Sampling.Beams is not null))
            throw new InputException($"{samples} answers to a prompt would all be the same: evaluation.decoding is {(Sampling.Greedy ? "greedy" : "a beam search")}, which draws nothing; set it to sample");
        var writer = new ModelWriter(model);
        return Sampled(samples, seed => [.. Write(writer, Sampling, seed, cancellationToken).Select(row => new Written(row.Tokens, row.Ended))], done, cancellationToken);
    }

    /// <summary>As <see cref="Sample(ILanguageModel, int, Action{int}, CancellationToken)"/>, of a guide's whole responses.</summary>
    /// <param name="guide">The guide.</param>
    /// <param name="samples">Answers to each prompt.</param>
    /// <param name="done">Told how many answers there are now; null for nobody.</param>
    /// <param name="cancellationToken">Passed on to the guide.</param>
    public SampledScores Sample(IGuide guide, int samples, Action<int>? done, CancellationToken cancellationToken)
    {
        // What a limited guide has left to give is for training.
        guide = LimitedGuide.Within(guide);
        var state = (guide as IStatefulGuide)?.SaveState();
        var scores = Sampled(samples, seed => [.. Ask(guide, seed, cancellationToken).Select(rollout => new Written(rollout.Tokens, rollout.Ended))], done, cancellationToken);
        if (state is not null) ((IStatefulGuide)guide).RestoreState(state);
        return scores;
    }

    private SampledScores Sampled(int samples, Func<ulong, Written[]> write, Action<int>? done, CancellationToken cancellationToken)
    {
        double[][] OfPrompts() => [.. Prompts.Select(_ => new double[samples])];
        var (rewards, judged) = (OfPrompts(), Judge is null ? null : OfPrompts());
        for (var sample = 0; sample < samples; sample++)
        {
            var responses = Responses(write(sample == 0 ? Seed : RandomStream.Combine(Seed, (ulong)sample)));
            Fill(rewards, sample, Scores(Reward, responses, cancellationToken));
            if (judged is not null) Fill(judged, sample, Scores(Judge!, responses, cancellationToken));
            done?.Invoke((sample + 1) * Prompts.Count);
        }

        return new SampledScores(rewards, judged);

        static void Fill(double[][] scores, int sample, IReadOnlyList<RewardScore> of)
        {
            for (var prompt = 0; prompt < scores.Length; prompt++) scores[prompt][sample] = of[prompt].Return;
        }
    }

    /// <summary>
    /// Evaluates a guide's whole responses. It has no log-probabilities, so no KL. What a guide that may decline leaves unanswered is written by the starting model, as in training by the policy, and counted as
    /// <c>guide/unanswered</c>.
    /// </summary>
    /// <param name="guide">The guide.</param>
    /// <param name="cancellationToken">Passed on to the guide.</param>
    public EvaluationRecord Evaluate(IGuide guide, CancellationToken cancellationToken)
    {
        guide = LimitedGuide.Within(guide);
        var state = (guide as IStatefulGuide)?.SaveState();
        var rollouts = Ask(guide, Seed, cancellationToken);
        // An evaluation leaves no trace: a run that goes on doesn't make it again.
        if (state is not null) ((IStatefulGuide)guide).RestoreState(state);
        var record = Measure(0, [.. rollouts.Select(rollout => new Written(rollout.Tokens, rollout.Ended))], null, null, cancellationToken);
        if (!guide.MayDecline) return record;
        return record with { Metrics = new Dictionary<string, double>(record.Metrics) { ["guide/unanswered"] = rollouts.Count(rollout => rollout.GuideDeclined) } };
    }

    /// <summary>The guide's answer to each prompt; what it declines the starting model writes.</summary>
    private Rollout[] Ask(IGuide guide, ulong seed, CancellationToken cancellationToken)
    {
        var writer = new RolloutWriter(new ModelWriter(Reference), Reference.Shape, Tokenizer, guide, Sampling, seed, Ranks);
        var plan = new RolloutPlan(Actor.Policy, Actor.Guide, 0, RollInLengths.Limit);
        return writer.RollOut([.. Prompts.Select((prompt, row) => new PlannedRow(prompt, plan, row) { Number = row })], [.. Prompts.Select(_ => RollInResult.None)], 0, cancellationToken);
    }

    private Response[] Responses(IReadOnlyList<Written> written) => [.. written.Select((w, row) => new Response(
        Prompts[row], ResponseText.Decode(Tokenizer, Reference.Shape, w.Ended ? w.Tokens.AsSpan(..^1) : w.Tokens), w.Tokens, w.Ended)
    {
        StandsAlone = Reference.Shape.ReadsPromptApart,
    })];

    private EvaluationRecord Measure(int iteration, Written[] written, double[]? kl, double[]? rawKl, CancellationToken cancellationToken)
    {
        var responses = Responses(written);
        var rewards = Scores(Reward, responses, cancellationToken);
        var judged = Judge is { } judge ? Scores(judge, responses, cancellationToken) : null;
        var start = StartLogProbs(written, cancellationToken);
        var rows = responses.Select((response, row) => new EvaluationRow(
            response.Prompt.Text, response.Text, response.Tokens.Length, response.Ended, rewards[row].Return, rewards[row].Parts,
            judged?[row].Return ?? double.NaN, kl?[row] ?? double.NaN, start[row], rawKl?[row] ?? double.NaN)
        {
            Messages = MessageRecord.Of(response.Prompt),
            Group = Groups?[row],
        }).ToArray();
        return new(iteration, Means(rows), rows);
    }

    /// <summary>Means over rows, by the names that reports use.</summary>
    public static IReadOnlyDictionary<string, double> Means(IReadOnlyList<EvaluationRow> rows)
    {
        var tokens = rows.Sum(row => row.Tokens);
        double Mean(string metric) => Values(metric, rows)!.Average();
        var means = new Dictionary<string, double>
        {
            ["reward/mean"] = Mean("reward/mean"),
            ["judge/mean"] = Mean("judge/mean"),
            ["kl/start"] = Mean("kl/start"),
            ["kl/raw"] = Mean("kl/raw"),
            ["perplexity/start"] = tokens == 0 ? double.NaN : Math.Exp(-rows.Sum(row => row.StartLogProb) / tokens),
            ["distinct/2"] = NgramDiversity.Of(rows.Select(row => NgramDiversity.Words(row.Response)), 2).Distinct,
            ["response/length"] = Mean("response/length"),
            ["response/ended"] = Mean("response/ended"),
        };
        foreach (var part in rows[0].RewardParts.Keys) means[RewardPart + part] = Mean(RewardPart + part);
        foreach (var group in rows.Select(row => row.Group).OfType<string>().Distinct()) means[RewardBy + group] = Mean(RewardBy + group);
        return means;
    }

    private const string RewardPart = "reward/part/", RewardBy = "reward/by/";

    /// <summary>The rows' values that a metric is the mean of, of one by a group those of its rows; null for one that is no mean over prompts.</summary>
    /// <param name="metric">One of the names of <see cref="Means"/>.</param>
    /// <param name="rows">An evaluation's.</param>
    public static double[]? Values(string metric, IReadOnlyList<EvaluationRow> rows)
    {
        if (metric.StartsWith(RewardBy, StringComparison.Ordinal)) return [.. rows.Where(row => row.Group == metric[RewardBy.Length..]).Select(row => row.Reward)];
        Func<EvaluationRow, double>? value = metric switch
        {
            "reward/mean" => row => row.Reward,
            "judge/mean" => row => row.Judge,
            "kl/start" => row => row.Kl,
            "kl/raw" => row => row.RawKl,
            "response/length" => row => row.Tokens,
            "response/ended" => row => row.Ended ? 1 : 0,
            _ when metric.StartsWith(RewardPart, StringComparison.Ordinal) => row => row.RewardParts[metric[RewardPart.Length..]],
            _ => null,
        };
        return value is null ? null : [.. rows.Select(value)];
    }

    /// <summary>Σ_t log π_0 of each response, of the raw model.</summary>
    private double[] StartLogProbs(Written[] written, CancellationToken cancellationToken) =>
        Sums(written.Length, row => written[row].Tokens.Length, rows => TokenLogProbs.OfRows(Reference, [.. rows.Select(row => new TokenRow(Prompts[row].Tokens, written[row].Tokens))]), cancellationToken);

    /// <summary>Σ_t log π of each response under the distribution that it was drawn from, with a model in the place of the one that drew it.</summary>
    private double[] LogProbs(ILanguageModel model, IReadOnlyList<GeneratedRow> written, SamplingSettings sampling, CancellationToken cancellationToken) => Sums(
        written.Count, row => written[row].Tokens.Length,
        rows => TokenLogProbs.OfRows(model, [.. rows.Select(row => new SampledRow(new TokenRow(Prompts[row].Tokens, written[row].Tokens), written[row].Choices))], sampling), cancellationToken);

    /// <summary>Sums over tokens, some rows at a time; 0 for an empty response.</summary>
    private double[] Sums(int count, Func<int, int> length, Func<int[], Tensor> logProbs, CancellationToken cancellationToken) => [.. Dealt.Of(
        Ranks, [.. Enumerable.Range(0, count)], rows => Sums(rows, length, logProbs, cancellationToken), (writer, sum) => writer.Write(sum), reader => reader.ReadDouble())];

    private static double[] Sums(int[] rows, Func<int, int> length, Func<int[], Tensor> logProbs, CancellationToken cancellationToken)
    {
        var sums = new Dictionary<int, double>();
        foreach (var batch in rows.Where(row => length(row) > 0).Chunk(RowsPerBatch))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var noGradient = no_grad();
            using var scope = NewDisposeScope();
            var values = logProbs(batch).sum(1).cpu().data<float>().ToArray();
            for (var i = 0; i < batch.Length; i++) sums[batch[i]] = values[i];
        }

        return [.. rows.Select(row => sums.GetValueOrDefault(row))];
    }
}
