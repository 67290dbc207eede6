namespace Rlgf.Cli.Tests;

/// <summary>What is wrong with a recipe only in the light of the files that it names is said with the recipe's file and line, and the key.</summary>
public sealed class RecipeRefusalTests
{
    private static readonly string[] Judge = ["judge:", "  kind: classifier", "  path: REWARD", "  label: LABEL_0"];

    [Theory]
    [InlineData("model.path", "  path: nowhere")]
    [InlineData("model.tokenizer", "  tokenizer: nowhere")]
    [InlineData("model.path", "  path: REWARD")]
    [InlineData("model.lora.target_modules.0", "  lora: {target_modules: [no_such_map]}")]
    [InlineData("data.path", "  path: nowhere.jsonl")]
    [InlineData("data.evaluation_path", "  evaluation_path: nowhere.jsonl")]
    [InlineData("data.column", "  column: txt")]
    [InlineData("data.reference_column", "  reference_column: answer")]
    [InlineData("data.filter", "  filter: nothing == 1")]
    [InlineData("data.path", "  prompt_tokens: 100000")]
    [InlineData("data.path", "  format: parquet")]
    [InlineData("guide.path", "  path: nowhere")]
    [InlineData("guide.tokenizer", "  tokenizer: nowhere")]
    [InlineData("reward.path", "  path: nowhere")]
    [InlineData("reward.tokenizer", "  tokenizer: nowhere")]
    [InlineData("reward.label", "  label: SPLENDID")]
    [InlineData("judge.label", "  label: SPLENDID")]
    [InlineData("judge.path", "  path: nowhere")]
    [InlineData("generation", "  end_tokens: [99999]")]
    [InlineData("generation", "  forced_first_token: 99999")]
    [InlineData("generation", "  forced_last_token: 99999")]
    [InlineData("generation", "  forbidden_sequences: [[1, 99999]]")]
    [InlineData("generation.forbidden_sequences", "  forbidden_sequences: [[]]")]
    [InlineData("generation.min_new_tokens", "  min_new_tokens: 5")]
    [InlineData("generation.greedy", "  greedy: true")]
    [InlineData("generation.beams", "  beams: {width: 2}")]
    [InlineData("generation.max_new_tokens", "  max_new_tokens: 4000")]
    [InlineData("algorithm.roll_in_probability", "  roll_in_probability: 0", "  name: aggrevated")]
    public void Training(string key, string line, params string[] others)
    {
        using var scratch = new Scratch();
        var section = key.Split('.')[0];
        string[] lines =
        [
            "kind: train", "name: tiny",
            .. Section("model", "  path: MODEL"),
            .. Section("data", "  path: DATA", "  evaluation_path: DATA", "  prompt_tokens: 3"),
            .. Section("generation", "  max_new_tokens: 4"),
            .. Section("guide", "  kind: model", "  path: MODEL"),
            .. Section("reward", "  kind: classifier", "  path: REWARD", "  label: LABEL_0"),
            .. section == "judge" ? Section("judge", Judge[1..]) : (string[])[],
            .. Section("algorithm", "  name: ppo_plus_plus"),
            "iterations: 1", "rows_per_iteration: 4",
        ];
        Refuses(scratch, "check", key, line, lines);

        string[] Section(string name, params string[] keys) => name != section ? [$"{name}:", .. keys] : [$"{name}:", .. keys.Where(own => Key(own) != Key(line) && !others.Any(other => Key(own) == Key(other))), .. others, line];
    }

