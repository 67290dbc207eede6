using System.Diagnostics;
using System.Globalization;
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

    /// <summary>What is wrong with a program's file, behind its path; null where it is there.</summary>
    /// <param name="jar">The file.</param>
    internal static string? ProblemOf(string jar) => File.Exists(jar) ? RegularFile.Problem(jar) : "there is no such file: SPICE needs the program of its authors, spice-1.0.jar with its lib folder";

    private double?[] Scores(IReadOnlyList<MeasuredText> texts, CancellationToken stop)
    {
        if (texts.Count == 0) return [];
        if (ProblemOf(jar) is { } problem) throw new InputException($"{jar}: {problem}");
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
            throw new InputException($"{jar}: SPICE's program ended with code {process.ExitCode}: {WhatFailed(errors.Result)}");
        }
        catch (System.ComponentModel.Win32Exception failure)
        {
            throw new InputException($"SPICE needs Java, and '{java}' can't be started ({failure.Message}): install Java or leave spice out", failure);
        }
    }

    /// <summary>The line that says what failed: the program also tells of its progress there, and a failure is followed by where it came from.</summary>
    private static string WhatFailed(string errors)
    {
        var lines = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.FirstOrDefault(line => line.Contains("Exception", StringComparison.Ordinal) || line.Contains("Error", StringComparison.Ordinal)) ?? lines.LastOrDefault() ?? "it said nothing";
    }

    private double?[] Read(string output, int count)
    {
        try
        {
            using var document = JsonDocument.Parse(RegularFile.ReadBytes(output), new JsonDocumentOptions { AllowDuplicateProperties = false });
            var scores = new double?[count];
            var isThere = new bool[count];
            foreach (var item in document.RootElement.EnumerateArray())
            {
                var id = item.GetProperty("image_id").GetInt32();
                if (id < 0 || id >= count) throw Unreadable($"a score of the text {id}, which is none of the {count}");
                if (isThere[id]) throw Unreadable($"two scores of the text {id}");
                isThere[id] = true;
                var f = item.GetProperty("scores").GetProperty("All").GetProperty("f");
                // Where neither text states anything there is no F.
                if (f.ValueKind == JsonValueKind.Null) continue;
                var score = f.GetDouble();
                scores[id] = score is >= 0 and <= 1 ? score : throw Unreadable($"{score.ToString(CultureInfo.InvariantCulture)} of the text {id}, which is no number from 0 to 1");
            }

            return Array.IndexOf(isThere, false) is var missing and >= 0 ? throw Unreadable($"{isThere.Count(there => there)} scores of {count} texts; that of the text {missing} is missing") : scores;
        }
        catch (Exception failure) when (failure is IOException or JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new InputException($"{jar}: SPICE's program wrote no scores that can be read: {failure.Message}", failure);
        }
    }

    private InputException Unreadable(string what) => new($"{jar}: SPICE's program wrote {what}");

    private sealed record Item(int ImageId, string Test, IReadOnlyList<string> Refs);
}
