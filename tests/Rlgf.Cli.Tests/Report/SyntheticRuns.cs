using Rlgf.App.Report;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Rollouts;
using Rlgf.Runs;

namespace Rlgf.Cli.Tests.Report;

/// <summary>Runs that never were, with curves of a likely shape: what a report has to show without an hour of training.</summary>
internal static class SyntheticRuns
{
    public const int Prompts = 120;

    private static readonly string[] Words =
        ["the", "film", "is", "a", "quiet", "wonder", "and", "its", "cast", "never", "wastes", "scene", "though", "slow", "at", "times", "I", "loved", "every", "minute"];

    public static RunEnvironment Machine { get; } = new("0.1.0", "Debian GNU/Linux 12 (bookworm)", "x64", "A processor", 2, 24, ".NET 10.0.4", "0.107.0", "2.10.0", 2, "highest", false,
        new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    /// <summary>A run of an algorithm that ends at about the given reward.</summary>
    public static ReportRun Run(string algorithm, ulong seed, double final, int iterations = 40, string? guide = "positive", string text = "")
    {
        var random = new RandomStream(seed, RandomStream.Combine([.. algorithm.Select(c => (ulong)c)]));
        var usesGuide = algorithm is not ("ppo" or "grpo" or "rloo");
        double Progress(int i) => 1 - Math.Exp(-4.0 * i / iterations);
        return new ReportRun
        {
            Description = new RunDescription("synthetic", algorithm, seed, guide),
            Iterations = [.. Enumerable.Range(0, iterations).Select(i => Iteration(i, 0.41 + (final - 0.41) * Progress(i), usesGuide, random))],
            Evaluations = [.. Enumerable.Range(0, 5).Select(k => k * iterations / 4).Select(i => Evaluation(i, 0.41 + (final - 0.41) * Progress(i), 16 * Progress(i), random, text))],
            Guide = guide is null ? null : Evaluation(0, 0.6, double.NaN, random, text),
            Samples = [.. new[] { 1, iterations / 2, iterations }.Distinct().Select(i => new ReportSamples(i, [.. Enumerable.Range(0, 6).Select(_ => Sample(usesGuide, random, text))]))],
            Recipe = $"# resolved\nalgorithm: {algorithm}\nseed: {seed}\nlearning_rate: 0.0002 # <b>&amp;\n",
            Environment = Machine,
        };
    }

    /// <summary>The algorithms of the quickstart, one or more seeds each.</summary>
    public static IReadOnlyList<ReportRun> All(int seeds) =>
        [.. new[] { ("ppo", 0.70), ("ppo_plus_plus", 0.65), ("aggrevated", 0.69), ("lols", 0.6), ("d2lols", 0.63), ("adaptive", 0.75) }
            .SelectMany(a => Enumerable.Range(1, seeds).Select(seed => Run(a.Item1, (ulong)seed, a.Item2 + 0.01 * (seed - 1))))];

    private static IterationRecord Iteration(int i, double reward, bool usesGuide, RandomStream random) => new(i,
        new RolloutPlan(usesGuide ? Actor.Guide : Actor.Policy, Actor.Policy, usesGuide ? 0.6 : 0, RollInLengths.Inside),
        new Dictionary<string, double>
        {
            ["reward/mean"] = reward + 0.04 * (random.NextDouble() - 0.5),
            ["kl/start"] = 16 * (1 - Math.Exp(-i / 20.0)),
            ["loss/policy"] = -0.02 * random.NextDouble(),
            ["loss/value"] = 0.05 + 0.1 * Math.Exp(-i / 5.0),
            ["advantage/mean"] = 0.1 * (random.NextDouble() - 0.5),
            ["advantage/deviation"] = 0.3 + 0.1 * random.NextDouble(),
            ["critic/explained_variance"] = i == 0 ? double.NaN : 1 - Math.Exp(-i / 8.0),
            ["tokens/policy"] = 1536 * (i + 1) * (usesGuide ? 0.6 : 1),
            ["tokens/guide"] = usesGuide ? 1536 * 0.4 * (i + 1) : 0,
            ["seconds/total"] = 1.4 + 0.2 * random.NextDouble(),
        });

    public static EvaluationRecord Evaluation(int iteration, double reward, double kl, RandomStream random, string text)
    {
        var rows = Enumerable.Range(0, Prompts).Select(p =>
        {
            var score = Math.Clamp(reward + 0.25 * Math.Sin(p) + 0.3 * (random.NextDouble() - 0.5), 0, 1);
            return new EvaluationRow($"Prompt {p}: I watched this with my family and {text}", Sentence(random, 18) + text, 24, false, score,
                new Dictionary<string, double>(), Math.Clamp(score + 0.1 * random.NextDouble(), 0, 1), kl, -90);
        }).ToArray();
        return new EvaluationRecord(iteration, new Dictionary<string, double>
        {
            ["reward/mean"] = rows.Average(r => r.Reward), ["judge/mean"] = rows.Average(r => r.Judge), ["kl/start"] = kl,
            ["perplexity/start"] = Math.Exp(90.0 / 24), ["distinct/2"] = 0.8 - reward / 4, ["response/length"] = 24,
        }, rows);
    }

    private static SampleRecord Sample(bool usesGuide, RandomStream random, string text)
    {
        var rollIn = usesGuide ? random.NextInt32(20) : 0;
        return new SampleRecord("I watched this with my family and" + text, rollIn, random.NextDouble(), new Dictionary<string, double>(),
            [.. Enumerable.Range(0, 24).Select(t => new SampleToken(
                t == 9 ? "\n" : " " + Words[random.NextInt32(Words.Length)] + text, t < rollIn ? Actor.Guide : Actor.Policy, random.NextDouble() - 0.5, random.NextDouble(),
                t < rollIn ? double.NaN : 0.1 * random.NextDouble(), t < rollIn ? double.NaN : -4 * random.NextDouble()))]);
    }

    private static string Sentence(RandomStream random, int words) => " " + string.Join(' ', Enumerable.Range(0, words).Select(_ => Words[random.NextInt32(Words.Length)])) + ".";
}
