using System.Runtime.CompilerServices;

namespace Rlgf.Tests.Shared;

/// <summary>Test projects run side by side, and on machines that do other work: one thread for each operation keeps two cores busy without crowding.</summary>
internal static class OneThread
{
    [ModuleInitializer]
    public static void Set()
    {
        // Asked what assembly this is, the runner must answer and be gone: with the native library in the process its end takes so long on a busy machine that a message about it gets into the answer.
        if (Environment.GetCommandLineArgs().Contains("-assemblyInfo")) return;
        Rlgf.Models.TorchRuntime.Load(threads: 1);
    }
}
