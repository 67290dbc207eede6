using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Models.Generation;
using Rlgf.Models.NumberTypes;
using Rlgf.Rollouts;

namespace Rlgf.Training;

/// <summary>What can't work, whatever the data: said before anything is loaded or generated further.</summary>
public static class TrainingChecks
{
    /// <summary>Throws one line about the first thing that makes a setup impossible.</summary>
    /// <exception cref="InputException">The setup can't run.</exception>
    public static void ThrowIfImpossible(TrainingSetup setup)
    {
        if (Problems(setup).FirstOrDefault() is { Problem: { } problem }) throw new InputException(problem);
    }

    /// <summary>What makes a setup impossible: the recipe's key that it is about, and one line.</summary>
    /// <param name="setup">The run.</param>
    public static IEnumerable<(string Key, string Problem)> Problems(TrainingSetup setup)
    {
        if (setup.Prompts.Count == 0)
        {
            yield return ("data", "there are no prompts to train on: check the data file and its filter");
            yield break;
        }
        foreach (var (key, problem) in Problems(setup.Algorithm, setup.Phases, setup.Sampling, setup.RowsPerIteration, setup.Guide?.CanRollOut, setup.Guide?.GivesReferences))
            yield return (key, key == "guide" && setup.Guide?.RollOutProblem is { } reason ? $"{problem} ({reason})" : problem);
        if (PrecisionOfModels.PrecisionOf(setup.ComparedPolicy) != PrecisionOfModels.PrecisionOf(setup.Reference))
            yield return ("placement.reference.precision", "the reference computes in another type than the policy, so that the KL would begin above 0: use one type for both, or a writing copy of the reference's type");
        if (setup.Kl.Placement == KlPlacement.Loss && PrecisionOfModels.PrecisionOf(setup.Policy) != PrecisionOfModels.PrecisionOf(setup.Reference))
            yield return ("placement.reference.precision", "the KL is a term of the loss and the reference computes in another type than the policy that is trained: use one type for both");
        if (setup.Supervised is { Source: SupervisedSource.References } supervised && !setup.Prompts.Any(prompt => SupervisedTexts.TextsOf(prompt, supervised).Count > 0))
        {
            yield return supervised.Column is { } column
                ? ("supervised.column", $"none of {setup.Prompts.Count} prompts has a text for the supervised loss: column '{column}' is empty in all of their rows; name another, or leave 'supervised' out")
                : ("supervised", $"none of {setup.Prompts.Count} prompts has a text for the supervised loss, since none has a reference: check data.reference_column, or data.prompt_tokens, after which nothing is left of the texts; or leave 'supervised' out");
        }
        if (setup.Supervised is { Source: SupervisedSource.Guide } && !setup.Phases.Any(phase => phase.BeginsWithGuide)) yield return ("supervised.source", NoAnswers(setup.Algorithm));
        var longest = setup.Prompts.Max(prompt => prompt.Tokens.Length);
        if (setup.Sampling.MaxNewTokens > setup.Policy.Shape.Room(longest))
            yield return ("generation.max_new_tokens", $"the longest prompt has {longest} tokens and responses may have {setup.Sampling.MaxNewTokens}: more than {setup.Policy.Shape.Limits}; shorten either");

        // Last: its limit is the policy's where the recipe says none of its own, and the policy's is then what is to be changed.
        foreach (var guide in setup.Guides.OfType<LocalModelGuide>())
        {
            if (guide.RoomProblem(setup.Prompts, setup.Sampling.MaxNewTokens) is { } beyond)
                yield return (guide == setup.Guide ? "guide.sampling.max_new_tokens" : "guide", $"{(guide == setup.Guide ? "" : $"'{guide.Name}': ")}{beyond}");
        }
    }

    /// <summary>What can't work before anything is loaded: the recipe's key that it is about, and one line.</summary>
    /// <param name="algorithm">The algorithm.</param>
    /// <param name="sampling">How the policy samples.</param>
    /// <param name="rowsPerIteration">Rows of an iteration.</param>
    /// <param name="guideCanRollOut">Whether the guide can finish what another began; null without a guide.</param>
    /// <param name="guideGivesReferences">Whether it answers with the data's references; null without a guide, or where it is not known yet.</param>
    public static IEnumerable<(string Key, string Problem)> Problems(
        AlgorithmSettings algorithm, SamplingSettings sampling, int rowsPerIteration, bool? guideCanRollOut, bool? guideGivesReferences = null) =>
        Problems(algorithm, algorithm.Phases, sampling, rowsPerIteration, guideCanRollOut, guideGivesReferences);

    /// <summary>That a supervised loss on the guide's answers has none.</summary>
    internal static string NoAnswers(AlgorithmSettings algorithm) =>
        $"the guide writes whole answers where it rolls in, and in '{algorithm.Name}' it never does: use source: references, or an algorithm in which it does, such as ppo_plus_plus";

