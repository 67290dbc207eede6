namespace Rlgf.Serving.Engine;

/// <summary>What bounds the memory and the work of an engine.</summary>
public sealed record EngineSettings
{
    /// <summary>The most rows that are written at once.</summary>
    public int BatchRows { get; init; } = 64;

    /// <summary>The most tokens that the rows being written may come to: rows times the longest of them, prompt and limit together. A row that is longer by itself is written alone.</summary>
    public long BatchTokens { get; init; } = 65_536;

    /// <summary>The most rows that wait for a place in the batch; what comes beyond is turned away.</summary>
    public int QueueRows { get; init; } = 256;

    /// <summary>The most rows of one request: those that are written and those that wait.</summary>
    internal long MostRows => (long)QueueRows + BatchRows;

    /// <summary>The most tokens of one row, prompt and response together, where the model's context has room for more.</summary>
    public int RowTokens { get; init; } = 32_768;
}

/// <summary>There are as many rows waiting as may wait.</summary>
/// <param name="message">What to do.</param>
public sealed class QueueFullException(string message) : Exception(message);
