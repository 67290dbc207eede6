using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>The tiny fixtures' sizes are known: gpt2 has 2 layers × 32, 4 heads, 420 ids, 128 positions.</summary>
public sealed class InspectTests
{
    // Embeddings 420 · 32 + 128 · 32; in each layer two norms, attention 32 · 96 + 96 + 32 · 32 + 32, network 2 · 32 · 128 + 128 + 32; the last norm.
    private const int Gpt2Parameters = 420 * 32 + 128 * 32 + 2 * (2 * 64 + 32 * 96 + 96 + 32 * 32 + 32 + 2 * 32 * 128 + 128 + 32) + 64;

    [Fact]
    public void A_folder_is_described_in_words()
    {
        var result = Cli.Run("inspect", Fixtures.Model("gpt2"));
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Contains("gpt2 language model, GPT2LMHeadModel, in the Hugging Face format", result.Output, StringComparison.Ordinal);
        Assert.Contains("2 layers × 32, 4 heads, vocabulary 420, context 128", result.Output, StringComparison.Ordinal);
        Assert.Contains("byte-level BPE", result.Output, StringComparison.Ordinal);
        Assert.Contains("EOS <|endoftext|>", result.Output, StringComparison.Ordinal);
        Assert.Matches(@"end tokens +<\|endoftext\|> \(419\), from generation_config\.json\n", result.Output);
        Assert.Matches("supported +yes\n", result.Output);
        Assert.Matches("chat template +no\n", result.Output);
    }

    [Fact]
    public void The_same_as_json_with_the_memory_that_follows_from_the_parameters()
    {
        var json = JsonNode.Parse(Cli.Run("inspect", Fixtures.Model("gpt2"), "--json").Output)!;
        Assert.Equal("gpt2", (string?)json["family"]);
        Assert.Equal("language model", (string?)json["kind"]);
        Assert.Equal(Gpt2Parameters, (long)json["parameters"]!);
        Assert.Equal(4L * Gpt2Parameters, (long)json["memory"]!["run_float32"]!);
        Assert.Equal(2L * Gpt2Parameters, (long)json["memory"]!["run_bfloat16"]!);
        Assert.Equal(16L * Gpt2Parameters, (long)json["memory"]!["train_float32"]!);
        // Keys and values of 2 layers × 32 numbers at 4 bytes.
        Assert.Equal(2 * 2 * 32 * 4, (long)json["memory"]!["cache_float32_per_token"]!);
        Assert.Equal(Gpt2Parameters, (long)json["stored_types"]!["float32"]!);
        Assert.True((bool)json["supported"]!);
        Assert.Contains(json["files"]!.AsArray(), file => (string?)file!["name"] == "model.safetensors" && (long)file["bytes"]! == new FileInfo(Path.Combine(Fixtures.Model("gpt2"), "model.safetensors")).Length);
    }

    [Fact]
    public void A_classifier_has_its_labels()
    {
        var json = JsonNode.Parse(Cli.Run("inspect", Fixtures.Model("gpt2_reward"), "--json").Output)!;
        Assert.Equal("classifier", (string?)json["kind"]);
        Assert.Single(json["labels"]!.AsArray());
        Assert.Equal(Gpt2Parameters + 32, (long)json["parameters"]!); // The head of one label, without a bias.
    }

    [Fact]
    public void What_is_not_supported_is_said_by_name_and_the_rest_is_described_all_the_same()
    {
        using var scratch = new Scratch();
        var folder = scratch.CopyOf("gpt2");
        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!;
        configuration["model_type"] = "mamba";
        File.WriteAllText(Path.Combine(folder, "config.json"), configuration.ToJsonString());
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), "{}");
        var json = JsonNode.Parse(Cli.Run("inspect", folder, "--json").Output)!;
        Assert.False((bool)json["supported"]!);
        var faults = json["not_supported"]!.AsArray().Select(fault => (string)fault!).ToArray();
        Assert.Contains(faults, fault => fault.Contains("model_type is 'mamba'", StringComparison.Ordinal));
        Assert.Contains(faults, fault => fault.Contains("tokenizer.json", StringComparison.Ordinal));
        Assert.Equal(Gpt2Parameters, (long)json["parameters"]!);
        Assert.Contains("supported       no: ", Cli.Run("inspect", folder).Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_that_do_not_fit_are_listed()
    {
        using var scratch = new Scratch();
        var folder = scratch.CopyOf("gpt2");
        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!;
        configuration["n_layer"] = 1;
        File.WriteAllText(Path.Combine(folder, "config.json"), configuration.ToJsonString());
        Assert.Contains("'transformer.h.1.attn.c_attn.bias' is unexpected", Cli.Run("inspect", folder).Output, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_whose_base_is_missing_says_so_and_guesses_nothing()
    {
        using var scratch = new Scratch();
        var run = Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", "model.lora.rank=2");
        Assert.True(run.Code == ExitCode.Ok, run.Error);
        var adapter = Path.Combine(scratch["run"], "checkpoints/iteration-00003/policy");
        foreach (var file in Directory.EnumerateFiles(adapter).Where(file => !Path.GetFileName(file).StartsWith("adapter_", StringComparison.Ordinal))) File.Delete(file);
        Assert.DoesNotContain("missing", Cli.Run("inspect", adapter).Output, StringComparison.Ordinal);

        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(adapter, "adapter_config.json")))!;
        configuration["base_model_name_or_path"] = "gone/base";
        File.WriteAllText(Path.Combine(adapter, "adapter_config.json"), configuration.ToJsonString());
        var output = Cli.Run("inspect", adapter).Output;
        Assert.Contains("adapter, on gone/base, which is missing", output, StringComparison.Ordinal);
        Assert.Contains("of the adapter; those of the base model aren't known", output, StringComparison.Ordinal);
        Assert.Contains("tokenizer       not known: it comes with the base model, which is missing", output, StringComparison.Ordinal);
        Assert.Single(output.Split('\n'), line => line.Contains("base_model_name_or_path is 'gone/base', where there is no model", StringComparison.Ordinal));
        Assert.DoesNotContain("memory", output, StringComparison.Ordinal);
        Assert.True((bool)JsonNode.Parse(Cli.Run("inspect", adapter, "--json").Output)!["base_is_missing"]!);
    }

    [Fact]
    public void A_file_of_tensors_and_what_is_none()
    {
        Assert.Contains("tensors, a safetensors file", Cli.Run("inspect", Path.Combine(Fixtures.Model("gpt2"), "model.safetensors")).Output, StringComparison.Ordinal);
        using var scratch = new Scratch();
        Assert.Contains("there is no such folder or file", Cli.Run("inspect", scratch["nowhere"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("files of the kind '.TXT' aren't known", Cli.Run("inspect", scratch.Write("a.txt", "x")).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("b.gguf: it is text ('a text of some length", Cli.Run("inspect", scratch.Write("b.gguf", "a text of some length, but no model")).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }
}
