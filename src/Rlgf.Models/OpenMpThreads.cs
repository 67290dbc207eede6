using System.Runtime.InteropServices;

namespace Rlgf.Models;

/// <summary>
/// How long the threads of an operation spin while they wait for one another. libgomp's default is about a millisecond of full load; where another program has one of the cores, the thread
/// that all wait for doesn't get it, and work on two threads takes many times as long as on one.
/// </summary>
internal static class OpenMpThreads
{
    /// <summary>What libgomp itself takes where there are more threads than cores.</summary>
    private const string SpinCount = "1000";

    /// <summary>
    /// Shortens the spinning, on Linux, unless the user has chosen by <c>OMP_WAIT_POLICY</c> or <c>GOMP_SPINCOUNT</c>. It must come before libtorch is loaded: libgomp reads its settings once,
    /// and it reads the process's own environment, which <see cref="Environment.SetEnvironmentVariable(string, string)"/> doesn't change.
    /// </summary>
    public static void TrySpinBriefly()
    {
        if (!OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is not null) return;
        try
        {
            _ = SetEnvironment("GOMP_SPINCOUNT", SpinCount, overwrite: 0);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException)
        {
            // A C library by another name: the default stays.
        }
    }

    [DllImport("libc", EntryPoint = "setenv", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetEnvironment([MarshalAs(UnmanagedType.LPUTF8Str)] string name, [MarshalAs(UnmanagedType.LPUTF8Str)] string value, int overwrite);
}
