using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>A row to go on with.</summary>
/// <param name="Row">Prompt, and the beginning of the response where there is one.</param>
/// <param name="Stream">
/// Names the row's own random numbers: what is drawn for a row depends on the run's seed and on this number, not on the other rows of the batch. Samples of one prompt have different ones.
/// </param>
/// <param name="MaxNewTokens">The row's own limit where it is below that of the settings (a roll-out goes on only to the end of the response); null for none.</param>
/// <param name="IsPart">Whether somebody goes on from the limit, so that it is not the end of a response: no last token is forced there.</param>
public readonly record struct GenerationRequest(TokenRow Row, ulong Stream, int? MaxNewTokens = null, bool IsPart = false);

/// <summary>What was written.</summary>
/// <param name="Tokens">New ids, the end token included where one was drawn.</param>
/// <param name="SampledLogProbs">For each new id, its log-probability under the distribution that it was drawn from (after all processing); 0 when greedy or found by a beam search.</param>
/// <param name="RawLogProbs">For each new id, its log-probability under the model's own distribution (softmax of the raw logits).</param>
/// <param name="Ended">Whether an end token was drawn; false if the row was cut at its limit or at a stop text.</param>
public sealed record GeneratedRow(int[] Tokens, float[] SampledLogProbs, float[] RawLogProbs, bool Ended)
{
    /// <summary>Whether a stop text ended the row.</summary>
    public bool Stopped { get; init; }

    /// <summary>For each new id, the tokens that could be drawn in its place, itself among them: the single token when greedy. Empty for what a beam search found.</summary>
    public IReadOnlyList<TokenSet> Choices { get; init; } = [];
}

/// <summary>
/// Writes text with a language model, token by token, for everything that needs it: roll-ins and roll-outs, guides, evaluation, the command line.
/// </summary>
/// <remarks>
/// <para>
/// A token is drawn with the random number of (seed, row's stream, position in the response). So a row's text depends neither on the other rows, their order and
/// the size of batches (but for rounding inside the model, where the size of a matrix product may change the last bits of a logit), nor on an interruption:
/// a response that goes on from its own beginning with the same stream becomes what it would have been. Give another stream for another continuation.
/// </para>
/// <para>Rows of one prompt and beginning are read by the model once; rows are batched by length; finished rows leave the batch.</para>
/// </remarks>
public static class TextGenerator
{
    /// <summary>Goes on with each row until an end token or its limit.</summary>
    /// <param name="model">The model, in evaluation mode.</param>
    /// <param name="rows">Rows of any lengths.</param>
    /// <param name="settings">How tokens are chosen.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="cancellationToken">Looked at before every token.</param>
    /// <returns>What was written, in the order of <paramref name="rows"/>; with beams each row's best sequence.</returns>
    /// <exception cref="InputException">A setting is out of range, a row is longer than the model's context, or the model's logits are not numbers.</exception>
    public static IReadOnlyList<GeneratedRow> Generate(
        IDecodingModel model, IReadOnlyList<GenerationRequest> rows, SamplingSettings settings, ulong seed, CancellationToken cancellationToken = default) =>
        Generate(model, rows, settings, seed, null, cancellationToken);

    /// <summary>As the other, until one of some texts too.</summary>
    /// <param name="model">The model, in evaluation mode.</param>
    /// <param name="rows">Rows of any lengths.</param>
    /// <param name="settings">How tokens are chosen.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="stop">Texts that end a row; null for none.</param>
    /// <param name="cancellationToken">Looked at before every token.</param>
    /// <returns>What was written, in the order of <paramref name="rows"/>; with beams each row's best sequence.</returns>
    /// <exception cref="InputException">A setting is out of range, a row is longer than the model's context, or the model's logits are not numbers.</exception>
    public static IReadOnlyList<GeneratedRow> Generate(
        IDecodingModel model, IReadOnlyList<GenerationRequest> rows, SamplingSettings settings, ulong seed, StopTexts? stop, CancellationToken cancellationToken)
    {
        if (settings.Beams is not null) return [.. BeamSearch.Search(model, rows, settings, 1, stop, cancellationToken).Select(found => found[0].Row)];
        settings.Validate(model.Shape.Vocabulary);
        var responses = rows.Select(request => new ResponseInProgress(request, settings, model.Shape, seed, stop)).ToArray();
        RequireRoom(responses, model.Shape);

        using var noGradient = no_grad();
        foreach (var batch in Batches(responses, settings.BatchRows))
        {
            Write(model, batch, cancellationToken);
        }

        return Array.ConvertAll(responses, response => response.ToGeneratedRow());
    }

