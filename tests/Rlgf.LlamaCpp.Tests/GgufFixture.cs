using System.Text.Json;

namespace Rlgf.LlamaCpp.Tests;

/// <summary>Files made by llama.cpp's own converter, and what llama.cpp computes from them.</summary>
internal static class GgufFixture
{
    /// <summary>Exact as the values are: keys and values in float32, attention step by step.</summary>
    public static LlamaCppSettings Exact { get; } = new() { Threads = 2, FullPrecisionCache = true };

    public static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", $"{name}.gguf");

    public static GgufTextModel Load(string name) => GgufTextModel.Load(PathOf(name), Exact);

    /// <summary>Prompts, and of each the likeliest next tokens with their log-probabilities.</summary>
    public static IReadOnlyList<(int[] Ids, (int Id, double LogProb)[] Top)> Cases(string name)
    {
        using var file = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "llama.cpp.json")));
        return [.. file.RootElement.GetProperty(name).GetProperty("cases").EnumerateArray().Select(found => (
            found.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray(),
            found.GetProperty("top").EnumerateArray().Select(top => (top[0].GetInt32(), top[1].GetDouble())).ToArray()))];
    }
}
