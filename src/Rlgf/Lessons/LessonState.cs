using System.Globalization;
using Rlgf.Rollouts;
using Rlgf.Statistics;

namespace Rlgf.Lessons;

/// <summary>A whole response of the guide, of which a row may have kept the beginning only.</summary>
/// <param name="Rollout">The row that it was written for.</param>
/// <param name="Reward">What it is worth.</param>
public sealed record GuideAnswer(Rollout Rollout, double Reward)
{
    /// <summary>The response.</summary>
    public Written Written => Rollout.WholeGuideResponse!;
}

/// <summary>What lessons carry from one iteration to the next; a checkpoint keeps it. Immutable.</summary>
/// <param name="Memory">The remembered rows.</param>
/// <param name="Asking">What guide and policy taught lately.</param>
/// <param name="PolicyRewards">Rewards of the policy's last whole responses.</param>
/// <param name="Rewards">Rewards of the last rows by anyone.</param>
/// <param name="Guidance">How often the guide is asked in the next iteration. Decided before the update, so that a remote guide can be asked meanwhile.</param>
public sealed record LessonState(LessonMemory Memory, GuideAsking Asking, IReadOnlyList<double> PolicyRewards, IReadOnlyList<double> Rewards, Guidance Guidance)
{
    /// <summary>The beginning of a run.</summary>
    public static LessonState New { get; } = new(LessonMemory.Empty, GuideAsking.Unmeasured, [], [], Guidance.Full);

    /// <summary>s: the standard deviation of the last rewards; 0 where they are equal.</summary>
    public double Spread => Statistics.Spread.IsNone(Rewards) ? 0 : Statistics.Spread.Deviation(Rewards);

    /// <summary>The mean reward of the policy's own last whole responses.</summary>
    public double PolicyMean => PolicyRewards.Count > 0 ? PolicyRewards.Average() : Rewards.DefaultIfEmpty(0).Average();

    /// <summary>
    /// The state after an iteration's rows were scored: means and windows, and the rows to remember. A row's lesson is max(0, R − V(x)); one below a hundredth of s is none.
    /// </summary>
    /// <param name="settings">The rules.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="answers">The guide's whole responses.</param>
    /// <param name="valueOfPrompt">V(x) by the critic of each row's prompt; null for other baselines.</param>
    /// <param name="referenceLogProbs">log π_0(y|x) of rows, in their order.</param>
    public LessonState After(
        LessonSettings settings, IReadOnlyList<ScoredRow> rows, IReadOnlyList<GuideAnswer> answers, Func<Rollout, double>? valueOfPrompt, Func<IReadOnlyList<SampledRow>, double[]> referenceLogProbs)
    {
        var own = rows.Where(row => row.Rollout.IsByPolicyAlone).ToArray();
        var seen = this with
        {
            PolicyRewards = GuideAsking.Last(PolicyRewards, own.Select(row => row.Score.Return), settings.Window),
            Rewards = GuideAsking.Last(Rewards, rows.Select(row => row.Score.Return).Concat(answers.Select(answer => answer.Reward)), settings.Window),
        };
        var (spread, mean) = (seen.Spread, seen.PolicyMean);
        var ownOf = own.ToLookup(row => row.Rollout.Prompt.Id, StringComparer.Ordinal);
        var levels = settings.Baseline == LessonBaseline.Prompt ? ownOf.ToDictionary(group => group.Key, group => group.Average(row => row.Score.Return), StringComparer.Ordinal) : [];
        var before = Memory.Rows.GroupBy(row => row.PromptId, StringComparer.Ordinal).ToDictionary(group => group.Key, group => group.Last().Level, StringComparer.Ordinal);

        double Level(Rollout rollout) => settings.Baseline switch
        {
            LessonBaseline.Critic => valueOfPrompt!(rollout),
            // A response is compared with the others to its prompt: with itself among them, one that is the only one would never be a lesson.
            LessonBaseline.Prompt => ownOf[rollout.Prompt.Id].Where(row => !ReferenceEquals(row.Rollout, rollout)).Select(row => (double?)row.Score.Return).Average() ?? before.GetValueOrDefault(rollout.Prompt.Id, mean),
            _ => mean,
        };
        double Lesson(Rollout rollout, double reward) => spread > 0 && reward - Level(rollout) is var size && size >= LessonSettings.SmallestLesson * spread ? size : 0;

        // Of prompts that hold a lesson already, neither says how the two compare.
        (double, int)[] OfNewPrompts(IEnumerable<(Rollout Rollout, double Reward, int[] Tokens)> given) =>
            [.. from row in given where !before.ContainsKey(row.Rollout.Prompt.Id) select (Lesson(row.Rollout, row.Reward), row.Tokens.Length)];
        var asking = Asking.With(
            OfNewPrompts(answers.Select(answer => (answer.Rollout, answer.Reward, answer.Written.Tokens))), OfNewPrompts(own.Select(row => (row.Rollout, row.Score.Return, row.Rollout.Tokens))), settings.Window);

        var candidates = rows.Select(row => (row.Rollout, row.Rollout.Sample, Reward: row.Score.Return)).Concat(answers.Select(answer => (answer.Rollout, Sample: Whole(answer), answer.Reward)));
        var taught = candidates.Where(row => row.Sample.Row.Response.Length > 0 && Lesson(row.Rollout, row.Reward) > 0).ToArray();
        var reference = taught.Length == 0 ? [] : referenceLogProbs([.. taught.Select(row => row.Sample)]);
        var memory = (levels.Count == 0 ? Memory : Memory.WithLevels(levels)).With(
            taught.Select((row, i) => new Lesson(row.Rollout.Prompt.Id, row.Sample.Row, row.Sample.Choices, row.Reward, reference[i], Level(row.Rollout))), settings.Capacity);
        return seen with
        {
            Memory = memory,
            Asking = asking,
            Guidance = settings.ScalesGuide
                ? new(asking.Factor(settings.Window, settings.GuideTokenPrice)) { Exempt = memory.Prompts, ExemptFactor = LessonSettings.SmallestFactor }
                : Guidance.Full,
        };
    }

