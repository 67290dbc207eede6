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
        Assert.Equal(ExitCode.Ok, Cli.Run("export", folder, "--type", "q4_k_m", "--output", scratch["m.gguf"], "--name", "A name", "--skip-proof").Code);
        using var exported = GgufFile.Open(scratch["m.gguf"]);
        Assert.Equal(
            ["A name", "apache-2.0", "a-model", "someone", "https://huggingface.co/someone/a-model"],
            ((string[])["name", "license", "base_model.0.name", "base_model.0.organization", "base_model.0.repo_url"]).Select(key => exported.Metadata.Text($"general.{key}")));
        Assert.Contains("LICENSE \"\"\"apache-2.0\"\"\"", File.ReadAllText(scratch["m.Modelfile"]), StringComparison.Ordinal);
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
        Assert.Contains(message, Cli.Run("export", Fixtures.Model(model), "--output", scratch["out.gguf"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Empty(Names(scratch));
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

    private static string[] Names(Scratch scratch) => [.. Directory.EnumerateFileSystemEntries(scratch[""]).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
}
