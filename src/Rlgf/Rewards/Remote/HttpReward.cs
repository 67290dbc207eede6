using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Prompts;
using Rlgf.Remote;
using Rlgf.Text.Data;

namespace Rlgf.Rewards.Remote;

/// <summary>
/// A server of somebody's own as reward: it is posted <c>{"rows": [{"prompt", "response", "ended", "references", "row"}]}</c> and answers <c>{"scores": […]}</c>, for each row a number or
/// <c>{"score": 0.5, "parts": {…}}</c>, in their order.
/// </summary>
public sealed class HttpReward : IReward, IDisposable
{
    private readonly EndpointSettings _settings;
    private readonly JsonEndpoint _endpoint;
    private readonly int _batchRows;
    private readonly FailureRule _failures;

    /// <summary>Asks nothing yet.</summary>
    /// <param name="name">Name for logs and reports.</param>
    /// <param name="settings">Where.</param>
    /// <param name="batchRows">The most rows of a request.</param>
    /// <param name="failures">What becomes of rows that aren't scored; where a whole answer is wrong, those of its request.</param>
    public HttpReward(string name, EndpointSettings settings, int batchRows, FailureRule failures) =>
        (Name, _settings, _endpoint, _batchRows, _failures) = (name, settings, new JsonEndpoint(settings), batchRows, failures);

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<RewardScore>> ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        [.. (await Task.WhenAll(responses.Chunk(_batchRows).Select(batch => ScoreBatchAsync(batch, cancellationToken))).ConfigureAwait(false)).SelectMany(scores => scores)];

    /// <inheritdoc/>
    public void Dispose() => _endpoint.Dispose();

    private async Task<RewardScore[]> ScoreBatchAsync(Response[] batch, CancellationToken cancellationToken)
    {
        var who = $"the reward '{Name}'";
        try
        {
            var question = new JsonObject { ["rows"] = new JsonArray([.. batch.Select(RowJson.Of)]) };
            using var answer = await _endpoint.PostAsync(question.ToJsonString(JsonLines.WriteOptions), cancellationToken).ConfigureAwait(false);
            var scores = Scores(answer.RootElement, batch.Length);
            return [.. batch.Select((response, row) => _failures.Of(who, response, () => Score(scores[row])))];
        }
        catch (RowFailure failure)
        {
            return [.. batch.Select(response => _failures.Of(who, response.Prompt, failure.Message))];
        }
    }

    private RewardScore Score(JsonElement answer)
    {
        try
        {
            return RowJson.Score(answer, _failures.Parts ?? []);
        }
        catch (RowFailure failure)
        {
            throw new RowFailure($"{_settings.Address}: {failure.Message}");
        }
    }

    private JsonElement Scores(JsonElement answer, int count)
    {
        if (answer.ValueKind != JsonValueKind.Object || !answer.TryGetProperty("scores", out var scores) || scores.ValueKind != JsonValueKind.Array)
            throw new RowFailure($"{_settings.Address}: the server answered {RowJson.Short(answer.GetRawText())}, which has no list \"scores\"");
        return scores.GetArrayLength() == count ? scores : throw new RowFailure($"{_settings.Address}: the server answered {scores.GetArrayLength()} scores to {count} rows");
    }
}