    private static IEnumerable<(string Key, string Problem)> Problems(
        AlgorithmSettings algorithm, IReadOnlyList<RolloutPhase> phases, SamplingSettings sampling, int rowsPerIteration, bool? guideCanRollOut, bool? guideGivesReferences)
    {
        var name = algorithm.Name;
        if (algorithm.Schedule != PlanSchedule.Constant && algorithm.Second is null)
            yield return ("algorithm.second", $"the algorithm '{name}' has the schedule {algorithm.Schedule} and one phase only: give it a second");
        if (guideCanRollOut is null && phases.Any(phase => phase.NeedsGuide))
            yield return ("guide", $"the algorithm '{name}' needs a guide and there is none; set one, or use ppo");
        if (guideCanRollOut == false && phases.Any(phase => phase.RollOut == Actor.Guide))
            yield return ("guide", $"the algorithm '{name}' lets the guide finish responses, and this one can only begin them: use ppo_plus_plus or adaptive, or a guide that writes");
        if (algorithm.NeedsReferences && guideGivesReferences == false)
            yield return ("guide", $"'{name}' restarts from the data's references, and this guide writes texts of its own: use the guide references, or ppo_plus_plus");
        if (phases.Any(phase => phase.RollOut == Actor.Guide && phase is { RollIn: Actor.Guide } or { RollOut: Actor.Guide, RollInProbability: 0 }))
            yield return ("algorithm.roll_in_probability", $"a phase of the algorithm '{name}' has no token that the policy writes, so nothing would be learned: let the policy roll in or out, with a probability above 0");
        foreach (var problem in phases.SelectMany((phase, i) => CutProblems(phase, PlaceOf(algorithm, i)))) yield return problem;
        if (phases.Count(phase => phase.Cut is { HasState: true }) > 1)
            yield return ("algorithm.gate.cut", $"two cuts of '{name}' go by what is known of a prompt (interval, bisect), and they would not know which of them it was; give one of them another rule");
        if (algorithm.Gate is { Cut: { Rule: CutRule.Ladder, Chunks: { } chunks } } ladder && ladder.Rounds > chunks)
            yield return ("algorithm.gate.rounds", $"{ladder.Rounds} writings climb a ladder of {chunks} parts: the last of them would give the whole text again; set as many rounds at most");
        if (algorithm.ScheduledPhases.Any(phase => phase.Cut is { Rule: CutRule.Ladder }))
            yield return ("algorithm.cut.rule", "a ladder is climbed by further writings: it is for gate.cut; use window or binomial");
        if (algorithm.GuideRows > 0 && algorithm.GuideRows >= algorithm.GroupSize)
            yield return ("algorithm.guide_rows", $"{algorithm.GuideRows} of {algorithm.GroupSize} rows to a prompt are the guide's: leave one to the policy at least, or make group_size larger");
        if (algorithm.ScheduledPhases.Any(phase => phase.Lengths == RollInLengths.Whole))
            yield return (algorithm.Name == AlgorithmSettings.Custom ? "algorithm.first" : "algorithm.roll_in_lengths", "whole leaves the policy nothing to write; set algorithm.guide_rows for some rows of the guide's, or use share");
        if (algorithm.ComparesGroups && algorithm.GroupSize < 2)
            yield return ("algorithm.group_size", $"the estimator of '{name}' compares the responses to one prompt: group_size must be at least 2, it is {algorithm.GroupSize}");
        if (algorithm.RollInScope == RollInScope.Group && algorithm.GroupSize < 2)
            yield return ("algorithm.roll_in_scope", $"the rows to one prompt share a roll-in, and '{name}' has one row to each: set group_size to 2 or more, or leave it out");
        if (rowsPerIteration < algorithm.GroupSize || rowsPerIteration % algorithm.GroupSize != 0)
            yield return ("rows_per_iteration", $"{rowsPerIteration} rows can't be shared out in groups of algorithm.group_size {algorithm.GroupSize}");
        if (sampling.Greedy) yield return ("generation.greedy", "greedy responses don't explore: training needs sampling; greedy is for evaluation");
        if (sampling.Beams is not null) yield return ("generation.beams", "responses of a beam search don't explore: training needs sampling; beams are for evaluation");
    }

    /// <summary>Where a recipe says what a phase is.</summary>
    internal static string PlaceOf(AlgorithmSettings algorithm, int phase) => algorithm.Gate is not null && phase == algorithm.Phases.Count - 1 ? "algorithm.gate" : algorithm.Name != AlgorithmSettings.Custom ? "algorithm" : phase == 0 ? "algorithm.first" : "algorithm.second";

    /// <summary>What is wrong with where a phase cuts the guide's text.</summary>
    private static IEnumerable<(string Key, string Problem)> CutProblems(RolloutPhase phase, string place)
    {
        if (phase.Lengths != RollInLengths.Share)
        {
            if (phase.Cut is not null) yield return ($"{place}.cut", "it is for roll-ins of the lengths share; set these, or leave it out");
            yield break;
        }
        if (phase.RollIn != Actor.Guide) yield return (place == "algorithm" ? "algorithm.roll_in_lengths" : $"{place}.lengths", "share is a share of the guide's text, and here the policy rolls in; use limit, inside or exact");
        if (phase.Cut is null) yield return ($"{place}.cut", "roll-ins of the lengths share need it: {rule: window, low: 0, high: 1}");
        foreach (var (key, problem) in phase.Cut?.Problems() ?? []) yield return ($"{place}.cut.{key}", problem);
    }
}
