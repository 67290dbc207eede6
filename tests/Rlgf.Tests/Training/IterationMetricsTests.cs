using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

/// <summary>Every field of an iteration's metrics, recomputed from what was written and from tables of probabilities.</summary>
public sealed class IterationMetricsTests
{
    private const int Rows = 8, End = 2;
    private const double Coefficient = 0.25;

    [Fact]
    public void Of_a_policy_alone_without_a_critic()
    {
        using var policy = Model(5);
        using var start = Model(6);
        using var before = (TabularModel)policy.Clone();
        var setup = Setup(policy, start, Presets.Rloo(2), guide: null) with { Kl = new KlSettings { Coefficient = Coefficient, Placement = KlPlacement.Loss, Estimator = KlEstimator.K3 } };
        var (metrics, samples) = Iterate(setup);

        var tokens = Array.ConvertAll(samples, sample => sample.Tokens.Select(token => int.Parse(token.Text, System.Globalization.CultureInfo.InvariantCulture)).ToArray());
        var rewards = Array.ConvertAll(tokens, Reward);
        Assert.Equal(rewards, samples.Select(sample => sample.Reward));
        Near(metrics, "reward/mean", rewards.Average());
        Near(metrics, "reward/deviation", Deviation(rewards));
        Near(metrics, "kl/start", tokens.Average(row => LogProb(before, row) - LogProb(start, row)));
        Near(metrics, "kl/coefficient", Coefficient);
        Near(metrics, "response/length", tokens.Average(row => row.Length));
        Near(metrics, "response/ended", tokens.Count(row => row[^1] == End) / (double)Rows);
        Near(metrics, "roll_in/share", 0);
        Near(metrics, "roll_in/length", 0);
        Near(metrics, "tokens/policy", tokens.Sum(row => row.Length));
        Near(metrics, "tokens/guide", 0);
        Near(metrics, "policy/entropy", -tokens.Sum(row => LogProb(before, row)) / tokens.Sum(row => row.Length));

        // The other response of the group is what a response is compared with.
        var advantages = Enumerable.Range(0, Rows).Select(row => rewards[row] - rewards[row ^ 1]).ToArray();
        var perToken = tokens.SelectMany((row, i) => row.Select(_ => advantages[i])).ToArray();
        Near(metrics, "advantage/mean", perToken.Average());
        Near(metrics, "advantage/deviation", Deviation(perToken));

        // One step, in which the policy is still the one that wrote: all ratios are 1.
        Near(metrics, "loss/policy", -perToken.Average());
        Near(metrics, "policy/clip_fraction", 0);
        Near(metrics, "policy/kl_to_old", 0);
        Near(metrics, "loss/value", 0);
        Near(metrics, "critic/gradient_norm", 0);
        Near(metrics, "learning_rate", setup.Update.LearningRate);
        Near(metrics, "policy/gradient_norm", GradientNorm(before, start, tokens, advantages));
        Assert.True(double.IsNaN(metrics["critic/explained_variance"]));
        Near(metrics, "seconds/total", metrics.Where(metric => metric.Key.StartsWith("seconds/", StringComparison.Ordinal) && metric.Key != "seconds/total").Sum(metric => metric.Value));
    }

