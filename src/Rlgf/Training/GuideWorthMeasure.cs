using Rlgf.Distributed;
using Rlgf.Models.Tensors;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Worth;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>Lets policy and guide finish the same beginnings, and compares what comes of them.</summary>
/// <param name="setup">The run.</param>
/// <param name="writer">Writes for both.</param>
internal sealed class GuideWorthMeasure(TrainingSetup setup, RolloutWriter writer)
{
    /// <summary>Keeps the draws of these rows apart from those of the iteration's own, which are counted from 0.</summary>
    private const int FirstNumber = 1 << 30;

    /// <summary>Measures.</summary>
    /// <param name="prompts">The prompts to measure on.</param>
    /// <param name="trained">The mean reward of the iteration's own rows.</param>
    /// <param name="iteration">From 0.</param>
    /// <param name="cancellationToken">Passed on.</param>
    public MeasuredWorth Of(IReadOnlyList<Prompt> prompts, double trained, int iteration, CancellationToken cancellationToken)
    {
        // Half of the beginnings are the policy's, where the guide can go on from that, and half are empty: where one wrong token loses all, its beginnings are lost for the guide too.
        var byGuide = new RolloutPlan(Actor.Policy, Actor.Guide, setup.Guide!.CanRollOut ? 0.5 : 0, RollInLengths.Inside);
        PlannedRow[] rows = [.. prompts.Select((prompt, i) => new PlannedRow(prompt, byGuide, i) { Number = FirstNumber + i })];
        var beginnings = writer.RollIn(rows, iteration, cancellationToken);
        var guided = writer.RollOut(rows, beginnings, iteration, cancellationToken);
        var own = writer.RollOut([.. rows.Select(row => row with { Plan = byGuide with { RollOut = Actor.Policy } })], beginnings, iteration, cancellationToken);

        // What the guide left unanswered the policy finished: that is no pair.
        int[] paired = [.. Enumerable.Range(0, rows.Length).Where(i => !guided[i].GuideDeclined)];
        var scores = CheckedScores.Of(setup.Reward, [.. paired.Select(i => guided[i].Response), .. paired.Select(i => own[i].Response)], setup.Ranks, [.. paired, .. paired], cancellationToken);
        var returns = scores.Select(score => score.Return).ToArray();
        var measured = paired.Length == 0 ? null : new WorthMeasurement(iteration, returns[..paired.Length], returns[paired.Length..], Nats(paired, guided, beginnings), Nats(paired, own, beginnings), trained);
        var ofPolicy = Enumerable.Range(0, rows.Length).Sum(i => (long)own[i].Tokens.Length + (guided[i].GuideDeclined ? guided[i].Tokens.Length - beginnings[i].Tokens.Length : 0));
        return new(measured, ofPolicy, paired.GroupBy(i => guided[i].GuidedBy ?? "", i => (long)guided[i].Tokens.Length - beginnings[i].Tokens.Length).ToDictionary(parts => parts.Key, parts => parts.Sum()));
    }

    /// <summary>−log π_θ of a token after the beginning, the mean over all.</summary>
    private double Nats(IEnumerable<int> paired, Rollout[] written, RollInResult[] beginnings)
    {
        int[] rows = [.. paired.Where(i => written[i].Tokens.Length > beginnings[i].Tokens.Length)];
        var logProbs = Dealt.Of(setup.Ranks, rows, places => SumsOf([.. places.Select(place => rows[place])], written, beginnings), (writer, sum) => writer.Write(sum), reader => reader.ReadDouble());
        return rows.Length == 0 ? double.NaN : -logProbs.Sum() / rows.Sum(i => written[i].Tokens.Length - beginnings[i].Tokens.Length);
    }

    /// <summary>Σ log π_θ of the tokens after each beginning.</summary>
    private double[] SumsOf(int[] rows, Rollout[] written, RollInResult[] beginnings)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var logProbs = TokenLogProbs.OfRows(setup.Policy, [.. rows.Select(i => written[i].TokenRow)]).to(ScalarType.Float64);
        var (width, of) = ((int)logProbs.size(1), logProbs.HostArray<double>());
        return [.. rows.Select((i, row) => of[((row * width) + beginnings[i].Tokens.Length)..((row * width) + written[i].Tokens.Length)].Sum())];
    }
}

/// <summary>A measurement and what it cost.</summary>
/// <param name="Measurement">The measurement; null where the guide answered nothing.</param>
/// <param name="PolicyTokens">Tokens that the policy wrote for it.</param>
/// <param name="GuideTokens">Tokens that the guide wrote for it, as <see cref="WrittenRows.GuideTokens"/>.</param>
internal sealed record MeasuredWorth(WorthMeasurement? Measurement, long PolicyTokens, IReadOnlyDictionary<string, long> GuideTokens);
