using System.Globalization;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;

namespace Rlgf.Bench;

/// <summary>How long a model takes to load from its folder, the file being in the system's cache, and the most memory that the process holds meanwhile.</summary>
internal static class LoadBenchmark
{
    public static void Run(string folder, int repeats)
    {
        Console.WriteLine("| weights in memory | seconds | parameters, M | peak MiB |\n|---|---|---|---|");
        foreach (var precision in (Precision[])[Precision.Float32, Precision.Bfloat16])
        {
            long parameters = 0;
            PeakMemory.Reset();
            var seconds = Clock.Median(Enumerable.Range(0, repeats).Select(_ => Clock.Time(() =>
            {
                using var model = LanguageModelFolder.Load(folder, precision: precision);
                parameters = model.Module.parameters().Sum(parameter => parameter.numel());
            })));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {precision} | {seconds:F2} | {parameters / 1e6:F1} | {PeakMemory.Mebibytes:F0} |"));
        }
    }
}