    [Fact]
    public void Of_a_guide_s_roll_ins_and_a_critic()
    {
        using var policy = Model(5);
        using var start = Model(6);
        using var before = (TabularModel)policy.Clone();
        var written = 0;
        var table = (FunctionGuide)ToyRun.Guide(3, End, _ => [0.2, 0.7, 0.1]);
        var guide = new FunctionGuide("counted", request =>
        {
            var continuation = table.Continue([request], CancellationToken.None)[0]!;
            written += continuation.Tokens!.Length;
            return continuation;
        });
        var (metrics, samples) = Iterate(Setup(policy, start, Presets.PpoPlusPlus(0.7), guide));
        Assert.Contains(samples, sample => sample.RollInLength > 0);
        Assert.Contains(samples, sample => sample.RollInLength == 0);

        Near(metrics, "roll_in/probability", 0.7);
        Near(metrics, "roll_in/share", samples.Count(sample => sample.RollInLength > 0) / (double)Rows);
        Near(metrics, "roll_in/length", samples.Average(sample => sample.RollInLength));
        Assert.All(samples, sample => Assert.All(sample.Tokens.Select((token, t) => (token, t)), at => Assert.Equal(at.t < sample.RollInLength ? Actor.Guide : Actor.Policy, at.token.Author)));
        Near(metrics, "tokens/guide", written);
        Near(metrics, "tokens/policy", samples.Sum(sample => sample.Tokens.Count - sample.RollInLength));

        // What the policy wrote, and nothing else, has log-probabilities: those of the table before the update.
        var own = samples.SelectMany(sample => sample.Tokens.Select((token, t) => (sample, t)).Where(at => at.t >= at.sample.RollInLength)).ToArray();
        double At(TabularModel model, SampleRecord sample, int t)
        {
            int[] row = [.. sample.Tokens.Select(token => token.Text[0] - '0')];
            return Math.Log(model.Probabilities(row.AsSpan(0, t))[row[t]]);
        }

        Near(metrics, "policy/entropy", -own.Average(at => At(before, at.sample, at.t)));
        Near(metrics, "kl/start", own.Sum(at => At(before, at.sample, at.t) - At(start, at.sample, at.t)) / samples.Count(sample => sample.Tokens.Count > sample.RollInLength));
        Assert.All(own, at => Assert.Equal(At(before, at.sample, at.t) - At(start, at.sample, at.t), at.sample.Tokens[at.t].Kl, 1e-5));

        // A critic's targets are its values and the advantages together.
        var (a, v) = (own.Select(at => at.sample.Tokens[at.t].Advantage).ToArray(), own.Select(at => at.sample.Tokens[at.t].Value).ToArray());
        Near(metrics, "advantage/mean", a.Average());
        Near(metrics, "critic/explained_variance", 1 - Math.Pow(Deviation(a) / Deviation([.. a.Zip(v, (x, y) => x + y)]), 2));
        Near(metrics, "loss/policy", -a.Average());
    }

    [Fact]
    public void Of_the_gap_and_the_credit_of_adaptive_guidance_version_one()
    {
        using var policy = Model(5);
        using var start = Model(6);
        using var before = (TabularModel)policy.Clone();
        var (answers, guide) = Remembering();
        var (metrics, samples) = Iterate(Setup(policy, start, Presets.AdaptiveV1(0.7, credit: 2), guide));

        var own = samples.Where(sample => sample.RollInLength == 0).Select(sample => Reward(Ids(sample))).ToArray();
        Assert.Equal(Rows, own.Length + answers.Count);
        var gap = (answers.Average(Reward) - own.Average()) / Deviation(own);
        Near(metrics, "gap/smoothed", gap);
        Near(metrics, "gap/factor", Math.Clamp(gap / 0.5, 0.05, 1));
        // Before anything was measured the guide is trusted: c is whole.
        Near(metrics, "guide/credit", 2);
        // c · mean over the guide's tokens of w · (−log π), w = clip(Â / rms(Â), 0, 3).
        var written = samples.SelectMany(sample => Enumerable.Range(0, sample.RollInLength).Select(t => (A: sample.Tokens[t].Advantage, Log: LogAt(before, Ids(sample), t)))).ToArray();
        var rms = Math.Sqrt(written.Average(token => token.A * token.A));
        Near(metrics, "loss/guide", 2 * written.Average(token => Math.Clamp(token.A / rms, 0, 3) * -token.Log));
    }

    [Fact]
    public void Of_lessons()
    {
        using var policy = Model(5);
        using var start = Model(6);
        using var before = (TabularModel)policy.Clone();
        var (answers, guide) = Remembering();
        var setup = Setup(policy, start, Presets.Adaptive(0.5) with { Lessons = new() { RowsPerStep = 1 } }, guide);
        var (metrics, samples) = Iterate(setup);

        var all = samples.Select(Ids).ToArray();
        var own = samples.Where(sample => sample.RollInLength == 0).Select(sample => Reward(Ids(sample))).ToArray();
        var level = own.Average();
        double[] everybody = [.. all.Select(Reward), .. answers.Select(Reward)];
        var spread = Deviation(everybody);
        Near(metrics, "lessons/guide", answers.Average(answer => Math.Max(0, Reward(answer) - level)));
        Near(metrics, "lessons/policy", own.Average(reward => Math.Max(0, reward - level)));
        var (g, p) = ((answers.Sum(answer => Math.Max(0, Reward(answer) - level)) + everybody.Max() - level) / (answers.Count + 1), metrics["lessons/policy"]);
        // No answer of the guide's is worth more than the best row here, nor the other way round, so that the largest lesson is that of the largest reward of either alone.
        Assert.Equal(everybody.Max(), Math.Max(own.Max(), answers.Max(Reward)));
        Near(metrics, "lessons/factor", Math.Clamp(Math.Log2(g / p), 0.05, 1));
        var taught = all.Concat(answers).Where(row => Reward(row) > level).Select(row => string.Concat(row)).Distinct().ToArray();
        Near(metrics, "lessons/memory", taught.Length - metrics["lessons/left"]);

        // One row was drawn, in one step: its loss is that of one of those that were remembered.
        var losses = taught.Select(row => row.Select(c => c - '0').ToArray()).Select(row => Math.Min(3, (Reward(row) - level) / spread) * -LogProb(before, row) / row.Length).ToArray();
        Assert.Contains(losses, loss => Math.Abs(loss - metrics["loss/lessons"]) < 1e-5);
        Assert.InRange(metrics["lessons/weight"], 0, 3);
    }

