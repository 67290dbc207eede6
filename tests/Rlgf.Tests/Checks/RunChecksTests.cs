using Rlgf.Algorithms;
using Rlgf.Checks;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Text.Data;
using Rlgf.Tokenizers;
using Rlgf.Training;

namespace Rlgf.Tests.Checks;

public sealed class RunChecksTests
{
    private const int Horizon = 3;

    [Theory]
    [InlineData("ppo")]
    [InlineData("ppo_plus_plus")]
    [InlineData("aggrevated")]
    [InlineData("lols")]
    [InlineData("d2lols")]
    [InlineData("adaptive")]
    [InlineData("adaptive_v1")]
    [InlineData("grpo")]
    [InlineData("rloo")]
    [InlineData("r3")]
    [InlineData("uft")]
    [InlineData("adaback")]
    [InlineData("bread")]
    public void A_sound_run_of_every_algorithm_has_no_findings(string algorithm) => Assert.Empty(RunChecks.Before(Sound(Presets.Named(algorithm, switchIteration: 5)!), Judge));

    [Fact]
    public void A_guide_that_is_the_policy_object_is_an_error()
    {
        var setup = Sound(Presets.PpoPlusPlus());
        Finds(Severity.Error, "the policy itself", setup with { Guide = Guide(setup.Policy) });
    }

    [Fact]
    public void A_guide_with_a_copy_of_the_weights_is_fine()
    {
        var setup = Sound(Presets.PpoPlusPlus());
        Assert.Empty(RunChecks.Before(setup with { Guide = Guide(setup.Policy.Clone()) }));
    }

    [Fact]
    public void Weights_that_two_modules_share_are_seen_and_equal_ones_are_not_shared()
    {
        using var one = TorchSharp.torch.nn.Linear(3, 2);
        using var two = TorchSharp.torch.nn.Linear(3, 2);
        two.load_state_dict(one.state_dict());
        Assert.False(RunChecks.ShareWeights(one, two));
        two.weight = one.weight;
        Assert.True(RunChecks.ShareWeights(one, two));
    }

    [Fact]
    public void A_reference_that_is_the_policy_object_is_an_error()
    {
        var setup = Sound(Presets.Ppo());
        Finds(Severity.Error, "the KL to it is always 0", setup with { Reference = setup.Policy });
    }

    [Fact]
    public void No_penalty_is_a_warning_and_penalties_that_do_nothing_are_errors()
    {
        var setup = Sound(Presets.Ppo());
        Finds(Severity.Warning, "coefficient is 0", setup with { Kl = new KlSettings { Coefficient = 0 } });
        Finds(Severity.Error, "begins at 0", setup with { Kl = new KlSettings { Coefficient = 0, Target = 6 } });
        Finds(Severity.Error, "-0.1", setup with { Kl = new KlSettings { Coefficient = -0.1 } });
        Finds(Severity.Error, "k1", setup with { Kl = new KlSettings { Placement = KlPlacement.Loss, Estimator = KlEstimator.K1 } });
    }

    [Fact]
    public void A_plan_in_which_the_policy_writes_nothing_is_an_error()
    {
        var guideAlone = Presets.Ppo() with { First = new RolloutPhase(Actor.Guide, Actor.Guide, 0.5, RollInLengths.Inside) };
        Finds(Severity.Error, "the policy writes", Sound(guideAlone));
        Finds(Severity.Error, "the policy writes", Sound(Presets.AggreVaTeD(beta: 0)));
    }

    [Fact]
    public void Responses_without_room_for_a_roll_in_are_an_error()
    {
        var setup = Sound(Presets.PpoPlusPlus());
        Finds(Severity.Error, "no room for a roll-in", setup with { Sampling = setup.Sampling with { MaxNewTokens = 1 } });
    }

    [Fact]
    public void A_phase_that_never_runs_is_a_warning()
    {
        Finds(Severity.Warning, "second phase never runs", Sound(Presets.D2Lols(switchIteration: 10)));
        Finds(Severity.Warning, "first phase never runs", Sound(Presets.D2Lols(switchIteration: 0)));
        Finds(Severity.Warning, "only one of its phases", Sound(Presets.Lols(policyProbability: 1)));
    }

