using System.Diagnostics;
using System.Text.Json.Nodes;
using Rlgf.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>A model that notes how long its decoding takes; what is left of a generation's time is spent on choosing tokens.</summary>
internal sealed class TimedLanguageModel(ILanguageModel model) : ILanguageModel
{
    private long _reading;
    private long _appending;
    private long _selecting;

    /// <summary>Seconds of reading prompts.</summary>
    public double ReadingSeconds => Seconds(_reading);

    /// <summary>Seconds of appending tokens: products, attention and all else between two tokens' logits.</summary>
    public double AppendingSeconds => Seconds(_appending);

    /// <summary>Seconds of rearranging rows.</summary>
    public double SelectingSeconds => Seconds(_selecting);

    /// <summary>Number of tokens appended to each row, counted once a batch.</summary>
    public int Steps { get; private set; }

    public LanguageModelShape Shape => model.Shape;

    public JsonObject Configuration => model.Configuration;

    public nn.Module Module => model.Module;

    public Device Device => model.Device;

    public Tensor ResponseStates(IReadOnlyList<TokenRow> rows) => model.ResponseStates(rows);

    public Tensor Logits(Tensor states) => model.Logits(states);

    public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens)
    {
        var start = Stopwatch.GetTimestamp();
        var decoder = model.StartDecoding(rows, maxNewTokens);
        _reading += Stopwatch.GetTimestamp() - start;
        return new Decoder(this, decoder);
    }

    public void Initialise(ulong seed) => model.Initialise(seed);

    public ILanguageModel Clone() => model.Clone();

    public void Dispose() { }

    private static double Seconds(long ticks) => (double)ticks / Stopwatch.Frequency;

    private sealed class Decoder(TimedLanguageModel owner, IDecoder decoder) : IDecoder
    {
        public int Rows => decoder.Rows;

        public Tensor NextLogits => decoder.NextLogits;

        public void Append(ReadOnlySpan<int> tokens)
        {
            var start = Stopwatch.GetTimestamp();
            decoder.Append(tokens);
            owner._appending += Stopwatch.GetTimestamp() - start;
            owner.Steps++;
        }

        public void Select(ReadOnlySpan<int> rows)
        {
            var start = Stopwatch.GetTimestamp();
            decoder.Select(rows);
            owner._selecting += Stopwatch.GetTimestamp() - start;
        }

        public void Dispose() => decoder.Dispose();
    }
}
