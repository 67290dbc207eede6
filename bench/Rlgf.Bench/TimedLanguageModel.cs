using System.Text.Json.Nodes;
using Rlgf.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>A model that notes how long its decoding takes; what is left of a generation's time is spent on choosing tokens.</summary>
internal sealed class TimedLanguageModel(ILanguageModel model) : ILanguageModel
{
    /// <summary>Seconds of reading prompts.</summary>
    public double ReadingSeconds { get; private set; }

    /// <summary>Seconds of appending tokens: products, attention and all else between two tokens' logits.</summary>
    public double AppendingSeconds { get; private set; }

    /// <summary>Seconds of rearranging rows.</summary>
    public double SelectingSeconds { get; private set; }

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
        IDecoder? decoder = null;
        ReadingSeconds += Clock.Time(() => decoder = model.StartDecoding(rows, maxNewTokens));
        return new Decoder(this, decoder!);
    }

    public void Initialise(ulong seed) => model.Initialise(seed);

    public ILanguageModel Clone() => model.Clone();

    public void Dispose() { }

    private sealed class Decoder(TimedLanguageModel owner, IDecoder decoder) : IDecoder
    {
        public int Rows => decoder.Rows;

        public Tensor NextLogits => decoder.NextLogits;

        public void Append(ReadOnlySpan<int> tokens)
        {
            var start = Clock.Seconds;
            decoder.Append(tokens);
            owner.AppendingSeconds += Clock.Seconds - start;
            owner.Steps++;
        }

        public void Select(ReadOnlySpan<int> rows)
        {
            var start = Clock.Seconds;
            decoder.Select(rows);
            owner.SelectingSeconds += Clock.Seconds - start;
        }

        public void Dispose() => decoder.Dispose();
    }
}
