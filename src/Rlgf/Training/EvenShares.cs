namespace Rlgf.Training;

/// <summary>Shares rows out to optimiser steps: a last step of the one row that is left would move the weights as far as a whole one does.</summary>
internal static class EvenShares
{
    /// <summary>Sizes of as few shares as there can be of at most so many items each; they differ by one at most, and are all <paramref name="most"/> where that divides the items.</summary>
    public static int[] Sizes(int items, int most)
    {
        var count = (items + most - 1) / most;
        return [.. Enumerable.Range(0, count).Select(share => End(share + 1) - End(share))];

        int End(int shares) => (int)((long)shares * items / count);
    }

    /// <summary>The items in such shares, in their order.</summary>
    public static IEnumerable<T[]> Of<T>(T[] items, int most)
    {
        var begin = 0;
        foreach (var size in Sizes(items.Length, most))
        {
            yield return items[begin..(begin + size)];
            begin += size;
        }
    }
}
