using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Checks;
using Rlgf.Models;
using Rlgf.Prompts;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Text.Data;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>A next-token loss on answers of others beside reinforcement learning.</summary>
public sealed class SupervisedLossTests
{
    private static readonly Func<string, double> Reward = response => response.Count(c => c == '1') - 0.3 * response.Count(c => c == '0');

    private static readonly Func<string, double> Tied = _ => 0.7;

    [Fact]
    public void A_weight_of_0_is_the_algorithm_alone_number_for_number_and_another_is_not()
    {
        var alone = Weights(Reward, null);
        Assert.Equal(alone, Weights(Reward, new() { Coefficient = 0 }));
        Assert.Equal(alone, Weights(Reward, new() { Coefficient = 0, Blend = true }));
        Assert.Equal(alone, Weights(Reward, new() { Coefficient = 0, Schedule = LearningRateDecay.Cosine }));
        Assert.NotEqual(alone, Weights(Reward, new() { Coefficient = 0.01 }));
        Assert.NotEqual(alone, Weights(Reward, new() { Coefficient = 0, FinalCoefficient = 0.5, Schedule = LearningRateDecay.Linear }));
    }

    [Theory]
    [InlineData(LearningRateDecay.Constant, 0.9, 0.9, 0.9, 0.9)]
    [InlineData(LearningRateDecay.Linear, 0.9, 0.7, 0.5, 0.1)]
    // A quarter of the way (1 + cos 45°) / 2 of 0.8 is left: 0.1 + 0.8 · 0.8535534.
    [InlineData(LearningRateDecay.Cosine, 0.9, 0.78284271, 0.5, 0.1)]
    public void The_weight_goes_from_its_first_to_its_last_value(LearningRateDecay schedule, double first, double quarter, double half, double last)
    {
        var isConstant = schedule == LearningRateDecay.Constant;
        var settings = new SupervisedLossSettings { Coefficient = 0.9, FinalCoefficient = isConstant ? null : 0.1, Schedule = schedule, Iterations = isConstant ? null : 200 };
        Assert.Equal(first, settings.CoefficientAt(0, 1000), 1e-8);
        Assert.Equal(quarter, settings.CoefficientAt(50, 1000), 1e-8);
        Assert.Equal(half, settings.CoefficientAt(100, 1000), 1e-8);
        Assert.Equal(last, settings.CoefficientAt(200, 1000), 1e-8);
        Assert.Equal(last, settings.CoefficientAt(700, 1000), 1e-8);
        // Over the run where no number of iterations is set, and up as well as down.
        if (!isConstant) Assert.Equal(0.5, new SupervisedLossSettings { Coefficient = 0, FinalCoefficient = 1, Schedule = schedule }.CoefficientAt(4, 8), 1e-12);
    }

    [Theory]
    [InlineData(SupervisedTokenWeight.One)]
    [InlineData(SupervisedTokenWeight.Probability)]
    [InlineData(SupervisedTokenWeight.Phi)]
    public void Where_rewards_tie_the_gradient_is_the_supervised_one(SupervisedTokenWeight weight)
    {
        using var scope = NewDisposeScope();
        using var policy = new TabularModel(3, 3, 2);
        policy.Initialise(3);
        // Two references, both in every step: 0 1 2, and 1 2. By hand from the table: w · (π − onehot) at each prefix, over 5 tokens.
        var expected = new double[policy.Prefixes.Count, 3];
        var loss = 0.0;
        foreach (var text in (int[][])[[0, 1, 2], [1, 2]])
        {
            for (var t = 0; t < text.Length; t++)
            {
                var p = policy.Probabilities(text.AsSpan(0, t));
                var of = p[text[t]];
                var w = weight switch { SupervisedTokenWeight.One => 1, SupervisedTokenWeight.Probability => of, _ => of * (1 - of) };
                for (var token = 0; token < 3; token++) expected[policy.IndexOf(text.AsSpan(0, t)), token] += w * (p[token] - (token == text[t] ? 1 : 0)) / 5;
                loss -= w * Math.Log(of) / 5;
            }
        }
        var metrics = Records(policy, Tied, new() { Coefficient = 0.3, TokenWeight = weight }, setup => OneStep(setup))[0].Metrics;
        Assert.Equal(loss, metrics["loss/supervised"], 1e-6);
        Assert.Equal(0.3, metrics["supervised/coefficient"]);
        Assert.Equal(0.3 * Math.Sqrt(expected.Cast<double>().Sum(x => x * x)), metrics["policy/gradient_norm"], 1e-6);
    }

