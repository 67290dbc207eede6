using Rlgf.Algorithms;
using Rlgf.Evaluation;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Runs;

public sealed class ResumedEvaluationTests
{
    [Theory]
    [InlineData(4, new[] { 4 })]
    [InlineData(2, new[] { 2, 4 })]
    [InlineData(3, new[] { 4 })]
    public void A_run_killed_between_checkpoint_and_evaluation_makes_the_evaluation_when_it_resumes(int checkpoint, int[] evaluated)
    {
        var policy = new TabularModel(vocabulary: 3, horizon: 3, end: null);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), guide: null, response => response.Length, iterations: 4);
        var evaluator = new Evaluator { Prompts = setup.Prompts, Sampling = setup.Sampling, Reward = setup.Reward, Reference = setup.Reference, Tokenizer = setup.Tokenizer };
        var log = new MemoryLog();
        using var training = new GuidedTraining(setup, new TrainingSchedule { EvaluateEvery = 2, CheckpointEvery = 0 }, log, evaluator);

        training.Run(new StoredState(new TrainingState(checkpoint, setup.Kl.NewController(), GuidanceGap.Unmeasured)), resume: true, CancellationToken.None);

        Assert.Equal(evaluated, log.Evaluations.Select(record => record.Iteration));
    }

    private sealed class StoredState(TrainingState state) : ICheckpointStore
    {
        public void Save(TrainingState newer) { }

        public TrainingState? LoadNewest() => state;

        public TrainingState GoBack(int iteration, Func<TrainingState, TrainingState> decided) => throw new NotSupportedException();
    }
}
