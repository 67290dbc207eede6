using System.Diagnostics;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Shared;

/// <summary>
/// A device that is not the CPU, on every machine: libtorch's lazy tensors. They note what is done with them and compute it, on the CPU, when their numbers are asked for. An operation that meets a tensor of
/// another device fails as on a GPU, so that a pass which works there shows that all its tensors were placed.
/// </summary>
/// <remarks>PyTorch's documentation of lazy tensors: torch/csrc/lazy/README.md. TorchSharp has no function that starts them, but libtorch exports the one that Python calls.</remarks>
internal static class LazyDevice
{
    private const string Start = "_ZN5torch4lazy22InitTorchScriptBackendEv";

    // DeviceType.Lazy of libtorch's c10/core/DeviceType.h, which TorchSharp's list doesn't have.
    private const DeviceType Lazy = (DeviceType)17;

    private static readonly Lazy<Device?> Started = new(() =>
    {
        if (!OperatingSystem.IsLinux()) return null;
        using var process = Process.GetCurrentProcess();
        var path = process.Modules.Cast<ProcessModule>().Select(module => module.FileName).FirstOrDefault(name => name.EndsWith("/libtorch_cpu.so", StringComparison.Ordinal));
        if (path is null || !NativeLibrary.TryLoad(path, out var library) || !NativeLibrary.TryGetExport(library, Start, out var start)) return null;
        Marshal.GetDelegateForFunctionPointer<Action>(start)();
        return new Device(Lazy, 0);
    });

    /// <summary>The device; the test is skipped where libtorch's file doesn't have it under the name that it has on Linux.</summary>
    public static Device Get()
    {
        Assert.SkipWhen(Started.Value is null, "libtorch's lazy tensors can't be started here.");
        return Started.Value!;
    }
}