    [Fact]
    public void A_blend_of_1_is_supervised_training_alone_and_one_of_a_half_halves_both()
    {
        Assert.Equal(Weights(Tied, new() { Coefficient = 1 }), Weights(Reward, new() { Coefficient = 1, Blend = true }));
        // The rewards' gradient alone: no weight at all would leave no step to compare.
        using var policy = new TabularModel(3, 3, 2);
        var (whole, half) = (Norm(null), Norm(new() { Coefficient = 0.5, Blend = true, TokenWeight = SupervisedTokenWeight.One }, references: false));
        Assert.Equal(whole / 2, half, 1e-6);

        // The guide's answers, of which there are none in an algorithm's rows without a roll-in.
        double Norm(SupervisedLossSettings? settings, bool references = true)
        {
            using var fresh = new TabularModel(3, 3, 2);
            var algorithm = Presets.Grpo(4) with { First = Presets.PpoPlusPlus(1e-9).First };
            var setup = OneStep(ToyRun.Setup(fresh, algorithm, Guide, Reward, iterations: 1)) with { Supervised = settings is null ? null : settings with { Source = references ? SupervisedSource.References : SupervisedSource.Guide } };
            return ToyRun.Run(setup)[0].Metrics["policy/gradient_norm"];
        }
    }

    [Theory]
    [InlineData(SupervisedTokenWeight.One)]
    [InlineData(SupervisedTokenWeight.Phi)]
    public void Splitting_a_step_changes_nothing_beyond_rounding(SupervisedTokenWeight weight)
    {
        var settings = new SupervisedLossSettings { Coefficient = 0.5, TokenWeight = weight };
        var whole = Weights(Reward, settings, setup => With(setup, 0));
        Assert.All(whole.Zip(Weights(Reward, settings, setup => With(setup, 1))), pair => Assert.Equal(pair.First, pair.Second, 1e-4));

        static TrainingSetup With(TrainingSetup setup, int rows) => setup with { Update = setup.Update with { RowsPerMicroBatch = rows, AdamEpsilon = 1e-3 } };
    }

    [Fact]
    public void The_guide_s_whole_answers_are_taught_also_where_a_row_keeps_their_beginning()
    {
        // The guide always writes 1 0 1; a roll-in keeps one or two of these tokens, and the third is taught by nothing else.
        using var policy = new TabularModel(3, 3, null);
        var guide = ToyRun.Guide(3, null, text => text.Length == 1 ? [1, 0, 0] : [0, 1, 0]);
        ToyRun.Run(ToyRun.Setup(policy, Presets.Grpo(4) with { First = Presets.PpoPlusPlus(0.5).First }, guide, Tied, iterations: 20) with { Supervised = new() { Source = SupervisedSource.Guide, Coefficient = 1 } });
        Assert.True(policy.Probabilities([])[1] > 0.9 && policy.Probabilities([1])[0] > 0.9 && policy.Probabilities([1, 0])[1] > 0.9);
        // Nothing else was: the rewards tie.
        Assert.Equal(1.0 / 3, policy.Probabilities([2, 2])[0], 1e-6);
    }

    [Fact]
    public void Where_every_group_is_left_out_the_supervised_loss_goes_on()
    {
        using var policy = new TabularModel(3, 3, 2);
        var setup = With(ToyRun.Setup(policy, Presets.Dapo(4), null, Tied, iterations: 40), new() { Coefficient = 1 });
        ToyRun.Run(setup);
        // Both references, as often: 0 and 1 first, never the end.
        Assert.True(policy.Probabilities([])[2] < 0.05);
        Assert.True(policy.Probabilities([1])[2] > 0.9);
    }

