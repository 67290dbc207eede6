using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Tests.Shared;

namespace Rlgf.Cli.Tests;

/// <summary><c>rlgf export</c>: what it says and writes, and what can't be exported, with nothing left behind.</summary>
public sealed class ExportTests
{
    [Fact]
    public void A_model_is_written_compared_and_described_for_ollama()
    {
        using var scratch = new Scratch();
        var result = Cli.Run("export", Fixtures.Model("qwen2"), "--to", "gguf", "--type", "f16", "--output", scratch["mine.gguf"]);
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Collection(
            result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries),
            line => Assert.Equal($"{scratch["mine.gguf"]}: 57,456 parameters, F16, 0.1 MB, chat template, 1 warning", line),
            line => Assert.Matches(@"^read back by rlgf: tokens of 200 texts equal; difference of a log-probability 0\.\d{4} nats in the mean, 0\.\d{3} at most, over 32 texts; their perplexity \d+\.\d\d in place of \d+\.\d\d; greedy text equal in \d+ of 32$", line),
            line => Assert.StartsWith("read back by llama.cpp: tokens of 200 texts equal;", line, StringComparison.Ordinal),
            line => Assert.Equal($"Modelfile written: ollama create mine -f {scratch["mine.Modelfile"]}", line));
        using (var file = GgufFile.Open(scratch["mine.gguf"])) Assert.Equal("mine", file.Metadata.Text("general.name"));
        // ChatML in Go's template language, as Qwen's own Modelfile has it but for the tools.
        Assert.Equal(
            """
            FROM ./mine.gguf
            TEMPLATE "~""{{ if ne (index .Messages 0).Role "system" }}<|im_start|>system
            You are a helpful assistant.<|im_end|>
            {{ end }}{{ range .Messages }}{{ if eq .Role "system" }}<|im_start|>system
            {{ .Content }}<|im_end|>
            {{ else if eq .Role "user" }}<|im_start|>user
            {{ .Content }}<|im_end|>
            {{ else }}<|im_start|>assistant
            {{ .Content }}<|im_end|>
            {{ end }}{{ end }}<|im_start|>assistant
            "~""
            PARAMETER stop "<|im_end|>"
            PARAMETER num_ctx 128

            """.ReplaceLineEndings("\n").Replace("\"~\"\"", "\"\"\"", StringComparison.Ordinal),
            File.ReadAllText(scratch["mine.Modelfile"]));
        Assert.Equal(["mine.Modelfile", "mine.gguf"], Names(scratch));
    }

    [Fact]
    public void Licence_and_base_model_are_those_of_the_card()
    {
        using var scratch = new Scratch();
        var folder = scratch.CopyOf("qwen2");
        File.WriteAllText(Path.Combine(folder, "README.md"), "---\nlicense: apache-2.0\nbase_model:\n- someone/a-model\ntags: [x]\n---\n# Mine\n");
        Assert.Equal(ExitCode.Ok, Cli.Run("export", folder, "--type", "Q4_K_M", "--output", scratch["m.gguf"], "--name", "A name", "--skip-proof").Code);
        using var exported = GgufFile.Open(scratch["m.gguf"]);
        Assert.Equal(
            ["A name", "apache-2.0", "a-model", "someone", "https://huggingface.co/someone/a-model"],
            ((string[])["name", "license", "base_model.0.name", "base_model.0.organization", "base_model.0.repo_url"]).Select(key => exported.Metadata.Text($"general.{key}")));
        Assert.Contains("LICENSE \"apache-2.0\"", File.ReadAllText(scratch["m.Modelfile"]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("opt", "model_type is 'opt', which llama.cpp has no architecture for")]
    [InlineData("gpt2_reward", "a classifier, which writes no text")]
    [InlineData("distilbert_classifier", "a classifier, which writes no text")]
    [InlineData("mistral", "sliding_window is 4 and the context 128")]
    [InlineData("t5", "relative_attention_max_distance is 20, and llama.cpp's T5 takes 128")]
    [InlineData("missing", "there is no such folder")]
    public void What_can_not_be_exported_is_named_and_leaves_nothing(string model, string message)
    {
        using var scratch = new Scratch();
        Assert.Contains(message, Cli.Run("export", Fixtures.Model(model), "--output", scratch[Path.Combine("new", "newer", "out.gguf")]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Empty(Names(scratch));
    }

    /// <summary>The configuration names the end of a text only, and nothing but the template says how an answer ends; llama.cpp itself knows the usual spellings, so this is another.</summary>
    [Fact]
    public void The_templates_end_of_a_turn_is_the_files_and_the_modelfiles()
    {
        using var scratch = new Scratch();
        var folder = scratch.CopyOf("qwen2");
        foreach (var name in (string[])["tokenizer.json", "tokenizer_config.json"]) Replace(Path.Combine(folder, name), "<|im_end|>", "<over>");
        Replace(Path.Combine(folder, "tokenizer_config.json"), "\"eos_token\": \"<over>\"", "\"eos_token\": \"<|endoftext|>\"");
        foreach (var name in (string[])["config.json", "generation_config.json"]) Replace(Path.Combine(folder, name), "\"eos_token_id\": 419", "\"eos_token_id\": 417");
        var result = Cli.Run("export", folder, "--type", "F32", "--output", scratch["m.gguf"]);
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Contains("the chat template ends an answer by <over>, which eos_token_id doesn't name; it is the file's token for the end of a turn", result.Error, StringComparison.Ordinal);
        using var file = GgufFile.Open(scratch["m.gguf"]);
        Assert.Equal((417, 419), (file.Metadata.Whole("tokenizer.ggml.eos_token_id"), file.Metadata.Whole("tokenizer.ggml.eot_token_id")));
        Assert.Equal(["PARAMETER stop \"<|endoftext|>\"", "PARAMETER stop \"<over>\""], Stops(scratch["m.Modelfile"]));
    }

    [Fact]
    public void A_template_without_an_end_of_a_turn_is_said_and_the_next_turn_ends_it()
    {
        using var scratch = new Scratch();
        var folder = scratch.CopyOf("gpt2");
        var path = Path.Combine(folder, "tokenizer_config.json");
        var settings = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(path))!;
        settings["chat_template"] = "{% for m in messages %}### {{ m.role }} said:\n{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}### assistant said:\n{% endif %}";
        File.WriteAllText(path, settings.ToJsonString());
        var result = Cli.Run("export", folder, "--output", scratch["m.gguf"], "--skip-proof");
        Assert.Contains("the chat template writes no token of its own after an answer", result.Error, StringComparison.Ordinal);
        Assert.Contains("PARAMETER stop \"### user said:\"", Stops(scratch["m.Modelfile"]));
        Assert.StartsWith("NOT read back (--skip-proof)", result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_modelfile_that_is_there_is_kept_unless_it_says_the_same()
    {
        using var scratch = new Scratch();
        Assert.Contains("Modelfile written:", Export().Output, StringComparison.Ordinal);
        Assert.Contains("Modelfile unchanged:", Export().Output, StringComparison.Ordinal);
        scratch.Write("m.Modelfile", "SYSTEM mine");
        var result = Export();
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Contains("m.Modelfile: is there already and says something else than would be written now; it is kept", result.Error, StringComparison.Ordinal);
        Assert.Equal("SYSTEM mine", File.ReadAllText(scratch["m.Modelfile"]).Trim());

        CliResult Export() => Cli.Run("export", Fixtures.Model("gpt2"), "--output", scratch["m.gguf"], "--skip-proof");
    }

    [Fact]
    public void A_name_that_another_export_writes_is_refused_and_the_others_file_stays()
    {
        using var scratch = new Scratch();
        scratch.Write("m.gguf.partial.tmp", "the other's");
        using (Runs.Outputs.Take(scratch["m.gguf"]))
        {
            Assert.Contains("m.gguf: is being written by another command", Cli.Run("export", Fixtures.Model("gpt2"), "--output", scratch["m.gguf"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
            Assert.Equal(["m.gguf.lock", "m.gguf.partial.tmp"], Names(scratch));
        }

        Assert.Equal(["m.gguf.partial.tmp"], Names(scratch));
        Assert.Equal(ExitCode.Ok, Cli.Run("export", Fixtures.Model("gpt2"), "--output", scratch["m.gguf"], "--skip-proof").Code);
        Assert.Equal(["m.Modelfile", "m.gguf"], Names(scratch));
    }

    [Theory]
    [InlineData("{{ messages | nothing }}{% endfor %}", "tokenizer_config.json")]
    [InlineData("{% if %}", "tokenizer_config.json")]
    public void A_template_that_is_no_template_leaves_nothing(string template, string message)
    {
        using var scratch = new Scratch();
        var folder = scratch.CopyOf("gpt2");
        var path = Path.Combine(folder, "tokenizer_config.json");
        var settings = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(path))!;
        settings["chat_template"] = template;
        File.WriteAllText(path, settings.ToJsonString());
        Assert.Contains(message, Cli.Run("export", folder, "--output", scratch["m.gguf"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal(["gpt2"], Names(scratch));
    }

    /// <summary>What can't take the file's name, or the names that it has before.</summary>
    [Theory]
    [InlineData("m.gguf.partial")]
    [InlineData("m.gguf.partial.tmp")]
    [InlineData("m.Modelfile")]
    public void A_folder_of_a_name_that_is_needed_is_named(string folder)
    {
        using var scratch = new Scratch();
        Directory.CreateDirectory(scratch[folder]);
        Assert.Contains($"{folder}: is a folder", Cli.Run("export", Fixtures.Model("gpt2"), "--output", scratch["m.gguf"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal([folder], Names(scratch));
    }

    [Theory]
    [InlineData("m.gguf")]
    [InlineData("m.gguf.partial")]
    [InlineData("m.Modelfile")]
    public void A_link_to_a_device_is_named_and_stays(string link)
    {
        if (OperatingSystem.IsWindows()) return;
        using var scratch = new Scratch();
        File.CreateSymbolicLink(scratch[link], "/dev/null");
        Assert.Contains($"{link}: is a device", Cli.Run("export", Fixtures.Model("gpt2"), "--output", scratch["m.gguf"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal("/dev/null", new FileInfo(scratch[link]).LinkTarget);
        Assert.Equal([link], Names(scratch));
    }

    /// <summary>Whoever made the model looks for the weight under the name that it has there.</summary>
    [Fact]
    public void A_number_that_is_none_is_named_by_the_sources_key_and_file()
    {
        using var scratch = new Scratch();
        var folder = scratch.CopyOf("gpt2");
        var path = Path.Combine(folder, "model.safetensors");
        var bytes = File.ReadAllBytes(path);
        var header = System.Text.Json.Nodes.JsonNode.Parse(bytes.AsSpan(8, BitConverter.ToInt32(bytes)))!;
        var key = header.AsObject().Single(pair => pair.Key.EndsWith("h.1.mlp.c_fc.weight", StringComparison.Ordinal)).Key;
        BitConverter.TryWriteBytes(bytes.AsSpan(8 + BitConverter.ToInt32(bytes) + (int)header[key]!["data_offsets"]![0]! + 40), float.NaN);
        File.WriteAllBytes(path, bytes);
        Assert.Contains($"'{key}' in {path} has a number that is not finite", Cli.Run("export", folder, "--output", scratch["m.gguf"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal(["gpt2"], Names(scratch));
    }

    [Fact]
    public void A_base_that_is_missing_is_named()
    {
        using var scratch = new Scratch();
        var folder = scratch.CopyOf("gpt2_lora");
        Assert.Contains("base_model_name_or_path is", Cli.Run("export", folder, "--output", scratch["out.gguf"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal(["gpt2_lora"], Names(scratch));
    }

    [Fact]
    public void Wrong_use_is_one_line()
    {
        using var scratch = new Scratch();
        Directory.CreateDirectory(scratch["there"]);
        Assert.Contains("is a folder, and what is written is one file", Wrong("--output", scratch["there"]), StringComparison.Ordinal);
        Assert.Contains("must end in .gguf", Wrong("--output", scratch["out.bin"]), StringComparison.Ordinal);
        Assert.Contains("--context-length 1: must be 2 or more", Wrong("--output", scratch["out.gguf"], "--context-length", "1"), StringComparison.Ordinal);
        Assert.Contains("--texts is for the comparison", Wrong("--output", scratch["out.gguf"], "--skip-proof", "--texts", "t.txt"), StringComparison.Ordinal);
        Assert.Contains("--name is empty", Wrong("--output", scratch["out.gguf"], "--name", " "), StringComparison.Ordinal);
        Assert.Contains("is no name for a model", Wrong("--output", scratch[".gguf"]), StringComparison.Ordinal);
        Assert.Contains("is no name for a model", Wrong("--output", scratch["a\nb.gguf"]), StringComparison.Ordinal);
        Assert.Contains("q3_k", Cli.Run("export", Fixtures.Model("gpt2"), "--output", scratch["out.gguf"], "--type", "q3_k").Error, StringComparison.Ordinal);
        Assert.Equal(["there"], Names(scratch));

        static string Wrong(params string[] options) => Cli.Run(["export", Fixtures.Model("gpt2"), .. options]).OneErrorLine(ExitCode.WrongUse);
    }

    [Fact]
    public void Texts_of_ones_own_are_compared()
    {
        using var scratch = new Scratch();
        var texts = scratch.Write("texts.txt", [.. Enumerable.Range(0, 5).Select(i => $"The {i} quick brown foxes jump over the lazy dog, and over the fence.")]);
        Assert.Contains("over 5 texts", Cli.Run("export", Fixtures.Model("gpt2"), "--type", "f32", "--output", scratch["m.gguf"], "--texts", texts).Output, StringComparison.Ordinal);
        Assert.Contains("texts.txt: has 300 texts", Cli.Run("export", Fixtures.Model("gpt2"), "--output", scratch["n.gguf"], "--texts", scratch.Write("texts.txt", [.. Enumerable.Repeat("a b", 300)])).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.False(File.Exists(scratch["n.gguf.partial"]));
    }

    [Fact]
    public void A_longer_context_than_the_models_own_is_refused()
    {
        using var scratch = new Scratch();
        Assert.Contains("--context-length is 64: this model has a table of its 128 positions", Cli.Run("export", Fixtures.Model("gpt2"), "--output", scratch["out.gguf"], "--context-length", "64").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("--context-length is 4096, and the model's own is 128", Cli.Run("export", Fixtures.Model("gpt2"), "--output", scratch["out.gguf"], "--context-length", "4096").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void An_export_that_is_stopped_leaves_nothing()
    {
        using var scratch = new Scratch();
        var result = Cli.RunWith("", new CancellationToken(canceled: true), "export", Fixtures.Model("gpt2"), "--output", scratch["out.gguf"]);
        Assert.Equal(ExitCode.Stopped, result.Code);
        Assert.Empty(Names(scratch));
    }

    private static void Replace(string path, string from, string to) => File.WriteAllText(path, File.ReadAllText(path).Replace(from, to, StringComparison.Ordinal));

    private static string[] Stops(string modelfile) => [.. File.ReadLines(modelfile).Where(line => line.StartsWith("PARAMETER stop", StringComparison.Ordinal))];

    private static string[] Names(Scratch scratch) => [.. Directory.EnumerateFileSystemEntries(scratch[""]).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
}
