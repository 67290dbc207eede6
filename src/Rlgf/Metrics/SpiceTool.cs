using System.Diagnostics;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Text.Data;
using Rlgf.Text.Metrics;

namespace Rlgf.Metrics;

/// <summary>
/// SPICE by the Java program of its authors, which comes with models of its own and is not part of this project: F of the facts that a text and its references state, 0 to 1.
/// </summary>
/// <remarks>Anderson et al. 2016 (arXiv 1607.08822).</remarks>
/// <param name="jar">The program, such as <c>spice-1.0.jar</c>, with its <c>lib</c> folder beside it.</param>
/// <param name="java">The Java program to run it with.</param>
public sealed class SpiceTool(string jar, string java = "java")
{
    private const string Memory = "-Xmx8G";

    /// <summary>The metric by its name <c>spice</c>; a corpus's value is the mean.</summary>
    public TextMetric AsMetric() => TextMetric.MeanOfBatch("spice", MetricNeed.References, Scores);

    private double?[] Scores(IReadOnlyList<MeasuredText> texts, CancellationToken stop)
    {
        if (!File.Exists(jar)) throw new InputException($"{jar}: there is no such file: SPICE needs the program of its authors, spice-1.0.jar with its lib folder");
        var folder = Directory.CreateTempSubdirectory("spice-").FullName;
        try
        {
            var (input, output) = (Path.Combine(folder, "input.json"), Path.Combine(folder, "output.json"));
            File.WriteAllText(input, JsonSerializer.Serialize(texts.Select((text, i) => new Item(i, text.Text, text.References)), JsonLines.WriteOptions));
            Run([Memory, "-jar", Path.GetFullPath(jar), input, "-out", output, "-subset", "-silent"], stop);
            return Read(output, texts.Count);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private void Run(string[] arguments, CancellationToken stop)
    {
        try
        {
            // Its models are found from its own folder.
            using var process = Process.Start(new ProcessStartInfo(java, arguments)
            {
                RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Path.GetDirectoryName(Path.GetFullPath(jar)),
            })!;
            using var killed = stop.Register(() => process.Kill(entireProcessTree: true));
            var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
            process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            stop.ThrowIfCancellationRequested();
            if (process.ExitCode == 0) return;
            var last = errors.Result.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).FirstOrDefault(line => line.Length > 0) ?? "it said nothing";
            throw new InputException($"{jar}: SPICE's program ended with code {process.ExitCode}: {last}");
        }
        catch (System.ComponentModel.Win32Exception failure)
        {
            throw new InputException($"SPICE needs Java, and '{java}' can't be started ({failure.Message}): install Java or leave spice out", failure);
        }
    }

    private double?[] Read(string output, int count)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(output));
            var scores = new double?[count];
            foreach (var item in document.RootElement.EnumerateArray())
                scores[item.GetProperty("image_id").GetInt32()] = item.GetProperty("scores").GetProperty("All").GetProperty("f").GetDouble();
            return scores;
        }
        catch (Exception failure) when (failure is IOException or JsonException or InvalidOperationException or KeyNotFoundException or IndexOutOfRangeException)
        {
            throw new InputException($"{jar}: SPICE's program wrote no scores that can be read: {failure.Message}", failure);
        }
    }

    private sealed record Item(int ImageId, string Test, IReadOnlyList<string> Refs);
}
