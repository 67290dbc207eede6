using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Training;

namespace Rlgf.Checks;

/// <summary>What rows of data, training and held-out ones, must hold for a run: each function is one question and gives null where all is well. What a row lacks would otherwise stop a run in the midst of it.</summary>
public static class RowChecks
{
    /// <summary>Prompts whose row lacks what the reward compares responses with.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="reward">The reward, with all its parts.</param>
    /// <param name="what">What the prompts are called.</param>
    public static Finding? RowsThatCanNotBeScored(IReadOnlyList<Prompt> prompts, IReward reward, string what = Training) =>
        RewardParts.Of(reward).OfType<IReadsRows>().Select(reader => Lacking(prompts, reader, what, $"can't be scored by '{((IReward)reader).Name}'", "set failure_score")).FirstOrDefault(finding => finding is not null);

    /// <summary>Prompts whose row lacks what the guide answers from.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="guide">The guide; null for none.</param>
    /// <param name="what">What the prompts are called.</param>
    public static Finding? RowsThatTheGuideCanNotAnswer(IReadOnlyList<Prompt> prompts, IGuide? guide, string what = Training) =>
        guide is IReadsRows reader ? Lacking(prompts, reader, what, $"can't be answered by the guide '{guide.Name}'", "use another guide") : null;

    /// <summary>Prompts that have no text for the supervised loss, or one that the model has no room for.</summary>
    public static Finding? SupervisedTextsMissing(TrainingSetup setup)
    {
        if (setup.Supervised is not { Source: SupervisedSource.References }) return null;
        try
        {
            var missing = setup.Prompts.Count - new SupervisedTexts(setup).Count;
            return missing is 0 || missing == setup.Prompts.Count ? null : new(Severity.Warning, $"{missing} of {setup.Prompts.Count} prompts have no text for the supervised loss, which is on the others alone");
        }
        catch (InputException impossible)
        {
            return new(Severity.Error, impossible.Message);
        }
    }

    /// <summary>What prompts to train on are called, and those that evaluations ask.</summary>
    internal const string Training = "prompts", HeldOut = "held-out prompts";

    private static Finding? Lacking(IReadOnlyList<Prompt> prompts, IReadsRows reader, string what, string cannot, string otherwise)
    {
        (Prompt Prompt, string Problem)[] lacking;
        try
        {
            lacking = [.. from prompt in prompts let problem = Problem(reader, prompt) where problem is not null select (prompt, problem)];
        }
        catch (InputException all)
        {
            // What no row has, a column that is not there, or a value that isn't read: no failure of single rows.
            return new(Severity.Error, all.Message);
        }

        if (lacking.Length == 0) return null;
        var said = $"{lacking.Length} of {prompts.Count} {what} {cannot}, {OwnCode.Place(lacking[0].Prompt)} first: {lacking[0].Problem}";
        return reader.Failures.Score is { } score
            ? new(Severity.Warning, FormattableString.Invariant($"{said}; they get {score}"))
            : new(Severity.Error, $"{said}; filter them out, or {otherwise}");
    }

    private static string? Problem(IReadsRows reader, Prompt prompt)
    {
        try
        {
            reader.Require(prompt);
            return null;
        }
        catch (RowFailure failure)
        {
            return failure.Message;
        }
    }
}
