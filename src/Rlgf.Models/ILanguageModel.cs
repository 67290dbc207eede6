using System.Text.Json.Nodes;
using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models;

/// <summary>What writing needs of a language model: its sizes, and rows that grow token by token. A model that is never trained, as one in another library's hands, need be no more than this.</summary>
public interface IDecodingModel : IDisposable
{
    /// <summary>Sizes that callers need.</summary>
    LanguageModelShape Shape { get; }

    /// <summary>Reads the rows once and stands ready to append tokens, with all keys and values cached.</summary>
    /// <param name="rows">B rows of different lengths; decoding goes on after <see cref="TokenRow.Response"/>.</param>
    /// <param name="maxNewTokens">The most tokens that will be appended; the cache is allocated for them.</param>
    IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens);
}

/// <summary>
/// A language model as the rest of the project sees it: prompts and responses go in, states, logits and the next token's distribution come out.
/// How the two are laid out (one sequence for decoder families, encoder and decoder for the others), padding, positions and caches are the model's own business:
/// this is the seam behind which families are added.
/// </summary>
public interface ILanguageModel : IDecodingModel
{
    /// <summary>The module that holds the parameters, under the names of the checkpoint format.</summary>
    nn.Module Module { get; }

    /// <summary>Where the parameters are.</summary>
    Device Device { get; }

    /// <summary>A copy of the model's <c>config.json</c>.</summary>
    JsonObject Configuration { get; }

    /// <summary>
    /// Runs the model over complete rows and gives, for each response token, the state it is predicted from: the last hidden state, after the final norm.
    /// Entry [b, t] depends on the prompt and on response tokens before t only.
    /// </summary>
    /// <param name="rows">B rows; a row's prompt must hold at least one token. A response may be empty.</param>
    /// <returns>[B, A, D] with A the longest response; finite but meaningless beyond a row's own length. float32, or what the parameters are (the enum <c>Precision</c>).</returns>
    Tensor ResponseStates(IReadOnlyList<TokenRow> rows);

    /// <summary>Maps states to unnormalised log-probabilities of the next token.</summary>
    /// <param name="states">[…, D], from <see cref="ResponseStates"/> or any selection of its entries.</param>
    /// <returns>[…, V] float32.</returns>
    Tensor Logits(Tensor states);

    /// <summary>
    /// What the model's folder says about generating with it (<c>generation_config.json</c>), kept so that saving writes it again; null for a model that is not from a folder, or whose folder says nothing.
    /// A model that doesn't keep it need not implement this.
    /// </summary>
    JsonObject? GenerationSettings
    {
        get => null;
        set { }
    }

    /// <summary>
    /// Whether the activations of layers are computed again for gradients instead of being kept from the pass before: less memory for about a third more work. Gradients are the same. A model that can't need not implement it.
    /// </summary>
    /// <exception cref="InputException">It was asked for, and the model can't.</exception>
    bool RecomputesActivations
    {
        get => false;
        set
        {
            if (value) throw new InputException("recompute_activations: this kind of model keeps its activations; leave it out.");
        }
    }

    /// <summary>What its files hold under another name than the family's own, such as a tied embedding that is stored as the head; one sentence each. Set by whoever loads it.</summary>
    IReadOnlyList<string> LoadingNotes
    {
        get => [];
        set { }
    }

    /// <summary>Draws fresh weights, as the family does; the seed decides them.</summary>
    void Initialise(ulong seed);

    /// <summary>A second model with the same weights, parameters of its own, on the same device: a frozen reference, or the trunk of a separate critic.</summary>
    ILanguageModel Clone();
}

/// <summary>Sizes of a language model.</summary>
/// <param name="Vocabulary">V: number of ids that have an embedding.</param>
/// <param name="Width">D: width of a state.</param>
/// <param name="ContextLength">The most tokens of prompt and response together, or of the response alone where the prompt has a place of its own; <see cref="int.MaxValue"/> where positions have no limit.</param>
public sealed record LanguageModelShape(int Vocabulary, int Width, int ContextLength)
{
    /// <summary>The encoder that the prompt goes to; null where prompt and response are one sequence.</summary>
    public EncoderShape? Encoder { get; init; }

    /// <summary>Whether the prompt goes to an encoder, so that the response is a sequence of its own.</summary>
    public bool ReadsPromptApart => Encoder is not null;

    /// <summary>How many response tokens there is room for after a prompt; negative where the prompt alone is too long.</summary>
    public int Room(int prompt) => Encoder is not { } encoder ? ContextLength - prompt : prompt <= encoder.ContextLength ? ContextLength : encoder.ContextLength - prompt;

    /// <summary>The limits in words, for messages.</summary>
    public string Limits => Encoder is { } encoder ? $"the model's {encoder.ContextLength} tokens for a prompt and {ContextLength} for a response" : $"the model's context of {ContextLength}";
}

/// <summary>What callers need to know of an encoder–decoder beside its <see cref="LanguageModelShape"/>.</summary>
/// <param name="ContextLength">The most tokens of a prompt, or <see cref="int.MaxValue"/>.</param>
/// <param name="StartToken">What the decoder begins with, before the response.</param>
public sealed record EncoderShape(int ContextLength, int StartToken);

/// <summary>One row: a prompt and (the beginning of) a response, as token ids without padding.</summary>
/// <param name="Prompt">P ids that are given and never trained on.</param>
/// <param name="Response">A ids written after the prompt; may be empty.</param>
public readonly record struct TokenRow(int[] Prompt, int[] Response);

/// <summary>Rows that are being written, token by token. Made by <see cref="IDecodingModel.StartDecoding"/>; used by one thread.</summary>
public interface IDecoder : IDisposable
{
    /// <summary>B: number of rows now.</summary>
    int Rows { get; }

    /// <summary>[B, V] float32: logits of each row's next token. Owned by the decoder, valid until <see cref="Append"/> or <see cref="Select"/>.</summary>
    Tensor NextLogits { get; }

    /// <summary>Appends one token to each row and computes the next logits.</summary>
    /// <param name="tokens">B ids.</param>
    void Append(ReadOnlySpan<int> tokens);

    /// <summary>Keeps the given rows in the given order. A row may be left out (it has finished) or named more than once (several samples of one prompt, beams).</summary>
    /// <param name="rows">Indices below <see cref="Rows"/>.</param>
    void Select(ReadOnlySpan<int> rows);

    /// <summary>Takes the rows of another decoder behind its own, so that both go on in one batch. A model that can't do that need not implement it.</summary>
    /// <param name="other">A decoder of the same model; where its rows were taken, it is disposed.</param>
    /// <returns>Whether the rows were taken; otherwise nothing has changed.</returns>
    bool TryJoin(IDecoder other) => false;
}
