using System.Text.Json.Nodes;
using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using Rlgf.Models.Tensors;
using Rlgf.Prompts;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Supervised;
using Rlgf.Tests.Supervised;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Tests.Rollouts;

/// <summary>Log-probabilities whose logits are computed part by part are those of all logits at once, as are their gradients.</summary>
public sealed class LogitsInPartsTests
{
    private const int Vocabulary = 64, End = 63;

    public static TheoryData<string, bool> Heads()
    {
        var data = new TheoryData<string, bool>();
        foreach (var family in (string[])["gpt2", "llama", "gptj", "t5", "bart"]) foreach (var adapter in (bool[])[false, true]) data.Add(family, adapter);
        return data;
    }

    /// <summary>
    /// Central differences in 64 bits: a head with a bias and a soft cap, which is none of the project's, trained or not, and states that ask for a gradient or don't; by libtorch's graph of the log-softmax, and where that is done in
    /// the scores' own memory.
    /// </summary>
    [Theory]
    [InlineData(true, true, false)]
    [InlineData(false, true, false)]
    [InlineData(true, false, false)]
    [InlineData(true, true, true)]
    [InlineData(false, true, true)]
    [InlineData(true, false, true)]
    public void Gradients_are_what_finite_differences_say(bool isHeadTrained, bool areStatesTrained, bool inPlace)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(3);
        Tensor Random(params long[] shape) => randn(shape, dtype: ScalarType.Float64, generator: random);
        Tensor states = Random(7, 4), weight = Random(5, 4), bias = Random(5), of = Random(7);
        var tokens = tensor([3L, 1, 4, 1, 0, 2, 4]);
        var (trainedWeight, trainedBias, trainedStates) = (new Parameter(weight.clone(), isHeadTrained), new Parameter(bias.clone(), isHeadTrained), states.clone().requires_grad_(areStatesTrained));
        List<int> sizes = [];

        var numbers = inPlace
            ? LogitsInParts.OfWholeVocabulary(trainedStates, tokens, atOnce: 3, Scores)
            : LogitsInParts.Of(trainedStates, tokens, atOnce: 3, (part, hidden, chosen) => -nn.functional.cross_entropy(Scores(part, hidden), chosen, reduction: nn.Reduction.None));
        (numbers * of).sum().Backward();

        Assert.True(sizes.Max() <= 3, "More logits are held than asked for.");
        Assert.True(Value(weight, bias, states).allclose((numbers.detach() * of).sum()));
        if (isHeadTrained)
        {
            Differences(weight, changed => Value(changed, bias, states), trainedWeight.grad!);
            Differences(bias, changed => Value(weight, changed, states), trainedBias.grad!);
        }
        else
        {
            Assert.True(trainedWeight.grad is null);
        }
        if (areStatesTrained) Differences(states, changed => Value(weight, bias, changed), trainedStates.grad!);

        Tensor Scores(Range part, Tensor hidden)
        {
            sizes.Add(part.End.Value - part.Start.Value);
            return 2 * (nn.functional.linear(hidden, trainedWeight, trainedBias) / 2).tanh();
        }

        Tensor Value(Tensor w, Tensor b, Tensor h)
        {
            var logits = 2 * (h.matmul(w.t()).add(b) / 2).tanh();
            return ((logits.gather(1, tokens.unsqueeze(1)).squeeze(1) - logits.exp().sum(1).log()) * of).sum();
        }

