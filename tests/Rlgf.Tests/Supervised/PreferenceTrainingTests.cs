using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Runs;
using Rlgf.Supervised;

namespace Rlgf.Tests.Supervised;

public sealed class PreferenceTrainingTests
{
    private static readonly PreferenceLossSettings Loss = new() { SupervisedCoefficient = 0.1 };

    private static readonly SupervisedSettings Settings = new() { Epochs = 2, RowsPerStep = 8, LearningRate = 0.01, WarmUpSteps = 2, EvaluateEvery = 10, CheckpointEvery = 7, Seed = 3 };

    private readonly PreferenceRows[] _training = Pairs(96, 1), _heldOut = Pairs(16, 2);

    [Fact]
    public void Before_the_first_step_the_policy_is_the_reference_and_then_it_learns_to_prefer()
    {
        using var folder = new TemporaryFolder();
        using var model = TinyModels.LanguageModel();
        List<StepRecord> steps = [], heldOut = [];
        var result = PreferenceTraining.Run(model, _training, _heldOut, new(), Settings, folder.Path, log: new Told(steps.Add, heldOut.Add), cancellation: TestContext.Current.CancellationToken);

        Assert.Equal(Math.Log(2), heldOut[0].Metrics["loss"], 1e-6);
        Assert.Equal(0, heldOut[0].Metrics["margin"], 1e-6);
        Assert.True(result.BestHeldOut["accuracy"] == 1, $"accuracy {result.BestHeldOut["accuracy"]}");
        Assert.True(result.BestHeldOut["margin"] > 0.3, $"margin {result.BestHeldOut["margin"]}");
        Assert.Equal(["loss", "accuracy", "margin", "chosen_reward", "rejected_reward", "chosen_log_prob", "rejected_log_prob", "learning_rate", "gradient_norm", "tokens_per_second"], steps[0].Metrics.Keys);
        Assert.All(steps, step => Assert.Equal(step.Metrics["chosen_reward"] - step.Metrics["rejected_reward"], step.Metrics["margin"], 1e-9));

        // The folder's model is the best one, by the reference that was kept.
        using var best = LanguageModelFolder.Load(folder.Path);
        using var start = TinyModels.LanguageModel();
        var metrics = PreferenceTraining.Metrics(_heldOut, PreferenceTraining.LogProbs(best, _heldOut), PreferenceTraining.LogProbs(start, _heldOut), new());
        Assert.Equal(result.BestHeldOut["loss"], metrics["loss"], 1e-5);
    }

    [Fact]
    public void Parts_of_a_step_give_the_weights_of_the_whole()
    {
        float[][] Weights(int rowsPerMicroBatch)
        {
            using var folder = new TemporaryFolder();
            using var model = TinyModels.LanguageModel();
            // One step without momentum's memory of rounding: AdamW turns small differences of a gradient near 0 into whole steps.
            PreferenceTraining.Run(model, _training, _heldOut, Loss, Settings with { RowsPerMicroBatch = rowsPerMicroBatch, MaxSteps = 3, PositionsPerPart = rowsPerMicroBatch }, folder.Path, cancellation: TestContext.Current.CancellationToken);
            return TinyModels.Weights(model.Module);
        }

        foreach (var (whole, parts) in Weights(0).Zip(Weights(3))) Assert.All(whole.Zip(parts), pair => Assert.Equal(pair.First, pair.Second, 1e-4f));
    }

    [Fact]
    public void A_training_that_was_stopped_and_resumed_gives_the_same_weights_bit_for_bit()
    {
        using var throughFolder = new TemporaryFolder();
        using var stoppedFolder = new TemporaryFolder();
        using var through = TinyModels.LanguageModel();
        using var stopped = TinyModels.LanguageModel();
        using var other = TinyModels.LanguageModel(seed: 99);
        var token = TestContext.Current.CancellationToken;
        PreferenceTraining.Run(through, _training, _heldOut, Loss, Settings, throughFolder.Path, cancellation: token);

        using var stop = new CancellationTokenSource();
        var log = new Told(record => { if (record.Step == 10) stop.Cancel(); });
        Assert.Throws<OperationCanceledException>(() => PreferenceTraining.Run(stopped, _training, _heldOut, Loss, Settings, stoppedFolder.Path, log: log, cancellation: stop.Token));
        // Weights come from the checkpoint and the reference's part from the folder: the model that goes on begins with other weights.
        PreferenceTraining.Run(other, _training, _heldOut, Loss, Settings, stoppedFolder.Path, resume: true, cancellation: token);

        Assert.Equal(TinyModels.Weights(through.Module), TinyModels.Weights(other.Module));
    }

    [Fact]
    public void A_reference_of_other_pairs_is_refused()
    {
        using var folder = new TemporaryFolder();
        using var model = TinyModels.LanguageModel();
        using var loop = PreferenceTraining.Prepare(model, _training, _heldOut, Loss, Settings, folder.Path, goesOn: false, TestContext.Current.CancellationToken);
        var error = Assert.Throws<InputException>(() => PreferenceTraining.Prepare(model, _training[1..], _heldOut, Loss, Settings, folder.Path, goesOn: true, TestContext.Current.CancellationToken));
        Assert.Equal($"{Path.Combine(folder.Path, "reference.jsonl")}: it is of other pairs than those of this training; delete it, so that it is computed anew", error.Message);
    }

    /// <summary>From a random beginning, counting on was preferred to repeating the same number.</summary>
    private static PreferenceRows[] Pairs(int count, ulong seed) =>
    [
        .. TinyModels.Texts(count, seed).Select(text => new PreferenceRows(new TokenRow([text[0]], [.. text[1..], TinyModels.Eos]), new TokenRow([text[0]], [.. text[2..].Select(_ => text[0]), TinyModels.Eos]))),
    ];
}
