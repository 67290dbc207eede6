using Rlgf.Advantages;
using Rlgf.Algorithms;
using Rlgf.Distributed;
using Rlgf.Guides;
using Rlgf.Lessons;
using Rlgf.Models;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Worth;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>
/// One iteration of guided reinforcement learning, the same for every algorithm: plan, prompts, roll in, roll out, score, shape, advantages, update, record.
/// Chang et al., "Learning to Generate Better Than Your LLM" (arXiv 2306.11816), section 4; what the paper leaves open is decided in docs/algorithms.md.
/// </summary>
/// <param name="setup">What the run is given.</param>
/// <param name="critics">The value functions that the algorithm's plans need.</param>
/// <param name="learner">Does the update.</param>
public sealed class GuidedIteration(TrainingSetup setup, Critics critics, Learner learner) : IDisposable
{
    private readonly RolloutWriter _writer = new(setup.Writer, setup.Policy.Shape, setup.Tokenizer, setup.Guide, setup.Sampling, setup.Seed, setup.Ranks);
    private readonly IWritingStage[] _stages = [new FirstStage(setup), .. GateStage.Of(setup), .. setup.LaterStages];
    private readonly SupervisedTexts? _texts = setup.Supervised is { Source: SupervisedSource.References } ? new(setup) : null;
    private readonly bool _asksEarly = AsksEarly(setup);
    private GuideQuestion? _asked;

    /// <summary>Whether an update has begun and not ended: the weights are then between two iterations, and not to be saved.</summary>
    public bool IsUpdating { get; private set; }

    /// <summary>Runs the iteration that the state is at.</summary>
    /// <param name="state">What the iterations before left.</param>
    /// <param name="cancellationToken">
    /// Stops while text is written and scored, when no weight has changed: the state is then still the one to go on from. An update that has begun is finished.
    /// </param>
    public IterationResult Run(TrainingState state, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        var clock = new PhaseClock();
        var (algorithm, iteration, before) = (setup.Algorithm, state.Iteration, state.Lessons);
        var cost = setup.Ranks.Cost;

        // 1. to 5. Plan, prompts, roll in, roll out, score.
        var written = Write(state, clock, cancellationToken);
        var batch = RolloutBatch.From([.. written.Rows.Select(row => row.Rollout)], setup.Policy.Device);
        var scores = written.Scores;

        // 6. Shape: normalised where the recipe says so, and a KL penalty on the tokens that the policy wrote.
        var (policyLogProbs, referenceLogProbs, values) = ReadRows.Of(setup.Ranks, batch, setup.BootstrapCutRows, rows => Read(rows, clock));
        if (setup.NormaliseReward) state = state with { Rewards = state.Rewards.With([.. scores.Select(score => score.Return)]) };
        var rewards = TaskRewards.PerToken(batch, setup.NormaliseReward ? [.. scores.Select(state.Rewards.Normalise)] : scores);
        var penalties = setup.Kl.Placement == KlPlacement.Reward && state.Kl.Coefficient > 0
            ? RewardShaping.Penalties(policyLogProbs, referenceLogProbs, batch.IsPolicy, batch.Lengths, state.Kl.Coefficient, setup.Kl.Estimator!.Value)
            : null;

        // 7. Advantages, by the critic's values; or relative to the group.
        var estimated = EstimatedAdvantages.Of(algorithm, batch, rewards, values, penalties);

        // What was better than expected is remembered, and decides how much the guide is asked next.
        var (worth, sign) = written.Worth?.Measurement is { } measured ? Judged(state, measured) : (state.Worth, null);
        state = state with { Gap = written.Gap, Cuts = written.Cuts, Worth = worth, Lessons = before is null ? null : clock.Time("lessons", () => LessonsAfter(before, written, values)) };

        // Several guides are told what came of what each wrote.
        (setup.Guide as IJudgedGuide)?.Judge(GuideAnswers.Judged(written.Rows), written.GuideTokens);

        // The guide's next roll-ins depend on no weight, and now all else that decides on them is known: one that works elsewhere is asked, where it wasn't before. What it remembers is kept from before that.
        state = state with { Guide = (setup.Guide as IStatefulGuide)?.SaveState() };
        if (!_asksEarly) AskAhead(iteration + 1, state.Guidance, cancellationToken);

        // 8. Update by the sum of the loss's terms: policy loss on what the policy wrote, value loss on the roll-out, credit to the guide where a plan gives any.
        var replay = state.Lessons is { } lessons ? new LessonReplay(setup, critics, lessons, state.Kl.Coefficient, iteration) : null;
        IsUpdating = true;
        var update = clock.Time("update", () => learner.Update(
            new(batch, estimated.Advantages, estimated.Returns, values?.narrow(1, 0, rewards.size(1)), referenceLogProbs, state.Kl.Coefficient, estimated.Penalties)
            {
                Rows = estimated.RowsToLearnFrom(algorithm),
                Weight = setup.Supervised is { Blend: true } supervised ? 1 - supervised.CoefficientAt(iteration, setup.Iterations) : 1,
                Auxiliary = [.. new IAuxiliaryLoss?[] { replay, SupervisedLoss.Of(setup, _texts, batch.Rollouts, iteration) }.OfType<IAuxiliaryLoss>(), .. setup.AuxiliaryLosses],
            }, iteration));

        // 9. Record.
        IsUpdating = false;
        learner.RequireSameWeights();
        if (replay is not null) state = state with { Lessons = state.Lessons! with { Memory = replay.Memory } };
        return IterationResult.From(state, written, setup, batch, policyLogProbs - referenceLogProbs, values, estimated, update, replay, clock.Seconds, setup.Ranks.Cost.Since(cost)) with
        {
            Warnings = [.. new[] { sign?.Message, NothingTaught(before, state.Lessons) }.OfType<string>()],
        };
    }