    /// <summary>
    /// What is said, once, when the window of whose answers teach is full for the first time and none of them was a lesson; null otherwise. The guide is then asked in full where the policy found no lesson
    /// either, since nothing else can teach, and as seldom as can be where it did.
    /// </summary>
    /// <param name="before">The state before the iteration.</param>
    /// <param name="settings">The rules.</param>
    /// <param name="hasGuide">Whether a guide is asked; otherwise the policy's own answers count.</param>
    internal string? NothingTaught(LessonState before, LessonSettings settings, bool hasGuide)
    {
        var (now, then) = hasGuide ? (Asking.Guide, before.Asking.Guide) : (Asking.Policy, before.Asking.Policy);
        if (now.Count < settings.Window || then.Count >= settings.Window || now.Sum() > 0) return null;
        var answers = $"{(hasGuide ? "the guide's" : "the policy's")} first {now.Count} whole answers";
        if (Asking.Policy.Sum() > 0)
            return $"none of {answers} was better than what the policy is expected to get, and some of the policy's own were: it is asked at {LessonSettings.SmallestFactor.ToString(CultureInfo.InvariantCulture)} of its probability from now on; try a guide that is right more often, or ppo";
        if (Memory.Rows.Length > 0) return null;
        var rewards = Spread == 0 ? FormattableString.Invariant($"all rewards are {PolicyMean:0.###}") : FormattableString.Invariant($"none was above {PolicyMean:0.###}");
        return $"no lesson in {answers}{(hasGuide ? ", nor in the policy's own" : "")}: {rewards}, so that there is nothing to remember{(hasGuide && settings.ScalesGuide ? " and the guide is asked in full" : "")}; "
            + "try a guide that is right more often, a larger generation.max_new_tokens where answers are cut, a reward with steps below the whole, or easier prompts";
    }

    private static SampledRow Whole(GuideAnswer answer)
    {
        var tokens = answer.Written.Tokens;
        return new(new(answer.Rollout.Prompt.Tokens, tokens), [.. Enumerable.Repeat(Models.Generation.TokenSet.All, tokens.Length)]);
    }
}