    private static (List<int[]> Answers, IGuide Guide) Remembering()
    {
        List<int[]> answers = [];
        var table = (FunctionGuide)ToyRun.Guide(3, End, _ => [0.2, 0.7, 0.1]);
        return (answers, new FunctionGuide("remembering", request =>
        {
            var continuation = table.Continue([request], CancellationToken.None)[0]!;
            answers.Add(continuation.Tokens!);
            return continuation;
        }));
    }

    private static int[] Ids(SampleRecord sample) => [.. sample.Tokens.Select(token => token.Text[0] - '0')];

    private static double LogAt(TabularModel model, int[] row, int t) => Math.Log(model.Probabilities(row.AsSpan(0, t))[row[t]]);

    private static TabularModel Model(ulong seed)
    {
        var model = new TabularModel(3, 3, End);
        model.Initialise(seed);
        return model;
    }

    private static TrainingSetup Setup(TabularModel policy, TabularModel start, AlgorithmSettings algorithm, IGuide? guide) => ToyRun.Setup(policy, algorithm, guide, _ => 0, iterations: 1) is var setup
        ? setup with
        {
            Reference = start,
            Reward = new FunctionReward("ones", response => Reward(response.Tokens)),
            RowsPerIteration = Rows,
            Update = setup.Update with { Epochs = 1, RowsPerMinibatch = Rows, WhitenAdvantages = false },
        }
        : throw new InvalidOperationException();

    private static double Reward(int[] tokens) => tokens.Count(token => token == 1) + 0.5 * tokens.Count(token => token == 0);

    private static (IReadOnlyDictionary<string, double> Metrics, SampleRecord[] Samples) Iterate(TrainingSetup setup)
    {
        var log = new MemoryLog();
        using var training = new GuidedTraining(setup, new TrainingSchedule { CheckpointEvery = 0, EvaluateEvery = 0 }, log);
        training.Run(null, resume: false, CancellationToken.None);
        Assert.Equal(Rows, log.SampleRows.Count);
        return (Assert.Single(log.Iterations).Metrics, [.. log.SampleRows]);
    }

    /// <summary>Of −mean(Â log π) + c · mean(e^−d − 1 + d), d = log π − log π_0, by the derivative of a softmax.</summary>
    private static double GradientNorm(TabularModel policy, TabularModel start, int[][] rows, double[] advantages)
    {
        var gradient = new Dictionary<string, double[]>();
        var count = rows.Sum(row => row.Length);
        for (var i = 0; i < rows.Length; i++)
        {
            for (var t = 0; t < rows[i].Length; t++)
            {
                var prefix = rows[i].AsSpan(0, t);
                var (own, other) = (policy.Probabilities(prefix), start.Probabilities(prefix));
                var difference = Math.Log(own[rows[i][t]] / other[rows[i][t]]);
                var slope = (-advantages[i] + Coefficient * (1 - Math.Exp(-difference))) / count;
                var key = string.Join(',', prefix.ToArray());
                if (!gradient.TryGetValue(key, out var entry)) gradient[key] = entry = new double[own.Length];
                for (var token = 0; token < own.Length; token++) entry[token] += slope * ((token == rows[i][t] ? 1 : 0) - own[token]);
            }
        }

        return Math.Sqrt(gradient.Values.SelectMany(entry => entry).Sum(x => x * x));
    }

    private static double LogProb(TabularModel model, int[] tokens) => Enumerable.Range(0, tokens.Length).Sum(t => Math.Log(model.Probabilities(tokens.AsSpan(0, t))[tokens[t]]));

    private static double Deviation(double[] x) => Math.Sqrt(x.Sum(value => Math.Pow(value - x.Average(), 2)) / (x.Length - 1));

    private static void Near(IReadOnlyDictionary<string, double> metrics, string name, double expected) =>
        Assert.True(Math.Abs(expected - metrics[name]) < 2e-5 * Math.Max(1, Math.Abs(expected)), $"{name} is {metrics[name]}, expected {expected}");
}
