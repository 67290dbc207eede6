using System.Text.Json.Nodes;
using Rlgf.Models.Generation;
using Rlgf.Text;

namespace Rlgf.Models;

/// <summary>What a model's folder asks of everybody who writes with it, from <c>generation_config.json</c>.</summary>
public sealed record GenerationDefaults
{
    /// <summary>The only id that a response can begin with (<c>forced_bos_token_id</c>); null for any.</summary>
    public int? ForcedFirstToken { get; init; }

    /// <summary>The only id that can be written at the limit (<c>forced_eos_token_id</c>); null for any.</summary>
    public int? ForcedLastToken { get; init; }

    /// <summary>Sequences that can't be written (<c>bad_words_ids</c>, <c>suppress_tokens</c>).</summary>
    public IReadOnlyList<IReadOnlyList<int>> ForbiddenSequences { get; init; } = [];

    /// <summary>Reads what a model's folder says.</summary>
    /// <param name="settings"><see cref="ILanguageModel.GenerationSettings"/>; null where nothing is asked.</param>
    /// <param name="source">Where they come from, for messages.</param>
    /// <exception cref="InputException">A value is of another kind.</exception>
    public static GenerationDefaults Of(JsonObject? settings, string source)
    {
        if (settings is null) return new GenerationDefaults();
        var key = "";
        JsonNode? At(string name) => settings[key = name];
        try
        {
            return new GenerationDefaults
            {
                ForcedFirstToken = At("forced_bos_token_id")?.GetValue<int>(),
                ForcedLastToken = At("forced_eos_token_id") is { } last ? Ids(last)[0] : null,
                ForbiddenSequences =
                [
                    .. At("bad_words_ids") is JsonArray words ? words.Select(word => Ids(word!)) : [],
                    .. At("suppress_tokens") is { } tokens ? Ids(tokens).Select(id => (int[])[id]) : [],
                ],
            };
        }
        catch (Exception failure) when (failure is InvalidOperationException or FormatException or NullReferenceException or IndexOutOfRangeException)
        {
            throw new InputException($"{source}: {key} can't be read: {failure.Message.ReplaceLineEndings(" ")}", failure);
        }
    }

    /// <summary>Settings with what the model's folder asks for where they leave it open.</summary>
    public SamplingSettings ApplyTo(SamplingSettings settings) => settings with
    {
        ForcedFirstToken = settings.ForcedFirstToken ?? ForcedFirstToken,
        ForcedLastToken = settings.ForcedLastToken ?? ForcedLastToken,
        ForbiddenSequences = [.. settings.ForbiddenSequences, .. ForbiddenSequences],
    };

    private static int[] Ids(JsonNode node) => node is JsonArray several ? [.. several.Select(id => id!.GetValue<int>())] : [node.GetValue<int>()];
}
