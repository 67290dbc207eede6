using Rlgf.Base;
using Rlgf.Lessons;
using Rlgf.Models;
using Rlgf.Models.Tensors;
using Rlgf.Rollouts;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>
/// Remembered rows, drawn anew for each optimiser step in proportion to their lessons, and imitated as far as they still are one:
/// L = Σ_i w_i Σ_t −log π_θ(a_t|s_t) / Σ_i A_i over the K draws, w = clip(lesson / s, 0, 3).
/// </summary>
/// <remarks>
/// Imitation must not drift for free where RL pays for it: a drawn row's lesson is measured on R − kl.coefficient · (log π_θ(y|x) − log π_0(y|x)), so that it stops teaching when the policy's liking
/// for it has cost what it is worth. A row whose lesson has become 0 leaves the memory.
/// </remarks>
internal sealed class LessonReplay(TrainingSetup setup, Critics critics, LessonState state, double klCoefficient, int iteration) : IAuxiliaryLoss
{
    private const ulong LessonDraws = 0x6C657373; // "less"

    private readonly LessonSettings _settings = setup.Algorithm.Lessons!;
    private readonly double _spread = state.Spread;
    private readonly double? _level = setup.Algorithm.Lessons!.Baseline == LessonBaseline.RunningMean ? state.PolicyMean : null;
    private readonly List<double> _weights = [];
    private int _left;

    /// <inheritdoc/>
    public string Name => "lessons";

    /// <summary>The memory after the steps so far.</summary>
    public LessonMemory Memory { get; private set; } = state.Memory;

    /// <summary>What the steps measured.</summary>
    public IEnumerable<(string Name, double Value)> Metrics =>
        [("lessons/weight", _weights.DefaultIfEmpty(0).Average()), ("lessons/left", _left), ("lessons/memory", Memory.Rows.Length)];

    /// <inheritdoc/>
    public Tensor? Accumulate(int step)
    {
        var drawn = _spread > 0 ? Memory.Draw(_settings.RowsPerStep, _level, new RandomStream(setup.Seed, RandomStream.Combine(LessonDraws, (ulong)iteration, (ulong)step))) : [];
        var tokens = drawn.Sum(row => (long)row.Times * Memory.Rows[row.Place].Row.Response.Length);
        var found = new Dictionary<int, Lesson?>();
        Tensor? loss = null;
        foreach (var part in setup.Update.InMicroBatches(drawn, LengthOf))
        {
            if (Accumulate(part, tokens, found) is { } more) loss = loss is null ? more : loss.Add(more);
        }
        _left += found.Values.Count(row => row is null);
        Memory = Memory.After(found);
        return loss;

        int LengthOf((int Place, int Times) draw)
        {
            var row = Memory.Rows[draw.Place].Row;
            return row.Prompt.Length + row.Response.Length;
        }
    }

    private Tensor? Accumulate((int Place, int Times)[] part, long tokens, Dictionary<int, Lesson?> found)
    {
        using var scope = NewDisposeScope();
        Lesson[] lessons = [.. part.Select(row => Memory.Rows[row.Place])];
        TokenRow[] rows = [.. lessons.Select(lesson => lesson.Row)];
        var states = setup.Policy.ResponseStates(rows);
        var logProbs = TokenLogProbs.OfRows(setup.Policy, states, [.. lessons.Select(lesson => lesson.Sample)], setup.Sampling, setup.Update.PositionsPerPart).sum(1);
        var (now, levels) = ToHost(logProbs, _settings.Baseline == LessonBaseline.Critic ? LevelsByCritic(rows, states) : null);
        var weights = new float[part.Length];
        for (var i = 0; i < part.Length; i++)
        {
            var lesson = lessons[i] with { Price = klCoefficient * (now[i] - lessons[i].ReferenceLogProb), Level = levels?[i] ?? lessons[i].Level };
            var size = lesson.Size(_level ?? lesson.Level);
            var isLesson = size >= LessonSettings.SmallestLesson * _spread;
            found[part[i].Place] = isLesson ? lesson : null;
            var weight = isLesson ? Math.Min(size / _spread, LessonSettings.LargestWeight) : 0;
            weights[i] = (float)(weight * part[i].Times / tokens);
            _weights.AddRange(Enumerable.Repeat(weight, part[i].Times));
        }
        if (weights.All(weight => weight == 0)) return null;
        var loss = (-logProbs * tensor(weights, device: logProbs.device)).sum();
        using var weighted = loss.Multiply(_settings.Coefficient);
        weighted.Backward();
        // In 64 bits, as parts are summed.
        return loss.detach().to(ScalarType.Float64).MoveToOuterDisposeScope();
    }

    /// <summary>[b] V of the prompts, as the critic sees them now.</summary>
    private Tensor LevelsByCritic(TokenRow[] rows, Tensor states)
    {
        using var noGradient = no_grad();
        var actors = Enumerable.Repeat(Actor.Policy, rows.Length).ToArray();
        var values = critics.Values(actors, rows, critics.Sharing == CriticSharing.SharedTrunk ? states : null);
        return values.select(1, 0);
    }

    /// <summary>Both at once, since what a row still teaches is decided on the host, and every look waits for an accelerator.</summary>
    private static (double[] LogProbs, double[]? Levels) ToHost(Tensor logProbs, Tensor? levels)
    {
        using var scope = NewDisposeScope();
        var numbers = (levels is null ? logProbs : cat([logProbs, levels.to(logProbs.device)])).to(ScalarType.Float64).HostArray<double>();
        var rows = (int)logProbs.size(0);
        return (numbers[..rows], levels is null ? null : numbers[rows..]);
    }
}
