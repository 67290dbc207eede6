using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Loading;
using YamlDotNet.Core;
using YamlDotNet.Serialization;

namespace Rlgf.Cli;

/// <summary>What the head of a folder's model card (<c>README.md</c>) says: YAML between two lines of dashes, as hubs read it.</summary>
/// <param name="License">The licence by its short name, such as apache-2.0; null where there is none.</param>
/// <param name="BaseModel">The model that it was made from, by its name on a hub.</param>
internal sealed record ModelCard(string? License, string? BaseModel)
{
    private const string Fence = "---";

    /// <summary>The card of a folder; of an adapter without one, its base's licence and the base's name.</summary>
    /// <exception cref="InputException">The base of an adapter isn't to be found.</exception>
    public static ModelCard Of(string folder)
    {
        var own = Read(folder);
        if (!LanguageModelFolder.HoldsAdapter(folder)) return own;
        var trained = LanguageModelFolder.BaseOf(folder);
        return new ModelCard(own.License ?? Read(trained).License, own.BaseModel ?? NameOf(folder, trained));
    }

    private static ModelCard Read(string folder)
    {
        var path = Path.Combine(folder, "README.md");
        if (!File.Exists(path)) return new ModelCard(null, null);
        var lines = RegularFile.ReadText(path).Split('\n').Select(line => line.TrimEnd('\r')).ToArray();
        var end = lines[0] == Fence ? Array.IndexOf(lines, Fence, 1) : -1;
        if (end < 0) return new ModelCard(null, null);
        try
        {
            var head = new DeserializerBuilder().Build().Deserialize<Dictionary<string, object?>?>(string.Join('\n', lines[1..end])) ?? [];
            return new ModelCard(Text("license"), Text("base_model"));

            // Several base models of a merge are a list; the first stands for it.
            string? Text(string key) => head.GetValueOrDefault(key) switch { string text => text, List<object> { Count: > 0 } list => list[0] as string, _ => null };
        }
        catch (YamlException failure)
        {
            throw new InputException($"{path}: its head isn't YAML: {failure.Message.Split('\n')[0]}", failure);
        }
    }

    /// <summary>What an adapter calls its base, where that is a name on a hub, else the name of its folder.</summary>
    private static string NameOf(string folder, string trained)
    {
        var settings = JsonNode.Parse(RegularFile.ReadText(Path.Combine(folder, "adapter_config.json")), documentOptions: new JsonDocumentOptions { AllowTrailingCommas = true });
        var name = (string?)settings?["base_model_name_or_path"] ?? "";
        return name.Split('/') is [{ Length: > 0 } owner, { Length: > 0 }] && owner[0] is not '.' && !Directory.Exists(name) && !Directory.Exists(Path.Combine(folder, name)) ? name : Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(trained)));
    }
}
