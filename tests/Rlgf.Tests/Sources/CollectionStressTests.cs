using Rlgf.Algorithms;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Tensors;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Sources;

/// <summary>
/// What is computed while another thread forces collections all the time is right. TorchSharp's own operators (<c>x * 2.0</c>) in place of <see cref="TensorNumbers"/> fail here within some ten thousand
/// operations, with each of the collectors.
/// </summary>
public sealed class CollectionStressTests
{
    private const int Rounds = 30_000;

    private static readonly (string Name, Func<Tensor, int, Tensor> Operation, Func<float, int, float> Expected)[] Operations =
    [
        ("Add", (x, n) => x.Add((double)n), (x, n) => x + n),
        ("Add long", (x, n) => x.Add((long)n), (x, n) => x + n),
        ("Add tensor", (x, _) => x.Add(x), (x, _) => x + x),
        ("AddInPlace", (x, n) => x.clone().AddInPlace(n), (x, n) => x + n),
        ("AddInPlace tensor", (x, _) => x.clone().AddInPlace(x), (x, _) => x + x),
        ("AddProductInPlace", (x, _) => x.clone().AddProductInPlace(x, x), (x, _) => x + x * x),
        ("Subtract", (x, n) => x.Subtract((double)n), (x, n) => x - n),
        ("Subtract long", (x, n) => x.Subtract((long)n), (x, n) => x - n),
        ("Multiply", (x, n) => x.Multiply(n), (x, n) => x * n),
        ("MultiplyInPlace", (x, n) => x.clone().MultiplyInPlace(n), (x, n) => x * n),
        ("Divide", (x, n) => x.Divide(Power(n)), (x, n) => x / Power(n)),
        ("Square", (x, _) => x.Square(), (x, _) => x * x),
        ("Clamp", (x, n) => x.Clamp(-n, 1 + n), (x, n) => Math.Clamp(x, -n, 1 + n)),
        ("ClampMin", (x, n) => x.ClampMin((double)n), (x, n) => Math.Max(x, n)),
        ("ClampMin long", (x, n) => x.ClampMin((long)n), (x, n) => Math.Max(x, n)),
        ("ClampMax", (x, n) => x.ClampMax(n), (x, n) => Math.Min(x, n)),
        ("IsBelow", (x, n) => x.IsBelow(n).to(float32), (x, n) => x < n ? 1 : 0),
        ("IsAtLeast", (x, n) => x.IsAtLeast(n).to(float32), (x, n) => x >= n ? 1 : 0),
        ("Fill", (x, n) => x.clone().Fill(n), (_, n) => n),
        ("MaskedFill", (x, n) => x.MaskedFill(x.isfinite(), n), (_, n) => n),
        ("IndexFill", (x, n) => x.IndexFill(0, TensorNumbers.Range(x.size(0), CPU), n), (_, n) => n),
        ("IndexFillInPlace", (x, n) => x.clone().IndexFillInPlace(0, TensorNumbers.Range(x.size(0), CPU), n), (_, n) => n),
        ("IndexAdd", (x, _) => x.IndexAdd(0, TensorNumbers.Range(x.size(0), CPU), x), (x, _) => x + x),
        ("Filled", (x, n) => TensorNumbers.Filled(x.shape, n, CPU), (_, n) => n),
        ("Range", (x, n) => TensorNumbers.Range(n, n + 1, 1, CPU).to(float32), (_, n) => n),
    ];

