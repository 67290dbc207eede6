using Rlgf.Losses;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Tensors;
using Rlgf.Supervised;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

/// <summary>Losses, scores, metrics and gradients of reward models are those of TRL's trainer.</summary>
public sealed class RewardModelLossTests
{
    public static TheoryData<string> Files => [.. ((string[])["reward.json", "gpt2/reward.json"]).Where(file => File.Exists(Path.Combine(TrlCases.Folder, file)))];

    [Theory]
    [MemberData(nameof(Files))]
    public void Losses_and_metrics_from_given_scores_are_trls(string file)
    {
        using var scope = NewDisposeScope();
        foreach (var one in TrlCases.Of(file))
        {
            var (chosen, rejected) = (one.Output("chosen_scores"), one.Output("rejected_scores"));
            var loss = BradleyTerryLoss.OfPairs(chosen, rejected, Margins(one), Centring(one)).mean().item<double>();
            Close(one, "loss", Loss(one), loss, 1e-5);
            var single = BradleyTerryLoss.OfPairs(chosen.to(float32), rejected.to(float32), Margins(one)?.to(float32), Centring(one)).mean().item<float>();
            Close(one, "loss in float32", Loss(one), single, 1e-5);

            double[] c = chosen.data<double>().ToArray(), r = rejected.data<double>().ToArray();
            var metrics = RewardModelTraining.Metrics(c, r, Margins(one)?.data<double>().ToArray() ?? new double[c.Length], Centring(one));
            var theirs = one.Outputs.GetProperty("metrics");
            Close(one, "metric loss", Loss(one), metrics["loss"], 1e-5);
            Close(one, "accuracy", theirs.GetProperty("accuracy").GetDouble(), metrics["accuracy"], 1e-9);
            Close(one, "margin", theirs.GetProperty("margin").GetDouble(), metrics["margin"], 1e-5);
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Scores_losses_and_gradients_of_a_model_are_trls(string file)
    {
        using var scope = NewDisposeScope();
        using var model = TrlCases.RewardModel(file);
        using var gradients = TrlCases.Gradients(file);
        var parameters = model.Module.named_parameters().ToDictionary(named => named.name, named => named.parameter);
        foreach (var one in TrlCases.Of(file))
        {
            using var inner = NewDisposeScope();
            // With padding and without: what is read is the last token that is none.
            var padded = one.Inputs.GetProperty("input_ids").EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray()).ToArray();
            var masks = one.Inputs.GetProperty("attention_mask").EnumerateArray().Select(row => row.EnumerateArray().Count(bit => bit.GetInt32() == 1)).ToArray();
            int[][] rows = [.. padded.Select((row, i) => row[..masks[i]])];
            double[] expected = [.. one.Output("chosen_scores").data<double>(), .. one.Output("rejected_scores").data<double>()];
            foreach (var scores in (double[][])[RewardModelTraining.Scores(model, rows), RewardModelTraining.Scores(model, padded, rowsPerBatch: 3)])
                for (var i = 0; i < expected.Length; i++) Close(one, $"score {i}", expected[i], scores[i], 1e-4);

            foreach (var parameter in parameters.Values) parameter.grad?.zero_();
            var outputs = model.Logits(rows).reshape(2, -1);
            var loss = BradleyTerryLoss.OfPairs(outputs[0], outputs[1], Margins(one)?.to(float32), Centring(one)).mean();
            Close(one, "loss by the model", Loss(one), loss.item<float>(), 1e-4);
            loss.Backward();
            var norm = one.Outputs.GetProperty("gradient_norm").GetDouble();
            var squares = parameters.Values.Sum(parameter => parameter.grad is { } gradient ? gradient.to(float64).square().sum().item<double>() : 0);
            Assert.True(Math.Abs(Math.Sqrt(squares) - norm) <= 1e-3 * norm, $"{one.Name}: the gradient's norm is {Math.Sqrt(squares)}, TRL's {norm}");
            string[] stored = [.. gradients.Entries.Keys.Where(key => key.StartsWith(one.Name + ".", StringComparison.Ordinal))];
            Assert.NotEmpty(stored);
            foreach (var name in stored)
            {
                var difference = (parameters[name[(one.Name.Length + 1)..]].grad! - gradients.Read(name)).abs().max().item<float>();
                Assert.True(difference <= 1e-3 * norm, $"{name}: {difference} of {norm}");
            }
        }
    }

    [Fact]
    public void A_loss_far_from_zero_keeps_its_digits_and_its_gradient()
    {
        using var scope = NewDisposeScope();
        // −log σ(x) is −x for x far below 0 and e^−x far above; its derivative is σ(x) − 1.
        using var chosen = tensor(new double[] { -200, 200, 0 }).requires_grad_();
        var loss = BradleyTerryLoss.OfPairs(chosen, tensor(new double[] { 0, 0, 0 }));
        Assert.Equal(200, loss[0].item<double>(), 1e-9);
        Assert.Equal(Math.Exp(-200), loss[1].item<double>(), Math.Exp(-200) * 1e-9);
        Assert.Equal(Math.Log(2), loss[2].item<double>(), 1e-12);
        loss.sum().Backward();
        double[] gradient = chosen.grad!.data<double>().ToArray();
        Assert.Equal(-1, gradient[0], 1e-12);
        Assert.Equal(-Math.Exp(-200), gradient[1], Math.Exp(-200) * 1e-9);
        Assert.Equal(-0.5, gradient[2], 1e-12);
    }

    private static Tensor? Margins(TrlCase one) => one.Has("margin") ? one.Tensor("margin") : null;

    private static double Centring(TrlCase one) => one.Number("center_rewards_coefficient") ?? 0;

    private static double Loss(TrlCase one) => one.Outputs.GetProperty("loss").GetDouble();

    private static void Close(TrlCase one, string what, double expected, double actual, double tolerance) =>
        Assert.True(Math.Abs(expected - actual) <= tolerance * Math.Max(1, Math.Abs(expected)), $"{one.Name}: {what} is {actual}, TRL's {expected}");
}