    internal static void RequireRoom(ResponseInProgress[] responses, LanguageModelShape shape)
    {
        for (var i = 0; i < responses.Length; i++)
        {
            var response = responses[i];
            var (prompt, beginning) = response.Row;
            if ((long)beginning.Length + response.Limit > shape.Room(prompt.Length))
            {
                throw new InputException(
                    $"row {i} (counted from 0) does not fit: {prompt.Length} prompt tokens, {beginning.Length} response tokens and {response.Limit} new tokens "
                    + $"are more than {shape.Limits}; shorten the prompt or lower the number of new tokens.");
            }
        }
    }

    /// <summary>Rows of like length together, for little padding, and equal rows side by side, since they are read once; batches of about equal size.</summary>
    internal static IEnumerable<ResponseInProgress[]> Batches(ResponseInProgress[] responses, int batchRows)
    {
        var sorted = responses
            .Where(response => !response.IsDone)
            .GroupBy(response => response.Row, TokenRowEquality.Instance)
            .OrderBy(equal => equal.First().BeginningLength)
            .SelectMany(equal => equal)
            .ToArray();
        // Not (rows + size − 1) / size: a size near the largest whole number would overflow.
        var batches = sorted.Length == 0 ? 0 : 1 + ((sorted.Length - 1) / batchRows);
        return sorted.Length == 0 ? [] : sorted.Chunk((sorted.Length + batches - 1) / batches);
    }

    private static void Write(IDecodingModel model, ResponseInProgress[] batch, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var decoder = ReadBeginnings(model, batch);
        var rows = batch.ToList();
        while (true)
        {
            TokenChoice.Choose(decoder.NextLogits, rows);
            if (rows.TrueForAll(row => row.IsDone))
            {
                return;
            }

            DropFinished(decoder, rows, model.Shape);
            cancellationToken.ThrowIfCancellationRequested();
            decoder.Append(rows.Select(row => row.LastToken).ToArray());
        }
    }

    /// <summary>Starts decoding; rows of the same prompt and beginning are read once.</summary>
    internal static IDecoder ReadBeginnings(IDecodingModel model, IReadOnlyList<ResponseInProgress> batch)
    {
        var places = new Dictionary<TokenRow, int>(TokenRowEquality.Instance);
        var distinct = new List<TokenRow>();
        var placeOf = new int[batch.Count];
        for (var i = 0; i < batch.Count; i++)
        {
            if (!places.TryGetValue(batch[i].Row, out placeOf[i]))
            {
                placeOf[i] = places[batch[i].Row] = distinct.Count;
                distinct.Add(batch[i].Row);
            }
        }

        var decoder = model.StartDecoding(distinct, batch.Max(row => row.Limit));
        if (distinct.Count < batch.Count)
        {
            decoder.Select(placeOf);
        }

        return decoder;
    }

    /// <summary>
    /// Takes finished rows out of the batch once they are a quarter of it, since that copies what is cached. Until then they go on with a token that
    /// nobody reads, unless the model has no position left for it.
    /// </summary>
    private static void DropFinished(IDecoder decoder, List<ResponseInProgress> rows, LanguageModelShape shape)
    {
        var finished = rows.Count(row => row.IsDone);
        var steps = rows.Max(row => row.Written);
        if (finished * 4 < rows.Count && !rows.Exists(row => row.IsDone && row.Row.Response.Length + steps > shape.Room(row.Row.Prompt.Length)))
        {
            return;
        }

        decoder.Select(Enumerable.Range(0, rows.Count).Where(i => !rows[i].IsDone).ToArray());
        rows.RemoveAll(row => row.IsDone);
    }

    internal static InputException NotNumbers() =>
        new("the model's logits are not numbers (NaN or infinite): its weights are damaged, or the training that made them diverged.");
}
