using System.Text;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>Files that are not what their name says, and models of another kind: the message says what it is and what to do, in a line that can be read.</summary>
public sealed class MisplacedFileTests : IDisposable
{
    private const string Pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 548105171\n";
    private const string Page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n";
    private const int Readable = 600;

    private readonly RewrittenFolder _folder = new("gpt2");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("model.safetensors", Pointer, "model.safetensors: it is a git-LFS pointer, not the file itself; run 'git lfs pull'")]
    [InlineData("model.safetensors", Page, "model.safetensors: it is a web page, not the file itself")]
    [InlineData("model.safetensors", "\n\n<HTML>", "model.safetensors: it is a web page, not the file itself")]
    [InlineData("model.safetensors", "Entry not found", "model.safetensors: it is text ('Entry not found'), not the file itself")]
    [InlineData("config.json", Pointer, "config.json: it is a git-LFS pointer")]
    [InlineData("config.json", Page, "config.json: it is a web page")]
    [InlineData("generation_config.json", Page, "generation_config.json: it is a web page")]
    [InlineData("pytorch_model.bin", Pointer, "pytorch_model.bin: it is a git-LFS pointer")]
    [InlineData("model.safetensors.index.json", Page, "model.safetensors.index.json: it is a web page")]
    public void A_pointer_or_a_page_in_place_of_a_file(string name, string content, string message)
    {
        if (name is "pytorch_model.bin" or "model.safetensors.index.json") File.Delete(_folder.FileOf("model.safetensors"));
        File.WriteAllText(_folder.FileOf(name), content);
        Assert.Contains(message, Refused(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("adapter_model.safetensors")]
    [InlineData("adapter_config.json")]
    public void A_pointer_in_place_of_an_adapters_file(string name)
    {
        using var adapter = new TemporaryFolder();
        foreach (var file in (string[])["adapter_config.json", "adapter_model.safetensors"]) File.Copy(Path.Combine(Fixture.PathOf("gpt2_lora"), file), adapter.File(file));
        File.WriteAllText(adapter.File("adapter_config.json"), File.ReadAllText(adapter.File("adapter_config.json")).Replace("../gpt2", Fixture.PathOf("gpt2"), StringComparison.Ordinal));
        File.WriteAllText(adapter.File(name), Pointer);
        Assert.Contains($"{name}: it is a git-LFS pointer", Assert.Throws<InputException>(() => LanguageModelFolder.Load(adapter.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pointer_in_place_of_a_GGUF_file()
    {
        File.WriteAllText(_folder.FileOf("model.gguf"), Pointer);
        Assert.Contains("model.gguf: it is a git-LFS pointer", Assert.Throws<InputException>(() => Rlgf.Gguf.GgufFile.Open(_folder.FileOf("model.gguf"))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("F8_E4M3", "'x' is of the type F8_E4M3, which isn't read: the weights are quantised; take the model's original ones")]
    [InlineData("F8_E5M2", "the weights are quantised")]
    [InlineData("F4", "the weights are quantised")]
    [InlineData("U64", "take the model's original ones")]
    public void A_type_that_is_not_read_is_no_damage(string type, string message)
    {
        var header = $$$"""{"x":{"dtype":"{{{type}}}","shape":[2],"data_offsets":[0,8]}}""";
        File.WriteAllBytes(_folder.FileOf("model.safetensors"), [.. BitConverter.GetBytes((ulong)header.Length), .. Encoding.UTF8.GetBytes(header), .. new byte[8]]);
        var refusal = Refused();
        Assert.Contains(message, refusal, StringComparison.Ordinal);
        Assert.DoesNotContain("again", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_whole_set_of_shards_needs_no_index()
    {
        using var fixture = new Fixture("gpt2_sharded");
        using var folder = new RewrittenFolder("gpt2_sharded");
        File.Delete(folder.FileOf("model.safetensors.index.json"));
        using (var model = LanguageModelFolder.Load(folder.Folder))
        {
            using var scope = NewDisposeScope();
            Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Ints(fixture.Expected["batch"]!["input_ids"])), 1e-4);
        }

        File.Delete(folder.FileOf("model-00003-of-00004.safetensors"));
        var refusal = Assert.Throws<InputException>(() => LanguageModelFolder.Load(folder.Folder)).Message;
        Assert.Contains("model-00003-of-00004.safetensors: the file is missing: model-00001-of-00004.safetensors is one of 4 shards, and their index (model.safetensors.index.json) is missing too", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_in_their_makers_own_form()
    {
        File.Move(_folder.FileOf("model.safetensors"), _folder.FileOf("consolidated.safetensors"));
        Assert.Contains("consolidated.safetensors has the weights in their maker's own form", Refused(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpt2_reward")]
    [InlineData("llama_reward")]
    public void A_reward_model_in_place_of_a_language_model(string name)
    {
        var refusal = Assert.Throws<InputException>(() => LanguageModelFolder.Load(Fixture.PathOf(name))).Message;
        Assert.Contains("ForSequenceClassification, a classifier", refusal, StringComparison.Ordinal);
        Assert.Contains("reward or judge", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_of_a_reward_model_whose_configuration_does_not_say_so()
    {
        using var folder = new RewrittenFolder("llama_reward").Json("config.json", json => json["architectures"]![0] = "LlamaForCausalLM");
        var refusal = Assert.Throws<InputException>(() => LanguageModelFolder.Load(folder.Folder)).Message;
        Assert.Contains("the weights seem to be a classifier's (a reward model, perhaps)", refusal, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpt2", "GPT2LMHeadModel")]
    [InlineData("bart", "BartForConditionalGeneration")]
    [InlineData("llama", "LlamaForCausalLM")]
    public void A_language_model_in_place_of_a_classifier(string name, string architecture)
    {
        var refusal = Assert.Throws<InputException>(() => SequenceClassifierFolder.Load(Fixture.PathOf(name))).Message;
        Assert.Contains($"architectures is {architecture}, a language model", refusal, StringComparison.Ordinal);
        Assert.Contains("rlgf classifier train", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_policy_with_TRLs_value_head()
    {
        _folder.Weights(tensors => tensors["v_head.summary.weight"] = ones([1, 32]));
        Assert.Contains("TRL's value head", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void Names_of_another_model_are_not_all_listed()
    {
        _folder.Rename(name => $"other.{name}");
        var refusal = Refused();
        Assert.Contains("and 24 more are missing", refusal, StringComparison.Ordinal);
        Assert.Contains("and 24 more are unexpected", refusal, StringComparison.Ordinal);
    }

    private string Refused()
    {
        var message = Assert.Throws<InputException>(() => LanguageModelFolder.Load(_folder.Folder)).Message;
        Assert.DoesNotContain('\n', message);
        Assert.InRange(message.Replace(_folder.Folder, "", StringComparison.Ordinal).Length, 1, Readable);
        return message;
    }
}
