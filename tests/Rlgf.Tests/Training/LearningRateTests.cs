using Rlgf.Algorithms;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

public sealed class LearningRateTests
{
    [Theory]
    [InlineData(LearningRateDecay.Constant, 2, 0.5, new[] { 0.5, 1, 1, 1, 1, 1, 1 })]
    [InlineData(LearningRateDecay.Linear, 2, 0, new[] { 0.5, 1, 1, 0.75, 0.5, 0.25, 0 })]
    [InlineData(LearningRateDecay.Linear, 2, 0.2, new[] { 0.5, 1, 1, 0.8, 0.6, 0.4, 0.2 })]
    [InlineData(LearningRateDecay.Linear, 0, 0, new[] { 1, 5 / 6.0, 4 / 6.0, 0.5, 2 / 6.0, 1 / 6.0, 0 })]
    [InlineData(LearningRateDecay.Cosine, 2, 0, new[] { 0.5, 1, 1, 0.85355339059327373, 0.5, 0.14644660940672624, 0 })]
    [InlineData(LearningRateDecay.Linear, 9, 0, new[] { 1 / 9.0, 2 / 9.0, 3 / 9.0, 4 / 9.0, 5 / 9.0, 6 / 9.0, 7 / 9.0 })]
    public void It_rises_and_falls_as_asked(LearningRateDecay decay, int warmUp, double finalShare, double[] expected)
    {
        for (var step = 0; step < expected.Length; step++)
        {
            Assert.Equal(expected[step], LearningRate.At(1, step, 6, warmUp, decay, finalShare), 1e-12);
            Assert.Equal(3 * expected[step], LearningRate.At(3, step, 6, warmUp, decay, finalShare), 1e-12);
        }
    }

    [Theory]
    [InlineData(LearningRateDecay.Constant, new[] { 0.5, 1, 1, 1 })]
    [InlineData(LearningRateDecay.Linear, new[] { 0.5, 1, 1, 0.5 })]
    [InlineData(LearningRateDecay.Cosine, new[] { 0.5, 1, 1, 0.5 })]
    public void Iterations_learn_at_it(LearningRateDecay decay, double[] factors)
    {
        using var policy = new TabularModel(3, 3, 2);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, _ => 1, iterations: 4);
        var records = ToyRun.Run(setup with { RowsPerIteration = 4, Update = setup.Update with { LearningRate = 0.02, Schedule = decay, WarmUpIterations = 2 } });
        Assert.All(records.Zip(factors), pair => Assert.Equal(0.02 * pair.Second, pair.First.Metrics["learning_rate"], 1e-12));
    }
}
