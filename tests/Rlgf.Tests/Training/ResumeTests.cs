using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Tests.Runs;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using Rlgf.Worth;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>A run that is stopped and goes on ends where it would have ended, bit for bit.</summary>
public sealed class ResumeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlgf").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(CriticSharing.SharedTrunk, false)]
    [InlineData(CriticSharing.Separate, false)]
    [InlineData(CriticSharing.SharedTrunk, true)]
    [InlineData(CriticSharing.Separate, true)]
    public void A_resumed_run_ends_with_the_same_weights_bit_for_bit(CriticSharing sharing, bool encoderDecoder)
    {
        foreach (var algorithm in new[] { Presets.Lols(0.5, 0.8), Presets.AdaptiveV1(), Presets.Adaptive(), Presets.AdaBack(2), Presets.Bread(2) })
        {
            var whole = Run(Path.Combine(_folder, "whole" + algorithm.Name + sharing), algorithm, sharing, stopDuring: null, resume: false, encoderDecoder: encoderDecoder);
            var folder = Path.Combine(_folder, "stopped" + algorithm.Name + sharing);
            Assert.Null(Run(folder, algorithm, sharing, stopDuring: 3, resume: false, encoderDecoder: encoderDecoder));
            Assert.Equal(whole, Run(folder, algorithm, sharing, stopDuring: null, resume: true, encoderDecoder: encoderDecoder));
        }
    }

    [Theory]
    [InlineData(CriticSharing.SharedTrunk, Precision.Float32)]
    [InlineData(CriticSharing.Separate, Precision.Float32)]
    [InlineData(CriticSharing.SharedTrunk, Precision.Bfloat16)]
    [InlineData(CriticSharing.Separate, Precision.Bfloat16)]
    public void With_an_adapter_a_resumed_run_ends_with_the_same_weights_and_its_base_is_as_it_was(CriticSharing sharing, Precision precision)
    {
        var start = Path.Combine(_folder, "base");
        using (var model = TinyGpt2.Create(seed: 3)) LanguageModelFolder.Save(model, start);
        var before = File.ReadAllBytes(Path.Combine(start, "model.safetensors"));
        var whole = Run(Path.Combine(_folder, "whole"), Presets.Adaptive(), sharing, stopDuring: null, resume: false, start, precision: precision);
        Assert.Null(Run(Path.Combine(_folder, "stopped"), Presets.Adaptive(), sharing, stopDuring: 3, resume: false, start, precision: precision));
        Assert.Equal(whole, Run(Path.Combine(_folder, "stopped"), Presets.Adaptive(), sharing, stopDuring: null, resume: true, start, precision: precision));

        using var original = LanguageModelFolder.Load(start);
        var policy = Directory.GetDirectories(Path.Combine(_folder, "stopped")).Select(folder => Path.Combine(folder, "policy")).Single();
        Assert.False(File.Exists(Path.Combine(policy, "model.safetensors")));
        using var tuned = LanguageModelFolder.Load(policy, sharing: null);
        var parameters = tuned.Module.named_parameters().ToDictionary(named => named.name, named => named.parameter);
        foreach (var (name, parameter) in original.Module.named_parameters()) Assert.Equal(parameter.data<float>().ToArray(), parameters[name].data<float>().ToArray());
        Assert.Contains(parameters, named => named.Key.EndsWith("lora_B.weight", StringComparison.Ordinal) && named.Value.abs().max().item<float>() > 0);
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(start, "model.safetensors")));
    }

    [Theory]
    [InlineData(SupervisedSource.References)]
    [InlineData(SupervisedSource.Guide)]
    public void With_a_supervised_loss_a_resumed_run_ends_with_the_same_weights_bit_for_bit(SupervisedSource source)
    {
        var supervised = new SupervisedLossSettings { Source = source, RowsPerStep = 3, Coefficient = 0.9, FinalCoefficient = 0.1, Schedule = LearningRateDecay.Cosine, Iterations = 5, TokenWeight = SupervisedTokenWeight.Phi, Blend = true };
        var whole = Run(Path.Combine(_folder, "whole"), Presets.PpoPlusPlus(), CriticSharing.SharedTrunk, stopDuring: null, resume: false, supervised: supervised);
        Assert.Null(Run(Path.Combine(_folder, "stopped"), Presets.PpoPlusPlus(), CriticSharing.SharedTrunk, stopDuring: 3, resume: false, supervised: supervised));
        Assert.Equal(whole, Run(Path.Combine(_folder, "stopped"), Presets.PpoPlusPlus(), CriticSharing.SharedTrunk, stopDuring: null, resume: true, supervised: supervised));
        Assert.NotEqual(whole, Run(Path.Combine(_folder, "without"), Presets.PpoPlusPlus(), CriticSharing.SharedTrunk, stopDuring: null, resume: false));
    }

    [Fact]
    public void What_the_guide_is_worth_is_remembered_over_a_stop_and_switches_at_the_same_iteration()
    {
        // The gap is below 1000 as soon as two iterations are measured, those before the stop among them.
        var d2lols = Presets.D2Lols(100) with { SwitchAtGap = 1000 };
        var worth = new GuideWorthSettings { Share = 0.5, Every = 3, Window = 2 };
        var whole = Run(Path.Combine(_folder, "whole"), d2lols, CriticSharing.SharedTrunk, stopDuring: null, resume: false, worth: worth);
        Assert.Null(Run(Path.Combine(_folder, "stopped"), d2lols, CriticSharing.SharedTrunk, stopDuring: 4, resume: false, worth: worth));
        Assert.Equal(whole, Run(Path.Combine(_folder, "stopped"), d2lols, CriticSharing.SharedTrunk, stopDuring: null, resume: true, worth: worth));
        Assert.NotEqual(whole, Run(Path.Combine(_folder, "never"), d2lols with { SwitchAtGap = null }, CriticSharing.SharedTrunk, stopDuring: null, resume: false, worth: worth));
    }

    [Fact]
    public void A_stop_while_text_is_written_saves_the_iterations_that_are_done()
    {
        var folder = Path.Combine(_folder, "saved");
        Run(folder, Presets.Ppo(), CriticSharing.SharedTrunk, stopDuring: 3, resume: false);
        Assert.Equal(["iteration-00003"], Directory.GetDirectories(folder).Select(Path.GetFileName));
    }

    [Fact]
    public void An_unfinished_checkpoint_is_not_taken_for_a_whole_one()
    {
        var folder = Path.Combine(_folder, "killed");
        Run(folder, Presets.Ppo(), CriticSharing.SharedTrunk, stopDuring: 3, resume: false);
        Directory.CreateDirectory(Path.Combine(folder, "iteration-00004.unfinished"));
        Assert.NotNull(Run(folder, Presets.Ppo(), CriticSharing.SharedTrunk, stopDuring: null, resume: true));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_power_cut_at_any_moment_leaves_a_whole_checkpoint(bool adapter)
    {
        var start = Path.Combine(_folder, "base");
        using (var model = TinyGpt2.Create(seed: 3)) LanguageModelFolder.Save(model, start);
        var folder = Path.Combine(_folder, "checkpoints");
        var cut = new PowerCut(folder);
        try
        {
            DurableDisk.Watch(cut.See);
            Run(folder, Presets.Adaptive(), CriticSharing.SharedTrunk, stopDuring: null, resume: false, adapterOn: adapter ? start : null);
        }
        finally
        {
            DurableDisk.Watch(null);
        }

        Assert.Empty(cut.Faults);
        Assert.Equal(3, cut.Saved);
        Assert.Equal(["iteration-00006"], Directory.GetDirectories(folder).Select(Path.GetFileName));
    }

    /// <summary>Six iterations on a tiny GPT-2 or T5. Stopped: the reward of that iteration cancels, in the middle of it.</summary>
    /// <returns>All final weights, or null if it was stopped.</returns>
    private static float[]? Run(string folder, AlgorithmSettings algorithm, CriticSharing sharing, int? stopDuring, bool resume, string? adapterOn = null, Precision precision = Precision.Float32, bool encoderDecoder = false, SupervisedLossSettings? supervised = null, GuideWorthSettings? worth = null)
    {
        using var cancellation = new CancellationTokenSource();
        using var policy = adapterOn is not null ? LanguageModelFolder.Load(adapterOn, precision: precision) : encoderDecoder ? TinyT5.Create(seed: 3) : TinyGpt2.Create(seed: 3);
        if (adapterOn is not null) LoraAdapters.Attach(policy, new LoraSettings { Rank = 2 }, adapterOn, seed: 5);
        using var reference = policy.Clone();
        using var guideModel = TinyGpt2.Create(seed: 4);
        var tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End);
        var sampling = new SamplingSettings { MaxNewTokens = 6, EndTokens = [TinyGpt2.End] };
        var calls = 0;
        var reward = new FunctionReward("sevens", response => response.Text.Count(c => c == '1'));
        var setup = new TrainingSetup
        {
            Policy = policy,
            Reference = reference,
            Tokenizer = tokenizer,
            Guide = new LocalModelGuide("other", guideModel, tokenizer, tokenizer, sampling),
            Reward = new Stopping(reward, () => { if (stopDuring is { } n && calls++ == n) cancellation.Cancel(); }),
            NormaliseReward = algorithm.ScaleByGap,
            Prompts = [.. Enumerable.Range(0, 7).Select(i => new Prompt(i.ToString(System.Globalization.CultureInfo.InvariantCulture), [i]) { References = i == 3 ? [] : ["10" + i, "2"] })],
            Supervised = supervised,
            GuideWorth = worth,
            Sampling = sampling,
            Algorithm = algorithm,
            CriticSharing = sharing,
            Kl = new KlSettings { Coefficient = 0.1, Target = 1, Horizon = 100 },
            Update = new UpdateSettings { Epochs = 2, RowsPerMinibatch = 4, LearningRate = 1e-3, Schedule = LearningRateDecay.Linear, Reduction = LossReduction.TokenMean },
            Iterations = 6,
            RowsPerIteration = 8,
            Seed = 11,
        };
        using var training = new GuidedTraining(setup, new TrainingSchedule { CheckpointEvery = 2 }, new MemoryLog());
        var store = new CheckpointFolder(folder, setup, training.Critics, training.Learner, keep: 1);
        if (stopDuring is not null)
        {
            Assert.Throws<OperationCanceledException>(() => training.Run(store, resume, cancellation.Token));
            return null;
        }

        Assert.Equal(6, training.Run(store, resume, cancellation.Token).Iteration);
        return [.. policy.Module.parameters().Concat(training.Critics.NamedParameters().Select(named => named.Parameter)).SelectMany(p => p.detach().to(float32).data<float>().ToArray())];
    }

    private sealed class Stopping(ILocalReward inner, Action before) : ILocalReward
    {
        public string Name => inner.Name;

        public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken)
        {
            before();
            cancellationToken.ThrowIfCancellationRequested();
            return inner.Score(responses, cancellationToken);
        }
    }
}
