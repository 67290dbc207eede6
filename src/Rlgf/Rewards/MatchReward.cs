using System.Globalization;
using System.Text.RegularExpressions;
using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Text.Metrics;

namespace Rlgf.Rewards;

/// <summary>How an answer is compared with the right one.</summary>
public enum AnswerComparison
{
    /// <summary>As words: case, punctuation, the articles a, an and the, and the amount of white space don't count (as in SQuAD).</summary>
    Words,

    /// <summary>As they are, without white space around them.</summary>
    Exact,

    /// <summary>As numbers: commas between digits, a currency sign before and a per cent sign or a full stop after them don't count; of several numbers the last.</summary>
    Number,

    /// <summary>Character for character, white space included.</summary>
    Verbatim,
}

/// <summary>How a <see cref="MatchReward"/> finds and compares answers.</summary>
public sealed record MatchSettings
{
    /// <summary>The column that holds the right answer; null for the references.</summary>
    public string? Column { get; init; }

    /// <summary>Where the answer is in the response; null for all of it.</summary>
    public string? Pattern { get; init; }

    /// <summary>Whether it is what stands in the response's last box (<see cref="LatexBox"/>), in place of <see cref="Pattern"/>.</summary>
    public bool Boxed { get; init; }

    /// <summary>Where the answer is in the column; null for all of it.</summary>
    public string? ColumnPattern { get; init; }

    /// <summary>How they are compared.</summary>
    public AnswerComparison Compare { get; init; }

    /// <summary>How far numbers may lie apart, as a share of the right one.</summary>
    public double Tolerance { get; init; }
}

/// <summary>1 where a response has the right answer, 0 elsewhere. Of several right answers one is enough.</summary>
public sealed partial class MatchReward : ILocalReward, IReadsRows
{
    private readonly MatchSettings _settings;
    private readonly FailureRule _failures;
    private readonly Regex? _pattern;
    private readonly Regex? _columnPattern;

    /// <summary>Makes the reward.</summary>
    /// <exception cref="InputException">A pattern is malformed.</exception>
    public MatchReward(string name, MatchSettings settings, FailureRule? failures = null)
    {
        (Name, _settings, _failures) = (name, settings, failures ?? new FailureRule());
        (_pattern, _columnPattern) = (Read(settings.Pattern), Read(settings.ColumnPattern));

        Regex? Read(string? pattern)
        {
            if (pattern is null) return null;
            return UserPattern.TryParse(pattern, out var problem) ?? throw new InputException($"the pattern of the reward '{name}' is not a regular expression that can be used: {problem}");
        }
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(response => _failures.Of($"the reward '{Name}'", response, () => new RewardScore(IsRight(response) ? 1 : 0)))];

    FailureRule IReadsRows.Failures => _failures;

    void IReadsRows.Require(Prompt prompt) => RightAnswers(prompt);

    private (string[] Texts, double[] Numbers) RightAnswers(Prompt prompt)
    {
        string[] right = [.. RowTexts.Of(prompt, _settings.Column, $"the reward '{Name}'").Select(text => Find(_columnPattern, text)
            ?? throw new RowFailure($"{(_settings.Column is { } column ? $"column '{column}'" : "a reference")} has no match of column_pattern"))];
        return (right, _settings.Compare != AnswerComparison.Number ? [] : [.. right.Select(text => Number(text) ?? throw new RowFailure($"the right answer '{text}' is no number"))]);
    }

    private bool IsRight(Response response)
    {
        // Read before the response is looked at, so that a row without one is told whatever was written.
        var (right, numbers) = RightAnswers(response.Prompt);
        if ((_settings.Boxed ? LatexBox.Last(response.Text) : Find(_pattern, response.Text)) is not { } given) return false;
        return _settings.Compare switch
        {
            AnswerComparison.Number => Number(given) is { } number && numbers.Any(other => Math.Abs(number - other) <= _settings.Tolerance * Math.Abs(other)),
            AnswerComparison.Verbatim => right.Contains(given, StringComparer.Ordinal),
            AnswerComparison.Exact => right.Any(text => text.Trim() == given.Trim()),
            _ => Words(given) is var words && right.Any(text => Words(text) == words),
        };
    }

    /// <summary>The last match's first group, or all of the match where it has none.</summary>
    private static string? Find(Regex? pattern, string text)
    {
        if (pattern is null) return text;
        return pattern.Matches(text) is { Count: > 0 } matches ? (matches[^1].Groups.Count > 1 ? matches[^1].Groups[1] : matches[^1]).Value : null;
    }

    private static double? Number(string text) => Numbers().Matches(text) is { Count: > 0 } matches
        && double.TryParse(matches[^1].Value.Replace(",", "", StringComparison.Ordinal), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : null;

    private static string Words(string text)
    {
        var bare = string.Concat(PythonText.Lower(text).Where(character => !char.IsPunctuation(character) && !char.IsSymbol(character)));
        return string.Join(' ', PythonText.Split(Articles().Replace(bare, " ")));
    }

    // Commas are digits' own only in groups of three.
    [GeneratedRegex("[-+]?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:[.][0-9]+)?|[.][0-9]+)(?:[eE][-+]?[0-9]+)?")]
    private static partial Regex Numbers();

    [GeneratedRegex(@"\b(?:a|an|the)\b")]
    private static partial Regex Articles();
}
