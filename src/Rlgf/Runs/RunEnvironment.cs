using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using Rlgf.Models;
using Rlgf.Models.NumberTypes;
using TorchSharp;

namespace Rlgf.Runs;

/// <summary>Where a run ran: what may change its numbers or its speed. Holds no name of a machine or person, no path and no environment variable.</summary>
/// <param name="Rlgf">This project's version, with the commit it was built from where that is known.</param>
/// <param name="OperatingSystem">For example <c>Debian GNU/Linux 12 (bookworm)</c>.</param>
/// <param name="Architecture">For example <c>x64</c>.</param>
/// <param name="Processor">The processor's name; empty if the system does not tell.</param>
/// <param name="LogicalCores">Cores that this process may use.</param>
/// <param name="MemoryGibibytes">Memory that this process may use.</param>
/// <param name="Dotnet">For example <c>.NET 10.0.4</c>.</param>
/// <param name="TorchSharp">Version of TorchSharp.</param>
/// <param name="Libtorch">Version of libtorch.</param>
/// <param name="Threads">Threads that one tensor operation may use.</param>
/// <param name="MatmulPrecision">libtorch's setting for float32 matrix products: highest or medium.</param>
/// <param name="Cuda">Whether a CUDA device is there.</param>
/// <param name="Started">When the run began, UTC.</param>
public sealed record RunEnvironment(
    string Rlgf, string OperatingSystem, string Architecture, string Processor, int LogicalCores, double MemoryGibibytes, string Dotnet,
    string TorchSharp, string Libtorch, int Threads, string MatmulPrecision, bool Cuda, DateTimeOffset Started)
{
    /// <summary>Whether weights that write were packed once rather than at every product.</summary>
    public bool PackedWeights { get; init; }

    /// <summary>Processes that trained together.</summary>
    public int Ranks { get; init; } = 1;

    /// <summary>What the model that is trained computes with.</summary>
    public PolicyPrecision PolicyPrecision { get; init; }

    /// <summary>This process, now; loads libtorch if that has not been done.</summary>
    /// <param name="ranks">Processes that train together.</param>
    public static RunEnvironment Capture(int ranks = 1)
    {
        var torchFacts = TorchRuntime.Load();
        return new(
            Version(typeof(RunEnvironment).Assembly),
            OsRelease() ?? RuntimeInformation.OSDescription,
            RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant(),
            ProcessorName(),
            Environment.ProcessorCount,
            Math.Round(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1 << 30), 1),
            RuntimeInformation.FrameworkDescription,
            Version(typeof(torch).Assembly),
            torchFacts.LibtorchVersion,
            torchFacts.Threads,
            torchFacts.FastFloat32Products ? "medium" : "highest",
            torch.cuda.is_available(),
            DateTimeOffset.UtcNow)
        {
            PackedWeights = torchFacts.PackedWeights,
            Ranks = ranks,
        };
    }

    /// <summary>What may change the last bits of numbers and is another here than it was, such as <c>threads was 1 and is 2</c>.</summary>
    /// <param name="began">Where the run began.</param>
    internal IReadOnlyList<string> DifferencesFrom(RunEnvironment began)
    {
        (string Key, string Was, string Is)[] all =
        [
            ("rlgf", began.Rlgf, Rlgf), ("architecture", began.Architecture, Architecture), ("processor", began.Processor, Processor), ("libtorch", began.Libtorch, Libtorch),
            ("threads", Of(began.Threads), Of(Threads)), ("matmul_precision", began.MatmulPrecision, MatmulPrecision), ("packed_weights", Of(began.PackedWeights), Of(PackedWeights)), ("ranks", Of(began.Ranks), Of(Ranks)),
        ];
        return [.. all.Where(part => part.Was != part.Is).Select(part => $"{part.Key} was {part.Was} and is {part.Is}")];

        static string Of(object value) => string.Create(CultureInfo.InvariantCulture, $"{value}").ToLowerInvariant();
    }

    private static string Version(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? assembly.GetName().Version?.ToString() ?? "";

    private static string? OsRelease() => !File.Exists("/etc/os-release") ? null : File.ReadLines("/etc/os-release")
        .FirstOrDefault(line => line.StartsWith("PRETTY_NAME=", StringComparison.Ordinal))?["PRETTY_NAME=".Length..].Trim('"');

    private static string ProcessorName()
    {
        if (RuntimeInformation.IsOSPlatform(OSPlatform.Windows)) return Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? "";
        if (!File.Exists("/proc/cpuinfo")) return "";
        return File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal)) is { } line
            ? line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim()
            : "";
    }
}
