using System.Diagnostics;
using System.Runtime.InteropServices;

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

    /// <summary>Gives the system back what the native heap keeps for later (glibc), so that what follows is counted in full.</summary>
    public static void ReturnFreeMemory()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        if (OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out var library) && NativeLibrary.TryGetExport(library, "malloc_trim", out _)) _ = MallocTrim(0);
    }

    [DllImport("libc.so.6", EntryPoint = "malloc_trim", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MallocTrim(nint kept);

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
