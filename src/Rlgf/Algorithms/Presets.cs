using Rlgf.Advantages;
using Rlgf.Losses;
using Rlgf.Rollouts;

namespace Rlgf.Algorithms;

/// <summary>The named algorithms: the paper's five (arXiv 2306.11816, section 4), adaptive guidance, guided methods that came after the paper, and those without a critic.</summary>
public static class Presets
{
    /// <summary>All of them, in the order in which they are shown.</summary>
    public static IReadOnlyList<Preset> All { get; } =
    [
        new("ppo", "PPO", "The policy writes everything.", _ => Ppo()),
        new("ppo_plus_plus", "PPO++", "The guide rolls in, the policy rolls out.", _ => PpoPlusPlus()),
        new("aggrevated", "AggreVaTeD", "The policy rolls in, the guide rolls out.", _ => AggreVaTeD()),
        new("lols", "LOLS", "A coin an iteration between PPO++ and AggreVaTeD.", _ => Lols()),
        new("d2lols", "D²LOLS", "AggreVaTeD first, then PPO++.", switchIteration => D2Lols(switchIteration)),
        new("adaptive", "Adaptive", "PPO++ that remembers what was better than expected until it is learned, and asks the guide as often as that teaches more than the policy's own.", _ => Adaptive()),
        new("adaptive_v1", "Adaptive v1", "PPO++ with credit to the guide, both scaled by the measured gap.", _ => AdaptiveV1()),
        new("dr_po", "DR-PO", "Dataset reset: PPO++ whose roll-ins are the beginnings of the data's references.", _ => DrPo()),
        new("r3", "R³", "Reverse curriculum: responses start at places of the guide's text drawn evenly, some from the prompt.", _ => R3()),
        new("uft", "UFT", "Unified fine-tuning: groups start behind a part of the guide's text that becomes shorter, with a little supervised loss on it, until the switch.", switchIteration => switchIteration > 0 ? Uft(switchIteration) : Uft()),
        new("adaback", "AdaBack", "Groups start behind a share of the guide's text that each prompt lowers by its successes.", _ => AdaBack()),
        new("bread", "BREAD", "Prompts of which no row succeeded are written again from the place in the guide's text at which some rows succeed, found by halving.", _ => Bread()),
        new("ghpo", "GHPO", "Prompts of which no row succeeded are written again behind a quarter, a half, three quarters of the guide's text.", _ => Ghpo()),
        new("hpt", "HPT", "Prompts of which no row succeeded are learned from the guide's text by a supervised loss, the others from the policy's own responses.", _ => Hpt()),
        new("luffy", "LUFFY", "One row of each group is a whole answer of the guide, compared with the policy's own and imitated by a shaped probability.", _ => Luffy()),
        new("grpo", "GRPO", "Groups of responses to a prompt, with their standard deviation.", _ => Grpo()),
        new("rloo", "RLOO", "Groups of responses to a prompt, each against the others.", _ => Rloo()),
        new("dr_grpo", "Dr. GRPO", "GRPO without the two divisions that favour some groups and lengths: by the group's deviation, and by the response's length.", _ => DrGrpo()),
        new("dapo", "DAPO", "GRPO with a wider clip range above, a loss by tokens and groups of equal rewards left out.", _ => Dapo()),
        new("gspo", "GSPO", "GRPO with one ratio for the whole response.", _ => Gspo()),
        new("reinforce_plus_plus", "REINFORCE++", "Whole returns, whitened over the iteration's tokens; no groups and no critic.", _ => ReinforcePlusPlus()),
    ];

    /// <summary>Names that <see cref="Named"/> knows.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(preset => preset.Name)];

    /// <summary>PPO: the policy writes everything.</summary>
    public static AlgorithmSettings Ppo() => new() { Name = "ppo", First = PolicyAlone };

    /// <summary>PPO++: the guide rolls in with probability <paramref name="beta"/>, the policy rolls out and learns on what it wrote.</summary>
    public static AlgorithmSettings PpoPlusPlus(double beta = 0.6) => new() { Name = "ppo_plus_plus", First = GuideRollsIn(beta) };

    /// <summary>AggreVaTeD: the policy rolls in, the guide rolls out; the policy learns on its roll-in how to do better than the guide.</summary>
    public static AlgorithmSettings AggreVaTeD(double beta = 0.8) => new() { Name = "aggrevated", First = GuideRollsOut(beta) };

    /// <summary>LOLS: one coin an iteration between PPO++ (with probability <paramref name="policyProbability"/>) and AggreVaTeD.</summary>
    public static AlgorithmSettings Lols(double policyProbability = 0.8, double beta = 0.8) => new()
    {
        Name = "lols",
        First = GuideRollsIn(beta),
        Second = GuideRollsOut(beta),
        Schedule = PlanSchedule.Coin,
        FirstProbability = policyProbability,
    };

