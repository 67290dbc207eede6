namespace Rlgf.App.Terminals;

/// <summary>Reports at once and on the same thread; <see cref="Progress{T}"/> reports later and elsewhere, out of order.</summary>
internal sealed class DirectProgress<T>(Action<T> report) : IProgress<T>
{
    /// <inheritdoc/>
    public void Report(T value) => report(value);
}