    [Theory]
    [InlineData("sft", "model.path", "  path: nowhere")]
    [InlineData("sft", "model.tokenizer", "  tokenizer: nowhere")]
    [InlineData("sft", "data.path", "  path: nowhere.jsonl")]
    [InlineData("sft", "data.evaluation_path", "  evaluation_path: nowhere.jsonl")]
    [InlineData("sft", "data.column", "  column: txt")]
    [InlineData("sft", "data.prompt_column", "  prompt_column: question")]
    [InlineData("sft", "data.path", "  held_out_rows: 5000")]
    [InlineData("sft", "block_tokens", "block_tokens: 4000")]
    [InlineData("sft", "data.label_column", "  label_column: label")]
    [InlineData("sft", "training.seed", "  seed: 3")]
    [InlineData("classifier", "model.path", "  path: nowhere")]
    [InlineData("classifier", "data.label_column", "  label_column: mood")]
    [InlineData("classifier", "data.prompt_column", "  prompt_column: text")]
    [InlineData("classifier", "labels", "labels: [a]")]
    public void Supervised(string kind, string key, string line)
    {
        using var scratch = new Scratch();
        var section = key.Split('.')[0];
        string[] lines =
        [
            $"kind: {kind}", "name: tiny", $"output: {scratch["out"]}",
            .. Section("model", "  kind: folder", "  path: MODEL"),
            .. Section("data", ["  path: DATA", "  held_out_rows: 2", .. kind == "classifier" ? ["  label_column: label"] : (string[])[]]),
            .. Section("training", "  max_steps: 1"),
            .. kind == "classifier" && section != "labels" ? ["labels: [a, b]"] : (string[])[],
            .. line.StartsWith(' ') ? (string[])[] : [line],
        ];
        Refuses(scratch, kind == "sft" ? "sft" : "classifier train", key, line, lines);

        string[] Section(string name, params string[] keys) => name != section ? [$"{name}:", .. keys] : [$"{name}:", .. keys.Where(own => Key(own) != Key(line)), line];
    }

    [Fact]
    public void A_recipe_of_another_kind_names_the_line_of_its_kind()
    {
        using var scratch = new Scratch();
        var recipe = scratch.Write("r.yaml", "# A comment.", "name: a", "kind: sft", "model: {kind: folder, path: m}", "data: {path: d}");
        Assert.Equal($"error: {recipe}:3: kind: this recipe is for 'rlgf sft'", Cli.Run("train", recipe).OneErrorLine(ExitCode.Failed));
    }

    /// <summary>Asserts that a command refuses a recipe with the place of a line; a key that depends on what is written elsewhere may name its section.</summary>
    private static void Refuses(Scratch scratch, string command, string key, string line, string[] lines)
    {
        var data = scratch.Write("data.jsonl", [.. Enumerable.Range(0, 8).Select(i => $$"""{"text": "the film was fine and then it was not {{i}}", "label": {{i % 2}}}""")]);
        var recipe = scratch.Write("r.yaml", [.. lines.Select(text => text.Replace("MODEL", Fixtures.Model("gpt2")).Replace("REWARD", Fixtures.Model("gpt2_reward")).Replace("DATA", data))]);
        var result = Cli.Run([.. command.Split(' '), recipe]);
        var message = result.Code == ExitCode.Failed && result.Output.Contains("error:") ? result.Output.Split('\n').First(text => text.StartsWith("error:")) : result.OneErrorLine(ExitCode.Failed);
        var section = Array.FindIndex(lines, text => text.StartsWith(key.Split('.')[0] + ":", StringComparison.Ordinal)) + 1;
        var own = Array.IndexOf(lines, line) + 1;
        Assert.True(
            message.StartsWith($"error: {recipe}:{own}: {key}", StringComparison.Ordinal) || (message.Contains($": {key}: ") && message.StartsWith($"error: {recipe}:", StringComparison.Ordinal) && (PlaceOf(message, recipe) == section || lines[PlaceOf(message, recipe) - 1].TrimStart().StartsWith(key.Split('.')[^1] + ":"))),
            message + "\n" + string.Join('\n', lines));
    }

    private static int PlaceOf(string message, string recipe) => int.Parse(message[("error: ".Length + recipe.Length + 1)..].Split(':')[0], System.Globalization.CultureInfo.InvariantCulture);

    private static string Key(string line) => line.Split(':')[0].Trim();
}
