namespace Rlgf.Training;

/// <summary>Keeps what a run needs to go on where it stopped.</summary>
public interface ICheckpointStore
{
    /// <summary>Saves everything at the boundary between two iterations. What was saved before stays whole whatever happens meanwhile.</summary>
    void Save(TrainingState state);

    /// <summary>Loads the newest checkpoint into the models and the optimiser.</summary>
    /// <returns>Its state, or null where there is no checkpoint.</returns>
    TrainingState? LoadNewest();
}
