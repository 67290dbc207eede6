using System.Globalization;
using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Conversion;
using Rlgf.Models.Loading;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>Whatever is wrong with a checkpoint ends in one clear line, soon and in little memory, and never in a native crash.</summary>
public sealed class MalformedInputTests(ITestOutputHelper output)
{
    private const double MostSeconds = 2, MostMegabytes = 200;

    [Fact]
    public void Every_damaged_checkpoint_is_refused_in_one_line_soon_and_in_little_memory()
    {
        using (LanguageModelFolder.Load(Fixture.PathOf("gpt2"))) { } // What code and libraries take is not the case's.
        var faults = new List<string>();
        var (count, slowest, largest) = (0, (Seconds: 0.0, Name: ""), (Megabytes: 0.0, Name: ""));
        foreach (var damaged in new MalformedCases(seed: 5).All())
        {
            using var folder = new TemporaryFolder();
            damaged.Write(folder.Path);
            var size = Directory.GetFiles(folder.Path).Sum(path => new FileInfo(path).Length) / 1e6;
            GC.Collect();
            var (memory, time) = (PeakFromNow(), Environment.CpuUsage.TotalTime);
            var failure = Record.Exception(() => Load(damaged, folder));
            // The processor's time, not the clock's: others may be at work on this machine.
            var (seconds, megabytes) = ((Environment.CpuUsage.TotalTime - time).TotalSeconds, Peak() - memory - size);
            count++;
            if (seconds > slowest.Seconds) slowest = (seconds, damaged.Name);
            if (megabytes > largest.Megabytes) largest = (megabytes, damaged.Name);
            if (failure is not InputException fault) faults.Add($"{damaged.Name}: {failure?.GetType().Name ?? "nothing was thrown"}: {failure?.Message}");
            else if (fault.Message.Any(char.IsControl) || fault.Message.Length > 20_000 || !fault.Message.Contains(folder.Path, StringComparison.Ordinal)) faults.Add($"{damaged.Name}: the message is not one line that names the file: {fault.Message}");
            if (seconds > MostSeconds) faults.Add(string.Create(CultureInfo.InvariantCulture, $"{damaged.Name}: {seconds:0.0} s"));
            if (megabytes > MostMegabytes) faults.Add(string.Create(CultureInfo.InvariantCulture, $"{damaged.Name}: {megabytes:0} MB above the file's size"));
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count} cases; slowest {slowest.Seconds:0.00} s ({slowest.Name}); most memory {largest.Megabytes:0} MB above the file ({largest.Name})"));
        Assert.True(faults.Count == 0, string.Join('\n', faults));
        Assert.True(count >= 200, $"There are only {count} cases.");
    }

    [Fact]
    public void A_changed_byte_anywhere_in_a_head_is_refused_or_harmless()
    {
        var random = new Random(11);
        var gguf = Gguf.GgufOfFolder.Write(Fixture.PathOf("qwen2"), new Gguf.GgufWriter().Text("tokenizer.ggml.pre", "qwen2")).ToArray();
        (string Name, byte[] Content, int Head)[] files =
        [
            ("model.safetensors", File.ReadAllBytes(Path.Combine(Fixture.PathOf("gpt2"), "model.safetensors")), 2500),
            ("pytorch_model.bin", File.ReadAllBytes(Path.Combine(Fixture.PathOf("gpt2_bin"), "pytorch_model.bin")), 3500),
            ("model.gguf", gguf, gguf.Length - 250_000 > 0 ? gguf.Length - 250_000 : 8000),
        ];
        foreach (var (name, content, head) in files)
        {
            using var folder = new TemporaryFolder();
            File.Copy(Path.Combine(Fixture.PathOf("gpt2"), "config.json"), folder.File("config.json"));
            for (var i = 0; i < 40; i++)
            {
                var changed = content.ToArray();
                // From either end: a zip archive's directory is at its end.
                var at = random.Next(head);
                if (name.EndsWith(".bin", StringComparison.Ordinal) && i % 2 == 0) at = changed.Length - 1 - at;
                changed[at] ^= (byte)(1 << random.Next(8));
                File.WriteAllBytes(folder.File(name), changed);
                var failure = Record.Exception(() => Load(new MalformedCase(name == "model.gguf" ? "gguf" : name, _ => { }), folder));
                Assert.True(failure is null or InputException, $"{name}, byte {at}: {failure}");
            }
        }
    }

    private static void Load(MalformedCase damaged, TemporaryFolder folder)
    {
        if (damaged.IsGguf) GgufConversion.Convert(folder.File("model.gguf"), folder.File("result"), ScalarType.Float16);
        else using (LanguageModelFolder.Load(folder.Path)) { }
    }

    /// <summary>Lets the peak of memory begin anew; gives the present size in MB. 0 where the system doesn't tell, so that only Linux measures.</summary>
    private static double PeakFromNow()
    {
        if (!OperatingSystem.IsLinux()) return 0;
        File.WriteAllText("/proc/self/clear_refs", "5"); // proc(5)
        return Peak();
    }

    private static double Peak() => !OperatingSystem.IsLinux()
        ? 0
        : double.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmHWM", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024 / 1e6;
}
