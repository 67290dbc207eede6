using Rlgf.Distributed;
using Rlgf.Models.Optimizers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>
/// An optimiser whose state is shared out among the ranks (stage 1 of ZeRO: Rajbhandari et al. 2020, arXiv 1910.02054), parameter by parameter: each rank keeps the means of its share, makes the steps of its share,
/// and gives the others what came out. A step of AdamW takes each number by itself, so that the numbers are those of an optimiser that keeps all.
/// </summary>
internal sealed class OptimizerShares
{
    /// <summary>Bytes of one rank's parameters that travel at once.</summary>
    private const long MostBytes = 1 << 26;

    private readonly ICommunicator _ranks;
    private readonly Dictionary<string, int> _owners;
    private readonly Parameter[][][] _rounds;

    /// <summary>Shares the parameters out and makes the optimiser.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="groups">The groups.</param>
    /// <param name="settings">The constants.</param>
    /// <param name="shares">Whether the state is shared out; otherwise each rank keeps all.</param>
    public OptimizerShares(ICommunicator ranks, IReadOnlyList<ParameterGroup> groups, AdamWSettings settings, bool shares)
    {
        _ranks = ranks;
        IsShared = shares && ranks.Size > 1;
        var parameters = groups.SelectMany(group => group.Parameters).ToArray();
        _owners = IsShared ? Owners(parameters, ranks.Size) : [];
        _rounds = [.. Enumerable.Range(0, IsShared ? ranks.Size : 0).Select(rank => Rounds(parameters.Where(pair => _owners[pair.Key] == rank).Select(pair => pair.Value)))];
        Optimizer = new FusedAdamW(groups, settings, IsShared ? name => _owners[name] == ranks.Rank : null);
    }

    /// <summary>The optimiser, with this rank's share of the state.</summary>
    public FusedAdamW Optimizer { get; }

    /// <summary>Whether the others keep a part of it.</summary>
    public bool IsShared { get; }

    /// <summary>Makes a step; all ranks have all parameters' new numbers afterwards.</summary>
    /// <returns>As of <see cref="FusedAdamW.Step"/>.</returns>
    public double Step()
    {
        var norm = Optimizer.Step();
        // Not finite on one, it is on all: the gradients are the same.
        if (!IsShared || !double.IsFinite(norm)) return norm;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        for (var round = 0; round < _rounds.Max(rounds => rounds.Length); round++)
        {
            var all = _ranks.Gather(BytesOf(Of(_ranks.Rank) ?? []));
            for (var rank = 0; rank < all.Length; rank++)
            {
                if (rank == _ranks.Rank || Of(rank) is not { } theirs) continue;
                var left = all[rank].AsSpan();
                foreach (var parameter in theirs)
                {
                    using var given = TensorOf(left[..(int)SizeOf(parameter)], parameter.shape, parameter.dtype);
                    parameter.copy_(given);
                    left = left[(int)SizeOf(parameter)..];
                }
            }

            Parameter[]? Of(int rank) => round < _rounds[rank].Length ? _rounds[rank][round] : null;
        }

        return norm;
    }

    /// <summary>Writes the whole state; where it is shared, while the others <see cref="Give"/> theirs.</summary>
    /// <param name="path">The file.</param>
    public void Save(string path) => Optimizer.Save(path, IsShared ? Whole : null);

    /// <summary>Gives the rank that saves what it doesn't keep, part by part in the order of the file.</summary>
    public void Give()
    {
        var own = Optimizer.State().ToDictionary();
        foreach (var (name, _) in Optimizer.StateShapes())
        {
            // What the first has it writes by itself.
            if (OwnerOf(name) == 0) continue;
            using var scope = NewDisposeScope();
            _ranks.Gather(own.TryGetValue(name, out var tensor) ? BytesOf(tensor) : []);
        }
    }

    private Tensor Whole(string name, IReadOnlyList<long> shape) => TensorOf(_ranks.Gather([])[OwnerOf(name)], [.. shape], ScalarType.Float32);

    private int OwnerOf(string state) => _owners[state[..state.LastIndexOf('.')]];

    /// <summary>The largest first, each to the rank that has least.</summary>
    private static Dictionary<string, int> Owners(KeyValuePair<string, Parameter>[] parameters, int size)
    {
        var (owners, loads) = (new Dictionary<string, int>(StringComparer.Ordinal), new long[size]);
        foreach (var (name, parameter) in parameters.OrderByDescending(pair => pair.Value.numel()).ThenBy(pair => pair.Key, StringComparer.Ordinal))
        {
            var rank = Array.IndexOf(loads, loads.Min());
            owners[name] = rank;
            loads[rank] += parameter.numel();
        }

        return owners;
    }

    private static Parameter[][] Rounds(IEnumerable<Parameter> parameters)
    {
        List<Parameter[]> rounds = [];
        List<Parameter> round = [];
        var bytes = 0L;
        foreach (var parameter in parameters)
        {
            if (round.Count > 0 && bytes + SizeOf(parameter) > MostBytes)
            {
                rounds.Add([.. round]);
                round.Clear();
                bytes = 0;
            }

            round.Add(parameter);
            bytes += SizeOf(parameter);
        }

        if (round.Count > 0) rounds.Add([.. round]);
        return [.. rounds];
    }

    private static long SizeOf(Tensor tensor) => tensor.numel() * tensor.element_size();

    private static byte[] BytesOf(params IReadOnlyCollection<Tensor> tensors)
    {
        var bytes = new byte[tensors.Sum(SizeOf)];
        var at = 0;
        foreach (var tensor in tensors)
        {
            tensor.detach().cpu().contiguous().bytes.CopyTo(bytes.AsSpan(at));
            at += (int)SizeOf(tensor);
        }

        return bytes;
    }

    private static Tensor TensorOf(ReadOnlySpan<byte> bytes, long[] shape, ScalarType type)
    {
        var tensor = empty(shape, type, CPU);
        bytes.CopyTo(tensor.cpu().bytes);
        return tensor;
    }
}
