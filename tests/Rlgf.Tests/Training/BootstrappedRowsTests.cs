using Rlgf.Algorithms;
using Rlgf.Models.Generation;
using Rlgf.Rewards;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

/// <summary>A response that was cut at its limit is worth the critic's value there, unless it fills the model's context: then nothing can follow.</summary>
public sealed class BootstrappedRowsTests
{
    private const int Limit = 6, Prompt = 2;

    [Theory]
    [InlineData(CriticSharing.SharedTrunk)]
    [InlineData(CriticSharing.Separate)]
    public void A_response_that_fills_the_context_counts_as_ended(CriticSharing sharing)
    {
        var ended = Run(Limit + Prompt, sharing, bootstrap: false);
        var filled = Run(Limit + Prompt, sharing, bootstrap: true);
        Assert.All(ended.Zip(filled), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
    }

    [Theory]
    [InlineData(CriticSharing.SharedTrunk)]
    [InlineData(CriticSharing.Separate)]
    public void One_that_could_go_on_is_worth_more(CriticSharing sharing)
    {
        var ended = Run(Limit + Prompt + 1, sharing, bootstrap: false);
        var goesOn = Run(Limit + Prompt + 1, sharing, bootstrap: true);
        // All rewards are 1, so that the critic learns that: what may go on has the value of that too, and the returns grow.
        Assert.Equal(ended[0], goesOn[0], 1e-5);
        Assert.True(goesOn[^1] > ended[^1] + 0.02, $"{goesOn[^1]} > {ended[^1]}");
    }

    /// <returns>Mean value of the responses' last tokens in each iteration.</returns>
    private static double[] Run(int context, CriticSharing sharing, bool bootstrap)
    {
        using var policy = TinyGpt2.Create(TinyGpt2.Vocabulary, TinyGpt2.End, context, seed: 3);
        using var reference = policy.Clone();
        var log = new MemoryLog();
        var setup = new TrainingSetup
        {
            Policy = policy,
            Reference = reference,
            Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End),
            Reward = new FunctionReward("one", _ => 1),
            Prompts = [new("12", [1, 2])],
            Sampling = new SamplingSettings { MaxNewTokens = Limit },
            Algorithm = Presets.Ppo(),
            CriticSharing = sharing,
            BootstrapCutRows = bootstrap,
            Update = new UpdateSettings { Epochs = 4, RowsPerMinibatch = 8, LearningRate = 1e-4, CriticLearningRate = 3e-3 },
            Iterations = 4,
            RowsPerIteration = 16,
        };
        using var training = new GuidedTraining(setup, new TrainingSchedule { SamplesEvery = 1, CheckpointEvery = 0 }, log);
        training.Run(null, resume: false, CancellationToken.None);
        return [.. log.SampleRows.Chunk(8).Select(rows => rows.Average(row => row.Tokens[^1].Value))];
    }
}
