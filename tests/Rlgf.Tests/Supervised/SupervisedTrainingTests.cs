using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using Rlgf.Runs;
using Rlgf.Supervised;
using Rlgf.Training;
using TorchSharp;

namespace Rlgf.Tests.Supervised;

public sealed class SupervisedTrainingTests
{
    private static readonly SupervisedSettings Settings = new() { Epochs = 2, RowsPerStep = 8, LearningRate = 0.02, WarmUpSteps = 5, EvaluateEvery = 10, CheckpointEvery = 15, Seed = 3 };

    private readonly IReadOnlyList<TokenRow> _training = SupervisedTraining.Pack(TinyModels.Texts(400, 1), TinyModels.Eos, 12);
    private readonly IReadOnlyList<TokenRow> _heldOut = SupervisedTraining.Pack(TinyModels.Texts(40, 2), TinyModels.Eos, 12);

    [Fact]
    public void Packing_joins_texts_with_the_separator_between_and_leaves_out_an_incomplete_block()
    {
        var blocks = SupervisedTraining.Pack([[1, 2], [3], [4, 5, 6]], 0, 4);
        Assert.Equal(2, blocks.Count);
        Assert.Equal([1], blocks[0].Prompt);
        Assert.Equal([2, 0, 3], blocks[0].Response);
        Assert.Equal([0], blocks[1].Prompt);
        Assert.Equal([4, 5, 6], blocks[1].Response);
    }

    [Fact]
    public void A_fresh_model_has_about_the_loss_of_a_uniform_guess()
    {
        using var model = TinyModels.LanguageModel();
        Assert.Equal(Math.Log(11), SupervisedTraining.MeanLoss(model, _heldOut), 0.05);
    }

    [Fact]
    public void The_loss_falls_to_what_can_be_known_and_the_folder_holds_the_best_model()
    {
        using var folder = new TemporaryFolder();
        using var model = TinyModels.LanguageModel();
        List<StepRecord> steps = [], heldOut = [];
        var result = SupervisedTraining.Run(model, _training, _heldOut, Settings, folder.Path, log: new Told(steps.Add, heldOut.Add));

        // A text's length (ln 6) and its first number (ln 10) can't be known: (1.79 + 2.30) / 6.5 tokens = 0.63 nats a token, a little more for blocks that begin inside a text.
        // Guessing costs ln 11 = 2.40.
        Assert.InRange(result.LastHeldOut["loss"], 0.6, 1);
        using var best = LanguageModelFolder.Load(folder.Path);
        Assert.Equal(result.BestHeldOut["loss"], SupervisedTraining.MeanLoss(best, _heldOut), 1e-6);
        Assert.Equal(Enumerable.Range(1, result.Steps), steps.Select(record => record.Step));
        Assert.All(steps, record => Assert.All(record.Metrics.Values, value => Assert.True(double.IsFinite(value))));
        Assert.Equal([0, .. Enumerable.Range(1, result.Steps).Where(step => step % 10 == 0 || step == result.Steps)], heldOut.Select(record => record.Step));
        Assert.Equal(result.BestHeldOut, heldOut.Skip(1).MinBy(record => record.Metrics["loss"])!.Metrics);
    }

    [Fact]
    public void A_training_that_was_stopped_and_resumed_gives_the_same_weights_bit_for_bit()
    {
        using var throughFolder = new TemporaryFolder();
        using var stoppedFolder = new TemporaryFolder();
        using var through = TinyModels.LanguageModel();
        using var stopped = TinyModels.LanguageModel();
        using var other = TinyModels.LanguageModel(seed: 99);
        var uninterrupted = SupervisedTraining.Run(through, _training, _heldOut, Settings, throughFolder.Path);

        using var stop = new CancellationTokenSource();
        var log = new Told(record => { if (record.Step == 23) stop.Cancel(); });
        Assert.Throws<OperationCanceledException>(() => SupervisedTraining.Run(stopped, _training, _heldOut, Settings, stoppedFolder.Path, log: log, cancellation: stop.Token));
        // The checkpoint must bring everything: the model that goes on begins with other weights.
        var resumed = SupervisedTraining.Run(other, _training, _heldOut, Settings, stoppedFolder.Path, resume: true);

        Assert.Equal(TinyModels.Weights(through.Module), TinyModels.Weights(other.Module));
        Assert.Equal(uninterrupted.BestStep, resumed.BestStep);
        Assert.Equal(uninterrupted.BestHeldOut["loss"], resumed.BestHeldOut["loss"]);
    }

