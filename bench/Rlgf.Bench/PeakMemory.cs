using System.Diagnostics;

namespace Rlgf.Bench;

/// <summary>The most memory that the process held since the last reset.</summary>
internal static class PeakMemory
{
    /// <summary>Begins anew where the system can (Linux); elsewhere the peak is that of the whole run.</summary>
    public static void Reset()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        try
        {
            // proc(5): writing 5 sets the peak of the resident set to its present size.
            File.WriteAllText("/proc/self/clear_refs", "5");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }

    /// <summary>In MiB.</summary>
    public static double Mebibytes
    {
        get
        {
            using var process = Process.GetCurrentProcess();
            return process.PeakWorkingSet64 / (double)(1 << 20);
        }
    }
}
