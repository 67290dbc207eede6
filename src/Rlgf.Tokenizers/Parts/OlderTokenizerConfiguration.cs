using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Rlgf.Tokenizers.Parts;

/// <summary>
/// A <c>tokenizer_config.json</c> in the form that transformers 4 reads too. Version 5 gives the class of a tokenizer that is only a <c>tokenizer.json</c> another name, and its further special tokens another key, under which version 4
/// expects something else and stops; it reads the older form itself.
/// </summary>
internal static class OlderTokenizerConfiguration
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The file's bytes, changed where both versions don't read them alike.</summary>
    /// <param name="content">The file; one that isn't JSON is left as it is.</param>
    public static byte[] Of(byte[] content)
    {
        if (Parse(content) is not { } json) return content;
        var changes = false;
        if (json["tokenizer_class"] is JsonValue name && name.TryGetValue<string>(out var className) && className == "TokenizersBackend")
        {
            json["tokenizer_class"] = "PreTrainedTokenizerFast";
            changes = true;
        }

        // As a dictionary it is version 4's own, with a name for each token.
        if (json["extra_special_tokens"] is JsonArray tokens)
        {
            json.Remove("extra_special_tokens");
            if (json["additional_special_tokens"] is not JsonArray { Count: > 0 }) json["additional_special_tokens"] = tokens.DeepClone();
            changes = true;
        }

        return changes ? Encoding.UTF8.GetBytes(json.ToJsonString(Json) + "\n") : content;
    }

    private static JsonObject? Parse(byte[] content)
    {
        try
        {
            return JsonNode.Parse(content, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
