using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Tests.Shared;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>Whole iterations with every model on a device that is not the CPU: whatever were left behind there would meet a tensor of the other device and fail.</summary>
public sealed class LazyDeviceTests
{
    public static TheoryData<string, bool, CriticSharing, KlPlacement> Runs => new()
    {
        { "ppo_plus_plus", true, CriticSharing.Separate, KlPlacement.Reward },
        { "adaptive", false, CriticSharing.SharedTrunk, KlPlacement.Reward },
        { "grpo", false, CriticSharing.SharedTrunk, KlPlacement.Loss },
    };

    /// <summary>
    /// Writing, scoring, reference, values, advantages and losses. libtorch's gradient of clipping has no kernel for lazy tensors, so that the update ends there and at nothing before;
    /// gradients of models on that device are compared with the CPU's in the tests of models.
    /// </summary>
    [Theory]
    [MemberData(nameof(Runs))]
    public void An_iteration_up_to_the_gradient_of_clipping(string algorithm, bool encoderDecoder, CriticSharing sharing, KlPlacement kl)
    {
        var device = LazyDevice.Get();
        ILanguageModel New(ulong seed) => On(device, encoderDecoder ? TinyT5.Create(seed) : Llama(seed));
        using var policy = New(1);
        using var reference = New(2);
        var settings = Presets.Named(algorithm, 0)!;
        var end = Assert.Throws<ExternalException>(() => ToyRun.Run(new TrainingSetup
        {
            Policy = policy,
            Reference = reference,
            Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End),
            Guide = settings.Phases.Any(phase => phase.NeedsGuide) ? ToyRun.Guide(4, TinyGpt2.End, _ => [0.1, 0.4, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]) : null,
            Reward = Ones,
            Prompts = Prompts,
            Sampling = Sampling,
            Algorithm = settings,
            Kl = new KlSettings { Coefficient = 0.1, Placement = kl },
            CriticSharing = sharing,
            BootstrapCutRows = settings.Advantage == AdvantageEstimator.Gae,
            Update = new UpdateSettings { Epochs = 1, RowsPerMinibatch = 16, RowsPerMicroBatch = 8, ValueClipRange = 0.2, Reduction = LossReduction.RowMean, WhitenAdvantages = true },
            Iterations = 1,
            RowsPerIteration = 16,
            Seed = 5,
        }));
        // Nothing in this repository asks for logical_and: it is what the gradient of clipping asks for. (The call's name is not in every stack trace: it may have been inlined.)
        Assert.True(end.Message.StartsWith("aten::logical_and.out: attempted to run this operator with Meta tensors", StringComparison.Ordinal), end.ToString());
    }

    [Fact]
    public void An_evaluation()
    {
        var device = LazyDevice.Get();
        Assert.All(Metrics(CPU).Zip(Metrics(device)), pair => Assert.Equal(pair.First, pair.Second, 1e-4));

        static double[] Metrics(Device device)
        {
            using var policy = On(device, Llama(2));
            using var reference = On(device, Llama(1));
            var evaluator = new Evaluator
            {
                Prompts = Prompts, Sampling = Sampling, Reward = Ones, Reference = reference, Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End),
            };
            return [.. evaluator.Evaluate(0, policy, CancellationToken.None).Metrics.OrderBy(metric => metric.Key, StringComparer.Ordinal).Select(metric => metric.Value)];
        }
    }

    private static readonly Prompt[] Prompts = [new("1", [1]), new("2 3", [2, 3]), new("4", [4]), new("5", [5])];

    private static readonly SamplingSettings Sampling = new() { MaxNewTokens = 4, EndTokens = [TinyGpt2.End], Temperature = 0.9, TopP = 0.95, MinP = 0.01, RepetitionPenalty = 1.1 };

    private static readonly FunctionReward Ones = new("ones", response => response.Tokens.Count(token => token == 1));

    /// <summary>A Llama of one small layer over digits: libtorch gives pieces of a lazy tensor that are none, and a GPT-2 cuts its projections so.</summary>
    private static ILanguageModel Llama(ulong seed) => LanguageModelFolder.Create(
        new ModelConfiguration(
            new JsonObject
            {
                ["model_type"] = "llama", ["vocab_size"] = TinyGpt2.Vocabulary, ["hidden_size"] = 16, ["intermediate_size"] = 32, ["num_hidden_layers"] = 1, ["num_attention_heads"] = 2,
                ["num_key_value_heads"] = 1, ["max_position_embeddings"] = 32, ["rms_norm_eps"] = 1e-5, ["eos_token_id"] = TinyGpt2.End,
            },
            "the tiny Llama"),
        seed);

    /// <summary>The model with its parameters elsewhere, to be trained.</summary>
    private static ILanguageModel On(Device device, ILanguageModel model)
    {
        using var made = model;
        var moved = PrecisionOfModels.CopyAs(made, Precision.Float32, device);
        foreach (var parameter in moved.Module.parameters()) parameter.requires_grad_(true);
        return moved;
    }
}
