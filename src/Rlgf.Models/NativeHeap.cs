using System.Runtime.InteropServices;

namespace Rlgf.Models;

/// <summary>
/// Keeps the native heap's memory with the process. Training allocates and frees the same large tensors at every step; glibc by default takes each from the system and gives
/// it back, so that the kernel clears the pages anew every time: a quarter of a step's time at the sizes that a laptop trains.
/// </summary>
internal static class NativeHeap
{
    // Parameters of mallopt(3).
    private const int TrimThreshold = -1, TopPad = -2, MmapThreshold = -3, MaxArenas = -8;

    /// <summary>Sets it up on Linux with glibc; elsewhere nothing changes. What the user set by MALLOC_… stays.</summary>
    public static bool TryKeepMemory()
    {
        if (!OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable("MALLOC_MMAP_THRESHOLD_") is not null) return false;
        try
        {
            // No more heaps than there are by now: what a thread has freed in its heap is of no use to the others, so a process whose work moves between threads grows.
            // Older versions take no threshold above 32 MiB.
            return (MallOpt(MmapThreshold, 1 << 30) != 0 || MallOpt(MmapThreshold, 32 << 20) != 0)
                && MallOpt(TrimThreshold, int.MaxValue) != 0
                && MallOpt(TopPad, 64 << 20) != 0
                && MallOpt(MaxArenas, 1) != 0;
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException)
        {
            return false; // musl has neither the problem's name nor its cure.
        }
    }

    [DllImport("libc", EntryPoint = "mallopt", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MallOpt(int parameter, int value);
}
