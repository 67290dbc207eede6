using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Rlgf.Rewards.Remote;

/// <summary>The memory of a process with those that it started, where the system says which they are (Linux); of the process alone elsewhere.</summary>
internal static class ProcessTree
{
    /// <summary>Bytes in memory; 0 of one that has ended.</summary>
    public static long MemoryOf(Process process)
    {
        try
        {
            process.Refresh();
            return OperatingSystem.IsLinux() ? OfTree(process.Id) : process.WorkingSet64;
        }
        catch (Exception failure) when (failure is InvalidOperationException or Win32Exception)
        {
            return 0;
        }
    }

    private static long OfTree(int root)
    {
        var found = new Dictionary<int, (int Parent, long Pages)>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id)) continue;
            if (Read(folder) is { } process) found[id] = process;
        }

        long pages = 0;
        foreach (var (id, process) in found)
        {
            // Up to the root, or to a process that is no descendant.
            var at = id;
            for (var steps = 0; at != root && found.TryGetValue(at, out var next) && steps < found.Count; steps++) at = next.Parent;
            if (at == root) pages += process.Pages;
        }

        return pages * Environment.SystemPageSize;
    }

    /// <summary>Parent and resident pages, from a process's <c>stat</c>; null where it has ended meanwhile.</summary>
    private static (int Parent, long Pages)? Read(string folder)
    {
        try
        {
            // The name, in brackets, may hold anything; the fields after it are counted from the state.
            var text = File.ReadAllText(Path.Combine(folder, "stat"));
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return (int.Parse(fields[1], CultureInfo.InvariantCulture), long.Parse(fields[21], CultureInfo.InvariantCulture));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or FormatException or IndexOutOfRangeException)
        {
            return null;
        }
    }
}
