using Rlgf.Models;
using Rlgf.Rollouts;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>What the value functions are made of.</summary>
public enum CriticSharing
{
    /// <summary>A head each on the policy's own states: cheap, and the value loss shapes the policy's trunk too.</summary>
    SharedTrunk,

    /// <summary>A model each, begun from the starting policy: as in the paper, about twice the work of an update.</summary>
    Separate,
}

/// <summary>
/// The value functions: V^π for plans in which the policy rolls out, V^g for plans in which the guide does. They are different functions, so each has its own head,
/// and its own model where nothing is shared.
/// </summary>
public sealed class Critics : IDisposable
{
    private readonly SortedDictionary<Actor, (Linear Head, ILanguageModel? Trunk)> _critics = [];

    /// <summary>Makes a critic for each roll-out actor. Heads begin at zero: before anything is learned every value is 0.</summary>
    /// <param name="rollOutActors">The actors that may roll out; none for estimators without a critic.</param>
    /// <param name="sharing">What they are made of.</param>
    /// <param name="policy">The policy, for its width and device.</param>
    /// <param name="newTrunk">Makes a copy of the starting policy; called once a critic if nothing is shared.</param>
    public Critics(IEnumerable<Actor> rollOutActors, CriticSharing sharing, ILanguageModel policy, Func<ILanguageModel> newTrunk)
    {
        Sharing = sharing;
        foreach (var actor in rollOutActors.Distinct())
        {
            var head = nn.Linear(policy.Shape.Width, 1, device: policy.Device);
            nn.init.zeros_(head.weight);
            nn.init.zeros_(head.bias!);
            _critics[actor] = (head, sharing == CriticSharing.Separate ? newTrunk() : null);
        }
    }

    /// <summary>What the value functions are made of.</summary>
    public CriticSharing Sharing { get; }

    /// <summary>The roll-out actors that have a critic.</summary>
    public IReadOnlyCollection<Actor> Actors => _critics.Keys;

    /// <summary>V(s_t) of the critic of a roll-out actor.</summary>
    /// <param name="rollOut">Whose value function.</param>
    /// <param name="rows">B rows.</param>
    /// <param name="policyStates">[B, A, D] float32: the policy's states of the same rows, which a shared trunk reads; null where the critic has its own.</param>
    /// <returns>[B, A] float32: the value before token t; meaningless beyond a row's length.</returns>
    public Tensor Values(Actor rollOut, IReadOnlyList<TokenRow> rows, Tensor? policyStates)
    {
        var (head, trunk) = _critics[rollOut];
        using var scope = NewDisposeScope();
        var states = trunk?.ResponseStates(rows) ?? policyStates ?? throw new ArgumentNullException(nameof(policyStates), "Heads on a shared trunk read the policy's states.");
        return head.call(states).squeeze(-1).MoveToOuterDisposeScope();
    }

    /// <summary>Parameters that are trained, by name: <c>policy.head.weight</c>, <c>guide.trunk.…</c>, and so on; what a checkpoint keeps.</summary>
    public IEnumerable<(string Name, Parameter Parameter)> NamedParameters()
    {
        foreach (var (actor, (head, trunk)) in _critics)
        {
            var name = actor == Actor.Policy ? "policy" : "guide";
            foreach (var (parameterName, parameter) in head.named_parameters()) yield return ($"{name}.head.{parameterName}", parameter);
            if (trunk is null) continue;
            foreach (var (parameterName, parameter) in trunk.Module.named_parameters().Where(named => named.parameter.requires_grad)) yield return ($"{name}.trunk.{parameterName}", parameter);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (head, trunk) in _critics.Values)
        {
            head.Dispose();
            trunk?.Dispose();
        }
        _critics.Clear();
    }
}
