using System.Globalization;
using System.Text.Json;
using Rlgf.Models;
using Rlgf.Models.Families;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>Reading complete rows in one padded pass, and as it is planned (rows of like length together, prompts that several have once).</summary>
/// <param name="Rows">What is read.</param>
/// <param name="WithGradient">Whether a backward pass follows.</param>
/// <param name="TokensWhole">Tokens of the one pass, padding included.</param>
/// <param name="TokensPlanned">Tokens of the planned passes.</param>
/// <param name="WholeSeconds">Each repeat.</param>
/// <param name="PlannedSeconds">Each repeat.</param>
/// <param name="LargestDifference">Of the states.</param>
public sealed record ReadingFigures(string Rows, bool WithGradient, long TokensWhole, long TokensPlanned, double[] WholeSeconds, double[] PlannedSeconds, double LargestDifference);

/// <summary>What it takes to read complete rows.</summary>
internal static class ReadingBenchmark
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Measures a folder's model, or one of a shape with random weights.</summary>
    public static void Run(string which, IReadOnlyList<Precision> types, int repeats, string? output)
    {
        List<ReadingFigures> figures = [];
        foreach (var type in types)
        {
            using var model = Directory.Exists(which) ? TextModel.Load(which, precision: type).Model : Workload.Named(which)[0].NewModel(seed: 1);
            foreach (var (name, rows) in Cases(model.Shape.Vocabulary))
            {
                foreach (var withGradient in (bool[])[false, true])
                {
                    figures.Add(Measure((CausalLanguageModel)model, $"{type}, {name}", rows, withGradient, repeats));
                    var (whole, planned) = (Clock.Median(figures[^1].WholeSeconds), Clock.Median(figures[^1].PlannedSeconds));
                    Console.WriteLine(string.Create(
                        CultureInfo.InvariantCulture,
                        $"{figures[^1].Rows}, {(withGradient ? "forward and backward" : "forward")}: {figures[^1].TokensWhole} tokens {whole:F2} s, {figures[^1].TokensPlanned} tokens {planned:F2} s; tokens {figures[^1].TokensPlanned / (double)figures[^1].TokensWhole:F2}, time {Clock.Median(figures[^1].PlannedSeconds.Zip(figures[^1].WholeSeconds, (one, other) => one / other)):F2}; largest difference {figures[^1].LargestDifference:E1}"));
                    if (output is not null) File.WriteAllText(output, JsonSerializer.Serialize(figures, Indented));
                }
            }
        }
    }

    /// <summary>Tokens of all layers' input, each counted once, while something is done.</summary>
    public static long TokensRead(ILanguageModel model, Action action)
    {
        var (tokens, module) = (0L, (Models.Families.Decoders.DecoderModule)model.Module);
        module.LayerInput = x => tokens += x.size(0);
        action();
        module.LayerInput = null;
        return tokens / module.Layers;
    }

    private static IEnumerable<(string Name, TokenRow[] Rows)> Cases(int vocabulary)
    {
        var random = new Random(1);
        int[] Draw(int length) => [.. Enumerable.Range(0, length).Select(_ => random.Next(vocabulary))];
        TokenRow[] Groups(int prompts, Func<int> prompt, Func<int> response) =>
            [.. Enumerable.Range(0, prompts).Select(_ => Draw(prompt())).SelectMany(tokens => Enumerable.Range(0, 8).Select(_ => new TokenRow(tokens, Draw(response()))))];
        yield return ("4 prompts of 16, 8 answers of 24 each", Groups(4, () => 16, () => 24));
        yield return ("4 prompts of 48, 8 answers of 24 each", Groups(4, () => 48, () => 24));
        yield return ("4 prompts of 16 to 48, 8 answers of 4 to 32 each", Groups(4, () => random.Next(16, 49), () => random.Next(4, 33)));
        yield return ("32 prompts of 8 to 60, an answer of 16 each", [.. Enumerable.Range(0, 32).Select(_ => new TokenRow(Draw(random.Next(8, 61)), Draw(16)))]);
    }

    private static ReadingFigures Measure(CausalLanguageModel model, string name, TokenRow[] rows, bool withGradient, int repeats)
    {
        using var gradients = withGradient ? null : no_grad();
        using var scope = NewDisposeScope();
        var one = new ReadingPlan([[.. Enumerable.Range(0, rows.Length)]], []);
        var plan = model.Plan(rows);
        List<double> whole = [], planned = [];
        for (var repeat = -1; repeat < repeats; repeat++)
        {
            var (first, second) = repeat % 2 == 0 ? (one, plan) : (plan, one);
            var (a, b) = (Seconds(first), Seconds(second));
            if (repeat < 0) continue;
            (repeat % 2 == 0 ? whole : planned).Add(a);
            (repeat % 2 == 0 ? planned : whole).Add(b);
        }

        var difference = 0.0;
        using (no_grad())
        {
            var (states, expected) = (model.Read(rows, plan), model.Read(rows, one));
            for (var row = 0; row < rows.Length; row++)
            {
                var length = rows[row].Response.Length;
                difference = Math.Max(difference, (states[row].narrow(0, 0, length) - expected[row].narrow(0, 0, length)).abs().max().item<float>());
            }
        }

        long Tokens(ReadingPlan of)
        {
            using var without = no_grad();
            return TokensRead(model, () => model.Read(rows, of).Dispose());
        }

        return new(name, withGradient, Tokens(one), Tokens(plan), [.. whole], [.. planned], difference);

        double Seconds(ReadingPlan of) => Clock.Time(() =>
        {
            using var inner = NewDisposeScope();
            var states = model.Read(rows, of);
            if (!withGradient) return;
            states.square().mean().Backward();
            model.Module.zero_grad();
        });
    }
}
