using System.Globalization;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Optimizers;

/// <summary>Constants of AdamW, with the defaults of its paper and of PyTorch.</summary>
public sealed record AdamWSettings
{
    /// <summary>β₁: decay of the mean of gradients.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>β₂: decay of the mean of squared gradients.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>ε: added to the root of the mean square.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>The largest global norm of the gradients; those above are scaled down to it. Null for no limit.</summary>
    public double? MaxGradientNorm { get; init; } = 1;
}

/// <summary>Parameters that share a learning rate and a weight decay.</summary>
public sealed class ParameterGroup
{
    /// <summary>Creates a group.</summary>
    /// <param name="parameters">By name; the names are those of the saved state and must be unique in an optimiser.</param>
    /// <param name="learningRate">Learning rate of the next step.</param>
    /// <param name="weightDecay">Decoupled decay: each step takes learning rate × decay of a weight away.</param>
    public ParameterGroup(IEnumerable<KeyValuePair<string, Parameter>> parameters, double learningRate, double weightDecay)
    {
        Parameters = [.. parameters];
        LearningRate = learningRate;
        WeightDecay = weightDecay;
    }

    /// <summary>The parameters by name.</summary>
    public IReadOnlyList<KeyValuePair<string, Parameter>> Parameters { get; }

    /// <summary>Learning rate of the next step; schedules set it.</summary>
    public double LearningRate { get; set; }

    /// <summary>Decoupled weight decay.</summary>
    public double WeightDecay { get; }

    /// <summary>A module's trainable parameters in two groups: those that decay, and norms and biases (of fewer than two dimensions), which don't.</summary>
    /// <param name="module">The module.</param>
    /// <param name="learningRate">Learning rate of both.</param>
    /// <param name="weightDecay">Decay of the first.</param>
    /// <param name="prefix">Put before each name, where an optimiser holds several modules.</param>
    public static ParameterGroup[] Of(nn.Module module, double learningRate, double weightDecay, string prefix = "")
    {
        var trainable = module.named_parameters().Where(pair => pair.parameter.requires_grad).Select(pair => KeyValuePair.Create(prefix + pair.name, pair.parameter)).ToArray();
        return [
            new ParameterGroup(trainable.Where(pair => pair.Value.ndim >= 2), learningRate, weightDecay),
            new ParameterGroup(trainable.Where(pair => pair.Value.ndim < 2), learningRate, 0),
        ];
    }
}

/// <summary>AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019), with clipping of the gradients' global norm.</summary>
/// <remarks>
/// One fused kernel of libtorch updates all parameters of a group. TorchSharp has no function for it, but a compiled TorchScript function reaches it; that is several times faster than TorchSharp's own optimiser
/// and leaves no temporaries.
/// </remarks>
public sealed class FusedAdamW : IDisposable
{
    // A mistake in this text ends the process, so every function here is run by a test.
    private const string Source = """
        def norm(g: List[Tensor]) -> Tensor:
          return torch.linalg_vector_norm(torch.stack(torch._foreach_norm(g)))

        def scale(g: List[Tensor], factor: Tensor) -> Tensor:
          torch._foreach_mul_(g, factor)
          return factor

        def step(p: List[Tensor], g: List[Tensor], m: List[Tensor], v: List[Tensor], t: List[Tensor], h: Tensor) -> Tensor:
          torch._foreach_add_(t, 1)
          torch._fused_adamw_(p, g, m, v, [], t, lr=float(h[0]), beta1=float(h[2]), beta2=float(h[3]), weight_decay=float(h[1]), eps=float(h[4]), amsgrad=False, maximize=False)
          return t[0]

        """;

    private static readonly Lazy<jit.CompilationUnit> Compiled = new(() => jit.compile(Source));

    private readonly AdamWSettings _settings;
    private readonly Entry[][] _groups;