        static void Differences(Tensor at, Func<Tensor, Tensor> value, Tensor gradient)
        {
            const double step = 1e-5;
            for (var i = 0; i < at.numel(); i++)
            {
                using var up = at.clone();
                using var down = at.clone();
                up.view(-1)[i] += step;
                down.view(-1)[i] -= step;
                Assert.Equal((value(up) - value(down)).item<double>() / (2 * step), gradient.reshape(-1)[i].item<double>(), 1e-8);
            }
        }
    }

    /// <summary>Rows of different lengths, masks with holes, sets of tokens of all kinds, temperature and penalties: the value and the gradient of every parameter.</summary>
    [Theory]
    [MemberData(nameof(Heads))]
    public void Every_parameter_has_the_gradient_of_all_logits_at_once(string family, bool adapter)
    {
        using var scope = NewDisposeScope();
        using var model = Model(family);
        if (adapter)
        {
            LoraAdapters.Attach(model, new LoraSettings { Rank = 2 }, ".", seed: 4);
            // As it begins an adapter adds nothing, and its first factor has no gradient.
            foreach (var (name, parameter) in model.Module.named_parameters().Where(named => named.parameter.requires_grad)) using (no_grad()) parameter.normal_(0, 0.3, new Generator(5));
        }
        var (samples, sampling) = Samples();
        var mask = tensor(samples.SelectMany(sample => Enumerable.Range(0, 6).Select(t => t < sample.Row.Response.Length && (t + sample.Row.Response.Length) % 4 != 0)).ToArray()).reshape(samples.Length, 6);
        var tokens = tensor(samples.SelectMany(sample => Enumerable.Range(0, 6).Select(t => t < sample.Row.Response.Length ? (long)sample.Row.Response[t] : 0)).ToArray()).reshape(samples.Length, 6);
        var coefficients = randn([samples.Length, 6], generator: new Generator(6));

        foreach (var sampled in (bool[])[false, true])
        {
            var (whole, wholeGradients) = Gradients(0);
            var (parts, gradients) = Gradients(17);
            Close(whole, parts, 1e-5, "the log-probabilities");
            Assert.Equal(wholeGradients.Keys, gradients.Keys);
            Assert.True(gradients.Count > 4);
            foreach (var (name, gradient) in gradients) Close(wholeGradients[name], gradient, 1e-5 * (1 + wholeGradients[name].abs().max().item<float>()), name);

            (Tensor, Dictionary<string, Tensor>) Gradients(int positions)
            {
                model.Module.zero_grad();
                var states = model.ResponseStates([.. samples.Select(sample => sample.Row)]);
                var logProbs = sampled ? TokenLogProbs.Of(model, states, tokens, mask, samples, sampling, positions) : TokenLogProbs.Of(model, states, tokens, mask, positions);
                // Something else reads the states too, as a critic on the policy's trunk does.
                ((logProbs * coefficients).sum() + states.square().mean()).Backward();
                return (logProbs.detach(), model.Module.named_parameters().Where(named => named.parameter.grad is not null).ToDictionary(named => named.name, named => named.parameter.grad!.clone()));
            }
        }
    }

    /// <summary>The head's gradient is added to what is there, in its place: after two passes twice that of one, in the very tensor that was there before.</summary>
    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("gptj")]
    public void A_gradient_is_added_in_the_place_of_the_one_that_is_there(string family)
    {
        using var scope = NewDisposeScope();
        using var model = Model(family);
        var head = model.Module.named_parameters().Single(named => named.name is "transformer.wte.weight" or "lm_head.weight" && (family == "gpt2" || named.name != "transformer.wte.weight")).parameter;
        TokenRow[] rows = [new([1], [2, 3, 4, 5]), new([1, 2], [3, 6])];
        Pass();
        var first = head.grad!;
        var once = first.clone();
        Assert.True(once.abs().max().item<float>() > 0.1, "Parts that only fill up the last rows have no gradient, and must not stand in the place of the sum.");
        Pass();
        Close(once * 2, first, 1e-6, "the gradient after two passes");

        void Pass() => TokenLogProbs.OfRows(model, rows, positionsPerPart: 16).sum().Backward();
    }

    [Fact]
    public void Scores_that_their_own_graph_has_kept_are_refused_rather_than_overwritten()
    {
        using var scope = NewDisposeScope();
        var weight = new Parameter(randn([5, 4], generator: new Generator(1)));
        // tanh's gradient is a function of its result, which would be gone.
        var numbers = LogitsInParts.OfWholeVocabulary(randn([6, 4], generator: new Generator(2)), zeros(6, ScalarType.Int64), 2, (_, states) => states.matmul(weight.t()).tanh());
        Assert.ThrowsAny<Exception>(() => numbers.sum().Backward());
    }

    /// <summary>Parts may round once more than all at once, but not lose what float32 has.</summary>
    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("t5")]
    public void On_a_base_in_bfloat16_gradients_are_as_near_to_float32s_in_parts_as_at_once(string family)
    {
        using var scope = NewDisposeScope();
        using var made = Model(family);
        using var rounded = PrecisionOfModels.CopyAs(made, Precision.Bfloat16);
        using var exact = PrecisionOfModels.CopyAs(rounded, Precision.Float32);
        foreach (var model in (ILanguageModel[])[rounded, exact])
        {
            LoraAdapters.Attach(model, new LoraSettings { Rank = 2 }, ".", seed: 4);
            using var random = new Generator(5);
            using var gradients = no_grad();
            foreach (var parameter in model.Module.parameters().Where(parameter => parameter.requires_grad)) parameter.normal_(0, 0.3, random);
        }
        TokenRow[] rows = [new([1, 2], [4, 5, 9, 3]), new([7], [20, 9, 1, 30]), new([3, 4, 5], [1, 3, 30, 31])];
        var expected = Gradients(exact, 0);
        var distance = Distance(0);
        Assert.True(distance > 1e-4, "Nothing was rounded.");
        foreach (var positions in (int[])[1, 7]) Assert.InRange(Distance(positions), 0, 1.5 * distance);

        double Distance(int positions) => (Gradients(rounded, positions) - expected).norm().item<double>() / expected.norm().item<double>();

        Tensor Gradients(ILanguageModel model, int positions)
        {
            model.Module.zero_grad();
            var logProbs = TokenLogProbs.OfRows(model, rows, positionsPerPart: positions);
            (logProbs * arange(logProbs.numel()).view_as(logProbs).cos()).sum().Backward();
            return cat([.. model.Module.parameters().Where(parameter => parameter.requires_grad).Select(parameter => parameter.grad!.to(float64).reshape(-1))]);
        }
    }

    /// <summary>Losses with a KL term, critics on the policy's trunk and apart, lessons: the weights after two iterations.</summary>
    [Theory]
    [InlineData("ppo", CriticSharing.SharedTrunk)]
    [InlineData("ppo", CriticSharing.Separate)]
    [InlineData("grpo", CriticSharing.SharedTrunk)]
    [InlineData("adaptive", CriticSharing.SharedTrunk)]
    public void A_run_ends_with_the_same_weights(string algorithm, CriticSharing sharing)
    {
        Compare(Run(0), Run(null), 0);
        Compare(Run(0), Run(5), 3e-5);
        Compare(Run(0), Run(0, recompute: true), 3e-6);

        float[][] Run(int? positions, bool recompute = false)
        {
            using var scope = NewDisposeScope();
            using var policy = TinyGpt2.Create(seed: 1);
            using var guide = TinyGpt2.Create(seed: 2);
            var setup = ToyRunOf(policy, guide, algorithm) with { CriticSharing = sharing };
            ToyRun.Run(setup with { Update = setup.Update with { PositionsPerPart = positions, RecomputeActivations = recompute } });
            Assert.Equal(recompute, policy.RecomputesActivations);
            return TinyModels.Weights(policy.Module);
        }
    }

    [Fact]
    public void Supervised_training_ends_with_the_same_weights()
    {
        var training = SupervisedTraining.Pack(TinyModels.Texts(60, 1), TinyModels.Eos, 12).Concat([new([1, 2], [3, 4]), new([5], [6])]).ToArray();
        var settings = new SupervisedSettings { RowsPerStep = 7, RowsPerMicroBatch = 4, LearningRate = 0.01, WarmUpSteps = 2, MaxSteps = 6, EvaluateEvery = 100, CheckpointEvery = 0 };
        Compare(Trained(settings with { PositionsPerPart = 0 }), Trained(settings), 0);
        Compare(Trained(settings with { PositionsPerPart = 0 }), Trained(settings with { PositionsPerPart = 10 }), 3e-5);
        Compare(Trained(settings with { PositionsPerPart = 0 }), Trained(settings with { RecomputeActivations = true }), 3e-6);

        float[][] Trained(SupervisedSettings with)
        {
            using var folder = new TemporaryFolder();
            using var model = TinyModels.LanguageModel();
            SupervisedTraining.Run(model, training, training, with, folder.Path);
            return TinyModels.Weights(model.Module);
        }
    }

    [Fact]
    public void Small_logits_are_taken_at_once_and_large_ones_in_parts_of_64_MiB()
    {
        Assert.Equal(2016, LogitsInParts.PositionsAtOnce(2016, 8192));
        Assert.Equal(667, LogitsInParts.PositionsAtOnce(667, 50257));
        Assert.Equal(320, LogitsInParts.PositionsAtOnce(668, 50257));
        Assert.Equal(512, LogitsInParts.PositionsAtOnce(4096, 32000));
        Assert.Equal(320, LogitsInParts.PositionsAtOnce(4096, 128256));
        Assert.Equal(668, LogitsInParts.PositionsAtOnce(668, 50257, 0));
        Assert.Equal(10, LogitsInParts.PositionsAtOnce(668, 50257, 10));
        Assert.Equal(3, LogitsInParts.PositionsAtOnce(3, 50257, 10));
    }

    [Fact]
    public void A_model_that_can_not_compute_activations_again_says_so()
    {
        using var policy = new TabularModel(3, 3, 2);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), guide: null, _ => 1);
        Assert.Contains("recompute_activations", Assert.Throws<InputException>(() => ToyRun.Run(setup with { Update = setup.Update with { RecomputeActivations = true } })).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("positions_per_part: 64", "training.positions_per_part")]
    [InlineData("recompute_activations: true", "training.recompute_activations")]
    public void A_classifier_refuses_what_is_for_language_models(string line, string key)
    {
        var recipe = new ClassifierRecipe
        {
            Name = "n", Model = new FolderStartSection { Path = "m" }, Data = new TextsSection { Path = "d", LabelColumn = "label" }, Labels = ["a", "b"], Output = "o",
            Training = line.StartsWith("pos", StringComparison.Ordinal) ? new() { PositionsPerPart = 64 } : new() { RecomputeActivations = true },
        };
        Assert.Equal([key], recipe.Problems().Select(problem => problem.Key));
    }

    [Fact]
    public void What_fails_within_the_backward_pass_is_thrown_by_it()
    {
        using var scope = NewDisposeScope();
        var weight = new Parameter(ones(3, 2));
        var isBackward = false;
        var numbers = LogitsInParts.Of(ones(4, 2), zeros(4, ScalarType.Int64), 2, (_, states, _) => isBackward ? throw new InputException("no memory") : states.matmul(weight.t()).sum(1));
        isBackward = true;
        Assert.Equal("no memory", Assert.Throws<InputException>(() => numbers.sum().Backward()).Message);
        // What follows is none of its business.
        ones(1).requires_grad_(true).sum().Backward();
    }

    [Fact]
    public void Tensors_are_gone_after_a_backward_pass_and_without_one()
    {
        using var model = TinyGpt2.Create(seed: 1);
        TokenRow[] rows = [new([1], [2, 3, 4, 5]), new([1, 2], [3])];
        List<long> counts = [];
        for (var step = 0; step < 6; step++)
        {
            using (NewDisposeScope())
            {
                var sum = TokenLogProbs.OfRows(model, rows, positionsPerPart: 16).sum();
                if (step != 4) sum.Backward();
            }
            counts.Add(Tensor.TotalCount);
        }
        Assert.True(counts.Skip(1).All(count => count == counts[1]), string.Join(", ", counts));
    }

    private static (SampledRow[] Samples, SamplingSettings Sampling) Samples()
    {
        TokenSet[] sets = [TokenSet.All, TokenSet.Among([3, 5, 9]), TokenSet.Without([7, 8]), TokenSet.All, TokenSet.Single(5), TokenSet.Among([5, 60])];
        SampledRow Row(int[] prompt, params int[] response) => new(new(prompt, response), [.. response.Select((_, t) => sets[t])]);
        return ([Row([1, 2], 4, 5, 9, 3, 5, 60), Row([7], 20, 9), Row([3, 4, 5], 1, 3, 30, 31), Row([9, 9], 2)], new SamplingSettings { MaxNewTokens = 6, Temperature = 0.7, RepetitionPenalty = 1.3 });
    }

    private static TrainingSetup ToyRunOf(ILanguageModel policy, ILanguageModel guide, string algorithm)
    {
        var tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End);
        var sampling = new SamplingSettings { MaxNewTokens = 6, EndTokens = [TinyGpt2.End] };
        return new()
        {
            Policy = policy,
            Reference = policy.Clone(),
            Tokenizer = tokenizer,
            Guide = new LocalModelGuide("guide", guide, tokenizer, tokenizer, sampling),
            Reward = new FunctionReward("toy", response => response.Tokens.Count(token => token == 1)),
            Prompts = [new Prompt("12", [1, 2]), new Prompt("3", [3])],
            Sampling = sampling,
            Algorithm = Presets.Named(algorithm, switchIteration: 1)! with { NeedsReferences = false },
            Kl = new KlSettings { Coefficient = 0.1, Placement = KlPlacement.Loss, Estimator = KlEstimator.K3 },
            Update = new UpdateSettings { Epochs = 2, RowsPerMinibatch = 8, RowsPerMicroBatch = 5, LearningRate = 1e-3, CriticLearningRate = 1e-2, AdamEpsilon = 1e-3 },
            Iterations = 2,
            RowsPerIteration = 16,
            Seed = 7,
        };
    }

    private static ILanguageModel Model(string family)
    {
        if (family == "gpt2") return TinyGpt2.Create(Vocabulary, End, contextLength: 32);
        if (family == "t5") return TinyT5.Create(Vocabulary, start: 0, seed: 3);
        JsonObject configuration = family switch
        {
            "gptj" => new() { ["model_type"] = "gptj", ["vocab_size"] = Vocabulary, ["n_positions"] = 32, ["n_embd"] = 16, ["n_layer"] = 1, ["n_head"] = 2, ["rotary_dim"] = 4, ["tie_word_embeddings"] = false },
            "bart" => new()
            {
                ["model_type"] = "bart", ["vocab_size"] = Vocabulary, ["max_position_embeddings"] = 32, ["d_model"] = 16, ["encoder_layers"] = 1, ["decoder_layers"] = 1, ["encoder_attention_heads"] = 2,
                ["decoder_attention_heads"] = 2, ["encoder_ffn_dim"] = 32, ["decoder_ffn_dim"] = 32, ["decoder_start_token_id"] = 2, ["eos_token_id"] = 2, ["pad_token_id"] = 1, ["bos_token_id"] = 0,
            },
            _ => new()
            {
                ["model_type"] = "llama", ["vocab_size"] = Vocabulary, ["max_position_embeddings"] = 32, ["hidden_size"] = 16, ["num_hidden_layers"] = 2, ["num_attention_heads"] = 2, ["num_key_value_heads"] = 1,
                ["intermediate_size"] = 32, ["tie_word_embeddings"] = false,
            },
        };
        return LanguageModelFolder.Create(new ModelConfiguration(configuration, $"the tiny {family}"), seed: 3);
    }

    private static void Close(Tensor expected, Tensor actual, double tolerance, string what) =>
        Assert.True((expected - actual).abs().max().item<float>() <= tolerance, $"{what}: they differ by {(expected - actual).abs().max().item<float>()}");

    private static void Compare(float[][] expected, float[][] actual, double tolerance)
    {
        for (var i = 0; i < expected.Length; i++) for (var j = 0; j < expected[i].Length; j++) Assert.Equal(expected[i][j], actual[i][j], tolerance);
    }
}
