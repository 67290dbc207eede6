namespace Rlgf.Models.Generation;

/// <summary>
/// Writes rows for a policy: <see cref="ModelWriter"/> in this process, an inference engine elsewhere. It has weights of its own or those of the policy itself, and is told when these have changed.
/// </summary>
public interface ITextWriter
{
    /// <summary>Name for messages.</summary>
    string Name { get; }

    /// <summary>
    /// The model of this process whose log-probabilities <see cref="GeneratedRow.SampledLogProbs"/> are: the policy itself, or a copy that computes in another type. Null where they come from elsewhere, and the
    /// policy's own differ by rounding at least.
    /// </summary>
    ILanguageModel? LogProbsOf { get; }

    /// <summary>Goes on with each row until an end token or its limit.</summary>
    /// <param name="rows">Rows of any lengths.</param>
    /// <param name="settings">How tokens are chosen.</param>
    /// <param name="seed">With each row's stream, names its random numbers: the same of both, the same text, where the writer can promise it.</param>
    /// <param name="cancellationToken">Asks for a stop.</param>
    /// <returns>What was written, in the order of <paramref name="rows"/>.</returns>
    Task<IReadOnlyList<GeneratedRow>> WriteAsync(IReadOnlyList<GenerationRequest> rows, SamplingSettings settings, ulong seed, CancellationToken cancellationToken);

    /// <summary>Brings its weights up to date: called before anything is written, and after every update of the policy.</summary>
    /// <param name="cancellationToken">Asks for a stop.</param>
    Task WeightsChangedAsync(CancellationToken cancellationToken);
}
