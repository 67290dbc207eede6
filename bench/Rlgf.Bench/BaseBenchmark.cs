using System.Globalization;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using Rlgf.Models.Optimizers;
using Rlgf.Models.Tensors;
using Rlgf.Rollouts;
using Rlgf.Text.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>Training an adapter on a base of one type.</summary>
/// <param name="Type">The base's type.</param>
/// <param name="ForwardSeconds">A pass without a gradient, each repeat.</param>
/// <param name="StepSeconds">Forward, backward and AdamW, each repeat.</param>
/// <param name="ResidentMebibytes">Memory that the process holds more than before the model was there.</param>
/// <param name="PeakMebibytes">The most of it in a step.</param>
public sealed record BaseFigures(string Type, double[] ForwardSeconds, double[] StepSeconds, double ResidentMebibytes, double PeakMebibytes);

/// <summary>What a bfloat16 base changes, on the same rows.</summary>
/// <param name="MeanShift">Mean of log π (bfloat16) − log π (float32), nats a token.</param>
/// <param name="MeanAbsoluteShift">Mean of its absolute value.</param>
/// <param name="GradientCosine">Cosine of the adapters' gradients of a policy-gradient loss.</param>
/// <param name="GradientNormRatio">Norm with bfloat16 as a share of that with float32.</param>
public sealed record BaseDifference(double MeanShift, double MeanAbsoluteShift, double GradientCosine, double GradientNormRatio);

/// <summary>A LoRA step on a base in float32 and in bfloat16, in turns, and what the type changes.</summary>
internal static class BaseBenchmark
{
    private const int Rows = 16, PromptTokens = 16, ResponseTokens = 24;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Measures a folder's model on the beginnings of texts.</summary>
    public static void Run(string folder, string texts, int repeats, string? output)
    {
        Precision[] types = [Precision.Float32, Precision.Bfloat16];
        var models = new List<Adapted>();
        foreach (var type in types) models.Add(new Adapted(folder, texts, type));
        for (var repeat = -1; repeat < repeats; repeat++)
            foreach (var model in repeat % 2 == 0 ? models : Enumerable.Reverse(models)) model.Measure(keep: repeat >= 0);

        BaseFigures[] figures = [.. models.Select(model => model.Figures())];
        var difference = Difference(models[0], models[1]);
        foreach (var figure in figures)
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{figure.Type}: forward {Clock.Median(figure.ForwardSeconds):F2} s, step {Clock.Median(figure.StepSeconds):F2} s, model {figure.ResidentMebibytes:F0} MiB, peak of a step {figure.PeakMebibytes:F0} MiB over that"));
        }

        double Ratio(Func<BaseFigures, double[]> of) => Clock.Median(of(figures[1]).Zip(of(figures[0]), (rounded, exact) => rounded / exact));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"bfloat16 / float32: forward {Ratio(figure => figure.ForwardSeconds):F2}, step {Ratio(figure => figure.StepSeconds):F2}; log-probabilities {difference.MeanShift:F5} ± {difference.MeanAbsoluteShift:F5} nats a token, gradients' cosine {difference.GradientCosine:F5}, norm {difference.GradientNormRatio:F4}"));
        if (output is not null) File.WriteAllText(output, JsonSerializer.Serialize(new { figures, difference }, Indented));
        foreach (var model in models) model.Dispose();
    }

    private static BaseDifference Difference(Adapted exact, Adapted rounded)
    {
        using var scope = NewDisposeScope();
        var shift = rounded.LogProbs() - exact.LogProbs();
        var (g, h) = (exact.Gradients().to_type(ScalarType.Float64), rounded.Gradients().to_type(ScalarType.Float64));
        var (norm, other) = (g.norm().item<double>(), h.norm().item<double>());
        return new(shift.mean().item<float>(), shift.abs().mean().item<float>(), g.dot(h).item<double>() / norm / other, other / norm);
    }

    /// <summary>A model with an adapter that has moved, so that both of its factors have a gradient.</summary>
    private sealed class Adapted : IDisposable
    {
        private readonly Precision _type;
        private readonly ILanguageModel _model;
        private readonly FusedAdamW _optimizer;
        private readonly TokenRow[] _rows;
        private readonly Tensor _advantages;
        private readonly double _resident;
        private readonly List<double> _forward = [], _step = [];
        private double _peak;

        public Adapted(string folder, string texts, Precision type)
        {
            _type = type;
            PeakMemory.Reset();
            var before = PeakMemory.Mebibytes;
            var loaded = TextModel.Load(folder, precision: type);
            _model = loaded.Model;
            LoraAdapters.Attach(_model, new LoraSettings { Rank = 16, Alpha = 32 }, folder, seed: 1);
            using (no_grad())
            {
                using var random = new Generator(2);
                foreach (var (name, parameter) in _model.Module.named_parameters().Where(named => named.name.Contains("lora_B", StringComparison.Ordinal))) parameter.normal_(0, 0.01, random);
            }

            PeakMemory.Reset();
            _resident = PeakMemory.Mebibytes - before;
            _optimizer = new FusedAdamW(ParameterGroup.Of(_model.Module, learningRate: 0, weightDecay: 0));
            _rows = [.. TextDataset.Open(texts, new TextDatasetOptions { Columns = ["text"] }).Rows.Select(row => loaded.Tokenizer.Encode(row.GetString("text"))).Where(ids => ids.Length >= PromptTokens + ResponseTokens).Take(Rows)
                .Select(ids => new TokenRow(ids[..PromptTokens], ids[PromptTokens..(PromptTokens + ResponseTokens)]))];
            using var advantages = new Generator(3);
            _advantages = randn([Rows, ResponseTokens], device: CPU, generator: advantages);
        }

        public void Measure(bool keep)
        {
            var forward = Clock.Time(() => LogProbs().Dispose());
            PeakMemory.Reset();
            var before = PeakMemory.Mebibytes;
            var step = Clock.Time(() =>
            {
                using var scope = NewDisposeScope();
                Backward();
                _optimizer.Step();
            });
            if (!keep) return;
            _peak = Math.Max(_peak, PeakMemory.Mebibytes - before);
            _forward.Add(forward);
            _step.Add(step);
        }

        public Tensor LogProbs()
        {
            using var gradients = no_grad();
            return TokenLogProbs.OfRows(_model, _rows);
        }

        /// <summary>The adapters' gradients, one after the other.</summary>
        public Tensor Gradients()
        {
            using var scope = NewDisposeScope();
            Backward();
            return cat([.. _model.Module.parameters().Where(parameter => parameter.requires_grad).Select(parameter => parameter.grad!.reshape(-1))]).MoveToOuterDisposeScope();
        }

        public BaseFigures Figures() => new(_type.ToString(), [.. _forward], [.. _step], _resident, _peak);

        public void Dispose()
        {
            _advantages.Dispose();
            _optimizer.Dispose();
            _model.Dispose();
        }

        private void Backward()
        {
            _optimizer.ClearGradients();
            (_advantages * TokenLogProbs.OfRows(_model, _rows)).mean().backward();
        }
    }
}
