using System.Text;
using System.Text.Json.Nodes;
using Rlgf.ChatTemplates;
using Rlgf.Gguf;
using Rlgf.Tokenizers;

namespace Rlgf.Models.Conversion;

/// <summary>What a GGUF file has of a tokenizer and of a chat template, as this project's own.</summary>
public static class GgufTokenizers
{
    /// <summary>The tokenizer.</summary>
    /// <param name="parts">What the file has.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="contextLength">The model's context.</param>
    /// <exception cref="Rlgf.Base.InputException">It asks for something that isn't supported.</exception>
    public static ITokenizer ToTokenizer(this GgufTokenizer parts, string path, int contextLength)
    {
        ArgumentNullException.ThrowIfNull(parts);
        return TokenizerFolder.OfFiles(path, new Dictionary<string, byte[]>
        {
            ["tokenizer.json"] = Bytes(parts.ToTokenizerJson()),
            ["tokenizer_config.json"] = Bytes(parts.ToConfiguration(contextLength)),
        });

        static byte[] Bytes(JsonObject json) => Encoding.UTF8.GetBytes(json.ToJsonString());
    }

    /// <summary>The chat template; null where there is none.</summary>
    /// <param name="parts">What the file has.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="Rlgf.Base.InputException">It isn't Jinja, or uses what isn't supported.</exception>
    public static ChatTemplate? ToChatTemplate(this GgufTokenizer parts, string path)
    {
        ArgumentNullException.ThrowIfNull(parts);
        (string Role, int? Id)[] roles = [("bos_token", parts.BosId), ("eos_token", parts.EosId), ("pad_token", parts.PadId)];
        var special = roles.Where(role => role.Id is not null).ToDictionary(role => role.Role, role => parts.TokenOf(role.Id!.Value));
        return parts.DefaultTemplate is { } text ? ChatTemplate.Parse($"{path}: tokenizer.chat_template", text, special) : null;
    }
}