    /// <summary>Writes and scores the iteration's rows.</summary>
    private WrittenRows Write(TrainingState state, PhaseClock clock, CancellationToken cancellationToken)
    {
        var (algorithm, iteration) = (setup.Algorithm, state.Iteration);
        var (gap, cuts, drawn) = (state.Gap, state.Cuts, 0);
        IReadOnlyList<PlannedRow> firstRows = [];
        IReadOnlyList<GuideAnswer> answers = [];

        // Once for the algorithm, and again for each later stage that has something to write.
        IReadOnlyList<ScoredRow> rows = [];
        List<Rollout> everything = [];
        foreach (var stage in _stages)
        {
            // 1. and 2. Plan: who rolls in, who rolls out, how often. Prompts: the next of the seeded order, each as often as its group is large.
            var toWrite = stage.Draw(iteration, state.Guidance with { Cuts = cuts }, rows);
            PlannedRow[] planned = [.. toWrite.Select((row, i) => row with { Number = drawn + i, SharedWith = drawn + row.SharedWith })];
            if (planned.Length == 0) continue;
            drawn += planned.Length;
            var isFirst = stage == _stages[0];
            if (isFirst) firstRows = planned;

            // 3. and 4. Roll in, roll out. No gradient: text is data here.
            var rollIns = clock.Time("roll_in", () => _writer.RollIn(planned, iteration, isFirst ? _asked : null, cancellationToken));
            if (_asksEarly && isFirst) AskAhead(iteration + 1, state.Guidance, cancellationToken);
            var rollouts = clock.Time("roll_out", () => _writer.RollOut(planned, rollIns, iteration, cancellationToken));

            // 5. Score whole responses; where the algorithm asks, also those that the guide wrote whole, to see how far it is ahead.
            var scored = clock.Time("reward", () => CheckedScores.Of(setup.Reward, [.. rollouts.Select(rollout => rollout.Response)], setup.Ranks, [.. rollouts.Select(rollout => rollout.Group)], cancellationToken));
            ScoredRow[] written = [.. rollouts.Zip(scored, (rollout, score) => new ScoredRow(rollout, score))];
            if (isFirst && algorithm.ComparesAnswers) answers = clock.Time("gap", () => GuideAnswers.Of(written, setup.Reward, WholeText, setup.Ranks, cancellationToken));
            if (isFirst && algorithm.ScaleByGap) gap = gap.Update([.. answers.Select(answer => answer.Reward)], GuideAnswers.OwnRewards(written));
            cuts = cuts?.After(algorithm.CutWithState!, written, algorithm.SuccessReward);
            rows = stage.Join(rows, written);
            everything.AddRange(rollouts);
        }

        // Beside them, where the run asks: what the guide makes of the policy's own beginnings.
        var worth = setup.GuideWorth is { } measures && measures.IsDue(iteration) ? clock.Time("worth", () => Measure(measures, firstRows, rows, iteration, cancellationToken)) : null;
        return new(firstRows, everything, rows, answers, gap, cuts) { Worth = worth };
    }

    private MeasuredWorth Measure(GuideWorthSettings measures, IReadOnlyList<PlannedRow> planned, IReadOnlyList<ScoredRow> rows, int iteration, CancellationToken cancellationToken)
    {
        Prompt[] prompts = [.. planned.DistinctBy(row => row.Group).Select(row => row.Prompt)];
        return new GuideWorthMeasure(setup, _writer).Of(prompts[..measures.Of(prompts.Length)], rows.Average(row => row.Score.Return), iteration, cancellationToken);
    }

    /// <summary>Stops what the guide was asked ahead.</summary>
    public void Dispose() => _asked?.Dispose();

    /// <summary>
    /// Whether nothing that an iteration learns decides on the next roll-ins, so that the guide can work at them all the while: the plan is the schedule's, answers depend on no state, and nobody asks the guide for anything else meanwhile,
    /// who would have to wait behind them.
    /// </summary>
    private static bool AsksEarly(TrainingSetup setup) =>
        setup.Algorithm is { ScaleByGap: false, Lessons: null, CutWithState: null, SwitchAtGap: null, Gate: null } && setup.GuideWorth is null && setup.LaterStages.Count == 0
        && setup.Guide is not IStatefulGuide { AnswersDependOnState: true } && !setup.Phases.Any(phase => phase.RollOut == Actor.Guide);

