using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Rlgf.App.Report;

/// <summary>What a run was made with, as its recipe says it: each key with its value. Runs with the same settings and other seeds are averaged; with other settings they never are.</summary>
internal static class RunSettings
{
    /// <summary>What may differ between seeds of one setting: where a run is written, and what it keeps.</summary>
    private static readonly string[] Others = ["output", "seed", "checkpoints"];

    /// <summary>The settings of a recipe's text, by their paths (<c>update.learning_rate</c>). What is null is left out, as a key that an earlier version did not have is.</summary>
    /// <param name="recipe">The text; empty where it is not known.</param>
    /// <param name="folder">The run's folder, which paths in it begin from.</param>
    public static IReadOnlyDictionary<string, string> Of(string recipe, string folder)
    {
        var settings = new SortedDictionary<string, string>(StringComparer.Ordinal);
        try
        {
            var yaml = new YamlStream();
            yaml.Load(new StringReader(recipe));
            if (yaml.Documents is [{ RootNode: YamlMappingNode root }, ..])
                foreach (var (key, value) in root.Children.Where(entry => !Others.Contains(entry.Key.ToString()))) Add(key.ToString(), value, folder, settings);
        }
        catch (YamlException)
        {
            // A recipe that somebody edited afterwards says nothing; the run's description still does.
            settings.Clear();
        }

        return settings;
    }

    private static void Add(string key, YamlNode node, string folder, SortedDictionary<string, string> settings)
    {
        switch (node)
        {
            case YamlMappingNode section:
                foreach (var (inner, value) in section.Children) Add($"{key}.{inner}", value, folder, settings);
                break;
            case YamlSequenceNode list:
                for (var i = 0; i < list.Children.Count; i++) Add($"{key}[{i}]", list.Children[i], folder, settings);
                break;
            case YamlScalarNode { Value: { } text } scalar when scalar.Style != ScalarStyle.Plain || text is not ("" or "null" or "~"):
                // The same file from folders at other depths.
                settings[key] = (text.Contains('/', StringComparison.Ordinal) || text.Contains('\\', StringComparison.Ordinal)) && Path.GetFullPath(Path.Combine(folder, text)) is var full && Path.Exists(full) ? full : text;
                break;
        }
    }
}
