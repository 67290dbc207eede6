using Rlgf.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Rollouts;

/// <summary>The finished rows of an iteration, as tensors. Masks are computed from who wrote a token and where the roll-out began.</summary>
public sealed record RolloutBatch
{
    /// <summary>The B rows.</summary>
    public required IReadOnlyList<Rollout> Rollouts { get; init; }

    /// <summary>[B, A] int64: response ids, 0 beyond a row's length. A is at least 1.</summary>
    public required Tensor Tokens { get; init; }

    /// <summary>[B] int64: number of response tokens; a row may be empty.</summary>
    public required Tensor Lengths { get; init; }

    /// <summary>[B, A] bool: the policy wrote the token. The KL penalty falls on these.</summary>
    public required Tensor IsPolicy { get; init; }

    /// <summary>[B, A] bool: the policy loss falls on the token. What the policy chose (a forced token is no choice), or its last roll-in token alone for <see cref="RollInLengths.Exact"/>.</summary>
    public required Tensor TrainsPolicy { get; init; }

    /// <summary>[B, A] bool: the guide wrote the token.</summary>
    public required Tensor IsGuide { get; init; }

    /// <summary>[B, A] bool: the token belongs to the roll-out, where the value loss falls.</summary>
    public required Tensor IsRollOut { get; init; }

    /// <summary>[B, A] float32: log π_θ under the distribution that was sampled, when the token was drawn; 0 where the policy did not write.</summary>
    public required Tensor LogProbs { get; init; }

    /// <summary>Number of tokens that the policy wrote.</summary>
    public required int PolicyTokens { get; init; }

    /// <summary>Makes the tensors of finished rows; each may have been written under a plan of its own.</summary>
    /// <param name="rollouts">B rows.</param>
    /// <param name="device">Where the tensors are made: that of the policy. The CPU by default.</param>
    public static RolloutBatch From(IReadOnlyList<Rollout> rollouts, Device? device = null)
    {
        device ??= CPU;
        int rows = rollouts.Count, steps = Math.Max(1, rollouts.Max(rollout => rollout.Tokens.Length));
        var tokens = new long[rows * steps];
        var lengths = new long[rows];
        bool[] isPolicy = new bool[rows * steps], trains = new bool[rows * steps], isGuide = new bool[rows * steps], isRollOut = new bool[rows * steps];
        var logProbs = new float[rows * steps];
        for (var row = 0; row < rows; row++)
        {
            var rollout = rollouts[row];
            var lastOnly = rollout.Plan.TrainsLastOfRollIn;
            lengths[row] = rollout.Tokens.Length;
            for (var t = 0; t < rollout.Tokens.Length; t++)
            {
                var at = row * steps + t;
                tokens[at] = rollout.Tokens[t];
                isPolicy[at] = rollout.AuthorOf(t) == Actor.Policy;
                isGuide[at] = !isPolicy[at];
                trains[at] = rollout.IsChoice(t) && (!lastOnly || t == rollout.RollInLength - 1);
                isRollOut[at] = t >= rollout.RollInLength;
                logProbs[at] = isPolicy[at] ? rollout.LogProbs[t] : 0;
            }
        }
        Tensor Matrix<T>(T[] values, Func<T[], Tensor> make)
        {
            using var flat = make(values);
            return flat.reshape(rows, steps);
        }
        return new()
        {
            Rollouts = rollouts,
            Tokens = Matrix(tokens, values => tensor(values, device: device)),
            Lengths = tensor(lengths, device: device),
            IsPolicy = Matrix(isPolicy, values => tensor(values, device: device)),
            TrainsPolicy = Matrix(trains, values => tensor(values, device: device)),
            IsGuide = Matrix(isGuide, values => tensor(values, device: device)),
            IsRollOut = Matrix(isRollOut, values => tensor(values, device: device)),
            LogProbs = Matrix(logProbs, values => tensor(values, device: device)),
            PolicyTokens = isPolicy.Count(x => x),
        };
    }

    /// <summary>B actors: whose value function a row is valued by.</summary>
    public IReadOnlyList<Actor> RollOutActors => [.. Rollouts.Select(rollout => rollout.RollOut)];

    /// <summary>The rows as models take them.</summary>
    public IReadOnlyList<TokenRow> TokenRows => [.. Rollouts.Select(rollout => rollout.TokenRow)];

    /// <summary>The rows with what could have been drawn.</summary>
    public IReadOnlyList<SampledRow> Samples => [.. Rollouts.Select(rollout => rollout.Sample)];
}