    private void AskAhead(int iteration, Guidance guidance, CancellationToken cancellationToken)
    {
        _asked?.Dispose();
        _asked = setup.Guide is { IsRemote: true } && iteration < setup.Iterations ? _writer.AskAhead(_stages[0].Draw(iteration, guidance, []), iteration, cancellationToken) : null;
    }

    private string WholeText(Written whole) => _writer.TextOf(whole.Tokens, whole.Ended);

    /// <summary>What the guide is worth with another measurement, and a sign of failure that there is now, which is remembered as said.</summary>
    private (GuideWorth Worth, WorthSign? Sign) Judged(TrainingState state, WorthMeasurement measured)
    {
        var worth = state.Worth!.After(measured, setup.GuideWorth!, setup.Algorithm.SwitchAtGap);
        var sign = WorthSigns.Of(worth, setup.GuideWorth!, setup.Algorithm, state.Iteration + 1, setup.Iterations);
        return (sign is null ? worth : worth with { Said = worth.Said.Add(sign.Name) }, sign);
    }

    private string? NothingTaught(LessonState? before, LessonState? after) => after?.NothingTaught(before!, setup.Algorithm.Lessons!, setup.Phases.Any(phase => phase.NeedsGuide));

    private LessonState LessonsAfter(LessonState before, WrittenRows written, Tensor? values)
    {
        var settings = setup.Algorithm.Lessons!;
        var ofPrompts = settings.Baseline == LessonBaseline.Critic ? Critics.OfPrompts(written.Rows, values!) : null;
        return before.After(settings, written.Rows, written.Answers, ofPrompts, ReferenceLogProbs);
    }

    private double[] ReferenceLogProbs(IReadOnlyList<SampledRow> samples) => [.. Dealt.Of(
        setup.Ranks, [.. Enumerable.Range(0, samples.Count)], rows => TokenLogProbs.OfResponses(setup.Reference, [.. rows.Select(row => samples[row])], setup.Sampling, setup.RowsPerIteration),
        (writer, logProb) => writer.Write(logProb), reader => reader.ReadDouble())];

    /// <summary>What the models say of some rows, with the critic of the actor that rolls out.</summary>
    private ReadRows Read(RolloutBatch batch, PhaseClock clock)
    {
        var states = SharesPass ? clock.Time("values", () => StatesOf(setup.Policy, batch)) : null;
        var (policy, reference) = clock.Time("reference", () => LogProbsToCompare(batch, states));
        var values = !setup.Algorithm.HasCritic ? null
            : clock.Time("values", () => states is null ? critics.Values(batch, setup.Policy, setup.BootstrapCutRows) : critics.Values(batch, states));
        states?.Dispose();
        return new(policy, reference, values);
    }

    /// <summary>
    /// [B, A] float32 each: log π_θ and log π_0 of the policy's tokens under the distribution that was sampled, 0 elsewhere; both computed in one type. What computes in bfloat16 rounds while it writes,
    /// token by token, and no pass over whole rows rounds in the same way: what it said differs by 0.03 nats a response, so it isn't used there, nor where another than the policy itself writes.
    /// </summary>
    private (Tensor Policy, Tensor Reference) LogProbsToCompare(RolloutBatch batch, Tensor? states) => (
        !ReadsPolicy ? batch.LogProbs : states is null ? TokenLogProbs.OfPolicy(setup.ComparedPolicy, batch, setup.Sampling) : TokenLogProbs.OfPolicy(setup.Policy, states, batch, setup.Sampling),
        // As the policy's rows were read, so that the two don't differ by rounding where the models don't differ.
        states is null ? TokenLogProbs.OfPolicy(setup.Reference, batch, setup.Sampling) : TokenLogProbs.OfPolicy(setup.Reference, StatesOf(setup.Reference, batch), batch, setup.Sampling));

    /// <summary>Whether the policy's log-probabilities that are compared with the reference's are read once more rather than those that were found while it wrote.</summary>
    private bool ReadsPolicy => !ReferenceEquals(setup.Writer.LogProbsOf, setup.Policy) || PrecisionOfModels.PrecisionOf(setup.Policy) != Precision.Float32;

    /// <summary>Whether one pass of the policy gives both its log-probabilities and the states that the critics' heads read. Where rows are valued behind their last token too, they are read with one more.</summary>
    private bool SharesPass => ReadsPolicy && setup is { Algorithm.HasCritic: true, CriticSharing: CriticSharing.SharedTrunk, BootstrapCutRows: false } && ReferenceEquals(setup.ComparedPolicy, setup.Policy);

    /// <summary>[B, A, D]: a model's states of all rows; constants.</summary>
    private static Tensor StatesOf(ILanguageModel model, RolloutBatch batch)
    {
        using var noGradient = no_grad();
        return model.ResponseStates(batch.TokenRows);
    }
}
