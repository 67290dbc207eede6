using System.Text.Json;

namespace Rlgf.Tests.Toys;

/// <summary>A task of policy_gradient_toy.json: three tokens, at most three steps, everything enumerable. Prefixes are strings of digits.</summary>
internal sealed class ToyTask
{
    private readonly JsonElement _json;

    private ToyTask(JsonElement json) => _json = json;

    public string Name => _json.GetProperty("name").GetString()!;
    public int Tokens => _json.GetProperty("tokens").GetInt32();
    public int Horizon => _json.GetProperty("horizon").GetInt32();
    public int? End => _json.GetProperty("eos").ValueKind == JsonValueKind.Null ? null : _json.GetProperty("eos").GetInt32();
    public IEnumerable<JsonElement> Gradients => _json.GetProperty("gradients").EnumerateArray();

    public static IReadOnlyList<ToyTask> All()
    {
        var path = Path.Combine(AppContext.BaseDirectory, "fixtures", "rl", "policy_gradient_toy.json");
        return [.. JsonDocument.Parse(File.ReadAllText(path)).RootElement.GetProperty("tasks").EnumerateArray().Select(task => new ToyTask(task))];
    }

    public double[] Guide(string prefix) => Numbers(_json.GetProperty("guide").GetProperty(prefix));
    public double[] Policy(string prefix) => Numbers(_json.GetProperty("policy").GetProperty(prefix));
    public double[] Theta(string prefix) => Numbers(_json.GetProperty("theta").GetProperty(prefix));
    public double Reward(string response) => _json.GetProperty("reward").GetProperty(response).GetDouble();
    public double Value(string actor, string prefix) => _json.GetProperty($"V_{actor}").GetProperty(prefix).GetDouble();

    public bool HasEnded(string text) => text.Length == Horizon || (End is { } end && text.Contains((char)('0' + end)));

    /// <summary>Every finished response that begins with a prefix, and its probability given the prefix.</summary>
    public IEnumerable<(string Response, double Probability)> Continuations(string prefix, Func<string, double[]> actor)
    {
        if (HasEnded(prefix))
        {
            yield return (prefix, 1);
            yield break;
        }
        for (var token = 0; token < Tokens; token++)
            foreach (var (response, probability) in Continuations(prefix + token, actor)) yield return (response, probability * actor(prefix)[token]);
    }

    /// <summary>Every roll-in that is kept, and its probability, by the table of algorithms.md.</summary>
    public IEnumerable<(string Prefix, double Probability)> RollIns(Func<string, double[]> actor, double beta, string lengths)
    {
        yield return ("", 1 - beta);
        foreach (var (response, probability) in Continuations("", actor))
        {
            var written = response.Length;
            if (lengths == "inside")
            {
                if (written < 2) yield return ("", beta * probability);
                for (var r = 1; r < written; r++) yield return (response[..r], beta * probability / (written - 1));
                continue;
            }
            for (var u = 1; u <= Horizon; u++)
                yield return (lengths == "limit" ? response[..Math.Min(u, written)] : u <= written ? response[..u] : "", beta * probability / Horizon);
        }
    }

    public static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(x => x.GetDouble())];

    public static int[] Ids(string digits) => [.. digits.Select(c => c - '0')];

    public static string Digits(IEnumerable<int> ids) => string.Concat(ids);

    public override string ToString() => Name;
}
