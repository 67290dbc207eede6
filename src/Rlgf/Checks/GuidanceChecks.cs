using System.Globalization;
using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Tokenizers;
using Rlgf.Training;

namespace Rlgf.Checks;

/// <summary>Looks for guidance that a recipe names and its numbers switch off, in whole or in part: each function is one question and gives null where all is well.</summary>
public static class GuidanceChecks
{
    /// <summary>All of them.</summary>
    /// <param name="setup">The run.</param>
    public static IEnumerable<Finding?> Before(TrainingSetup setup)
    {
        var algorithm = setup.Algorithm;
        yield return RollInsThatNeverAre(algorithm);
        yield return NoRowsOfTheGuide(algorithm);
        yield return TextThatIsNeverGiven(algorithm);
        yield return CreditToNobody(algorithm);
        yield return CreditOfNoWeight(algorithm);
        yield return SupervisedLossOfNoWeight(setup);
        yield return SuccessOutOfReach(algorithm, setup.Reward);
        yield return ReferencesBeyondTheLimit(setup);
    }

    /// <summary>A phase in which the guide would begin responses with probability 0, of an algorithm that has it otherwise or whose phases the recipe says.</summary>
    public static Finding? RollInsThatNeverAre(AlgorithmSettings algorithm)
    {
        var own = PresetOf(algorithm)?.ScheduledPhases;
        foreach (var (i, phase) in algorithm.ScheduledPhases.Index())
        {
            if (phase is not { RollIn: Actor.Guide, RollInProbability: 0 } || own?.ElementAtOrDefault(i) is { RollInProbability: 0 }) continue;
            return Warning($"{TrainingChecks.PlaceOf(algorithm, i)}.roll_in_probability", $"the guide begins no response of '{algorithm.Name}': the probability is 0; raise it, or use an algorithm without a guide, such as ppo or grpo");
        }
        return null;
    }

    /// <summary>An algorithm with rows of the guide's in each group, and none of them.</summary>
    public static Finding? NoRowsOfTheGuide(AlgorithmSettings algorithm) => algorithm.GuideRows == 0 && PresetOf(algorithm) is { GuideRows: > 0 and var own }
        ? Warning("algorithm.guide_rows", $"no row of a group is the guide's: it is 0 and '{algorithm.Name}' has {own}; raise it, or use an algorithm without a guide, such as dr_grpo")
        : null;

    /// <summary>A cut of the guide's text at its beginning, always.</summary>
    public static Finding? TextThatIsNeverGiven(AlgorithmSettings algorithm)
    {
        foreach (var (i, phase) in algorithm.Phases.Index())
        {
            if (phase is { NeedsGuide: true, Cut.GivesNothingBy: { } key })
                return Warning($"{TrainingChecks.PlaceOf(algorithm, i)}.cut.{key}", $"nothing of the guide's text is ever given in '{algorithm.Name}', as this is {(key == "nothing_probability" ? "1; lower it" : "0; raise it")}, or use an algorithm without a guide, such as grpo");
        }
        return null;
    }

    /// <summary>A loss on the guide's tokens where the guide writes none, and no more of it was meant.</summary>
    public static Finding? CreditToNobody(AlgorithmSettings algorithm) => algorithm.GuideCredit > 0 && !algorithm.Phases.Any(phase => phase.NeedsGuide) && PresetOf(algorithm)?.Phases.Any(phase => phase.NeedsGuide) != true
        ? Warning("algorithm.guide_credit", $"'{algorithm.Name}' gives the guide credit but never asks it: the credit falls on nothing; set a roll-in by the guide or a credit of 0")
        : null;

    /// <summary>No weight of the loss on the guide's tokens, of an algorithm that has one.</summary>
    public static Finding? CreditOfNoWeight(AlgorithmSettings algorithm) => algorithm.GuideCredit == 0 && algorithm.Phases.Any(phase => phase.NeedsGuide) && PresetOf(algorithm) is { GuideCredit: > 0 and var own }
        ? Warning("algorithm.guide_credit.coefficient", Invariant($"what the guide wrote teaches nothing: its weight is 0 and '{algorithm.Name}' has {own}; raise it, or leave it out"))
        : null;

    /// <summary>A supervised loss with the weight 0 from its beginning to its end.</summary>
    public static Finding? SupervisedLossOfNoWeight(TrainingSetup setup) => setup.Supervised is { Coefficient: 0, FinalCoefficient: null or 0 }
        ? Warning("supervised.coefficient", "the supervised loss teaches nothing: its weight is 0 in every iteration; raise it, or leave 'supervised' out")
        : null;

    /// <summary>A success that no reward reaches, or that all do, where what the guide gives follows the success of a prompt's rows.</summary>
    public static Finding? SuccessOutOfReach(AlgorithmSettings algorithm, IReward reward)
    {
        if (!algorithm.CountsSuccesses || RewardRange.Of(reward) is not var (least, most)) return null;
        var success = algorithm.SuccessReward;
        if (success > most)
            return Warning("algorithm.success_reward", Invariant($"no row can succeed: that takes a reward of {success} and there is none above {most}, so that '{algorithm.Name}' {(algorithm.Gate is null ? "never gives less of the guide's text" : "writes every prompt again, each time")}; lower it"));
        return success <= least
            ? Warning("algorithm.success_reward", Invariant($"every row succeeds: that takes a reward of {success} and there is none below {least}, so that '{algorithm.Name}' {(algorithm.Gate is null ? "gives ever less of the guide's text, whatever the policy writes" : "never asks its guide")}; raise it"))
            : null;
    }

    /// <summary>References as guide that are longer than a response may be: their beginnings are given and never their ends.</summary>
    public static Finding? ReferencesBeyondTheLimit(TrainingSetup setup)
    {
        if (setup.Guides.FirstOrDefault(guide => guide is ReferencesGuide or ImperfectReferencesGuide) is not { } guide || !setup.Phases.Any(phase => phase.NeedsGuide)) return null;
        var (limit, shape, end) = (setup.Sampling.MaxNewTokens, setup.Policy.Shape, setup.Sampling.EndTokens.Count > 0 ? 1 : 0);
        (Prompt Prompt, int Tokens)[] longer = [.. setup.Prompts.Select(prompt => (Prompt: prompt, Tokens: prompt.References.Select(text => Tokens(prompt, text)).DefaultIfEmpty(0).Max())).Where(row => row.Tokens > limit)];
        if (longer.Length == 0) return null;
        var (longest, most) = longer.MaxBy(row => row.Tokens);
        return Warning("generation.max_new_tokens",
            $"{longer.Length} of {setup.Prompts.Count} prompts have a reference that is longer than a response may be, {limit} tokens: the guide '{guide.Name}' gives its beginning and never its end; "
            + $"the longest has {most}{(end > 0 ? " with its end" : "")} ({OwnCode.Place(longest)}): raise this to {most}, or leave such rows out by data.filter");

        // As the writer of rollouts counts them.
        int Tokens(Prompt prompt, string text) =>
            TokenJoin.Continue(setup.Tokenizer, shape.ReadsPromptApart || prompt.Messages is not null ? text.TrimStart() : text, startsText: shape.ReadsPromptApart).Ids.Length + end;
    }

    /// <summary>What a named algorithm is by itself; null for one that a recipe or a program made.</summary>
    private static AlgorithmSettings? PresetOf(AlgorithmSettings algorithm) => Presets.Named(algorithm.Name, algorithm.SwitchIteration);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static Finding Warning(string key, string message) => new(Severity.Warning, message, key);
}