    [Fact]
    public void A_text_is_a_whole_response_with_its_end_and_a_column_of_the_data_may_hold_it()
    {
        using var policy = new TabularModel(3, 3, 2);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, Tied);
        var prompt = new Prompt("0", [0]) { References = ["01"], Row = DataRow.Create("p.jsonl", 1, ("solution", "1101")) };
        TokenRow row = SupervisedTexts.Encoded(setup, prompt, "01");
        Assert.Equal([0], row.Prompt);
        Assert.Equal([0, 1, 2], row.Response);
        // Longer than responses of training may be: the policy would otherwise learn how answers begin and not how they end.
        Assert.Equal([1, 1, 0, 1, 2], SupervisedTexts.Encoded(setup, prompt, "1101").Response);
        Assert.Equal(["1101"], SupervisedTexts.TextsOf(prompt, new() { Column = "solution" }));
        Assert.Equal(["01"], SupervisedTexts.TextsOf(prompt, new()));
        Assert.Contains("'supervised' reads the column 'solution'", Assert.Throws<InputException>(() => SupervisedTexts.TextsOf(new Prompt("0", [0]), new() { Column = "solution" })).Message);
    }

    [Fact]
    public void What_can_not_be_taught_is_refused()
    {
        using var policy = new TabularModel(3, 3, 2);
        var setup = ToyRun.Setup(policy, Presets.Grpo(4), null, Tied);
        Assert.Contains("none of 1 prompts has a text", Refusal(setup with { Supervised = new() }));
        var prompts = new[] { new Prompt("0", [0]) { References = ["01"] }, new Prompt("1", [1]) { Row = DataRow.Create("p.jsonl", 2, ("text", "")) } };
        Assert.Contains(RunChecks.Before(setup with { Prompts = prompts, Supervised = new() }), finding => finding.Severity == Severity.Warning && finding.Message.Contains("1 of 2 prompts have no text for the supervised loss", StringComparison.Ordinal));
        using var small = TinyGpt2.Create(seed: 1);
        var room = small.Shape.Room(1);
        prompts = [prompts[0], prompts[1] with { References = [string.Concat(Enumerable.Repeat('1', room))] }];
        var said = $"p.jsonl, row 2: the prompt has 1 tokens and its text for the supervised loss {room + 1}";
        Assert.Contains(said, Refusal(setup with { Policy = small, Reference = small.Clone(), Prompts = prompts, Supervised = new() }));
        Assert.Contains(RunChecks.Before(setup with { Policy = small, Prompts = prompts, Supervised = new() }), finding => finding.Severity == Severity.Error && finding.Message.Contains(said, StringComparison.Ordinal));
        Assert.Contains("in 'grpo' it never does", Refusal(setup with { Supervised = new() { Source = SupervisedSource.Guide } }));

        static string Refusal(TrainingSetup setup) => Assert.Throws<InputException>(() => ToyRun.Run(setup)).Message;
    }

    private static Rlgf.Guides.IGuide Guide => ToyRun.Guide(3, 2, _ => [0.3, 0.5, 0.2]);

    private static TrainingSetup With(TrainingSetup setup, SupervisedLossSettings? settings) =>
        setup with { Prompts = [new Prompt("", []) { References = ["01"] }, new Prompt(" ", []) { References = ["1"] }], Supervised = settings };

    private static TrainingSetup OneStep(TrainingSetup setup) => setup with { Update = setup.Update with { Epochs = 1, RowsPerMinibatch = 64 } };

    private static IReadOnlyList<Rlgf.Runs.IterationRecord> Records(TabularModel policy, Func<string, double> reward, SupervisedLossSettings? settings, Func<TrainingSetup, TrainingSetup>? change = null)
    {
        var setup = With(ToyRun.Setup(policy, Presets.Grpo(4), null, reward, iterations: 4), settings);
        return ToyRun.Run(change?.Invoke(setup) ?? setup);
    }

    private static float[] Weights(Func<string, double> reward, SupervisedLossSettings? settings, Func<TrainingSetup, TrainingSetup>? change = null)
    {
        using var policy = new TabularModel(3, 3, 2);
        Records(policy, reward, settings, change);
        return [.. policy.Logit.data<float>()];
    }
}
