using Rlgf.Evaluation;
using Rlgf.Rollouts;
using Rlgf.Runs;

namespace Rlgf.Tests.Runs;

public sealed class ConsoleLogTests
{
    [Fact]
    public void It_is_a_line_for_each_thing_that_it_is_told()
    {
        using var output = new StringWriter { NewLine = "\n" };
        IRunLog log = new ConsoleLog(output);
        Dictionary<string, double> answers = new() { ["reward/mean"] = 0.5, ["kl/start"] = 1.25, ["response/length"] = 7 };
        log.Iteration(new IterationRecord(0, new RolloutPlan(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside), answers));
        log.Evaluation(new EvaluationRecord(1, answers, []));
        log.Step(new StepRecord(3, new Dictionary<string, double> { ["loss"] = 2.5, ["learning_rate"] = 0.01 }));
        log.HeldOut(new StepRecord(3, new Dictionary<string, double> { ["loss"] = 2, ["calibration_error"] = 0.1 }));
        Assert.Equal("""
            iteration 1: reward 0.500, KL 1.25, 7.0 tokens
            evaluation after iteration 1: reward 0.500, KL 1.25, 7.0 tokens
            step 3: loss 2.500
            held-out after step 3: loss 2.000, calibration error 0.100

            """, output.ToString());
    }
}
