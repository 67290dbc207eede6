using System.Globalization;
using System.Runtime.InteropServices;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families;
using Rlgf.Models.Families.Gpt2;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>Loading takes the model's own memory and little more, in whatever type and format the file is.</summary>
public sealed class LoadingMemoryTests(ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [Trait("Category", "Long")]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    public void The_peak_is_at_most_fifteen_hundredths_above_the_loaded_size(ScalarType stored)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("The peak of a process's memory is read from /proc, which only Linux has.");

        // 12 · 1024² · 4 + 8192 · 1024 + … = 59 M parameters: 235 MB in float32. They are written one by one, so that no memory of that size is left over to be used again.
        var configuration = new Gpt2Configuration { Vocabulary = 8192, ContextLength = 256, Width = 1024, Layers = 4, Heads = 16 }.ToModelConfiguration();
        File.WriteAllText(_folder.File("config.json"), configuration.ToJson().ToJsonString());
        double size;
        using (var model = ModelFamilies.Of(configuration).CreateLanguageModel(configuration, CPU))
        {
            size = model.Module.parameters().Sum(parameter => parameter.NumberOfElements) * sizeof(float) / 1e6;
            Checkpoint.Save(_folder.Path, model.Module.named_parameters().Select(named => new TensorToStore(named.name, stored, named.parameter.shape, () => rand(named.parameter.shape))));
        }

        using (LanguageModelFolder.Load(Fixture.PathOf("gpt2"))) { } // What code and libraries take is not the model's.
        _ = TrimHeap(0); // What other tests left in the heap would be used again, and not be seen.
        var before = Resident("VmRSS");
        File.WriteAllText("/proc/self/clear_refs", "5"); // The peak begins anew at the present size: proc(5).
        using var loaded = LanguageModelFolder.Load(_folder.Path);
        var peak = Resident("VmHWM") - before;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"stored as {stored}: {size:0} MB loaded, peak {peak:0} MB above before, {peak / size:0.000} times"));
        Assert.True(peak <= 1.15 * size, $"The peak was {peak:0} MB for {size:0} MB.");
        Assert.True(peak >= 0.8 * size, "The memory was there already: the measurement says nothing.");
    }

    [DllImport("libc", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int TrimHeap(nuint keep);

    /// <summary>In MB.</summary>
    private static double Resident(string field) =>
        double.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith(field, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024 / 1e6;
}
