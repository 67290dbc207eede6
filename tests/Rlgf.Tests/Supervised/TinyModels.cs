using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Models;
using Rlgf.Models.Families.Gpt2;
using Rlgf.Models.Loading;
using Rlgf.Runs;

namespace Rlgf.Tests.Supervised;

/// <summary>Models that learn in a second, and the language that they learn: id + 1 follows id, modulo 10, from a random beginning; 10 is EOS.</summary>
internal static class TinyModels
{
    public const int Eos = 10;

    public static ILanguageModel LanguageModel(ulong seed = 1) =>
        LanguageModelFolder.Create(new Gpt2Configuration { Vocabulary = 11, ContextLength = 32, Width = 16, Layers = 2, Heads = 2, EosId = Eos }.ToModelConfiguration(), seed);

    public static int[][] Texts(int count, ulong seed)
    {
        var random = new RandomStream(seed);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            var first = random.NextInt32(10);
            return Enumerable.Range(first, 3 + random.NextInt32(6)).Select(id => id % 10).ToArray();
        })];
    }

    public static float[][] Weights(TorchSharp.torch.nn.Module module) => [.. module.parameters().Select(parameter => parameter.data<float>().ToArray())];
}

/// <summary>A folder of its own for a test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("rlgf-test-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

/// <summary>A log of a supervised training that acts on what it is told.</summary>
internal sealed class Told(Action<StepRecord>? step = null, Action<StepRecord>? heldOut = null) : IRunLog
{
    public void Step(StepRecord record) => step?.Invoke(record);

    public void HeldOut(StepRecord record) => heldOut?.Invoke(record);

    public void Iteration(IterationRecord record) => throw new InvalidOperationException("A supervised training has no iterations.");

    public void Evaluation(EvaluationRecord record) => throw new InvalidOperationException("A supervised training answers no prompts.");

    public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) => throw new InvalidOperationException("A supervised training has no samples.");
}
