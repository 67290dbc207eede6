namespace Rlgf.Training;

/// <summary>Keeps what a run needs to go on where it stopped.</summary>
public interface ICheckpointStore
{
    /// <summary>Whether <see cref="Save"/> needs all ranks, each of which has a part of what is saved.</summary>
    bool NeedsAll => false;

    /// <summary>Saves everything at the boundary between two iterations. What was saved before stays whole whatever happens meanwhile.</summary>
    void Save(TrainingState state);

    /// <summary>Loads the newest checkpoint into the models and the optimiser.</summary>
    /// <returns>Its state, or null where there is no checkpoint.</returns>
    TrainingState? LoadNewest();

    /// <summary>
    /// Goes back: loads an earlier checkpoint, keeps what was decided with it, and then removes all that are later, so that a run that is killed at any moment either has not gone back or has, and knows how often.
    /// </summary>
    /// <param name="iteration">Iterations before the checkpoint.</param>
    /// <param name="decided">From the checkpoint's state to the one to go on from.</param>
    /// <returns>The state to go on from.</returns>
    /// <exception cref="Base.InputException">The checkpoint isn't there, or is damaged.</exception>
    TrainingState GoBack(int iteration, Func<TrainingState, TrainingState> decided);
}
