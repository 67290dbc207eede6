using System.Runtime.InteropServices;
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
        var responses = rows.Select(request => new ResponseInProgress(request, settings, model.Shape, stop)).ToArray();
        RequireRoom(responses, model.Shape);

        using var noGradient = no_grad();
        foreach (var batch in Batches(responses, settings.BatchRows))
        {
            Write(model, batch, settings, seed, cancellationToken);
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

    private static void Write(IDecodingModel model, ResponseInProgress[] batch, SamplingSettings settings, ulong seed, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var decoder = ReadBeginnings(model, batch);
        var rows = batch.ToList();
        while (true)
        {
            ChooseTokens(decoder.NextLogits, rows, settings, seed);
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
    private static IDecoder ReadBeginnings(IDecodingModel model, ResponseInProgress[] batch)
    {
        var places = new Dictionary<TokenRow, int>(TokenRowEquality.Instance);
        var distinct = new List<TokenRow>();
        var placeOf = new int[batch.Length];
        for (var i = 0; i < batch.Length; i++)
        {
            if (!places.TryGetValue(batch[i].Row, out placeOf[i]))
            {
                placeOf[i] = places[batch[i].Row] = distinct.Count;
                distinct.Add(batch[i].Row);
            }
        }

        var decoder = model.StartDecoding(distinct, batch.Max(row => row.Limit));
        if (distinct.Count < batch.Length)
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

    /// <summary>Adds a token to each row that is not finished.</summary>
    private static void ChooseTokens(Tensor logits, List<ResponseInProgress> rows, SamplingSettings settings, ulong seed)
    {
        using var scope = NewDisposeScope();
        var histories = rows.ConvertAll(row => row.History);
        var candidates = LogitsProcessing.Apply(logits, histories, settings);
        var tokens = new int[rows.Count];
        var logProbs = new double[rows.Count];
        TokenSet[] choices;
        if (settings.Greedy)
        {
            ChooseMostLikely(candidates.Logits, tokens);
            choices = Array.ConvertAll(tokens, TokenSet.Single);
        }
        else
        {
            Sample(candidates, rows, seed, tokens, logProbs);
            choices = candidates.Sets((int)logits.size(1));
        }

        var isRaw = !settings.Greedy && ReferenceEquals(candidates.Logits, logits);
        var rawLogProbs = isRaw ? Array.ConvertAll(logProbs, value => (float)value) : LogProbs(logits, tokens);
        for (var i = 0; i < rows.Count; i++)
        {
            if (rows[i].IsDone)
            {
                continue;
            }

            if (tokens[i] < 0 || !float.IsFinite(rawLogProbs[i]))
            {
                throw NotNumbers();
            }

            rows[i].Add(tokens[i], (float)logProbs[i], rawLogProbs[i], choices[i]);
        }
    }

    internal static InputException NotNumbers() =>
        new("The model's logits are not numbers (NaN or infinite): its weights are damaged, or training has diverged; lower the learning rate.");

    private static void ChooseMostLikely(Tensor logits, int[] tokens) => MemoryMarshal.Cast<byte, int>(logits.argmax(1).to(ScalarType.Int32).cpu().bytes).CopyTo(tokens);

    private static void Sample(Candidates candidates, List<ResponseInProgress> rows, ulong seed, int[] tokens, double[] logProbs)
    {
        var uniforms = rows.ConvertAll(row => RandomStream.Uniform(seed, row.Stream, (ulong)row.ResponseLength)).ToArray();
        InverseTransform.Draw(candidates.Logits.softmax(1), uniforms, tokens, logProbs);
        if (candidates.Ids is not { } ids)
        {
            return;
        }

        var places = tensor(Array.ConvertAll(tokens, place => (long)Math.Max(place, 0)), tokens.Length, 1, device: ids.device);
        var chosen = MemoryMarshal.Cast<byte, long>(ids.gather(1, places).cpu().bytes);
        for (var i = 0; i < tokens.Length; i++)
        {
            tokens[i] = tokens[i] < 0 ? -1 : (int)chosen[i];
        }
    }

    /// <summary>For each row, the log-probability of a token under the softmax of [B, V] logits.</summary>
    private static float[] LogProbs(Tensor logits, int[] tokens)
    {
        var chosen = tensor(Array.ConvertAll(tokens, token => (long)Math.Max(token, 0)), device: logits.device);
        var logProbs = -nn.functional.cross_entropy(logits, chosen, reduction: nn.Reduction.None);
        return MemoryMarshal.Cast<byte, float>(logProbs.cpu().bytes).ToArray();
    }
}
