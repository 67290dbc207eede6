using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Gguf;
using Rlgf.Models;
using Rlgf.Models.Conversion;
using Rlgf.Tokenizers;

namespace Rlgf.LlamaCpp;

/// <summary>All that a GGUF file has of a language model: the model in llama.cpp's hands, its tokenizer, the tokens that end a text and the chat template.</summary>
/// <param name="Model">The model.</param>
/// <param name="Tokenizer">The tokenizer, this project's own: it gives the ids that llama.cpp's would.</param>
/// <param name="EndTokens">Ids that end a text.</param>
/// <param name="Template">The chat template; null where there is none.</param>
public sealed record GgufTextModel(LlamaCppModel Model, ITokenizer Tokenizer, IReadOnlyList<int> EndTokens, ChatTemplate? Template) : IDisposable
{
    /// <summary>Characters of many kinds: two tokenizers that agree on them were cut by the same rules.</summary>
    private const string Sample = "It's 12345 o'clock: naïve Ωmega, 你好 — 🙂👩‍👧!\n\n\tif (x_1 >= 3.14) return \"a b\";   DON'T  été";

    /// <summary>Loads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="settings">How llama.cpp computes; null for the defaults.</param>
    /// <exception cref="InputException">The file is refused by llama.cpp, or its tokenizer isn't read or would give other ids than llama.cpp's.</exception>
    public static GgufTextModel Load(string path, LlamaCppSettings? settings = null)
    {
        // Its head first: that is read in no time, and what is wrong with it is said better here.
        var metadata = GgufMetadata.Open(path);
        RequireSane(metadata);
        var parts = new GgufTokenizer(metadata);
        var model = LlamaCppModel.Load(path, settings);
        try
        {
            var tokenizer = parts.ToTokenizer(path, model.Shape.ContextLength);
            if (tokenizer.VocabularySize > model.Shape.Vocabulary) throw new InputException($"{path}: its tokenizer has {tokenizer.VocabularySize} tokens and its model {model.Shape.Vocabulary}.");
            RequireSame(path, parts, tokenizer, model);
            RequireNumbers(path, parts, model);
            return new GgufTextModel(model, tokenizer, parts.EndIds, parts.ToChatTemplate(path));
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();

    /// <summary>What llama.cpp doesn't refuse but ends the whole process at.</summary>
    private static void RequireSane(GgufMetadata metadata)
    {
        const int MostLayers = 512;
        if (metadata.Text("general.architecture") is not { } architecture) return;
        if (metadata.Whole($"{architecture}.block_count") is { } layers && layers is < 1 or > MostLayers) throw metadata.Fault($"{architecture}.block_count", $"is {layers}, and llama.cpp takes 1 to {MostLayers} layers");
        if (metadata.Whole($"{architecture}.context_length") is < 1) throw metadata.Fault($"{architecture}.context_length", "is 0: no text has room");
        foreach (var key in (string[])["attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon", "rope.freq_base"])
        {
            if (metadata.Number($"{architecture}.{key}") is { } number && !(double.IsFinite(number) && number >= 0)) throw metadata.Fault($"{architecture}.{key}", FormattableString.Invariant($"is {number}, which can't be"));
        }
    }

    /// <summary>One token passes through all layers: a number that isn't finite in any of them shows.</summary>
    private static void RequireNumbers(string path, GgufTokenizer parts, LlamaCppModel model)
    {
        using var decoder = model.StartDecoding([new TokenRow([parts.BosId ?? parts.EosId ?? 0], [])], 1);
        using var finite = decoder.NextLogits.isfinite();
        using var all = finite.all();
        if (all.item<bool>()) return;
        throw new InputException($"{path}: {(NotFinite(path) is { } tensor ? $"its tensor '{tensor}' has numbers" : "what it computes are numbers")} that are not finite (NaN or infinite): it is damaged, or was made of a model that was; copy or download it again, or make it anew.");
    }

    /// <summary>The first tensor that holds a number that isn't finite; null where all are, or one can't be read here.</summary>
    private static string? NotFinite(string path)
    {
        try
        {
            using var file = GgufFile.Open(path);
            return file.Tensors.Keys.FirstOrDefault(name => Array.Exists(file.Read(name), number => !float.IsFinite(number)));
        }
        catch (InputException)
        {
            return null;
        }
    }

    /// <summary>The file has no more than a name for how its tokenizer cuts words: where the two read it otherwise, the model would be given ids that it never saw.</summary>
    private static void RequireSame(string path, GgufTokenizer parts, ITokenizer tokenizer, LlamaCppModel model)
    {
        if (!tokenizer.Encode(Sample).AsSpan().SequenceEqual(model.Tokenize(Sample)))
            throw new InputException($"{path}: its tokenizer ({parts.Description}) is read here otherwise than by llama.cpp; take a file that was made by a converter that knows it, or convert the model's own folder.");
    }
}