    /// <summary>D²LOLS: AggreVaTeD before <paramref name="switchIteration"/>, then PPO++.</summary>
    public static AlgorithmSettings D2Lols(int switchIteration, double beta = 0.8) => new()
    {
        Name = "d2lols",
        First = GuideRollsOut(beta),
        Second = GuideRollsIn(beta),
        Schedule = PlanSchedule.Switch,
        SwitchIteration = switchIteration,
    };

    /// <summary>Adaptive guidance: PPO++ with a memory of lessons, asking the guide as often as it teaches.</summary>
    public static AlgorithmSettings Adaptive(double beta = 0.9) => new()
    {
        Name = "adaptive",
        First = GuideRollsIn(beta) with { Lengths = RollInLengths.Limit },
        Lessons = new(),
    };

    /// <summary>Adaptive guidance, version one: PPO++ with credit to the guide, both scaled by the measured gap.</summary>
    public static AlgorithmSettings AdaptiveV1(double beta = 0.5, double credit = 2) => new()
    {
        Name = "adaptive_v1",
        First = GuideRollsIn(beta) with { Lengths = RollInLengths.Limit },
        GuideCredit = credit,
        ScaleByGap = true,
    };

    /// <summary>
    /// DR-PO, "dataset reset" (Chang et al. 2024, arXiv 2404.08495): responses start inside a reference of their row with probability <paramref name="beta"/>, 1 as released. PPO++ with the references as guide.
    /// </summary>
    public static AlgorithmSettings DrPo(double beta = 1) => new() { Name = "dr_po", First = GuideRollsIn(beta), NeedsReferences = true };

    /// <summary>
    /// R³, the reverse curriculum (Xi et al. 2024, arXiv 2402.05808), all stages mixed: a share <paramref name="beta"/> of responses starts behind a share of the guide's text drawn evenly. Its stages are a schedule of
    /// the cut.
    /// </summary>
    public static AlgorithmSettings R3(double beta = 0.757) => new() { Name = "r3", First = GuideGives(beta, new() { Rule = CutRule.Window }) };

    /// <summary>
    /// UFT (Liu et al. 2025, arXiv 2505.16984): each group starts behind k of 5 parts of the guide's text, k binomial with a probability that falls from 0.95 to 0.05 along a cosine until the switch, 300 as
    /// released, after which nothing is given; a supervised loss of weight 0.001 falls on what is given.
    /// </summary>
    public static AlgorithmSettings Uft(int switchIteration = 300, int groupSize = 4) => Grpo(groupSize) with
    {
        Name = "uft",
        First = GuideGives(1, new()
        {
            Rule = CutRule.Binomial, Chunks = 5, Probability = 0.95, FinalProbability = 0.05, Schedule = CutSchedule.Cosine, Iterations = switchIteration,
        }),
        Second = PolicyAlone,
        Schedule = PlanSchedule.Switch,
        SwitchIteration = switchIteration,
        RollInScope = RollInScope.Group,
        GuideCredit = 0.001,
        GuideCreditWeight = GuideCreditWeight.One,
    };

    /// <summary>AdaBack (Amani et al. 2025, arXiv 2506.18110): each group starts behind a share of the guide's text from the prompt's own interval, which its successes move towards nothing.</summary>
    public static AlgorithmSettings AdaBack(int groupSize = 8) => Grpo(groupSize) with
    {
        Name = "adaback",
        First = GuideGives(1, new() { Rule = CutRule.Interval }),
        RollInScope = RollInScope.Group,
    };

    /// <summary>BREAD (Zhang et al. 2025, arXiv 2506.17211): GRPO that, where a whole group fails, halves its way to the beginning of the guide's text from which some rows succeed, and trains on the rows from there.</summary>
    public static AlgorithmSettings Bread(int groupSize = 8) => Grpo(groupSize) with { Name = "bread", Gate = new(new CutSettings { Rule = CutRule.Bisect }.Over(null), Rounds: 4) };

    /// <summary>GHPO (Liu et al. 2025): GRPO that, where a whole group fails, writes it again behind 1/4, then 1/2, then 3/4 of the guide's text.</summary>
    public static AlgorithmSettings Ghpo(int groupSize = 8) => Grpo(groupSize) with { Name = "ghpo", Gate = new(new CutSettings { Rule = CutRule.Ladder }.Over(null), Rounds: 3) };

    /// <summary>
    /// HPT, hybrid post-training (Lv et al. 2025, arXiv 2509.04419): Dr. GRPO where a row of the group succeeds; where none does, the group is the guide's whole text with a supervised loss of weight 1 on it. The
    /// policy writes no more than its end.
    /// </summary>
    public static AlgorithmSettings Hpt(int groupSize = 8) => DrGrpo(groupSize) with
    {
        Name = "hpt",
        Gate = new(new CutSettings { Rule = CutRule.Window, Low = 1, High = 1 }.Over(null)),
        GuideCredit = 1,
        GuideCreditWeight = GuideCreditWeight.One,
    };

