using Rlgf.Base;
using Rlgf.Distributed;
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

    /// <inheritdoc/>
    public bool IsDealt => true;

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
        List<double> looked = [];
        Tensor? loss = null;
        int[] places = [.. drawn.Select(row => row.Place)];
        foreach (var part in setup.Update.InMicroBatches(Dealt.Places(setup.Ranks, places).Select(row => drawn[row]).ToArray(), LengthOf))
        {
            if (Accumulate(part, tokens, looked) is { } more) loss = loss is null ? more : loss.Add(more);
        }

        // What each rank found of its rows, so that all have the same memory.
        var found = new Dictionary<int, Lesson?>();
        var times = drawn.ToDictionary(row => row.Place, row => row.Times);
        foreach (var of in Dealt.Numbers(setup.Ranks, [.. looked]).Chunk(3))
        {
            var (place, lesson) = ((int)of[0], Now((int)of[0], of[1], of[2]));
            found[place] = lesson;
            _weights.AddRange(Enumerable.Repeat(Weight(lesson), times[place]));
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

    /// <summary>Adds the gradient of some rows, and to <paramref name="looked"/> place, log π_θ and V of each.</summary>
    private Tensor? Accumulate((int Place, int Times)[] part, long tokens, List<double> looked)
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
            var level = levels?[i] ?? lessons[i].Level;
            looked.AddRange([part[i].Place, now[i], level]);
            weights[i] = (float)(Weight(Now(part[i].Place, now[i], level)) * part[i].Times / tokens);
        }
        if (weights.All(weight => weight == 0)) return null;
        var loss = (-logProbs * tensor(weights, device: logProbs.device)).sum();
        using var weighted = loss.Multiply(_settings.Coefficient);
        weighted.Backward();
        // In 64 bits, as parts are summed.
        return loss.detach().to(ScalarType.Float64).MoveToOuterDisposeScope();
    }

    /// <summary>A row as the policy likes it now; null where it is no lesson any more.</summary>
    private Lesson? Now(int place, double logProb, double level)
    {
        var before = Memory.Rows[place];
        var lesson = before with { Price = klCoefficient * (logProb - before.ReferenceLogProb), Level = level };
        return lesson.Size(_level ?? level) >= LessonSettings.SmallestLesson * _spread ? lesson : null;
    }

    private double Weight(Lesson? lesson) => lesson is null ? 0 : Math.Min(lesson.Size(_level ?? lesson.Level) / _spread, LessonSettings.LargestWeight);

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
