using System.Text.Json;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using Rlgf.Supervised;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

/// <summary>Losses of pairs are those of an independent implementation in float64, and those of TRL's trainer wherever the settings here can say what its settings say.</summary>
public sealed class PreferenceLossTests(ITestOutputHelper output)
{
    /// <summary>What TRL has and the settings here can't say, with the reason, so that nothing is skipped in silence.</summary>
    private static readonly Dictionary<string, string> NotSaid = new()
    {
        ["sigmoid_smoothing_10"] = "TRL's sigmoid passes over its label smoothing, the published one is here",
        ["aot"] = "aot compares the sorted differences of a whole step, which parts of a step don't have",
        ["aot_unpaired"] = "aot_unpaired compares the sorted differences of a whole step, which parts of a step don't have",
        ["sft"] = "the supervised term comes beside a loss of pairs, and alone it is rlgf sft on the chosen answers",
        ["aot_smoothing_10"] = "aot compares the sorted differences of a whole step, which parts of a step don't have",
        ["aot_unpaired_smoothing_10"] = "aot_unpaired compares the sorted differences of a whole step, which parts of a step don't have",
        ["three_losses"] = "one loss of pairs at a time",
        ["length_desensitised"] = "tokens beyond the shorter answer count like others (ld_alpha)",
        ["weighted"] = "pairs are not weighed by how likely the policy writes them (use_weighting)",
        ["sigmoid_forward_kl"] = "the divergence is the reverse KL",
        ["sigmoid_js_divergence"] = "the divergence is the reverse KL",
        ["sigmoid_alpha_divergence"] = "the divergence is the reverse KL",
    };

    public static TheoryData<string> Files => [.. ((string[])["dpo.json", "gpt2/dpo.json"]).Where(file => File.Exists(Path.Combine(TrlCases.Folder, file)))];

    [Fact]
    public void Losses_gradients_and_metrics_are_those_of_an_independent_implementation()
    {
        using var scope = NewDisposeScope();
        var given = Golden.Load("rl/preference_losses.json");
        var tokens = ones(6, ScalarType.Float64);
        foreach (var one in given.GetProperty("cases").EnumerateArray())
        {
            var chosen = (given.Tensor("policy_chosen") - given.Tensor("reference_chosen")).requires_grad_();
            var rejected = (given.Tensor("policy_rejected") - given.Tensor("reference_rejected")).requires_grad_();
            var name = one.GetProperty("name").GetString()!;
            var settings = new PreferenceLossSettings
            {
                Objective = name switch { "dpo" => PreferenceObjective.Sigmoid, "ipo" => PreferenceObjective.Ipo, "hinge" => PreferenceObjective.Hinge, _ => throw new NotSupportedException(name) },
                Beta = one.Number("beta"),
                LabelSmoothing = one.Number("label_smoothing"),
                LengthNormalised = false,
            };
            var losses = PreferenceLoss.OfPairs(chosen, rejected, tokens, tokens, settings);
            losses.mean().backward();

            Golden.AssertClose(one.GetProperty("loss_each"), losses, name);
            Golden.AssertClose(one.GetProperty("gradient_chosen"), chosen.grad, name);
            Golden.AssertClose(one.GetProperty("gradient_rejected"), rejected.grad, name);
            var pairs = Enumerable.Repeat(new PreferenceRows(new TokenRow([1], [1]), new TokenRow([1], [1])), 6).ToArray();
            var metrics = PreferenceTraining.Metrics(pairs, LogProbs(given, "policy"), LogProbs(given, "reference"), settings);
            Golden.AssertClose(one.Number("loss"), metrics["loss"], name);
            Golden.AssertClose(one.Number("accuracy"), metrics["accuracy"], name);
            Golden.AssertClose(one.Number("margin"), metrics["margin"], name);
            Golden.AssertClose(one.GetProperty("reward_chosen").Numbers().Average(), metrics["chosen_reward"], name);
            Golden.AssertClose(one.GetProperty("reward_rejected").Numbers().Average(), metrics["rejected_reward"], name);
        }
    }

