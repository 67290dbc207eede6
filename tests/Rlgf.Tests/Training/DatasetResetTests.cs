using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>DR-PO is PPO++ on stored texts, and the text that a row starts from is context: nothing of it is learned from, valued, penalised or counted.</summary>
public sealed class DatasetResetTests
{
    private static readonly Func<string, double> Reward = response => response.Count(c => c == '1') - 0.3 * response.Count(c => c == '0');

    [Theory]
    [InlineData(1.0)]
    [InlineData(0.6)]
    public void On_the_texts_that_a_guide_wrote_it_is_PPO_plus_plus_number_for_number(double beta)
    {
        const int Iterations = 4, Rows = 64;
        Prompt[] prompts = [.. Enumerable.Range(0, Iterations * Rows).Select(i => new Prompt("", []) { Id = $"{i}" })];
        var sampler = (ILocalGuide)ToyRun.Guide(3, 2, _ => [0.3, 0.5, 0.2]);
        Dictionary<string, string> written = [];
        var live = new FunctionGuide("live", request =>
        {
            var text = sampler.Continue([request], CancellationToken.None)[0]! with { Tokens = null };
            written.Add(request.Prompt.Id, text.Text);
            return text;
        });
        var expected = Weights(Presets.PpoPlusPlus(beta), live, prompts);
        Assert.InRange(written.Count, (int)(beta * prompts.Length * 0.8), prompts.Length);

        // A text of nothing is no reference; the guide's empty answers keep no roll-in either.
        Prompt[] stored = [.. prompts.Select(prompt => prompt with { References = written.TryGetValue(prompt.Id, out var text) ? [text] : [] })];
        Assert.Equal(expected, Weights(Presets.DrPo(beta), new ReferencesGuide(), stored));

        float[] Weights(AlgorithmSettings algorithm, IGuide guide, Prompt[] of)
        {
            using var policy = new TabularModel(3, 3, 2);
            ToyRun.Run(ToyRun.Setup(policy, algorithm, guide, Reward, Iterations) with { Prompts = of, RowsPerIteration = Rows });
            return [.. policy.Logit.data<float>()];
        }
    }

    [Fact]
    public void Without_resets_it_is_PPO()
    {
        Assert.Equal(Weights(Presets.Ppo()), Weights(Presets.DrPo(beta: 0)));

        static float[] Weights(AlgorithmSettings algorithm)
        {
            using var policy = new TabularModel(3, 3, 2);
            ToyRun.Run(ToyRun.Setup(policy, algorithm, new ReferencesGuide(), Reward, iterations: 3) with { Prompts = [new Prompt("", []) { References = ["112"] }] });
            return [.. policy.Logit.data<float>()];
        }
    }

    /// <summary>The published code lets the value loss, the KL and the whitening's mean and deviation run over roll-in tokens.</summary>
    [Theory]
    [InlineData(LossReduction.TokenMean, false)]
    [InlineData(LossReduction.RowMean, true)]
    public void A_row_that_starts_inside_a_reference_is_a_row_whose_prompt_is_longer_by_that_text(LossReduction reduction, bool whiten)
    {
        // A reference of two tokens is always cut after its first: the state to start from is one.
        var reset = Run(Presets.DrPo(), [new Prompt("1", [1]) { References = ["23"] }], rollIn: 1);
        var longer = Run(Presets.Ppo(), [new Prompt("12", [1, 2])], rollIn: 0);
        Assert.Equal(reset.Rewards, longer.Rewards);
        Assert.All(reset.Weights.Zip(longer.Weights), pair => Assert.Equal(pair.First, pair.Second, 2e-5));
        Assert.Contains(reset.Weights.Zip(reset.Start), pair => Math.Abs(pair.First - pair.Second) > 1e-3);

        (double[] Rewards, float[] Start, float[] Weights) Run(AlgorithmSettings algorithm, Prompt[] prompts, int rollIn)
        {
            using var policy = TinyGpt2.Create(seed: 3);
            // A reference that is far from the policy, so that a KL on any token would be seen.
            using var reference = TinyGpt2.Create(seed: 9);
            float[] Parameters() => [.. policy.Module.parameters().SelectMany(parameter => parameter.data<float>().ToArray())];
            var start = Parameters();
            var log = new MemoryLog();
            using var training = new GuidedTraining(new TrainingSetup
            {
                Policy = policy,
                Reference = reference,
                Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End),
                Guide = new ReferencesGuide(),
                Reward = new FunctionReward("ones", response => response.Tokens.Skip(rollIn).Count(token => token == 1)),
                Prompts = prompts,
                // Exactly four tokens of the policy's.
                Sampling = new SamplingSettings { MaxNewTokens = 4 + rollIn, EndTokens = [] },
                Algorithm = algorithm,
                Writer = new FromThePrompt(policy),
                Kl = new KlSettings { Coefficient = 0.3 },
                Update = new UpdateSettings { Epochs = 2, RowsPerMinibatch = 8, LearningRate = 1e-3, CriticLearningRate = 1e-2, AdamEpsilon = 1e-3, Reduction = reduction, WhitenAdvantages = whiten },
                Iterations = 3,
                RowsPerIteration = 16,
                Seed = 5,
            }, new TrainingSchedule { CheckpointEvery = 0, EvaluateEvery = 0 }, log);
            training.Run(null, resume: false, CancellationToken.None);
            return ([.. log.Iterations.Select(record => record.Metrics["reward/mean"])], start, Parameters());
        }
    }

    [Fact]
    public void A_guide_that_writes_texts_of_its_own_is_refused_in_one_line()
    {
        using var policy = new TabularModel(3, 3, 2);
        var setup = ToyRun.Setup(policy, Presets.DrPo(), ToyRun.Guide(3, 2, _ => [0.3, 0.5, 0.2]), Reward);
        Assert.Equal(
            "'dr_po' restarts from the data's references, and this guide writes texts of its own: use the guide references, or ppo_plus_plus",
            Assert.Throws<InputException>(() => TrainingChecks.ThrowIfImpossible(setup)).Message);
        TrainingChecks.ThrowIfImpossible(setup with { Guide = new ReferencesGuide() });
    }

    /// <summary>Draws are named by a token's place in the response: read as a part of the prompt, the same roll-out has the same ones.</summary>
    private sealed class FromThePrompt(ILanguageModel policy) : ITextWriter
    {
        public string Name => "from the prompt";

        public ILanguageModel LogProbsOf => policy;

        public Task<IReadOnlyList<GeneratedRow>> WriteAsync(IReadOnlyList<GenerationRequest> rows, SamplingSettings settings, ulong seed, CancellationToken cancellationToken) =>
            Task.FromResult(TextGenerator.Generate(
                policy, [.. rows.Select(row => row with { Row = new TokenRow([.. row.Row.Prompt, .. row.Row.Response], []) })], settings, seed, cancellationToken));

        public Task WeightsChangedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
