using System.IO.Hashing;
using System.Runtime.InteropServices;
using Rlgf.Base;
using Rlgf.Distributed;
using Rlgf.Models.Optimizers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>
/// Gradients added up over the ranks: those of all trained parameters in one buffer. Every rank divides its losses by the tokens of the whole minibatch, so that the sum is the minibatch's gradient and nothing is divided again.
/// A parameter that has a gradient on no rank is left without one, as in a process alone.
/// </summary>
/// <param name="ranks">The ranks.</param>
/// <param name="optimizers">Those that hold the parameters.</param>
internal sealed class GradientSum(ICommunicator ranks, params IReadOnlyList<FusedAdamW> optimizers)
{
    private readonly Parameter[] _parameters = [.. from optimizer in optimizers from grouped in optimizer.Groups from named in grouped.Parameters select named.Value];
    private float[] _buffer = [];

    /// <summary>Replaces the gradients by the sums.</summary>
    public void Apply()
    {
        if (ranks.Size == 1 || _parameters.Length == 0) return;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        if (_buffer.Length == 0) _buffer = new float[_parameters.Sum(parameter => parameter.numel()) + _parameters.Length];
        // The numbers, and behind them for each parameter how many ranks have a gradient of it.
        var has = _buffer.AsSpan(_buffer.Length - _parameters.Length);
        var at = 0;
        for (var i = 0; i < _parameters.Length; i++)
        {
            var own = _buffer.AsSpan(at, (int)_parameters[i].numel());
            at += own.Length;
            if (_parameters[i].grad is { } gradient) Floats(gradient.to(float32).cpu().contiguous().bytes).CopyTo(own);
            else own.Clear();
            has[i] = _parameters[i].grad is null ? 0 : 1;
        }

        ranks.Sum(_buffer);
        at = 0;
        for (var i = 0; i < _parameters.Length; i++)
        {
            var parameter = _parameters[i];
            var sum = _buffer.AsSpan(at, (int)parameter.numel());
            at += sum.Length;
            if (has[i] == 0) continue;
            if (parameter.grad is { } gradient && gradient.device_type == DeviceType.CPU && gradient.dtype == float32 && gradient.is_contiguous()) sum.CopyTo(Floats(gradient.cpu().bytes));
            else parameter.grad = tensor(sum.ToArray(), parameter.shape, device: parameter.device).to(parameter.dtype).DetachFromDisposeScope();
        }
    }

    /// <summary>Makes sure that all ranks have the same parameters.</summary>
    /// <exception cref="InputException">One has others; names it.</exception>
    public void RequireSameWeights()
    {
        if (ranks.Size == 1) return;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var digest = new XxHash64();
        foreach (var parameter in _parameters) digest.Append(parameter.detach().cpu().contiguous().bytes);
        var all = ranks.Gather(digest.GetCurrentHash());
        if (Array.FindIndex(all, other => !other.AsSpan().SequenceEqual(all[0])) is > 0 and var rank)
            throw new InputException($"the weights of rank {rank} on {ranks.Hosts[rank]} are no longer those of rank 0 on {ranks.Hosts[0]}: their processors or libraries round differently; start the ranks on machines of one kind, with the same libraries");
    }

    private static Span<float> Floats(Span<byte> bytes) => MemoryMarshal.Cast<byte, float>(bytes);
}
