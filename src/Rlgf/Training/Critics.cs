using Rlgf.Algorithms;
using Rlgf.Models;
using Rlgf.Models.NumberTypes;
using Rlgf.Models.Tensors;
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
    private readonly Device _device;
    private readonly SortedDictionary<Actor, (Linear Head, ILanguageModel? Trunk)> _critics = [];

    /// <summary>The critics of a run: one for each actor that may roll out, none for estimators that need none.</summary>
    public static Critics For(TrainingSetup setup) =>
        new(
            setup.Algorithm.HasCritic ? setup.RollOutActors : [], setup.CriticSharing, setup.Policy,
            setup.CriticDevice is { } device && device.ToString() != setup.Policy.Device.ToString() ? () => PrecisionOfModels.CopyAs(setup.Policy, PrecisionOfModels.PrecisionOf(setup.Policy), device) : setup.Policy.Clone);

    /// <summary>Makes a critic for each roll-out actor. Heads begin at zero: before anything is learned every value is 0.</summary>
    /// <param name="rollOutActors">The actors that may roll out; none for estimators without a critic.</param>
    /// <param name="sharing">What they are made of.</param>
    /// <param name="policy">The policy, for its width and device.</param>
    /// <param name="newTrunk">Makes a copy of the starting policy; called once a critic if nothing is shared.</param>
    public Critics(IEnumerable<Actor> rollOutActors, CriticSharing sharing, ILanguageModel policy, Func<ILanguageModel> newTrunk)
    {
        (Sharing, _device) = (sharing, policy.Device);
        foreach (var actor in rollOutActors.Distinct())
        {
            var trunk = sharing == CriticSharing.Separate ? newTrunk() : null;
            var head = nn.Linear(policy.Shape.Width, 1, device: trunk?.Device ?? policy.Device);
            nn.init.zeros_(head.weight);
            nn.init.zeros_(head.bias!);
            _critics[actor] = (head, trunk);
        }
    }

    /// <summary>What the value functions are made of.</summary>
    public CriticSharing Sharing { get; }

    /// <summary>Has critics with models of their own compute activations again for gradients.</summary>
    internal void RecomputeActivations()
    {
        foreach (var (_, trunk) in _critics.Values) trunk?.RecomputesActivations = true;
    }

    /// <summary>V(s_t) of the rows of an iteration, each by the critic of its own roll-out actor; constants.</summary>
    /// <param name="batch">B rows.</param>
    /// <param name="policy">The policy, whose states a shared trunk's heads read.</param>
    /// <param name="afterLast">Whether to value the state after a row's last token too, from which a row that was cut goes on. 0 where a response fills the context: nothing can follow it.</param>
    /// <returns>[B, A] float32, or [B, A + 1].</returns>
    public Tensor Values(RolloutBatch batch, ILanguageModel policy, bool afterLast)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var rows = batch.TokenRows;
        if (!afterLast) return Of(rows, batch.Tokens.size(1)).MoveToOuterDisposeScope();
        // Any token will do after the last: the state before it is what is valued.
        var goesOn = rows.Select(row => row.Response.Length < policy.Shape.Room(row.Prompt.Length)).ToArray();
        var values = Of([.. rows.Select((row, i) => goesOn[i] ? row with { Response = [.. row.Response, 0] } : row)], batch.Tokens.size(1) + 1);
        var isAfterLast = TensorNumbers.Range(values.size(1), values.device).unsqueeze(0) == batch.Lengths.unsqueeze(1);
        return values.MaskedFill(isAfterLast.bitwise_and(tensor(goesOn, device: values.device).bitwise_not().unsqueeze(1)), 0).MoveToOuterDisposeScope();

        Tensor Of(IReadOnlyList<TokenRow> read, long width) => Widened(Values(batch.RollOutActors, read, Sharing == CriticSharing.SharedTrunk ? policy.ResponseStates(read) : null), width);
    }

    /// <summary>The same where heads on a shared trunk read states that were computed before; nothing is valued after the last token.</summary>
    /// <param name="batch">B rows.</param>
    /// <param name="policyStates">[B, A, D]: the policy's states of them.</param>
    /// <returns>[B, A] float32.</returns>
    internal Tensor Values(RolloutBatch batch, Tensor policyStates)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        return Widened(Values(batch.RollOutActors, batch.TokenRows, policyStates), batch.Tokens.size(1)).MoveToOuterDisposeScope();
    }

    private static Tensor Widened(Tensor values, long width) => values.size(1) < width ? nn.functional.pad(values, [0, width - values.size(1)]) : values;

    /// <summary>V(s_t) of each row, by the critic of its own roll-out actor.</summary>
    /// <param name="rollOuts">B actors: whose value function.</param>
    /// <param name="rows">B rows.</param>
    /// <param name="policyStates">[B, A, D] float32: the policy's states of the same rows, which a shared trunk reads; null where the critic has its own.</param>
    /// <returns>[B, A] float32, where the policy is: the value before token t; meaningless beyond a row's length.</returns>
    public Tensor Values(IReadOnlyList<Actor> rollOuts, IReadOnlyList<TokenRow> rows, Tensor? policyStates)
    {
        var byActor = Enumerable.Range(0, rows.Count).GroupBy(row => rollOuts[row], (actor, members) => (Actor: actor, Rows: members.ToArray())).ToArray();
        if (byActor is [var only]) return Values(only.Actor, rows, policyStates);
        using var scope = NewDisposeScope();
        var width = policyStates?.size(1) ?? rows.Max(row => row.Response.Length);
        var parts = Array.ConvertAll(byActor, part =>
        {
            var states = policyStates?.index_select(0, Index(part.Rows));
            var values = Values(part.Actor, [.. part.Rows.Select(row => rows[row])], states);
            return values.size(1) < width ? nn.functional.pad(values, [0, width - values.size(1)]) : values;
        });
        // Back into the order of the rows.
        var place = new int[rows.Count];
        foreach (var (row, at) in byActor.SelectMany(part => part.Rows).Select((row, at) => (row, at))) place[row] = at;
        return cat(parts).index_select(0, Index(place)).MoveToOuterDisposeScope();

        Tensor Index(int[] of) => tensor(Array.ConvertAll(of, row => (long)row), device: _device);
    }

    /// <summary>V of the prompts of an iteration's rows, by their values: those of rows whose responses the policy finished, which is the critic of π.</summary>
    /// <param name="rows">B rows.</param>
    /// <param name="values">[B, A …] float32: their values.</param>
    internal static Func<Rollout, double> OfPrompts(IReadOnlyList<ScoredRow> rows, Tensor values)
    {
        using var first = values.select(1, 0).to(ScalarType.Float64);
        var ofRows = first.HostArray<double>();
        var byPrompt = rows.Select((row, i) => (row.Rollout, Value: ofRows[i])).Where(row => row.Rollout.RollOut == Actor.Policy)
            .GroupBy(row => row.Rollout.Prompt.Id, StringComparer.Ordinal).ToDictionary(group => group.Key, group => group.First().Value, StringComparer.Ordinal);
        return rollout => byPrompt.GetValueOrDefault(rollout.Prompt.Id);
    }

    private Tensor Values(Actor rollOut, IReadOnlyList<TokenRow> rows, Tensor? policyStates)
    {
        var (head, trunk) = _critics[rollOut];
        using var scope = NewDisposeScope();
        var states = trunk?.ResponseStates(rows) ?? policyStates ?? throw new ArgumentNullException(nameof(policyStates), "Heads on a shared trunk read the policy's states.");
        return head.call(states.to_type(ScalarType.Float32)).squeeze(-1).to(_device).MoveToOuterDisposeScope();
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
