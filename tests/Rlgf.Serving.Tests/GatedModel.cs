using System.Text.Json.Nodes;
using Rlgf.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Serving.Tests;

/// <summary>A model that appends a token only when it is let.</summary>
internal sealed class GatedModel(ILanguageModel model) : ILanguageModel
{
    private readonly SemaphoreSlim _reached = new(0);

    /// <summary>As many copies as are released are made of it; null for any number.</summary>
    public SemaphoreSlim? Copies { get; init; }

    /// <summary>Released when a copy is asked for.</summary>
    public SemaphoreSlim CopyBegan { get; } = new(0);

    /// <summary>The copies that were made.</summary>
    public List<ILanguageModel> Made { get; } = [];

    /// <summary>As many steps as are released.</summary>
    public SemaphoreSlim Steps { get; } = new(0);

    public LanguageModelShape Shape => model.Shape;

    public nn.Module Module => model.Module;

    public Device Device => model.Device;

    public JsonObject Configuration => model.Configuration;

    /// <summary>Waits until so many more steps were made.</summary>
    public async Task Reached(int steps)
    {
        for (var step = 0; step < steps; step++) await _reached.WaitAsync(TestContext.Current.CancellationToken);
    }

    public Tensor ResponseStates(IReadOnlyList<TokenRow> rows) => model.ResponseStates(rows);

    public Tensor Logits(Tensor states) => model.Logits(states);

    public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens) => new Decoder(this, model.StartDecoding(rows, maxNewTokens));

    public void Initialise(ulong seed) => model.Initialise(seed);

    public ILanguageModel Clone()
    {
        CopyBegan.Release();
        Copies?.Wait(TimeSpan.FromSeconds(60));
        var copy = model.Clone();
        Made.Add(copy);
        return copy;
    }

    public void Dispose() => model.Dispose();

    private sealed class Decoder(GatedModel owner, IDecoder decoder) : IDecoder
    {
        public int Rows => decoder.Rows;

        public Tensor NextLogits => decoder.NextLogits;

        public void Append(ReadOnlySpan<int> tokens)
        {
            owner.Steps.Wait(TimeSpan.FromSeconds(20));
            decoder.Append(tokens);
            owner._reached.Release();
        }

        public void Select(ReadOnlySpan<int> rows) => decoder.Select(rows);

        public void Dispose() => decoder.Dispose();
    }
}