    [Fact]
    public void A_killed_training_goes_on_from_its_last_checkpoint_bit_for_bit()
    {
        using var folder = new TemporaryFolder();
        using var through = TinyModels.LanguageModel();
        using (var throughFolder = new TemporaryFolder()) SupervisedTraining.Run(through, _training, _heldOut, Settings, throughFolder.Path);
        using var killed = TinyModels.LanguageModel();
        var log = new Told(record => { if (record.Step == 37) throw new InvalidOperationException("killed"); });
        Assert.Throws<InvalidOperationException>(() => SupervisedTraining.Run(killed, _training, _heldOut, Settings, folder.Path, log: log));
        Assert.Equal(["step-0000015", "step-0000030"], Directory.GetDirectories(Path.Combine(folder.Path, "checkpoints")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        using var resumed = TinyModels.LanguageModel(seed: 99);
        SupervisedTraining.Run(resumed, _training, _heldOut, Settings, folder.Path, resume: true);
        Assert.Equal(TinyModels.Weights(through.Module), TinyModels.Weights(resumed.Module));
    }

    [Fact]
    public void A_training_that_has_ended_is_made_longer_and_equals_one_that_was_so_long_from_the_start()
    {
        var settings = Settings with { Decay = LearningRateDecay.Constant, MaxSteps = 40, Epochs = 9 };
        using var throughFolder = new TemporaryFolder();
        using var folder = new TemporaryFolder();
        using var through = TinyModels.LanguageModel();
        List<StepRecord> whole = [], parts = [];
        var uninterrupted = SupervisedTraining.Run(through, _training, _heldOut, settings, throughFolder.Path, log: new Told(whole.Add, whole.Add));
        using (var first = TinyModels.LanguageModel()) SupervisedTraining.Run(first, _training, _heldOut, settings with { MaxSteps = 20 }, folder.Path, log: new Told(parts.Add, parts.Add));
        using var longer = TinyModels.LanguageModel(seed: 99);
        var result = SupervisedTraining.Run(longer, _training, _heldOut, settings, folder.Path, resume: true, log: new Told(parts.Add, parts.Add));
        Assert.Equal(TinyModels.Weights(through.Module), TinyModels.Weights(longer.Module));
        Assert.Equal(Figures(whole), Figures(parts));
        Assert.Equal((uninterrupted.Steps, uninterrupted.BestStep), (result.Steps, result.BestStep));
        Assert.Equal(File.ReadAllBytes(Path.Combine(throughFolder.Path, "model.safetensors")), File.ReadAllBytes(Path.Combine(folder.Path, "model.safetensors")));
        // Once it has as many steps as are asked for, nothing is left to do.
        using var again = TinyModels.LanguageModel(seed: 99);
        Assert.Equal(result.BestHeldOut["loss"], SupervisedTraining.Run(again, _training, _heldOut, settings, folder.Path, resume: true, log: new Told(_ => throw new InvalidOperationException(), _ => throw new InvalidOperationException())).BestHeldOut["loss"]);

        static string[] Figures(List<StepRecord> records) =>
            [.. records.Select(record => FormattableString.Invariant($"{record.Step} {string.Join(' ', record.Metrics.Where(metric => metric.Key != "tokens_per_second").Select(metric => FormattableString.Invariant($"{metric.Key} {metric.Value:R}")))}"))];
    }

    [Fact]
    public void A_log_that_fails_costs_no_step_but_that_which_it_was_told_of()
    {
        using var folder = new TemporaryFolder();
        using var through = TinyModels.LanguageModel();
        using (var throughFolder = new TemporaryFolder()) SupervisedTraining.Run(through, _training, _heldOut, Settings, throughFolder.Path);
        using var failed = TinyModels.LanguageModel();
        // Step 20 is measured: its row is written, and what was measured could not be.
        var log = new Told(heldOut: record => { if (record.Step == 20) throw new InvalidOperationException("full"); });
        Assert.Throws<InvalidOperationException>(() => SupervisedTraining.Run(failed, _training, _heldOut, Settings, folder.Path, log: log));
        List<int> steps = [];
        using var resumed = TinyModels.LanguageModel(seed: 99);
        SupervisedTraining.Run(resumed, _training, _heldOut, Settings, folder.Path, resume: true, log: new Told(record => steps.Add(record.Step)));
        Assert.Equal(16, steps[0]);
        Assert.Equal(TinyModels.Weights(through.Module), TinyModels.Weights(resumed.Module));
    }

    [Fact]
    public void A_step_that_diverged_is_not_saved()
    {
        using var folder = new TemporaryFolder();
        using var model = TinyModels.LanguageModel();
        var log = new Told(record =>
        {
            if (record.Step != 4) return;
            using (torch.no_grad()) model.Module.parameters().First().fill_(float.NaN);
        });
        Assert.Contains("diverged at step 5", Assert.Throws<InputException>(() => SupervisedTraining.Run(model, _training, _heldOut, Settings, folder.Path, log: log)).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(folder.Path, "checkpoints")));
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.Bfloat16)]
    public void An_adapter_learns_with_dropout_and_a_training_that_was_resumed_drops_the_same(Precision precision)
    {
        var settings = Settings with { MaxSteps = 30, Epochs = 1 };
        using var baseFolder = new TemporaryFolder();
        using var throughFolder = new TemporaryFolder();
        using var stoppedFolder = new TemporaryFolder();
        using (var start = TinyModels.LanguageModel()) LanguageModelFolder.Save(start, baseFolder.Path);
        using var through = Adapted(seed: 1);
        using var stopped = Adapted(seed: 1);
        using var other = Adapted(seed: 2);
        var result = SupervisedTraining.Run(through, _training, _heldOut, settings, throughFolder.Path);
        // From ln 11 = 2.40; what is frozen here is random, so there is not much to build on.
        Assert.InRange(result.LastHeldOut["loss"], 0, 2.35);

        using var stop = new CancellationTokenSource();
        var log = new Told(record => { if (record.Step == 13) stop.Cancel(); });
        Assert.Throws<OperationCanceledException>(() => SupervisedTraining.Run(stopped, _training, _heldOut, settings, stoppedFolder.Path, log: log, cancellation: stop.Token));
        SupervisedTraining.Run(other, _training, _heldOut, settings, stoppedFolder.Path, resume: true);
        Assert.Equal(through.Module.parameters().SelectMany(parameter => parameter.bytes.ToArray()), other.Module.parameters().SelectMany(parameter => parameter.bytes.ToArray()));
        using var best = LanguageModelFolder.Load(throughFolder.Path, precision: precision);
        Assert.Equal(result.BestHeldOut["loss"], SupervisedTraining.MeanLoss(best, _heldOut), 1e-6);

        ILanguageModel Adapted(ulong seed)
        {
            var model = LanguageModelFolder.Load(baseFolder.Path, precision: precision);
            LoraAdapters.Attach(model, new LoraSettings { Rank = 4, Dropout = 0.2 }, baseFolder.Path, seed);
            return model;
        }
    }