    [Fact]
    public void Credit_that_falls_on_nothing_is_a_warning() => Finds(Severity.Warning, "falls on nothing", Sound(Presets.Ppo() with { GuideCredit = 2 }));

    [Fact]
    public void A_gap_that_can_not_be_measured_is_an_error() => Finds(Severity.Error, "never seen alone", Sound(Presets.AdaptiveV1(beta: 1)));

    [Fact]
    public void A_guide_that_may_write_less_than_the_policy_is_found()
    {
        var setup = Sound(Presets.AggreVaTeD());
        Finds(Severity.Error, "may write 2 tokens and the policy 3", setup with { Guide = Guide(setup.Policy.Clone(), most: 2) });
        Finds(Severity.Warning, "may end after 0 tokens and the policy after 2", setup with { Sampling = setup.Sampling with { MinNewTokens = 2 } });
    }

    [Fact]
    public void References_that_are_asked_to_roll_out_or_are_missing_are_errors()
    {
        Finds(Severity.Error, "can only begin them", Sound(Presets.AggreVaTeD()) with { Guide = new ReferencesGuide() });
        var rows = new[] { new Prompt("", []) { References = ["012"] }, new Prompt("", []) { Row = DataRow.Create("p.jsonl", 2, ("text", "")) } };
        Finds(Severity.Error, "1 of 2 prompts can't be answered by the guide 'references', p.jsonl, row 2 first: there is no reference response; filter them out",
            Sound(Presets.PpoPlusPlus()) with { Guide = new ReferencesGuide(), Prompts = rows });
    }

    [Fact]
    public void Padding_that_is_the_end_token_is_a_warning_where_another_could_be_used()
    {
        var setup = Sound(Presets.Ppo());
        Finds(Severity.Warning, "the vocabulary has '[PAD]': write it as pad_token", setup with { Tokenizer = new PaddedByEnd(setup.Tokenizer, "[PAD]") });
        Assert.Null(RunChecks.PaddingIsEnd(setup with { Tokenizer = new PaddedByEnd(setup.Tokenizer, null) }));
        Assert.Null(RunChecks.PaddingIsEnd(setup));
    }

    [Fact]
    public void A_judge_that_is_the_reward_or_a_part_of_it_is_an_error()
    {
        var setup = Sound(Presets.Ppo());
        Assert.Contains(RunChecks.Before(setup, setup.Reward), finding => finding.Severity == Severity.Error && finding.Message.Contains("the judge", StringComparison.Ordinal));
        var sum = new WeightedReward([(setup.Reward, 1), (new LengthReward("length", 2), 0.1)]);
        Assert.NotNull(RunChecks.JudgeIsReward(sum, setup.Reward));
        Assert.Null(RunChecks.JudgeIsReward(sum, Judge));
        Assert.Null(RunChecks.JudgeIsReward(setup.Reward, judge: null));
    }

    [Fact]
    public void A_judge_that_is_another_object_of_the_same_reward_is_found()
    {
        Func<Response, double> score = response => response.Tokens.Length;
        Assert.NotNull(RunChecks.JudgeIsReward(new LengthReward("a", 7), new LengthReward("b", 7)));
        Assert.Null(RunChecks.JudgeIsReward(new LengthReward("a", 7), new LengthReward("b", 8)));
        Assert.NotNull(RunChecks.JudgeIsReward(new FunctionReward("a", score), new FunctionReward("b", score)));
        Assert.Null(RunChecks.JudgeIsReward(new FunctionReward("a", score), new FunctionReward("b", response => response.Tokens.Length)));
    }

