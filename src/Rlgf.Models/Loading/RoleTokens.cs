using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Tokenizers;

namespace Rlgf.Models.Loading;

/// <summary>The ids of a model that have a role, and who names them.</summary>
/// <remarks>The order is that of transformers' <c>generate</c>: <c>generation_config.json</c>, else <c>config.json</c>; what neither names is the tokenizer's.</remarks>
/// <param name="Ids">The ids; empty where nobody names one.</param>
/// <param name="Source">The file that names them, "tokenizer", or null where nobody does.</param>
public sealed record RoleTokens(IReadOnlyList<int> Ids, string? Source)
{
    /// <summary>What <see cref="Source"/> is where no file of the model names an id.</summary>
    public const string Tokenizer = "tokenizer";

    private const string EndKey = "eos_token_id";

    /// <summary>The ids that end a text.</summary>
    /// <param name="generation">The folder's generation settings.</param>
    /// <param name="configuration">Its <c>config.json</c>.</param>
    /// <param name="tokenizer">Its tokenizer; null where it has none.</param>
    /// <param name="vocabulary">V, or null where it isn't known.</param>
    /// <exception cref="InputException">What is named is no id of the model.</exception>
    internal static RoleTokens Ends(SettingsFile generation, SettingsFile configuration, ITokenizer? tokenizer, int? vocabulary) =>
        Named(EndKey, [generation, configuration], vocabulary, several: true) ?? OfTokenizer(tokenizer?.EosId);

    /// <summary>The id that begins a text, none or one.</summary>
    /// <inheritdoc cref="Ends"/>
    internal static RoleTokens Begin(SettingsFile generation, SettingsFile configuration, ITokenizer? tokenizer, int? vocabulary) =>
        Named("bos_token_id", [generation, configuration], vocabulary, several: false) ?? OfTokenizer(tokenizer?.BosId);

    /// <summary>What a decoder begins with is in both files too; a configuration gets the generation settings' where they name one, since what is scored must be what was written.</summary>
    internal static ModelConfiguration WithStart(ModelConfiguration configuration, SettingsFile generation)
    {
        const string Key = "decoder_start_token_id";
        if (Named(Key, [generation], vocabulary: configuration.OptionalSize("vocab_size"), several: false) is not { } start) return configuration;
        var json = configuration.ToJson();
        json[Key] = start.Ids[0];
        return configuration.With(json);
    }

    /// <summary>Ids under a key: one, or a list of them.</summary>
    /// <exception cref="InputException">They are something else.</exception>
    internal static int[] Read(JsonNode value, string key, string source, bool several = true)
    {
        int?[] ids = value is JsonArray list && several ? [.. list.Select(Id)] : [Id(value)];
        return ids.Length > 0 && Array.TrueForAll(ids, id => id is not null)
            ? Array.ConvertAll(ids, id => id!.Value)
            : throw new InputException($"{source}: {key} is {JsonFormat.Shown(value)}; it must be an id{(several ? " or a list of ids" : "")}");

        static int? Id(JsonNode? node) => node is JsonValue number && number.TryGetValue<int>(out var id) ? id : null;
    }

    private static RoleTokens? Named(string key, SettingsFile[] files, int? vocabulary, bool several)
    {
        foreach (var (source, settings) in files)
        {
            if (settings?[key] is not { } value) continue;
            var ids = Read(value, key, source, several);
            if (Array.FindIndex(ids, id => id < 0 || id >= vocabulary) is var wrong and >= 0)
                throw new InputException($"{source}: {key} is {ids[wrong]}, and the model has ids below {vocabulary}; write the id of the token that is meant");
            return new RoleTokens(ids, source);
        }

        return null;
    }

    private static RoleTokens OfTokenizer(int? id) => id is { } token ? new RoleTokens([token], Tokenizer) : new RoleTokens([], null);
}

/// <summary>Settings and the file that they are from.</summary>
/// <param name="Path">The file, for messages.</param>
/// <param name="Settings">What it holds; null where there is no such file.</param>
internal readonly record struct SettingsFile(string Path, JsonObject? Settings);