    [Fact]
    public void Every_operation_with_numbers_is_right_while_another_thread_collects()
    {
        using var collector = new Collector();
        using var x = tensor(new[] { 0.5f, -3f, 7f, 100f }, device: CPU);
        float[] values = [0.5f, -3f, 7f, 100f];
        for (var round = 0; round < Rounds; round++)
        {
            var (name, operation, expected) = Operations[round % Operations.Length];
            using var scope = NewDisposeScope();
            var result = operation(x, round % 64).data<float>().ToArray();
            for (var i = 0; i < result.Length; i++) Assert.True(expected(values[i], round % 64) == result[i], $"{name}, round {round}: {expected(values[i], round % 64)} was expected, {result[i]} came.");
        }

        Assert.True(collector.Collections > 10);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_run_ends_with_the_same_weights_bit_for_bit_while_another_thread_collects(bool encoderDecoder)
    {
        var quiet = Weights(encoderDecoder);
        using var collector = new Collector();
        Assert.Equal(quiet, Weights(encoderDecoder));
        Assert.True(collector.Collections > 10);
    }

    [Theory]
    [InlineData("DOTNET_gcConcurrent=1")]
    [InlineData("DOTNET_gcServer=1")]
    public async Task Both_hold_with_every_collector(string setting)
    {
        // Code that isn't optimised yet keeps all that a method has until its end, and would hide what the others free.
        var (passed, said) = await ThisProgram.RunAsync(
            [setting, "DOTNET_TieredCompilation=0"], typeof(CollectionStressTests),
            nameof(Every_operation_with_numbers_is_right_while_another_thread_collects), nameof(A_run_ends_with_the_same_weights_bit_for_bit_while_another_thread_collects));
        Assert.True(passed == 3, $"{setting}: {said}");
    }

    /// <summary>A number by which quotients are exact.</summary>
    private static float Power(int n) => 1 << (n % 16);

    /// <summary>All that a run computes with, and is left with: guide, critic, KL, sampling with every processor, clipping and AdamW.</summary>
    private static float[] Weights(bool encoderDecoder)
    {
        using var policy = encoderDecoder ? TinyT5.Create(seed: 1) : TinyGpt2.Create(seed: 1);
        using var reference = encoderDecoder ? TinyT5.Create(seed: 1) : TinyGpt2.Create(seed: 1);
        ToyRun.Run(new TrainingSetup
        {
            Policy = policy,
            Reference = reference,
            Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End),
            Guide = ToyRun.Guide(4, TinyGpt2.End, _ => [0.1, 0.4, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]),
            Reward = new FunctionReward("ones", response => response.Tokens.Count(token => token == 1)),
            Prompts = [new Prompt("1", [1]), new Prompt("2 3", [2, 3]), new Prompt("4", [4])],
            Sampling = new SamplingSettings { MaxNewTokens = 4, EndTokens = [TinyGpt2.End], Temperature = 0.9, TopP = 0.95, MinP = 0.01, RepetitionPenalty = 1.1 },
            Algorithm = Presets.Adaptive(0.5),
            Kl = new KlSettings { Coefficient = 0.1 },
            CriticSharing = CriticSharing.SharedTrunk,
            Update = new UpdateSettings { Epochs = 1, RowsPerMinibatch = 8, RowsPerMicroBatch = 4, LearningRate = 1e-3, MaxGradientNorm = 1, Reduction = LossReduction.RowMean },
            Iterations = 3,
            RowsPerIteration = 16,
            Seed = 5,
        });
        using var scope = NewDisposeScope();
        return [.. policy.Module.parameters().SelectMany(parameter => parameter.detach().cpu().data<float>().ToArray())];
    }

    /// <summary>Collects and finalises without a pause, and makes numbers of its own that come to lie where freed ones were.</summary>
    private sealed class Collector : IDisposable
    {
        private readonly Thread[] _threads;
        private volatile bool _stopped;
        private int _collections;

        public Collector()
        {
            _threads = [new Thread(Collect), new Thread(MakeNumbers)];
            foreach (var thread in _threads) thread.Start();
        }

        public int Collections => _collections;

        public void Dispose()
        {
            _stopped = true;
            foreach (var thread in _threads) thread.Join();
        }

        private void Collect()
        {
            for (; !_stopped; Interlocked.Increment(ref _collections))
            {
                GC.Collect(0, GCCollectionMode.Forced, blocking: true);
                GC.WaitForPendingFinalizers();
            }
        }

        private void MakeNumbers()
        {
            while (!_stopped)
            {
                using Scalar first = (-12345.0).ToScalar(), second = (-12345.0).ToScalar();
            }
        }
    }
}