    /// <summary>
    /// LUFFY (Yan et al. 2025, arXiv 2504.14945): Dr. GRPO without a clip, one of the group's rows being a whole answer of the guide, whose tokens are learned from with the row's advantage through p / (p + γ), γ = 0.1.
    /// </summary>
    public static AlgorithmSettings Luffy(int groupSize = 8, int guideRows = 1) => DrGrpo(groupSize) with
    {
        Name = "luffy",
        GuideRows = guideRows,
        PolicyLoss = new() { Reduction = LossReduction.MaxLength, ClipRange = NoClip },
        GuideCredit = 1,
        GuideCreditWeight = GuideCreditWeight.Signed,
        GuideCreditShape = GuideCreditShape.Shaped,
    };

    /// <summary>GRPO: several responses to a prompt, each relative to its group.</summary>
    public static AlgorithmSettings Grpo(int groupSize = 8) => Ppo() with { Name = "grpo", Advantage = AdvantageEstimator.Grpo, GroupSize = groupSize, Groups = new() { Scaling = GroupScaling.GroupDeviation } };

    /// <summary>RLOO: several responses to a prompt, each relative to the others.</summary>
    public static AlgorithmSettings Rloo(int groupSize = 4) => Ppo() with { Name = "rloo", Advantage = AdvantageEstimator.Rloo, GroupSize = groupSize, Groups = new() { Scaling = GroupScaling.None } };

    /// <summary>Dr. GRPO (Liu et al. 2025, arXiv 2503.20783): neither the group's deviation nor a response's own length divides.</summary>
    public static AlgorithmSettings DrGrpo(int groupSize = 8) => Grpo(groupSize) with
    {
        Name = "dr_grpo",
        Groups = new() { Scaling = GroupScaling.None },
        PolicyLoss = new() { Reduction = LossReduction.MaxLength },
        KlCoefficient = 0,
    };

    /// <summary>DAPO (Yu et al. 2025, arXiv 2503.14476) without sampling anew: clip-higher, a loss by tokens, groups of equal rewards left out, no KL.</summary>
    public static AlgorithmSettings Dapo(int groupSize = 8) => Grpo(groupSize) with
    {
        Name = "dapo",
        Groups = new() { Scaling = GroupScaling.GroupDeviation, Equal = EqualGroups.LeaveOut },
        PolicyLoss = new() { ClipRangeHigh = 0.28 },
        KlCoefficient = 0,
    };

    /// <summary>GSPO (Zheng et al. 2025, arXiv 2507.18071): the ratio is the response's, and so is the weight of its loss.</summary>
    public static AlgorithmSettings Gspo(int groupSize = 8) => Grpo(groupSize) with
    {
        Name = "gspo",
        PolicyLoss = new() { Ratio = RatioLevel.Sequence, ClipRange = 3e-4, ClipRangeHigh = 4e-4, Reduction = LossReduction.RowMean },
        KlCoefficient = 0,
    };

    /// <summary>REINFORCE++ (Hu 2025, arXiv 2501.03262): returns with the KL penalty in them, whitened.</summary>
    public static AlgorithmSettings ReinforcePlusPlus() => Ppo() with { Name = "reinforce_plus_plus", Advantage = AdvantageEstimator.Reinforce, WhitensAdvantages = true };

    /// <summary>The preset of a name, with its defaults; null for a name that is none of <see cref="Names"/>.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="switchIteration">For <c>d2lols</c>, which has no sensible default of its own.</param>
    public static AlgorithmSettings? Named(string name, int switchIteration) => All.FirstOrDefault(preset => preset.Name == name)?.Make(switchIteration);

    /// <summary>A range that no ratio leaves.</summary>
    private const double NoClip = 1e6;

    private static RolloutPhase PolicyAlone { get; } = new(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside);

    private static RolloutPhase GuideRollsIn(double beta) => new(Actor.Guide, Actor.Policy, beta, RollInLengths.Inside);

    private static RolloutPhase GuideGives(double beta, CutSettings cut) => new(Actor.Guide, Actor.Policy, beta, RollInLengths.Share, cut.Over(null));

    private static RolloutPhase GuideRollsOut(double beta) => new(Actor.Policy, Actor.Guide, beta, RollInLengths.Limit);
}

/// <summary>A named algorithm.</summary>
/// <param name="Name">In recipes, logs and files.</param>
/// <param name="Title">As papers write it.</param>
/// <param name="Meaning">What it does, in a sentence.</param>
/// <param name="Make">Its settings with their defaults, given the iteration of the switch, which one of them has.</param>
public sealed record Preset(string Name, string Title, string Meaning, Func<int, AlgorithmSettings> Make);
