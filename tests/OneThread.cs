using System.Runtime.CompilerServices;

namespace Rlgf.Tests.Shared;

/// <summary>Test projects run side by side, and on machines that do other work: one thread for each operation keeps two cores busy without crowding.</summary>
internal static class OneThread
{
    [ModuleInitializer]
    public static void Set() => Rlgf.Models.TorchRuntime.Load(threads: 1);
}
