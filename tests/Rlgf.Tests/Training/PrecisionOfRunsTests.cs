using System.Text.Json.Nodes;
using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>What is compared is computed in one type, so that the start has no KL to itself.</summary>
public sealed class PrecisionOfRunsTests
{
    /// <summary>Nats a response.</summary>
    private const double Nothing = 1e-3;

    [Theory]
    [InlineData(Precision.Float32, Precision.Float32)]
    [InlineData(Precision.Float32, Precision.Bfloat16)]
    [InlineData(Precision.Bfloat16, Precision.Bfloat16)]
    public void The_start_has_no_divergence_from_itself(Precision reference, Precision rollouts)
    {
        using var policy = TinyGpt2.Create(vocabulary: 64, end: 63, contextLength: 32, seed: 3);
        using var frozen = PrecisionOfModels.CopyAs(policy, reference);
        using var copy = rollouts == Precision.Float32 ? null : PrecisionOfModels.CopyAs(policy, rollouts);
        var setup = Setup(policy, frozen, copy);

        Assert.Equal(0, ToyRun.Run(setup)[0].Metrics["kl/start"], Nothing);
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.Bfloat16)]
    public void An_evaluation_finds_none_either(Precision reference)
    {
        using var policy = TinyGpt2.Create(vocabulary: 64, end: 63, contextLength: 32, seed: 3);
        using var frozen = PrecisionOfModels.CopyAs(policy, reference);
        var setup = Setup(policy, frozen, null);
        var evaluator = new Evaluator { Prompts = setup.Prompts, Sampling = setup.Sampling with { TopK = 8 }, Reward = setup.Reward, Reference = frozen, Tokenizer = setup.Tokenizer };

        var metrics = evaluator.Evaluate(0, policy, CancellationToken.None).Metrics;

        Assert.Equal(0, metrics["kl/start"], Nothing);
        Assert.Equal(0, metrics["kl/raw"], Nothing);
    }

    [Theory]
    [InlineData(CriticSharing.SharedTrunk, KlPlacement.Reward, true)]
    [InlineData(CriticSharing.SharedTrunk, KlPlacement.Loss, false)]
    [InlineData(CriticSharing.Separate, KlPlacement.Reward, false)]
    public void On_a_base_that_both_share_the_start_is_the_reference_exactly_and_the_adapter_alone_is_trained(CriticSharing sharing, KlPlacement placement, bool writesByCopy)
    {
        using var policy = AdaptedInBfloat16();
        using var frozen = PrecisionOfModels.CopyAs(policy, Precision.Bfloat16);
        using var copy = writesByCopy ? PrecisionOfModels.CopyAs(policy, Precision.Bfloat16) : null;
        var kl = new KlSettings { Coefficient = 0.1, Placement = placement, Estimator = placement == KlPlacement.Loss ? KlEstimator.K3 : KlEstimator.K1 };
        var setup = Setup(policy, frozen, copy) with { CriticSharing = sharing, Kl = kl };
        TrainingChecks.ThrowIfImpossible(setup);
        var evaluator = new Evaluator { Prompts = setup.Prompts, Sampling = setup.Sampling, Reward = setup.Reward, Reference = frozen, Tokenizer = setup.Tokenizer };
        var start = evaluator.Evaluate(0, policy, CancellationToken.None).Metrics;
        Assert.Equal([0, 0], [start["kl/start"], start["kl/raw"]]);
        var before = policy.Module.named_parameters().ToDictionary(named => named.name, named => named.parameter.bytes.ToArray());

        Assert.Equal(0, ToyRun.Run(setup)[0].Metrics["kl/start"]);

        foreach (var (name, parameter) in policy.Module.named_parameters())
            Assert.Equal(!name.Contains("lora_B", StringComparison.Ordinal) && !name.Contains("lora_A", StringComparison.Ordinal), parameter.bytes.SequenceEqual(before[name]));
    }

    [Theory]
    [InlineData(CriticSharing.SharedTrunk, false, 1)]
    // Behind a last token there is one more state than the log-probabilities need.
    [InlineData(CriticSharing.SharedTrunk, true, 2)]
    [InlineData(CriticSharing.Separate, false, 1)]
    public void One_pass_gives_the_policys_log_probabilities_and_its_values(CriticSharing sharing, bool bootstrap, int passes)
    {
        using var adapted = AdaptedInBfloat16();
        using var policy = new Counted(adapted);
        using var frozen = PrecisionOfModels.CopyAs(adapted, Precision.Bfloat16);
        ToyRun.Run(Setup(policy, frozen, null) with { CriticSharing = sharing, BootstrapCutRows = bootstrap });
        Assert.Equal(passes, policy.PassesWithoutGradient);
    }

    /// <summary>A model that counts how often whole rows are read for numbers that stay constant.</summary>
    private sealed class Counted(ILanguageModel model) : ILanguageModel
    {
        public int PassesWithoutGradient { get; private set; }

        public LanguageModelShape Shape => model.Shape;

        public JsonObject Configuration => model.Configuration;

        public nn.Module Module => model.Module;

        public Device Device => model.Device;

        public Tensor ResponseStates(IReadOnlyList<TokenRow> rows)
        {
            if (!is_grad_enabled()) PassesWithoutGradient++;
            return model.ResponseStates(rows);
        }

        public Tensor Logits(Tensor states) => model.Logits(states);

        public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens) => model.StartDecoding(rows, maxNewTokens);

        public void Initialise(ulong seed) => model.Initialise(seed);

        public ILanguageModel Clone() => model.Clone();

        public void Dispose()
        {
        }
    }

    private static ILanguageModel AdaptedInBfloat16()
    {
        using var made = TinyGpt2.Create(vocabulary: 64, end: 63, contextLength: 32, seed: 3);
        var policy = PrecisionOfModels.CopyAs(made, Precision.Bfloat16);
        LoraAdapters.Attach(policy, new LoraSettings { Rank = 2 }, "base", seed: 5);
        return policy;
    }

    [Fact]
    public void Types_that_can_not_be_compared_are_refused()
    {
        using var policy = TinyGpt2.Create(seed: 3);
        using var frozen = PrecisionOfModels.CopyAs(policy, Precision.Bfloat16);
        using var copy = PrecisionOfModels.CopyAs(policy, Precision.Bfloat16);
        var asLoss = new KlSettings { Placement = KlPlacement.Loss, Estimator = KlEstimator.K3 };

        Assert.Throws<InputException>(() => TrainingChecks.ThrowIfImpossible(Setup(policy, frozen, null)));
        Assert.Throws<InputException>(() => TrainingChecks.ThrowIfImpossible(Setup(policy, frozen, copy) with { Kl = asLoss }));
        TrainingChecks.ThrowIfImpossible(Setup(policy, frozen, copy));
    }

    private static TrainingSetup Setup(ILanguageModel policy, ILanguageModel reference, ILanguageModel? copy) => new()
    {
        Policy = policy,
        Reference = reference,
        Writer = new ModelWriter(policy, copy),
        Tokenizer = new DigitTokenizer(policy.Shape.Vocabulary),
        Reward = new FunctionReward("toy", response => response.Tokens.Length),
        Prompts = [new Prompt("12", [1, 2])],
        Sampling = new SamplingSettings { MaxNewTokens = 12, TopK = 20 },
        Algorithm = Presets.Ppo(),
        Iterations = 1,
        RowsPerIteration = 32,
    };
}