    [Fact]
    public void A_judge_that_gives_the_rewards_own_scores_is_found_by_value()
    {
        double[] rewards = [.. Enumerable.Range(0, 12).Select(i => Math.Sin(i * 1.7))];
        static RewardScore[] Scores(IEnumerable<double> values) => [.. values.Select(value => new RewardScore(value))];

        var same = RunChecks.JudgeSaysTheSame(Scores(rewards), Scores(rewards.Select(value => (double)(float)value)))!;
        Assert.Equal(Severity.Error, same.Severity);
        Assert.Contains("each of the first 12 responses", same.Message, StringComparison.Ordinal);
        // Read by another transform, or from the other label of two.
        foreach (var judged in new[] { rewards.Select(value => 1 / (1 + Math.Exp(-value))), rewards.Select(value => 1 - value) })
            Assert.Equal(Severity.Warning, RunChecks.JudgeSaysTheSame(Scores(rewards), Scores(judged))!.Severity);
        // A part of a sum; of terminal and dense reward the sum.
        var parts = rewards.Select((value, i) => new RewardScore(value + i, new Dictionary<string, double> { ["style"] = value })).ToArray();
        Assert.Contains("'style'", RunChecks.JudgeSaysTheSame(parts, Scores(rewards))!.Message, StringComparison.Ordinal);
        var dense = rewards.Select(value => new RewardScore(0.25, new Dictionary<string, double>(), [(float)value - 0.25f])).ToArray();
        Assert.Equal(Severity.Error, RunChecks.JudgeSaysTheSame(dense, Scores(rewards))!.Severity);

        Assert.Null(RunChecks.JudgeSaysTheSame(Scores(rewards), Scores(rewards.Select((value, i) => i == 3 ? 2 : value))));
        // Two rewards of few values agree by chance.
        Assert.Null(RunChecks.JudgeSaysTheSame(Scores([1, 0, 0, 0]), Scores([1, 0, 0, 0])));
        Assert.Null(RunChecks.JudgeSaysTheSame(Scores(rewards), Scores(rewards.Select(value => value > 0.9 ? 1.0 : 0))));
    }

