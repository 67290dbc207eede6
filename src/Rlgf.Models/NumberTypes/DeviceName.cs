using System.Globalization;
using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.NumberTypes;

/// <summary>Where a model computes and in which type.</summary>
/// <param name="Device">Where its parameters and what it makes are.</param>
/// <param name="Precision">What it computes with; never <see cref="Precision.Auto"/>.</param>
public sealed record ModelPlacement(Device Device, Precision Precision)
{
    /// <summary>The CPU, in float32.</summary>
    public static ModelPlacement Default { get; } = new(CPU, Precision.Float32);

    /// <summary>Whether another place is the same in both.</summary>
    public bool IsSame(ModelPlacement other) => Precision == other.Precision && Device.ToString() == other.Device.ToString();
}

/// <summary>Devices as recipes and options name them: <c>cpu</c>, <c>cuda</c> (the first GPU), <c>cuda:N</c>, or <c>auto</c>, the first GPU where there is one and the CPU elsewhere.</summary>
public static class DeviceName
{
    /// <summary>The name that is taken where none is said.</summary>
    public const string Default = "cpu";

    private const string Auto = "auto", Cuda = "cuda";

    /// <summary>What is wrong with a name on any machine; null for nothing.</summary>
    public static string? Fault(string name) => name is Auto or Default || IndexOf(name) is not null ? null : $"is '{name}': use cpu, cuda, cuda:N with N from 0, or auto";

    /// <summary>What is wrong with a name on this machine; null for nothing. Loads the native library where a GPU is named.</summary>
    public static string? Problem(string name) => Problem(name, IndexOf(name) is null ? 0 : Gpus());

    /// <summary>The same name with <c>auto</c> replaced by what this machine has.</summary>
    /// <param name="name">A name without a <see cref="Fault"/>.</param>
    public static string Resolved(string name) => name != Auto ? name : Gpus() > 0 ? $"{Cuda}:0" : Default;

    /// <summary>The device of a name.</summary>
    /// <exception cref="InputException">There is no such device.</exception>
    public static Device Of(string name)
    {
        if (Problem(name) is { } problem) throw new InputException($"the device {problem}.");
        return IndexOf(Resolved(name)) is { } gpu ? new Device(DeviceType.CUDA, gpu) : CPU;
    }

    /// <summary>What is wrong with a name on a machine of so many GPUs.</summary>
    internal static string? Problem(string name, int gpus) => Fault(name) ?? (IndexOf(name) is not { } gpu || gpu < gpus ? null : gpus == 0
        ? $"is '{name}', and no CUDA device is found: the machine has none that libtorch can use, or the program was built for the CPU (-p:TorchBackend=cuda takes the other libraries); use cpu, or auto to take a GPU only where there is one"
        : $"is '{name}', and this machine has {(gpus == 1 ? "one CUDA device, cuda:0" : $"{gpus} CUDA devices, cuda:0 to cuda:{gpus - 1}")}");

    private static int? IndexOf(string name) => name == Cuda ? 0
        : name.StartsWith($"{Cuda}:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(Cuda.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : null;

    private static int Gpus()
    {
        TorchRuntime.Load();
        return cuda.is_available() ? cuda.device_count() : 0;
    }
}
