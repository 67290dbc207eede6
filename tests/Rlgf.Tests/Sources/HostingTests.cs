using System.Runtime.InteropServices;
using Rlgf.Models;
using Rlgf.Tests.Toys;

namespace Rlgf.Tests.Sources;

/// <summary>A process that hosts the library is not set up behind its back.</summary>
public sealed class HostingTests
{
    private const string HostOnly = "RLGF_TESTS_HOST_ONLY";

    [Fact]
    public async Task A_process_that_only_hosts_the_library_is_left_as_it_is()
    {
        var (passed, said) = await ThisProgram.RunAsync([$"{HostOnly}=1"], typeof(HostingTests), nameof(In_such_a_process_nothing_is_set));
        Assert.True(passed == 1, said);
    }

    [Fact]
    public void In_such_a_process_nothing_is_set()
    {
        Assert.SkipWhen(Environment.GetEnvironmentVariable(HostOnly) is null, "Runs in a process of its own.");
        var before = Variables();
        using (var model = TinyGpt2.Create(seed: 1)) model.ResponseStates([new TokenRow([1], [2, 3])]).Dispose();
        Assert.False(TorchRuntime.Load().FastFloat32Products);
        Assert.Equal(before, Variables());

        // A program that wants it asks, also after loading.
        TorchRuntime.TuneProcess();
        Assert.Equal(TorchRuntime.Load().FastFloat32Products ? "medium" : "highest", Rlgf.Runs.RunEnvironment.Capture().MatmulPrecision);
        if (OperatingSystem.IsLinux() && before[0] is null && before[1] is null) Assert.NotEqual(before, Variables());

        // The process's own, which .NET's copy doesn't show.
        static string?[] Variables() => OperatingSystem.IsLinux() ? [.. ((string[])["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS"]).Select(name => Marshal.PtrToStringUTF8(GetEnvironment(name)))] : [];
    }

    [Fact]
    public void Only_the_command_line_asks_for_settings_of_the_process()
    {
        string[] settings = ["TuneProcess", "TryKeepMemory", "TrySpinBriefly", "SetEnvironmentVariable"];
        foreach (var project in (string[])["Rlgf.Models", "Rlgf"])
        {
            var places = SourceReading.OfProject(project).Operations().OfType<Microsoft.CodeAnalysis.Operations.IInvocationOperation>()
                .Where(call => settings.Contains(call.TargetMethod.Name)).Select(SourceReading.Place).Where(place => !place.StartsWith("src/Rlgf.Models/TorchRuntime.cs:", StringComparison.Ordinal));
            Assert.Equal("", string.Join('\n', places));
        }
    }

    [DllImport("libc", EntryPoint = "getenv", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint GetEnvironment([MarshalAs(UnmanagedType.LPUTF8Str)] string name);
}