    [Fact]
    public void A_judge_of_the_rewards_shape_is_told_from_one_of_its_weights()
    {
        using var reward = Classifier(seed: 1);
        using var copy = Classifier(seed: 1);
        using var other = Classifier(seed: 2);
        Assert.NotNull(RunChecks.JudgeIsReward(Of(reward), Of(copy)));
        Assert.Null(RunChecks.JudgeIsReward(Of(reward), Of(other)));

        static ISequenceClassifier Classifier(ulong seed)
        {
            using var model = TinyGpt2.Create(seed);
            return SequenceClassifierFolder.FromLanguageModel(model, ["no", "yes"], null, seed);
        }

        static ClassifierReward Of(ISequenceClassifier classifier) => new("classifier", classifier, new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End), "yes", includePrompt: true);
    }

    [Fact]
    public void A_reward_without_differences_is_a_warning_and_one_that_is_no_number_an_error()
    {
        Assert.Null(RunChecks.ConstantReward([new(0), new(0), new(1)]));
        Assert.Null(RunChecks.ConstantReward([new(0.5)]));
        var constant = RunChecks.ConstantReward([new(0.25), new(0.25), new(0.25)])!;
        Assert.Equal(Severity.Warning, constant.Severity);
        Assert.Contains("0.25 for each of the first 3", constant.Message, StringComparison.Ordinal);
        Assert.Equal(Severity.Error, RunChecks.ConstantReward([new(0), new(double.NaN)])!.Severity);
        // Dense rewards may differ where the totals do not.
        Assert.Null(RunChecks.ConstantReward([new(0, new Dictionary<string, double>(), [1f]), new(0, new Dictionary<string, double>(), [0f])]));
    }

    private static IReward Judge { get; } = new FunctionReward("judge", response => response.Tokens.Length);

    [Fact]
    public void Without_an_end_token_responses_are_only_cut_and_a_minimum_is_without_effect()
    {
        var setup = Sound(Presets.Ppo());
        var endless = setup with { Sampling = setup.Sampling with { EndTokens = [] } };
        Finds(Severity.Warning, $"every response is cut at max_new_tokens, {Horizon};", endless);
        Finds(Severity.Warning, "min_new_tokens 2 is without effect", endless with { Sampling = endless.Sampling with { MinNewTokens = 2 } });
        Finds(Severity.Error, "a reward of their length can change nothing", endless with { Reward = new WeightedReward([(setup.Reward, 1), (new LengthReward("length", 2), 1)]) });
        // Responses of one length need no end.
        Assert.Empty(RunChecks.Before(endless with { Sampling = endless.Sampling with { MinNewTokens = Horizon } }));
    }

    [Fact]
    public void A_guide_without_an_end_token_is_a_warning_where_it_writes()
    {
        var setup = Sound(Presets.PpoPlusPlus());
        var guide = (LocalModelGuide)setup.Guide!;
        var endless = new LocalModelGuide("endless", guide.Model, setup.Tokenizer, setup.Tokenizer, guide.Sampling with { EndTokens = [] });
        Finds(Severity.Warning, "no token ends what the guide 'endless' writes", setup with { Guide = endless });
        Assert.Empty(RunChecks.Before(setup with { Guide = endless, Algorithm = Presets.Ppo() }));
    }

    [Fact]
    public void An_estimator_in_the_reward_that_is_not_the_KL_s_and_settings_of_a_critic_that_is_not_there_are_warnings()
    {
        var setup = Sound(Presets.Ppo());
        foreach (var estimator in (KlEstimator[])[KlEstimator.K2, KlEstimator.K3]) Finds(Severity.Warning, "of which the expected gradient is not that of the KL", setup with { Kl = new KlSettings { Coefficient = 0.05, Placement = KlPlacement.Reward, Estimator = estimator } });
        Assert.Empty(RunChecks.Before(setup with { Kl = new KlSettings { Coefficient = 0.05, Placement = KlPlacement.Loss, Estimator = KlEstimator.K3 } }));
        var group = Sound(Presets.Named("grpo", 0)!);
        Finds(Severity.Warning, "'grpo' has no critic", group with { Update = group.Update with { ValueCoefficient = 0.1 } });
    }

    private static void Finds(Severity severity, string part, TrainingSetup setup)
    {
        var findings = RunChecks.Before(setup, Judge);
        Assert.Contains(findings, finding => finding.Severity == severity && finding.Message.Contains(part, StringComparison.Ordinal));
        Assert.All(findings, finding => Assert.DoesNotContain('\n', finding.Message));
    }

    private static TrainingSetup Sound(AlgorithmSettings algorithm)
    {
        var policy = new TabularModel(3, Horizon, end: 2);
        var setup = ToyRun.Setup(policy, algorithm, Guide(policy.Clone()), response => response.Length);
        return setup with { Kl = new KlSettings { Coefficient = 0.05 }, Update = setup.Update with { CriticLearningRate = new UpdateSettings().CriticLearningRate } };
    }

    private static LocalModelGuide Guide(Rlgf.Models.ILanguageModel model, int most = Horizon)
    {
        var tokenizer = new DigitTokenizer(3, 2);
        return new LocalModelGuide("toy guide", model, tokenizer, tokenizer, new SamplingSettings { MaxNewTokens = most, EndTokens = [2] });
    }

    private sealed class PaddedByEnd(ITokenizer inner, string? unused) : ITokenizer
    {
        public int VocabularySize => inner.VocabularySize;
        public int? BosId => inner.BosId;
        public int? EosId => inner.EosId;
        public int? PadId => inner.EosId;
        public int[] Encode(string text, bool addSpecialTokens = false) => inner.Encode(text, addSpecialTokens);
        public TokenizedText EncodeWithOffsets(string text) => inner.EncodeWithOffsets(text);
        public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true) => inner.Decode(ids, skipSpecialTokens);
        public bool EndsOnCharacter(ReadOnlySpan<int> ids) => inner.EndsOnCharacter(ids);
        public string? TokenOf(int id) => inner.TokenOf(id);
        public int? IdOf(string token) => token == unused ? 1 : inner.IdOf(token);
        public void Save(string folder) => inner.Save(folder);
    }
}
