using Rlgf.App.Terminals;
using Rlgf.Base;

namespace Rlgf.App.Sweeps;

/// <summary>Seeds on a command line: <c>1..5</c>, <c>1,2,7</c>, or both.</summary>
internal static class SeedList
{
    private const ulong Most = 10_000;

    /// <summary>Reads them.</summary>
    /// <exception cref="UsageException">They are none, not in order, given twice or too many.</exception>
    public static IReadOnlyList<ulong> Parse(string text)
    {
        UsageException Wrong(string how) => new($"--seeds {text}: {how}");
        ulong Number(string part) => WrittenNumber.Parse(part.Trim(), typeof(ulong)) as ulong? ?? throw Wrong($"expected whole numbers, such as 1..5 or 1,2,7; found '{part.Trim()}'");

        List<ulong> seeds = [];
        foreach (var part in text.Split(','))
        {
            if (part.Split("..") is [var from, var to])
            {
                var (first, last) = (Number(from), Number(to));
                if (first > last) throw Wrong($"{first}..{last} goes backwards; write {last}..{first}");
                if (last - first >= Most) throw Wrong($"more than {Most} seeds");
                for (var seed = first; seed <= last && seed >= first; seed++) seeds.Add(seed);
            }
            else seeds.Add(Number(part));
        }

        if (seeds.Count > (int)Most) throw Wrong($"more than {Most} seeds");
        return seeds.GroupBy(seed => seed).FirstOrDefault(same => same.Count() > 1) is { } twice ? throw Wrong($"the seed {twice.Key} is there twice") : seeds;
    }
}
