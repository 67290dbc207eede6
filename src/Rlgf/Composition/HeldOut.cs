using Rlgf.Base;
using Rlgf.Text.Data;

namespace Rlgf.Composition;

/// <summary>What is held out of a training file where no other file is named for it.</summary>
internal static class HeldOut
{
    /// <summary>Divides rows; those that are held out are spread evenly over them.</summary>
    /// <param name="rows">All of the file.</param>
    /// <param name="count">How many are held out.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="what">What the rows are, for messages.</param>
    /// <exception cref="InputException">None would be left to learn from.</exception>
    public static (T[] Learned, T[] HeldOut) Divide<T>(IReadOnlyList<T> rows, int count, string path, string what)
    {
        if (rows.Count <= count) throw new InputException($"{path}: {rows.Count} {what}, of which {count} would be held out: none is left to learn from; lower held_out_rows");
        var heldOut = TextDataset.SpreadIndices(rows.Count, count).ToHashSet();
        return ([.. rows.Where((_, index) => !heldOut.Contains(index))], [.. rows.Where((_, index) => heldOut.Contains(index))]);
    }
}
