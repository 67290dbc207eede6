using Rlgf.Algorithms;
using Rlgf.Models;
using Rlgf.Rollouts;
using Rlgf.Text;

namespace Rlgf.Training;

/// <summary>What can't work, whatever the data: said before anything is loaded or generated further.</summary>
public static class TrainingChecks
{
    /// <summary>Throws one line about the first thing that makes a setup impossible.</summary>
    /// <exception cref="InputException">The setup can't run.</exception>
    public static void ThrowIfImpossible(TrainingSetup setup)
    {
        var algorithm = setup.Algorithm;
        RolloutPhase[] phases = algorithm.Second is { } second && algorithm.Schedule != PlanSchedule.Constant ? [algorithm.First, second] : [algorithm.First];
        var needsGuide = phases.Any(phase => phase.RollOut == Actor.Guide || (phase.RollIn == Actor.Guide && phase.RollInProbability > 0));
        if (setup.Prompts.Count == 0) throw new InputException("There are no prompts to train on: check the data file and its filter.");
        if (algorithm.Schedule != PlanSchedule.Constant && algorithm.Second is null)
            throw new InputException($"The algorithm '{algorithm.Name}' has the schedule {algorithm.Schedule} and one phase only: give it a second.");
        if (needsGuide && setup.Guide is null) throw new InputException($"The algorithm '{algorithm.Name}' needs a guide and there is none: set one, or use ppo.");
        if (setup.Guide is { CanRollOut: false } guide && phases.Any(phase => phase.RollOut == Actor.Guide))
            throw new InputException($"The algorithm '{algorithm.Name}' lets the guide finish responses, and the guide '{guide.Name}' can only begin them: use ppo_plus_plus or adaptive, or a guide that writes.");
        if (phases.Any(phase => phase.RollOut == Actor.Guide && phase is { RollIn: Actor.Guide } or { RollOut: Actor.Guide, RollInProbability: 0 }))
            throw new InputException($"A phase of the algorithm '{algorithm.Name}' has no token that the policy writes, so nothing would be learned: let the policy roll in or out, with a probability above 0.");
        if (algorithm.Advantage != AdvantageEstimator.Gae && algorithm.GroupSize < 2)
            throw new InputException($"The estimator of '{algorithm.Name}' compares the responses to one prompt: group_size must be at least 2, it is {algorithm.GroupSize}.");
        if (setup.RowsPerIteration < algorithm.GroupSize || setup.RowsPerIteration % algorithm.GroupSize != 0)
            throw new InputException($"rows_per_iteration is {setup.RowsPerIteration}: it must be a multiple of group_size, {algorithm.GroupSize}.");
        if (setup.Sampling.Greedy || setup.Sampling.Beams is not null)
            throw new InputException($"{(setup.Sampling.Greedy ? "Greedy responses" : "Responses of a beam search")} don't explore: training needs sampling; {(setup.Sampling.Greedy ? "greedy" : "beams")} is for evaluation.");
        if (PrecisionOfModels.PrecisionOf(setup.ComparedPolicy) != PrecisionOfModels.PrecisionOf(setup.Reference))
            throw new InputException("The reference computes in another type than the policy, so that the KL would begin above 0: use one type for both, or a writing copy of the reference's type.");
        if (setup.Kl.Placement == KlPlacement.Loss && PrecisionOfModels.PrecisionOf(setup.Policy) != PrecisionOfModels.PrecisionOf(setup.Reference))
            throw new InputException("The KL is a term of the loss and the reference computes in another type than the policy that is trained: use one type for both.");
        var longest = setup.Prompts.Max(prompt => prompt.Tokens.Length);
        if (setup.Sampling.MaxNewTokens > setup.Policy.Shape.Room(longest))
            throw new InputException($"The longest prompt has {longest} tokens and responses may have {setup.Sampling.MaxNewTokens}: more than {setup.Policy.Shape.Limits}; shorten either.");
    }
}
