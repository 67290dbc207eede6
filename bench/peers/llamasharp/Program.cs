using System.Diagnostics;
using System.Globalization;
using LLama;
using LLama.Common;
using LLama.Native;

// GGUF ROWS THREADS REPEATS: milliseconds of a decoding step, as bench/Rlgf.Bench --decoding measures ours: prompts of 16 random tokens, the median of 8 steps after the first of each text, then of the repeats.
const int PromptTokens = 16, Steps = 8;
var (path, rows, threads, repeats) = (args[0], Number(1), Number(2), Number(3));
NativeLibraryConfig.All.WithLogCallback((_, _) => { });
using var weights = LLamaWeights.LoadFromFile(new ModelParams(path) { GpuLayerCount = 0 });
List<double> processor = [], day = [];
for (var repeat = -1; repeat < repeats; repeat++)
{
    var (cpu, wall) = Step();
    if (repeat < 0) continue;
    processor.Add(cpu);
    day.Add(wall);
}

Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
    $"{{\"peer\":\"LLamaSharp\",\"rows\":{rows},\"threads\":{threads},\"processor_ms\":[{string.Join(',', processor)}],\"day_ms\":[{string.Join(',', day)}]}}"));

(double Processor, double Day) Step()
{
    using var context = weights.CreateContext(new ModelParams(path)
    {
        ContextSize = (uint)(rows * 64), SeqMax = (uint)rows, KVUnified = false, BatchSize = 512, UBatchSize = 512, Threads = threads, BatchThreads = threads,
    });
    var random = new Random(1);
    var batch = new LLamaBatch();
    for (var row = 0; row < rows; row++)
    {
        for (var place = 0; place < PromptTokens; place++) Put(row, place, random.Next(weights.NativeHandle.Vocab.Count));
        if (batch.TokenCount > 512 - PromptTokens) Compute();
    }

    Compute();
    List<double> processor = [], day = [];
    for (var step = 0; step <= Steps; step++)
    {
        var (cpu, wall) = (Environment.CpuUsage.TotalTime.TotalMilliseconds, Stopwatch.GetTimestamp());
        for (var row = 0; row < rows; row++) Put(row, PromptTokens + step, 0);
        Compute();
        if (step == 0) continue;
        processor.Add(Environment.CpuUsage.TotalTime.TotalMilliseconds - cpu);
        day.Add(Stopwatch.GetElapsedTime(wall).TotalMilliseconds);
    }

    return (Median(processor), Median(day));

    void Put(int row, int place, int token) => batch.Add((LLamaToken)token, (LLamaPos)place, (LLamaSeqId)row, place >= PromptTokens - 1);

    void Compute()
    {
        if (batch.TokenCount == 0) return;
        if (context.NativeHandle.Decode(batch) is var result && result != DecodeResult.Ok) throw new InvalidOperationException($"llama.cpp: {result}");
        batch.Clear();
    }
}

static double Median(List<double> values)
{
    values.Sort();
    return (values[(values.Count - 1) / 2] + values[values.Count / 2]) / 2;
}

int Number(int at) => int.Parse(args[at], CultureInfo.InvariantCulture);
