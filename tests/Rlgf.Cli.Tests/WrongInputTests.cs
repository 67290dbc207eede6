using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>Wrong input, as a new user gives it: one clear line each, the right exit code, and nothing that was there before is lost.</summary>
public sealed class WrongInputTests
{
    [Fact]
    public void A_missing_model_folder_is_named()
    {
        using var scratch = new Scratch();
        Assert.Contains(scratch["nowhere"], Generate(scratch, scratch["nowhere"]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_weights_says_which_files_are_missing()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        File.Delete(Path.Combine(model, "model.safetensors"));
        Assert.Contains("model.safetensors", Generate(scratch, model), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(1000)]
    [InlineData(100_000)]
    public void A_truncated_checkpoint_is_named(int length)
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        var weights = Path.Combine(model, "model.safetensors");
        File.WriteAllBytes(weights, File.ReadAllBytes(weights)[..length]);
        Assert.Contains(weights, Generate(scratch, model), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_of_the_wrong_shape_is_named_with_both_shapes()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        EditJson(Path.Combine(model, "config.json"), json => json["n_positions"] = 64);
        var line = Generate(scratch, model);
        Assert.Contains("wpe.weight", line, StringComparison.Ordinal);
        Assert.Contains("128", line, StringComparison.Ordinal);
        Assert.Contains("64", line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_that_is_missing_is_named()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        EditHeader(Path.Combine(model, "model.safetensors"), header =>
        {
            var tensor = header["transformer.h.1.ln_1.weight"]!.DeepClone();
            header.Remove("transformer.h.1.ln_1.weight");
            header["transformer.h.1.ln_9.weight"] = tensor;
        });
        Assert.Contains("h.1.ln_1.weight", Generate(scratch, model), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tokenizer_with_ids_beyond_the_embedding_does_not_fit_the_model()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        EditJson(Path.Combine(model, "tokenizer.json"), json =>
        {
            var token = json["added_tokens"]![0]!.DeepClone();
            (token["id"], token["content"]) = (420, "<|another|>");
            json["added_tokens"]!.AsArray().Add(token);
        });
        var line = Generate(scratch, model);
        Assert.Contains("421 ids", line, StringComparison.Ordinal);
        Assert.Contains("420", line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_family_that_is_not_known_is_named()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        EditJson(Path.Combine(model, "config.json"), json => json["model_type"] = "gtp2");
        Assert.Contains("gtp2", Generate(scratch, model), StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_data_file_is_named()
    {
        using var scratch = new Scratch();
        Assert.Contains("prompts.jsonl: there are no rows", Generate(scratch, Fixtures.Model("gpt2"), ""), StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_that_is_not_json_is_named_with_its_number()
    {
        using var scratch = new Scratch();
        Assert.Contains("prompts.jsonl:2", Generate(scratch, Fixtures.Model("gpt2"), """{"prompt": "fine"}""", """{"prompt": "cut"""), StringComparison.Ordinal);
    }

    [Fact]
    public void A_row_without_the_column_names_the_one_that_was_meant()
    {
        using var scratch = new Scratch();
        Assert.Contains("did you mean 'promt'", Generate(scratch, Fixtures.Model("gpt2"), """{"promt": "fine"}"""), StringComparison.Ordinal);
    }

    [Fact]
    public void A_prompt_longer_than_the_context_is_named_with_its_length()
    {
        using var scratch = new Scratch();
        var line = Generate(scratch, Fixtures.Model("gpt2"), """{"prompt": "fine"}""", $$"""{"prompt": "{{string.Concat(Enumerable.Repeat("xyz ", 200))}}"}""");
        Assert.Contains("prompts.jsonl:2", line, StringComparison.Ordinal);
        Assert.Contains("context of 128", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Ids_that_the_model_does_not_have_are_named()
    {
        using var scratch = new Scratch();
        var input = scratch.Write("in.jsonl", """{"prompt_ids": [1], "response_ids": [420]}""");
        Assert.Contains("no token 420", Cli.Run("score", "--model", Fixtures.Model("gpt2"), "--input", input, "--output", scratch["out.jsonl"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--temprature", "0.5", "did you mean '--temperature'")]
    [InlineData("--top-k", "many", "'many'")]
    [InlineData("--temperature", "0", "above 0")]
    [InlineData("--top-p", "1.5", "at most 1")]
    [InlineData("--min-new-tokens", "100", "--max-new-tokens 64")]
    public void Wrong_options_are_wrong_use(string option, string value, string hint)
    {
        using var scratch = new Scratch();
        var result = Cli.Run("generate", "--model", Fixtures.Model("gpt2"), "--prompts", scratch["in.jsonl"], "--output", scratch["out.jsonl"], option, value);
        Assert.Contains(hint, result.OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("'rlgf train' has no option '--dry-run'", "train", "--dry-run", "x")]
    [InlineData("'rlgf train' has no option '--dry-run'", "train", "x", "--dry-run")]
    [InlineData("'rlgf train' has no option '--dry-run'", "train", "x", "--dry-run", "y")]
    [InlineData("'rlgf train' has no option '--dry-run'", "train", "--dry-run=x", "y")]
    [InlineData("'rlgf train' has no option '--dry-run'", "train", "--dry-run")]
    [InlineData("'rlgf compare' has no option '--ouput' (did you mean '--output'?)", "compare", "--ouput", "x", "runs")]
    [InlineData("'rlgf convert' has no option '-t'", "convert", "-t", "float16", "a", "b")]
    [InlineData("has no option '--verbose'", "--verbose", "train", "x")]
    [InlineData("'rlgf train' does not expect 'y'", "train", "x", "y")]
    [InlineData("'rlgf tokenize' has no option '--fast'", "tokenize", "--tokenizer", "t", "--input", "i", "--output", "o", "--fast")]
    public void An_option_that_is_not_there_is_blamed_and_not_what_follows_it(string message, params string[] arguments) =>
        Assert.Contains(message, Cli.Run(arguments).OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);

    [Fact]
    public void A_file_that_begins_with_a_dash_can_be_named_after_two() =>
        Assert.Contains("--odd.yaml: there is no such recipe", Cli.Run("train", "--", "--odd.yaml").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);

    [Fact]
    public void A_file_without_a_known_ending_is_told_from_one_that_is_not_there()
    {
        using var scratch = new Scratch();
        Assert.EndsWith("Hello: there is no such file", Cli.Run("tokenize", "--tokenizer", Fixtures.Model("gpt2"), "--input", "Hello", "--output", "-").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        var line = Cli.Run("tokenize", "--tokenizer", Fixtures.Model("gpt2"), "--input", scratch.Write("rows.txt", "x"), "--output", "-").OneErrorLine(ExitCode.Failed);
        Assert.Contains("it should end in .jsonl", line, StringComparison.Ordinal);
        Assert.DoesNotContain("set the format", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_message_in_the_source_begins_without_a_capital_letter()
    {
        var wrong = Directory.EnumerateFiles(Path.Combine(Repository.Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .SelectMany(file => System.Text.RegularExpressions.Regex.Matches(File.ReadAllText(file), """(InputException|UsageException|StoppedException|Error|Warning)\(\s*\$?"([A-Z][a-z]+|A) [^"]*""").Select(match => $"{Path.GetFileName(file)}: {match.Value}"));
        Assert.Empty(wrong);
    }

    [Fact]
    public void An_option_that_is_missing_is_wrong_use() =>
        Assert.Contains("--output", Cli.Run("tokenize", "--tokenizer", "x", "--input", "y").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);

    [Fact]
    public void A_misspelt_command_names_the_one_that_was_meant()
    {
        Assert.Contains("did you mean 'generate'", Cli.Run("genrate").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
        Assert.Contains("did you mean 'train'", Cli.Run("tokenizer", "trian").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
    }

    [Fact]
    public void An_output_that_can_not_be_written_is_named_before_any_work()
    {
        using var scratch = new Scratch();
        var input = scratch.Write("prompts.jsonl", """{"prompt": "a"}""");
        var output = Path.Combine(input, "out.jsonl"); // below a file
        var line = Cli.Run("generate", "--model", Fixtures.Model("gpt2"), "--prompts", input, "--output", output).OneErrorLine(ExitCode.Failed);
        Assert.Contains(output, line, StringComparison.Ordinal);
        Assert.Contains(output, Cli.Run("tokenizer", "train", "--input", input, "--column", "prompt", "--output", output).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_named_pipe_in_a_files_place_is_named_and_not_waited_for()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no such files.");
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        var rows = scratch.Write("rows.jsonl", """{"prompt": "a", "text": "a", "references": ["a"]}""");
        string Pipe(string name)
        {
            File.Delete(scratch[name]);
            System.Diagnostics.Process.Start("mkfifo", [scratch[name]]).WaitForExit();
            return scratch[name];
        }

        var (any, data, gguf, tokenizer) = (Pipe("pipe"), Pipe("pipe.jsonl"), Pipe("pipe.gguf"), Pipe("gpt2/tokenizer.json"));
        (string Pipe, string[] Arguments)[] cases =
        [
            (gguf, ["inspect", gguf]), (gguf, ["convert", gguf, scratch["new"]]), (any, ["train", any]), (any, ["cache", "stats", any]), (tokenizer, ["tokenize", "--tokenizer", model, "--input", rows, "--output", scratch["out.jsonl"]]),
            (data, ["metrics", "--predictions", data, "--references", rows]), (any, ["metrics", "--predictions", rows, "--references", rows, "--metrics", "meteor", "--synonyms", any]),
            (any, ["metrics", "--predictions", rows, "--references", rows, "--metrics", "spice", "--spice", any]), (data, ["generate", "--model", Fixtures.Model("gpt2"), "--prompts", data, "--output", scratch["out.jsonl"]]),
            (gguf, ["train", TrainTests.Recipe(scratch, "run"), "--set", $"guide={{kind: gguf, path: {gguf}}}"]), (data, ["train", TrainTests.Recipe(scratch, "run"), "--set", $"data.path={data}"]),
        ];
        foreach (var (pipe, arguments) in cases)
        {
            var result = await Task.Run(() => Cli.Run(arguments), TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
            Assert.Contains($"{pipe}: is a named pipe, and a file is needed", result.OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_full_disk_is_one_line()
    {
        if (!File.Exists("/dev/full")) Assert.Skip("needs /dev/full, a device that is always full");
        using var scratch = new Scratch();
        var input = scratch.Write("in.jsonl", """{"text": "a"}""");
        var line = Cli.Run("tokenize", "--tokenizer", Fixtures.Model("gpt2"), "--input", input, "--output", "/dev/full").OneErrorLine(ExitCode.Failed);
        Assert.Contains("the disk is full", line, StringComparison.Ordinal);
    }

    /// <summary>Runs generate on something wrong, and gives its one line; an output that was there stays as it was.</summary>
    private static string Generate(Scratch scratch, string model, params string[] prompts)
    {
        var input = scratch.Write("prompts.jsonl", prompts.Length == 0 ? ["""{"prompt": "This movie"}"""] : prompts is [""] ? [] : prompts);
        var output = scratch.Write("out.jsonl", "from before");
        var line = Cli.Run("generate", "--model", model, "--prompts", input, "--output", output, "--max-new-tokens", "4").OneErrorLine(ExitCode.Failed);
        Assert.Equal("from before", File.ReadAllText(output).Trim());
        return line;
    }

    private static void EditJson(string path, Action<JsonNode> edit)
    {
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        edit(json);
        File.WriteAllText(path, json.ToJsonString());
    }

    private static void EditHeader(string path, Action<JsonObject> edit)
    {
        var bytes = File.ReadAllBytes(path);
        var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        var header = JsonNode.Parse(bytes.AsSpan(8, length))!.AsObject();
        edit(header);
        var edited = Encoding.UTF8.GetBytes(header.ToJsonString().PadRight(length));
        Assert.Equal(length, edited.Length);
        edited.CopyTo(bytes.AsSpan(8));
        File.WriteAllBytes(path, bytes);
    }
}
