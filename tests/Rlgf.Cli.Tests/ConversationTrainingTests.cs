using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary><c>rlgf sft</c> on conversations: what is learned are the turns of the assistant, with the token that ends them.</summary>
public sealed class ConversationTrainingTests
{
    [Theory]
    [InlineData("messages_column: messages")]
    [InlineData("messages_column: messages, train_on: last")]
    [InlineData("messages_column: messages, train_on: all")]
    [InlineData("prompt_column: question, column: answer")]
    public void A_model_learns_to_answer_and_to_end(string columns)
    {
        using var scratch = new Scratch();
        var result = Cli.Run("sft", Recipe(scratch, columns, Rows));
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var heldOut = Fixtures.Rows(Path.Combine(scratch["model"], "evaluation.jsonl"));
        Assert.True(heldOut[^1]["loss"]!.GetValue<double>() < 0.6 * heldOut[0]["loss"]!.GetValue<double>(), $"{heldOut[0]} {heldOut[^1]}");
    }

    [Fact]
    public void The_loss_falls_on_the_turns_that_are_named_alone()
    {
        using var scratch = new Scratch();
        double Loss(string columns, params string[] rows)
        {
            var result = Cli.Run("sft", Recipe(scratch, columns, rows), "--set", "training.max_steps=1", "--set", $"output={scratch[Guid.NewGuid().ToString("N")]}");
            Assert.True(result.Code == ExitCode.Ok, result.Error);
            return Fixtures.Rows(Directory.GetFiles(Path.GetDirectoryName(scratch["x"])!, "evaluation.jsonl", SearchOption.AllDirectories).MaxBy(File.GetLastWriteTimeUtc)!)[0]["loss"]!.GetValue<double>();
        }

        // The last turn of a conversation is what answers a prompt of the messages before it.
        var whole = new JsonObject { ["messages"] = new JsonArray(User("good 1"), Assistant("yes"), User("bad 2"), Assistant("no")) }.ToJsonString();
        var split = new JsonObject { ["question"] = new JsonArray(User("good 1"), Assistant("yes"), User("bad 2")), ["answer"] = new JsonArray(Assistant("no")) }.ToJsonString();
        var last = Loss("messages_column: messages, train_on: last", whole, whole);
        Assert.Equal(last, Loss("prompt_column: question, column: answer", split, split), 1e-6);
        Assert.NotEqual(last, Loss("messages_column: messages", whole, whole), 1e-6);
    }

    [Fact]
    public void Conversations_without_a_turn_to_learn_are_counted_and_what_is_malformed_is_one_line()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "messages_column: messages", [.. Rows, new JsonObject { ["messages"] = new JsonArray(User("alone")) }.ToJsonString()]);
        var result = Cli.Run("sft", recipe, "--set", "training.max_steps=1");
        Assert.Contains("1 of 61 rows is left out: 1 because there is no turn to learn", result.Error, StringComparison.Ordinal);

        var human = new JsonObject { ["messages"] = new JsonArray(new JsonObject { ["role"] = "human", ["content"] = "a" }) }.ToJsonString();
        var line = Cli.Run("sft", Recipe(scratch, "messages_column: messages", human, human, human), "--set", $"output={scratch["other"]}").OneErrorLine(ExitCode.Failed);
        Assert.Contains("rows.jsonl:", line, StringComparison.Ordinal);
        Assert.Contains("column 'messages': message 1: the role 'human' is none of system", line, StringComparison.Ordinal);
        Assert.Contains("train_on: is for conversations", Cli.Run("sft", Recipe(scratch, "column: messages, train_on: last", Rows)).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    private static string[] Rows => [.. Enumerable.Range(0, 60).Select(i => new JsonObject
    {
        ["question"] = new JsonArray(User($"{(i % 2 == 0 ? "good" : "bad")} {i % 7}")),
        ["answer"] = i % 2 == 0 ? "yes it is" : "not at all",
        ["messages"] = new JsonArray(User($"{(i % 2 == 0 ? "good" : "bad")} {i % 7}"), Assistant(i % 2 == 0 ? "yes it is" : "not at all"), User("sure?"), Assistant("sure")),
    }.ToJsonString())];

    private static JsonObject User(string text) => new() { ["role"] = "user", ["content"] = text };

    private static JsonObject Assistant(string text) => new() { ["role"] = "assistant", ["content"] = text };

    private static string Recipe(Scratch scratch, string columns, params string[] rows)
    {
        var tokenizer = Directory.CreateDirectory(scratch["tokenizer"]).FullName;
        foreach (var file in Directory.GetFiles(Fixtures.Model("gpt2"), "*token*").Concat(Directory.GetFiles(Fixtures.Model("gpt2"), "*.txt"))) File.Copy(file, Path.Combine(tokenizer, Path.GetFileName(file)), overwrite: true);
        File.WriteAllText(Path.Combine(tokenizer, "chat_template.jinja"), "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}");
        return scratch.Write(
            "sft.yaml",
            "kind: sft",
            "name: tiny",
            $"output: {scratch["model"]}",
            $"model: {{kind: folder, path: {Fixtures.Model("gpt2")}, tokenizer: {tokenizer}}}",
            $"data: {{path: {scratch.Write("rows.jsonl", rows)}, evaluation_path: {scratch["rows.jsonl"]}, held_out_rows: 8, {columns}}}",
            "training: {epochs: 4, rows_per_step: 10, warm_up_steps: 2, learning_rate: 0.01}");
    }
}
