using System.Text.Json;
using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>
/// What short runs of every algorithm compute, as it was recorded: a change of the program's frame must not change it. A change that means to alter a number records them anew
/// (run with RLGF_UPDATE_NUMBERS=1, which writes the file) and says in its commit which and why. Other processors add in another order, so the last digits are free.
/// </summary>
public sealed class RecordedNumbersTests
{
    private static readonly string[] Algorithms = ["ppo", "ppo_plus_plus", "aggrevated", "lols", "d2lols", "adaptive_v1", "adaptive", "grpo", "rloo", "dr_po", "dr_grpo", "dapo", "gspo", "reinforce_plus_plus", "r3", "uft", "adaback", "bread", "ghpo", "luffy", "hpt"];

    private static string Record => Path.Combine(Repository.Root, "tests", "Rlgf.Cli.Tests", "fixtures", "recorded-numbers.json");

    [Fact]
    public void Short_runs_of_every_algorithm_compute_what_was_recorded()
    {
        using var scratch = new Scratch();
        var runs = new JsonObject();
        foreach (var algorithm in Algorithms)
        {
            // References can only begin a response.
            string[] writer = algorithm is "aggrevated" or "lols" or "d2lols" ? ["--set", "guide.kind=model", "--set", $"guide.path={Fixtures.Model("gpt2")}"] : [];
            string[] more = algorithm switch { "grpo" or "rloo" or "dr_grpo" or "dapo" or "gspo" or "adaback" or "bread" or "ghpo" or "luffy" or "hpt" => ["--set", "algorithm.group_size=4"], "d2lols" or "uft" => ["--set", "algorithm.switch_iteration=2"], _ => [] };
            runs[$"tiny, {algorithm}"] = Numbers(scratch, $"tiny-{algorithm}", ["train", TrainTests.Recipe(scratch, $"tiny-{algorithm}"), "--set", $"algorithm.name={algorithm}", .. writer, .. more]);
        }

        foreach (var recipe in Directory.EnumerateFiles(Path.Combine(Repository.Root, "recipes", "quickstart"), "*.yaml").Order(StringComparer.Ordinal))
        {
            var name = $"quickstart-{Path.GetFileNameWithoutExtension(recipe)}";
            runs[name] = Numbers(scratch, name,
            [
                "train", recipe, "--set", $"output={scratch[name]}", "--set", "iterations=2", "--set", "rows_per_iteration=8", "--set", "update.rows_per_minibatch=4",
                "--set", "evaluation.every=2", "--set", "evaluation.prompts=6", "--set", "generation.max_new_tokens=8", "--set", "generation.min_new_tokens=0",
            ]);
        }

        if (Environment.GetEnvironmentVariable("RLGF_UPDATE_NUMBERS") == "1") File.WriteAllText(Record, runs.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
        var recorded = JsonNode.Parse(File.ReadAllText(Record))!.AsObject();
        Assert.Equal(recorded.Select(run => run.Key), runs.Select(run => run.Key));
        var differences = recorded.SelectMany(run => Differences(run.Key, run.Value, runs[run.Key])).ToArray();
        Assert.True(differences.Length == 0, string.Join('\n', differences.Take(20)));
    }

    /// <summary>A run's metrics and evaluations by line, without its times.</summary>
    private static JsonObject Numbers(Scratch scratch, string output, string[] command)
    {
        var result = Cli.Run(command);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var numbers = new JsonObject();
        foreach (var file in (string[])["metrics.jsonl", "evaluation.jsonl"])
        {
            var line = 0;
            foreach (var row in File.ReadLines(Path.Combine(scratch[output], file)))
            {
                var kept = JsonNode.Parse(row)!.AsObject();
                foreach (var key in kept.Select(pair => pair.Key).Where(key => key.StartsWith("seconds/", StringComparison.Ordinal)).ToArray()) kept.Remove(key);
                numbers[$"{file} {++line}"] = kept;
            }
        }

        return numbers;
    }

    /// <summary>A metric that is new is no difference; one that is gone is.</summary>
    private static IEnumerable<string> Differences(string place, JsonNode? recorded, JsonNode? now) => recorded switch
    {
        JsonObject all => all.SelectMany(one => Differences($"{place}: {one.Key}", one.Value, now?[one.Key])),
        JsonValue value when value.GetValueKind() == JsonValueKind.Number =>
            now is JsonValue other && other.GetValueKind() == JsonValueKind.Number && Math.Abs((double)value - (double)other) <= 1e-4 + 1e-3 * Math.Abs((double)value) ? [] : [$"{place} was {value}, is {now}"],
        _ => JsonNode.DeepEquals(recorded, now) ? [] : [$"{place} was {recorded}, is {now}"],
    };
}