    [Fact]
    public void Parts_of_a_step_add_up_to_the_whole_and_padding_changes_nothing()
    {
        // Rows of different lengths, prompts too: one part pads what another doesn't.
        TokenRow[] rows = [.. TinyModels.Texts(16, 5).Select((text, i) => new TokenRow(text[..(1 + i % 2)], [.. text[(1 + i % 2)..], TinyModels.Eos]))];
        var settings = Settings with { RowsPerStep = 16, MaxSteps = 1, Epochs = 1, WarmUpSteps = 0, MaxGradientNorm = 1e9 };
        var losses = new List<(double Loss, double Norm)>();
        foreach (var size in (int[])[0, 1, 5])
        {
            using var folder = new TemporaryFolder();
            using var model = TinyModels.LanguageModel();
            SupervisedTraining.Run(model, rows, rows, settings with { RowsPerMicroBatch = size }, folder.Path, log: new Told(record => losses.Add((record.Metrics["loss"], record.Metrics["gradient_norm"]))));
        }

        Assert.All(losses, pair => Assert.Equal(losses[0].Loss, pair.Loss, 1e-5));
        Assert.All(losses, pair => Assert.Equal(losses[0].Norm, pair.Norm, 1e-5));
    }

    [Fact]
    public void Every_epoch_uses_each_example_once_and_in_another_order()
    {
        var order = new BatchOrder(50, example => example % 7, 8, seed: 4);
        var epochs = Enumerable.Range(0, 2).Select(epoch => Enumerable.Range(0, 7).SelectMany(step => order.Batch(epoch * 7 + step).Examples).ToArray()).ToArray();
        Assert.All(epochs, epoch => Assert.Equal(Enumerable.Range(0, 50), epoch.Order()));
        Assert.NotEqual(epochs[0], epochs[1]);
        Assert.Equal(epochs[1][7..14], new BatchOrder(50, example => example % 7, 8, seed: 4).Batch(8).Examples);
    }

