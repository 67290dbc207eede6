namespace Rlgf.Models.Generation;

/// <summary>A row to go on with.</summary>
/// <param name="Row">Prompt, and the beginning of the response where there is one.</param>
/// <param name="Stream">
/// Names the row's own random numbers: what is drawn for a row depends on the run's seed and on this number, not on the other rows of the batch. Samples of one prompt have different ones.
/// </param>
/// <param name="MaxNewTokens">The row's own limit where it is below that of the settings (a roll-out goes on only to the end of the response); null for none.</param>
public readonly record struct GenerationRequest(TokenRow Row, ulong Stream, int? MaxNewTokens = null);

/// <summary>What was written.</summary>
/// <param name="Tokens">New ids, the end token included where one was drawn.</param>
/// <param name="SampledLogProbs">For each new id, its log-probability under the distribution that it was drawn from (after all processing); 0 when greedy.</param>
/// <param name="RawLogProbs">For each new id, its log-probability under the model's own distribution (softmax of the raw logits).</param>
/// <param name="Ended">Whether an end token was drawn; false if the row was cut at its limit.</param>
public sealed record GeneratedRow(int[] Tokens, float[] SampledLogProbs, float[] RawLogProbs, bool Ended);
