using Rlgf.Models.NumberTypes;

namespace Rlgf.Models.Generation;

/// <summary>Writes with a model of this process, on the thread that asks (<see cref="TextGenerator"/>): the policy itself, or a copy of it in another type.</summary>
/// <param name="policy">The model whose text is wanted.</param>
/// <param name="copy">A copy that writes in its place, in bfloat16 say, and is brought up to date when told; owned. Null: the model itself writes.</param>
public sealed class ModelWriter(ILanguageModel policy, ILanguageModel? copy = null) : ITextWriter, IDisposable
{
    /// <inheritdoc/>
    public string Name => "model";

    /// <summary>The model that writes.</summary>
    public ILanguageModel LogProbsOf => copy ?? policy;

    /// <inheritdoc/>
    public Task<IReadOnlyList<GeneratedRow>> WriteAsync(IReadOnlyList<GenerationRequest> rows, SamplingSettings settings, ulong seed, CancellationToken cancellationToken) =>
        Task.FromResult(TextGenerator.Generate(LogProbsOf, rows, settings, seed, cancellationToken));

    /// <inheritdoc/>
    public Task WeightsChangedAsync(CancellationToken cancellationToken)
    {
        if (copy is not null) PrecisionOfModels.CopyWeights(policy, copy);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public void Dispose() => copy?.Dispose();
}