    /// <summary>Creates an optimiser with fresh state.</summary>
    /// <param name="groups">What is updated.</param>
    /// <param name="settings">The constants.</param>
    /// <param name="keeps">
    /// By a parameter's name whether this optimiser keeps its state and updates it; null: all. The others, which another process updates, count for the norm of the gradients all the same, so that all clip alike.
    /// </param>
    public FusedAdamW(IEnumerable<ParameterGroup> groups, AdamWSettings? settings = null, Func<string, bool>? keeps = null)
    {
        _settings = settings ?? new AdamWSettings();
        Groups = [.. groups];
        _groups = [.. Groups.Select(group => group.Parameters.Select(pair => new Entry(pair.Key, pair.Value, keeps is null || keeps(pair.Key))).ToArray())];
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in _groups.SelectMany(entries => entries))
        {
            if (!names.Add(entry.Name)) throw new ArgumentException($"Two parameters are named '{entry.Name}'.", nameof(groups));
        }
    }

    /// <summary>The groups; set <see cref="ParameterGroup.LearningRate"/> before a step.</summary>
    public IReadOnlyList<ParameterGroup> Groups { get; }

    /// <summary>Drops all gradients; the next backward pass makes new ones.</summary>
    public void ClearGradients()
    {
        foreach (var entry in _groups.SelectMany(entries => entries)) entry.Parameter.grad = null;
    }

    /// <summary>Clips the gradients and updates the parameters that have one.</summary>
    /// <returns>The global norm of the gradients before clipping. Where it isn't finite nothing was updated: the caller must look for why.</returns>
    public double Step()
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var active = _groups.Select(entries => entries.Select(entry => (Entry: entry, Gradient: entry.Parameter.grad)).Where(pair => pair.Gradient is not null).ToArray()).ToArray();
        var all = active.SelectMany(pairs => pairs).Select(pair => pair.Gradient!).ToArray();
        if (all.Length == 0) return 0;

        var norm = ((Tensor)Compiled.Value.invoke("norm", (object)all)).item<float>();
        if (!float.IsFinite(norm)) return norm;
        if (_settings.MaxGradientNorm is { } limit && norm > limit) Compiled.Value.invoke("scale", all, tensor((float)(limit / (norm + 1e-6)), device: all[0].device));

        for (var group = 0; group < active.Length; group++)
        {
            var pairs = Array.FindAll(active[group], pair => pair.Entry.IsKept);
            if (pairs.Length == 0) continue;
            // In a tensor on the CPU: TorchSharp turns a number that is an argument into a native scalar which nothing keeps alive, and the collector may free it before it is read.
            var numbers = tensor([Groups[group].LearningRate, Groups[group].WeightDecay, _settings.Beta1, _settings.Beta2, _settings.Epsilon], dtype: float64, device: CPU);
            Compiled.Value.invoke(
                "step",
                pairs.Select(pair => (Tensor)pair.Entry.Parameter).ToArray(),
                pairs.Select(pair => pair.Gradient!).ToArray(),
                pairs.Select(pair => pair.Entry.Mean).ToArray(),
                pairs.Select(pair => pair.Entry.MeanSquare).ToArray(),
                pairs.Select(pair => pair.Entry.Steps).ToArray(),
                numbers);
            // The fused kernel doesn't count as a change of what it changes.
            foreach (var pair in pairs) PackedProducts.Changed(pair.Entry.Parameter);
        }

        return norm;
    }

    /// <summary>
    /// The state, all that a resume needs: for each parameter that is kept NAME.mean and NAME.mean_square like it, and NAME.steps, one number. Live tensors: don't dispose of them.
    /// </summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State() => _groups.SelectMany(entries => entries).Where(entry => entry.IsKept).SelectMany(entry => entry.State());

    /// <summary>Writes the state as safetensors.</summary>
    /// <param name="path">The file.</param>
    /// <param name="elsewhere">Gives the part of the state with a name and a shape, float32, that isn't kept here, inside a dispose scope; null where all is.</param>
    /// <exception cref="IOException">The file can\'t be written; what was there before is untouched.</exception>
    public void Save(string path, Func<string, IReadOnlyList<long>, Tensor>? elsewhere = null)
    {
        if (elsewhere is null && _groups.SelectMany(entries => entries).Any(entry => !entry.IsKept)) throw new InvalidOperationException("A part of the state is kept elsewhere.");
        var kept = State().ToDictionary();
        SafetensorsWriter.Write(path, StateShapes().Select(part => kept.TryGetValue(part.Key, out var tensor) ? TensorToStore.Of(part.Key, tensor) : new TensorToStore(part.Key, ScalarType.Float32, part.Value, () => elsewhere!(part.Key, part.Value))));
    }

    /// <summary>Reads a state that <see cref="Save"/> wrote, or of it what is kept here. Going on from it is the same, bit for bit, as never having stopped.</summary>
    /// <exception cref="InputException">The file can't be read or belongs to other parameters; the state is then unchanged.</exception>
    public void Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var state = StateShapes().ToArray();
        foreach (var (name, shape) in state)
        {
            if (!file.Entries.TryGetValue(name, out var entry)) throw new InputException($"{path}: the optimiser's state has no '{name}': it belongs to another model or to other groups.");
            if (!entry.Shape.SequenceEqual(shape))
                throw new InputException($"{path}: '{name}' has the shape {Shapes.Format(entry.Shape)} where {Shapes.Format(shape)} is expected: it belongs to another model.");
        }

        if (file.Entries.Count != state.Length)
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"{path}: the optimiser's state has {file.Entries.Count} tensors where {state.Length} are expected: it belongs to another model."));
        foreach (var (name, tensor) in State()) file.CopyTo(name, tensor);
    }

    /// <summary>Names and shapes of the whole state, kept here or not, in the order in which <see cref="Save"/> writes it.</summary>
    public IEnumerable<KeyValuePair<string, IReadOnlyList<long>>> StateShapes() => _groups.SelectMany(entries => entries).SelectMany(entry => entry.StateShapes()).OrderBy(part => part.Key, StringComparer.Ordinal);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, tensor) in State()) tensor.Dispose();
    }

    private sealed class Entry
    {
        public Entry(string name, Parameter parameter, bool isKept)
        {
            (Name, Parameter, IsKept) = (name, parameter, isKept);
            if (!isKept) return;
            Mean = zeros(parameter.shape, dtype: float32, device: parameter.device).DetachFromDisposeScope();
            MeanSquare = zeros(parameter.shape, dtype: float32, device: parameter.device).DetachFromDisposeScope();
            Steps = zeros([], dtype: float32, device: parameter.device).DetachFromDisposeScope();
        }

        public string Name { get; }

        public Parameter Parameter { get; }

        public bool IsKept { get; }

        // Null where the state is kept elsewhere.
        public Tensor Mean { get; } = null!;

        public Tensor MeanSquare { get; } = null!;

        public Tensor Steps { get; } = null!;

        public IEnumerable<KeyValuePair<string, Tensor>> State() => StateShapes().Select(part => part.Key).Zip([Mean, MeanSquare, Steps], KeyValuePair.Create);

        public IEnumerable<KeyValuePair<string, IReadOnlyList<long>>> StateShapes() => [new($"{Name}.mean", Parameter.shape), new($"{Name}.mean_square", Parameter.shape), new($"{Name}.steps", [])];
    }
}