    [Theory]
    [InlineData(LearningRateDecay.Constant, 60, 1.0)]
    [InlineData(LearningRateDecay.Linear, 60, 0.55)]
    [InlineData(LearningRateDecay.Cosine, 60, 0.55)]
    [InlineData(LearningRateDecay.Cosine, 110, 0.1)]
    [InlineData(LearningRateDecay.Linear, 0, 0.1)]
    public void The_learning_rate_rises_in_a_line_and_falls_as_asked(LearningRateDecay decay, int step, double expected)
    {
        // 10 steps of warm-up, then from 1 to 0.1 over 100: half-way there, at step 60, both shapes are at 0.55.
        var settings = new SupervisedSettings { LearningRate = 1, WarmUpSteps = 10, FinalLearningRateShare = 0.1, Decay = decay };
        Assert.Equal(expected, settings.LearningRateAt(step, 110), 1e-12);
    }

    [Fact]
    public void A_second_training_in_a_stopped_one_is_refused_and_so_is_a_resume_with_other_settings()
    {
        using var folder = new TemporaryFolder();
        using var model = TinyModels.LanguageModel();
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => SupervisedTraining.Run(model, _training, _heldOut, Settings, folder.Path, log: new Told(_ => stop.Cancel()), cancellation: stop.Token));
        Assert.Contains("Resume it, or remove", Refused(Settings, resume: false), StringComparison.Ordinal);
        Assert.Contains("other settings", Refused(Settings with { RowsPerStep = 4 }, resume: true), StringComparison.Ordinal);
        SupervisedTraining.Run(model, _training, _heldOut, Settings with { MaxSteps = 3 }, folder.Path, resume: true);
        Assert.Contains("2 steps are fewer than the 3 that the training has done", Refused(Settings with { MaxSteps = 2 }, resume: true), StringComparison.Ordinal);

        string Refused(SupervisedSettings settings, bool resume) =>
            Assert.Throws<InputException>(() => SupervisedTraining.Run(model, _training, _heldOut, settings, folder.Path, resume)).Message;
    }

    [Fact]
    public void A_training_that_diverges_says_so()
    {
        using var folder = new TemporaryFolder();
        using var model = TinyModels.LanguageModel();
        using (torch.no_grad()) model.Module.parameters().First().fill_(float.NaN);
        var fault = Assert.Throws<InputException>(() => SupervisedTraining.Run(model, _training, _heldOut, Settings, folder.Path));
        Assert.Contains("diverged at step 1", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Steps_leave_no_tensors_behind()
    {
        using var folder = new TemporaryFolder();
        using var model = TinyModels.LanguageModel();
        var counts = new List<long>();
        SupervisedTraining.Run(model, _training, _heldOut, Settings, folder.Path, log: new Told(_ => counts.Add(torch.Tensor.TotalCount)));
        // After a look at the held-out texts there are packed weights, after a step none.
        var half = counts.Count / 2;
        Assert.InRange(half, 2, int.MaxValue);
        Assert.Equal(counts.Take(half).Max(), counts.Skip(half).Max());
    }
}
