using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Remote;
using Rlgf.Text.Data;

namespace Rlgf.Rewards.Remote;

/// <summary>What a <see cref="ModelJudgeReward"/> asks.</summary>
public sealed record ModelJudgeSettings
{
    /// <summary>The model's name at the server.</summary>
    public required string Model { get; init; }

    /// <summary>The question: see <see cref="ModelJudgeReward.TemplateProblem"/> for what stands for what.</summary>
    public required string Template { get; init; }

    /// <summary>The message of the system; null for none.</summary>
    public string? System { get; init; }

    /// <summary>The least number that is an answer.</summary>
    public double AtLeast { get; init; }

    /// <summary>The greatest number that is an answer.</summary>
    public double AtMost { get; init; } = 10;

    /// <summary>The most tokens of an answer.</summary>
    public int MaxTokens { get; init; } = 16;
}

/// <summary>
/// A model as judge, asked by the protocol of OpenAI's chat completions that many servers speak: the answer must be a number within limits and nothing else. It is asked for its likeliest answer (temperature 0).
/// </summary>
/// <remarks>Zheng et al. 2023, "Judging LLM-as-a-judge" (arXiv 2306.05685), single answer grading.</remarks>
public sealed partial class ModelJudgeReward : IReward, IReadsRows, IDisposable
{
    private readonly EndpointSettings _endpointSettings;
    private readonly JsonEndpoint _endpoint;
    private readonly ModelJudgeSettings _settings;
    private readonly FailureRule _failures;

    /// <summary>Asks nothing yet.</summary>
    /// <param name="name">Name for logs and reports.</param>
    /// <param name="endpoint">Where: the whole address, such as <c>http://localhost:8000/v1/chat/completions</c>.</param>
    /// <param name="settings">What.</param>
    /// <param name="failures">What becomes of rows to which no number is answered.</param>
    /// <exception cref="InputException">The template can't be used.</exception>
    public ModelJudgeReward(string name, EndpointSettings endpoint, ModelJudgeSettings settings, FailureRule failures)
    {
        if (TemplateProblem(settings.Template) is { } problem) throw new InputException($"the template of the reward '{name}' {problem}");
        (Name, _endpointSettings, _endpoint, _settings, _failures) = (name, endpoint, new JsonEndpoint(endpoint), settings, failures);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>
    /// What is wrong with a template; null where nothing is. <c>{prompt}</c>, <c>{response}</c>, <c>{reference}</c> (the first) and <c>{row.NAME}</c> (a column) stand for what they say; other names in braces are no
    /// part of a template, and all else in braces is text.
    /// </summary>
    public static string? TemplateProblem(string template)
    {
        string[] names = [.. Placeholder().Matches(template).Select(match => match.Groups[1].Value)];
        if (Array.Find(names, name => name is not ("prompt" or "response" or "reference") && !name.StartsWith("row.", StringComparison.Ordinal)) is { } unknown)
            return $"holds {{{unknown}}}, which stands for nothing: there is {{prompt}}, {{response}}, {{reference}} and {{row.NAME}} for a column";
        return names.Contains("response") ? null : "holds no {response}, so that every response would get the same score";
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<RewardScore>> ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        await Task.WhenAll(responses.Select(response => ScoreAsync(response, cancellationToken))).ConfigureAwait(false);

    /// <inheritdoc/>
    public void Dispose() => _endpoint.Dispose();

    private async Task<RewardScore> ScoreAsync(Response response, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await _endpoint.PostAsync(Question(response).ToJsonString(JsonLines.WriteOptions), cancellationToken).ConfigureAwait(false);
            return _failures.Done(new RewardScore(Number(Text(answer.RootElement))));
        }
        catch (RowFailure failure)
        {
            return _failures.Of($"the reward '{Name}'", response.Prompt, failure.Message);
        }
    }

    private JsonObject Question(Response response)
    {
        // One pass: what a response says in braces is not filled in.
        var text = Placeholder().Replace(_settings.Template, match => match.Groups[1].Value switch
        {
            "prompt" => response.Prompt.Text,
            "response" => response.Text,
            var name => OfRow(response.Prompt, name),
        });
        var messages = new JsonArray();
        if (_settings.System is { } system) messages.Add(new JsonObject { ["role"] = "system", ["content"] = system });
        messages.Add(new JsonObject { ["role"] = "user", ["content"] = text });
        return new JsonObject { ["model"] = _settings.Model, ["messages"] = messages, ["temperature"] = 0, ["max_tokens"] = _settings.MaxTokens };
    }

    /// <summary>The least and the greatest number that is an answer.</summary>
    internal (double Least, double Most) Range => (_settings.AtLeast, _settings.AtMost);

    FailureRule IReadsRows.Failures => _failures;

    void IReadsRows.Require(Prompt prompt)
    {
        foreach (Match match in Placeholder().Matches(_settings.Template)) if (match.Groups[1].Value is not ("prompt" or "response") and var name) OfRow(prompt, name);
    }

    /// <summary>What a name in braces stands for that is of the prompt's row.</summary>
    private string OfRow(Prompt prompt, string name) => name == "reference"
        ? RowTexts.Of(prompt, null, $"the reward '{Name}'")[0]
        : string.Join('\n', RowTexts.Of(prompt, name["row.".Length..], $"the reward '{Name}'"));

    private string Text(JsonElement answer)
    {
        try
        {
            return answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString() ?? "";
        }
        catch (Exception failure) when (failure is KeyNotFoundException or InvalidOperationException or IndexOutOfRangeException)
        {
            throw new RowFailure($"{_endpointSettings.Address}: the server answered {RowJson.Short(answer.GetRawText())}, which is no chat completion");
        }
    }

    private double Number(string text)
    {
        if (!Whole().IsMatch(text.Trim())) throw new RowFailure($"{_endpointSettings.Address}: the judge answered {RowJson.Short(text.Trim())}, which is not a number alone");
        var number = double.Parse(text.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture);
        return number >= _settings.AtLeast && number <= _settings.AtMost ? number
            : throw new RowFailure(FormattableString.Invariant($"{_endpointSettings.Address}: the judge answered {RowJson.Short(text.Trim())}, which is not within {_settings.AtLeast} and {_settings.AtMost}"));
    }

    [GeneratedRegex(@"\{([a-z_]+(?:\.[^{}""]+)?)\}")]
    private static partial Regex Placeholder();

    [GeneratedRegex(@"^[-+]?[0-9]+(?:\.[0-9]+)?$")]
    private static partial Regex Whole();
}