    [Fact]
    public void The_robust_loss_is_right_on_average_over_wrong_labels()
    {
        using var scope = NewDisposeScope();
        Tensor x = tensor([-2.0, 0.3, 5]), zero = zeros_like(x), one = ones_like(x);
        var robust = new PreferenceLossSettings { Objective = PreferenceObjective.Robust, Beta = 1, LabelSmoothing = 0.2 };
        var clean = PreferenceLoss.OfPairs(x, zero, one, one, new() { Beta = 1 });
        var mixed = PreferenceLoss.OfPairs(x, zero, one, one, robust) * 0.8 + PreferenceLoss.OfPairs(zero, x, one, one, robust) * 0.2;
        Golden.AssertClose(clean, mixed, "mean over labels of which 0.2 are wrong");
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Losses_and_metrics_from_given_log_probabilities_are_trls(string file)
    {
        foreach (var (one, settings) in Said(file))
        {
            var metrics = PreferenceTraining.Metrics(Rows(one), LogProbs(one.Outputs, "chosen_logps", "rejected_logps"), LogProbs(one.Inputs, "ref_chosen_logps", "ref_rejected_logps"), settings);
            Close(one, "loss", one.Outputs.Number("loss"), metrics["loss"], 1e-5);
            foreach (var (trl, here) in (IEnumerable<(string, string)>)[("accuracies", "accuracy"), ("margins", "margin"), ("chosen", "chosen_reward"), ("rejected", "rejected_reward")])
                Close(one, here, one.Outputs.GetProperty("metrics").Number($"rewards/{trl}"), metrics[here], 1e-5);
            Close(one, "chosen_log_prob", one.Outputs.GetProperty("metrics").Number("logps/chosen"), metrics["chosen_log_prob"], 1e-5);
            Close(one, "rejected_log_prob", one.Outputs.GetProperty("metrics").Number("logps/rejected"), metrics["rejected_log_prob"], 1e-5);
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Losses_and_gradients_of_a_model_are_trls(string file)
    {
        using var scope = NewDisposeScope();
        using var model = TrlCases.Model(file);
        using var gradients = TrlCases.Gradients(file);
        var parameters = model.Module.named_parameters().ToDictionary(named => named.name, named => named.parameter);
        foreach (var (one, settings) in Said(file))
        {
            using var inner = NewDisposeScope();
            foreach (var parameter in parameters.Values) parameter.grad?.zero_();
            var rows = Rows(one);
            var logProbs = PreferenceTraining.LogProbs(model, rows, 3, TestContext.Current.CancellationToken);
            foreach (var (expected, got) in LogProbs(one.Outputs, "chosen_logps", "rejected_logps").Zip(logProbs))
                Assert.True(Math.Abs(expected.Chosen - got.Chosen) <= 1e-4 * Math.Abs(expected.Chosen) && Math.Abs(expected.Rejected - got.Rejected) <= 1e-4 * Math.Abs(expected.Rejected), $"{one.Name}: {got}, TRL has {expected}");

            var task = new PreferenceTraining.Task(model, rows, rows, LogProbs(one.Inputs, "ref_chosen_logps", "ref_rejected_logps"), [], settings, new());
            using var local = NewDisposeScope();
            var step = new StepBatch([0, 1, 2, 3], 0);
            // In two parts, so that what is a mean over the step is seen to be one.
            var loss = 0.0;
            foreach (var part in (int[][])[[2], [0, 3, 1]])
            {
                var sum = task.LossSum(part, step) / 4;
                sum.backward();
                loss += sum.item<float>();
            }

            Close(one, "loss by the model", one.Outputs.Number("loss"), loss, 1e-4);
            Close(one, "accuracy of a step", one.Outputs.GetProperty("metrics").Number("rewards/accuracies"), task.TakeMetrics()["accuracy"], 1e-9);
            var norm = one.Outputs.Number("gradient_norm");
            var squares = parameters.Values.Sum(parameter => parameter.grad is { } gradient ? gradient.to(float64).square().sum().item<double>() : 0);
            Assert.True(Math.Abs(Math.Sqrt(squares) - norm) <= 1e-3 * norm, $"{one.Name}: the gradient's norm is {Math.Sqrt(squares)}, TRL's {norm}");
            string[] stored = [.. gradients.Entries.Keys.Where(key => key.StartsWith(one.Name + ".", StringComparison.Ordinal))];
            Assert.NotEmpty(stored);
            foreach (var key in stored)
            {
                var difference = (parameters[key[(one.Name.Length + 1)..]].grad! - gradients.Read(key)).abs().max().item<float>();
                Assert.True(difference <= 1e-3 * norm, $"{key}: {difference} of {norm}");
            }
        }
    }

    [Fact]
    public void Label_smoothing_belongs_to_the_losses_that_have_it()
    {
        Assert.Empty(new PreferenceLossSettings { LabelSmoothing = 0.1 }.Problems());
        Assert.Equal(("label_smoothing", "is for objective: sigmoid, robust or exo_pair; leave it out"), Assert.Single(new PreferenceLossSettings { Objective = PreferenceObjective.Ipo, LabelSmoothing = 0.1 }.Problems()));
    }

    /// <summary>The cases that the settings here can say. All others must be among those that are named.</summary>
    private List<(TrlCase Case, PreferenceLossSettings Settings)> Said(string file)
    {
        List<(TrlCase, PreferenceLossSettings)> said = [];
        List<string> left = [];
        foreach (var one in TrlCases.Of(file))
        {
            if (SettingsOf(one) is { } settings) said.Add((one, settings));
            else left.Add(one.Name);
        }

        foreach (var name in left) output.WriteLine($"{file}: {name}: {NotSaid.GetValueOrDefault(name, "its settings have no counterpart here")}");
        output.WriteLine($"{file}: {said.Count} cases are compared, {left.Count} can't be said");
        if (TrlCases.IsOwnFolder)
        {
            Assert.Equal(NotSaid.Keys.Order(StringComparer.Ordinal), left.Order(StringComparer.Ordinal));
            Assert.Equal(16, said.Count);
        }

        Assert.NotEmpty(said);
        return said;
    }

    private static PreferenceLossSettings? SettingsOf(TrlCase one)
    {
        if (one.Flag("use_weighting") || !one.IsNull("ld_alpha") || one.Text("f_divergence_type") != "reverse_kl") return null;
        string[] types = [.. one.Texts("loss_type")];
        var weights = one.List("loss_weights") is { Length: > 0 } listed ? listed : [.. types.Select(_ => 1.0)];
        var ofPairs = types.Zip(weights).Where(type => type.First != "sft").ToArray();
        // The pairs' loss has the weight 1 here.
        if (ofPairs is not [(var type, 1.0)]) return null;
        PreferenceObjective? objective = type switch
        {
            "sigmoid" or "sigmoid_norm" => PreferenceObjective.Sigmoid, "robust" => PreferenceObjective.Robust, "ipo" => PreferenceObjective.Ipo, "hinge" => PreferenceObjective.Hinge,
            "exo_pair" => PreferenceObjective.ExoPair, "nca_pair" => PreferenceObjective.NcaPair, "bco_pair" => PreferenceObjective.BcoPair, "sppo_hard" => PreferenceObjective.SppoHard, "apo_zero" => PreferenceObjective.ApoZero,
            "apo_down" => PreferenceObjective.ApoDown, "discopop" => PreferenceObjective.Discopop, _ => null,
        };
        var smoothing = one.Number("label_smoothing")!.Value;
        return objective is null || (smoothing != 0 && objective is not (PreferenceObjective.Robust or PreferenceObjective.ExoPair)) ? null : new()
        {
            Objective = objective.Value,
            Beta = one.Number("beta")!.Value,
            LabelSmoothing = smoothing,
            LengthNormalised = type == "sigmoid_norm" ? true : null,
            SupervisedCoefficient = types.Zip(weights).Where(loss => loss.First == "sft").Sum(loss => loss.Second),
        };
    }

    private static PreferenceRows[] Rows(TrlCase one)
    {
        int[][] Ids(string name) => [.. one.Inputs.GetProperty($"{name}_ids").EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray())];
        return [.. Ids("prompt").Zip(Ids("chosen"), Ids("rejected")).Select(pair => new PreferenceRows(new TokenRow(pair.First, pair.Second), new TokenRow(pair.First, pair.Third)))];
    }

    private static PairLogProbs[] LogProbs(JsonElement given, string who) => LogProbs(given, $"{who}_chosen", $"{who}_rejected");

    private static PairLogProbs[] LogProbs(JsonElement given, string chosen, string rejected) =>
        [.. given.GetProperty(chosen).Numbers().Zip(given.GetProperty(rejected).Numbers(), (first, second) => new PairLogProbs(first, second))];

    private static void Close(TrlCase one, string what, double expected, double actual, double tolerance) =>
        Assert.True(Math.Abs(expected - actual) <= tolerance * Math.Max(1, Math.Abs(expected)), $"{one.Name}: the {what} is {actual}, TRL's {expected}");
}
