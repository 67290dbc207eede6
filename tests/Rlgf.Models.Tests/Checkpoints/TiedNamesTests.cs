using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Inspection;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>Tied weights are stored once, under any of their names: the model is the same whichever it is, and a head that isn't tied is never taken for one of them.</summary>
public sealed class TiedNamesTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("gpt2", "transformer.wte.weight", "lm_head.weight")]
    [InlineData("llama3_rope", "model.embed_tokens.weight", "lm_head.weight")]
    [InlineData("qwen2", "model.embed_tokens.weight", "lm_head.weight")]
    [InlineData("gemma", "model.embed_tokens.weight", "lm_head.weight")]
    [InlineData("opt", "model.decoder.embed_tokens.weight", "lm_head.weight")]
    public void A_decoder_whose_embedding_is_stored_as_its_head_gives_the_same_logits(string name, string embedding, string storedAs)
    {
        using var fixture = new Fixture(name);
        using var folder = new RewrittenFolder(name).Rename(stored => stored == embedding ? storedAs : stored);
        using var model = LanguageModelFolder.Load(folder.Folder);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
        Assert.Equal([$"'{embedding}' is stored as '{storedAs}', which it is tied to"], model.LoadingNotes);
        Assert.Equal(model.LoadingNotes, ModelInspector.Inspect(folder.Folder).Notes);
    }

    [Theory]
    [InlineData("bart", "model.shared.weight", "model.decoder.embed_tokens.weight")]
    [InlineData("bart", "model.shared.weight", "model.encoder.embed_tokens.weight")]
    [InlineData("bart", "model.shared.weight", "decoder.embed_tokens.weight")]
    [InlineData("bart", "model.shared.weight", "lm_head.weight")]
    [InlineData("t5", "shared.weight", "decoder.embed_tokens.weight")]
    [InlineData("t5", "shared.weight", "encoder.embed_tokens.weight")]
    [InlineData("t5", "shared.weight", "lm_head.weight")]
    [InlineData("t5_v1_1", "shared.weight", "decoder.embed_tokens.weight")]
    [InlineData("t5_v1_1", "shared.weight", "encoder.embed_tokens.weight")]
    public void An_encoder_decoder_takes_its_embedding_under_any_tied_name(string name, string embedding, string storedAs)
    {
        using var folder = new RewrittenFolder(name).Rename(stored => stored == embedding ? storedAs : stored);
        using var model = LanguageModelFolder.Load(folder.Folder);
        SameParameters(name, model.Module);
        Assert.Equal([$"'{embedding}' is stored as '{storedAs}', which it is tied to"], model.LoadingNotes);
        Assert.True(ModelInspector.Inspect(folder.Folder).Parameters == ModelInspector.Inspect(Fixture.PathOf(name)).Parameters);
    }

    [Fact]
    public void A_head_that_is_tied_in_one_configuration_of_GPT_NeoX_serves_there_only()
    {
        using var folder = new RewrittenFolder("gpt_neox").Weights(tensors => tensors.Remove("gpt_neox.embed_in.weight"));
        Assert.Contains("'gpt_neox.embed_in.weight' is missing", Refused(folder), StringComparison.Ordinal);
        folder.Json("config.json", json => json["tie_word_embeddings"] = true);
        using var model = LanguageModelFolder.Load(folder.Folder);
        using var original = SafetensorsFile.Open(Path.Combine(Fixture.PathOf("gpt_neox"), "model.safetensors"));
        Fixture.Close(original.Read("embed_out.weight"), Parameter(model.Module, "gpt_neox.embed_in.weight"), 0);
    }

    [Theory]
    [InlineData("t5_v1_1", "shared.weight")]
    [InlineData("llama", "model.embed_tokens.weight")]
    [InlineData("gptj", "transformer.wte.weight")]
    public void A_head_of_its_own_never_serves_as_the_embedding(string name, string embedding)
    {
        using var folder = new RewrittenFolder(name).Weights(tensors => tensors.Remove(embedding));
        Assert.Contains($"'{embedding}' is missing", Refused(folder), StringComparison.Ordinal);
    }

    [Fact]
    public void An_untied_head_that_is_missing_is_refused_with_the_setting_that_may_be_wrong()
    {
        using var folder = new RewrittenFolder("llama").Weights(tensors => tensors.Remove("lm_head.weight"));
        Assert.Contains("'lm_head.weight' is missing; if the head is the embedding, config.json must say so (tie_word_embeddings: true)", Refused(folder), StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_that_stands_in_the_metadata_only_is_the_tensor_that_it_stands_for()
    {
        using var folder = new RewrittenFolder("bart");
        folder.Weights(tensors => Move(tensors, "model.shared.weight", "somewhere.weight"), new Dictionary<string, string> { ["model.shared.weight"] = "somewhere.weight", ["lm_head.weight"] = "somewhere.weight" });
        using var model = LanguageModelFolder.Load(folder.Folder);
        SameParameters("bart", model.Module);
        Assert.Equal(["'model.shared.weight' is stored as 'somewhere.weight', which it is tied to"], model.LoadingNotes);
    }

    [Fact]
    public void A_head_that_was_saved_as_the_embedding_is_the_embedding_whatever_the_configuration_ties()
    {
        using var folder = new RewrittenFolder("llama");
        folder.Weights(tensors => tensors.Remove("lm_head.weight"), new Dictionary<string, string> { ["lm_head.weight"] = "model.embed_tokens.weight" });
        using var model = LanguageModelFolder.Load(folder.Folder);
        Fixture.Close(Parameter(model.Module, "model.embed_tokens.weight"), Parameter(model.Module, "lm_head.weight"), 0);
    }

    [Theory]
    [InlineData("lm_head.weight", null)]
    [InlineData("transformer.wte.weight", "lm_head.weight")]
    public void An_index_may_list_a_tied_name_that_no_shard_holds(string listed, string? storedAs)
    {
        using var fixture = new Fixture("gpt2_sharded");
        using var folder = new RewrittenFolder("gpt2_sharded");
        var index = JsonNode.Parse(File.ReadAllText(folder.FileOf("model.safetensors.index.json")))!["weight_map"]!;
        var shard = (string)index["transformer.wte.weight"]!;
        folder.Json("model.safetensors.index.json", json =>
        {
            json["weight_map"]![listed] = shard;
            if (storedAs is not null) json["weight_map"]![storedAs] = shard;
        });
        if (storedAs is not null)
        {
            using var scope = NewDisposeScope();
            Dictionary<string, Tensor> tensors;
            using (var file = SafetensorsFile.Open(folder.FileOf(shard))) tensors = file.Entries.Keys.ToDictionary(name => name == listed ? storedAs : name, name => file.Read(name), StringComparer.Ordinal);
            SafetensorsWriter.Write(folder.FileOf(shard), tensors);
        }

        using var model = LanguageModelFolder.Load(folder.Folder);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Ints(fixture.Expected["batch"]!["input_ids"])), Tolerance);
    }

    [Theory]
    [InlineData("gpt2", "lm_head.weight", "set tie_word_embeddings to false there to use both")]
    [InlineData("bart", "model.decoder.embed_tokens.weight", "embeddings of their own for encoder and decoder aren't supported")]
    [InlineData("t5", "lm_head.weight", "set tie_word_embeddings to false there to use both")]
    public void Tied_tensors_that_differ_are_refused_since_they_mean_two_models(string name, string copy, string message)
    {
        var embedding = name switch { "gpt2" => "transformer.wte.weight", "bart" => "model.shared.weight", _ => "shared.weight" };
        using var folder = new RewrittenFolder(name).Weights(tensors => tensors[copy] = tensors[embedding].clone());
        using (var model = LanguageModelFolder.Load(folder.Folder)) SameParameters(name, model.Module);
        folder.Weights(tensors => tensors[copy][3, 1] += 1);
        var refusal = Refused(folder);
        Assert.Contains($"'{copy}' differs from '{embedding}'", refusal, StringComparison.Ordinal);
        Assert.Contains(message, refusal, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bert_classifier", "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight")]
    [InlineData("roberta_classifier", "roberta.embeddings.word_embeddings.weight", "lm_head.decoder.weight")]
    [InlineData("distilbert_classifier", "distilbert.embeddings.word_embeddings.weight", "vocab_projector.weight")]
    [InlineData("xlm_roberta_classifier", "roberta.embeddings.word_embeddings.weight", "lm_head.decoder.weight")]
    [InlineData("electra_classifier", "electra.embeddings.word_embeddings.weight", "generator_lm_head.weight")]
    [InlineData("albert_classifier", "albert.embeddings.word_embeddings.weight", "predictions.decoder.weight")]
    [InlineData("modernbert_classifier", "model.embeddings.tok_embeddings.weight", "decoder.weight")]
    public void A_classifier_begins_with_an_encoder_whose_embedding_is_stored_as_the_head_that_fills_gaps(string name, string embedding, string storedAs)
    {
        using var folder = new RewrittenFolder(name).Rename(stored => stored == embedding ? storedAs : stored);
        using var loaded = SequenceClassifierFolder.Load(folder.Folder);
        using var classifier = SequenceClassifierFolder.FromEncoder(folder.Folder, [.. loaded.Labels.Select((_, label) => $"label {label}")], seed: 1);
        SameParameters(name, classifier.Module);
        Assert.Single(loaded.LoadingNotes);
    }

    [Fact]
    public void A_base_stored_under_the_other_name_takes_its_adapter()
    {
        using var fixture = new Fixture("gpt2_lora");
        using var baseFolder = new RewrittenFolder("gpt2").Rename(stored => stored == "transformer.wte.weight" ? "lm_head.weight" : stored);
        using var adapter = new TemporaryFolder();
        foreach (var name in (string[])["adapter_config.json", "adapter_model.safetensors"]) File.Copy(Path.Combine(fixture.Folder, name), adapter.File(name));
        var settings = JsonNode.Parse(File.ReadAllText(adapter.File("adapter_config.json")))!;
        settings["base_model_name_or_path"] = baseFolder.Folder;
        File.WriteAllText(adapter.File("adapter_config.json"), settings.ToJsonString());
        using var model = LanguageModelFolder.Load(adapter.Path);
        Fixture.Close(fixture.Tensor("logits_with_adapter"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
        Assert.Single(model.LoadingNotes);
    }

    [Theory]
    [InlineData("module.", "DataParallel")]
    [InlineData("_orig_mod.", "torch.compile")]
    [InlineData("_orig_mod.module.", "torch.compile")]
    public void What_a_wrapper_puts_before_all_names_is_left_out(string prefix, string wrapper)
    {
        using var fixture = new Fixture("gpt2");
        using var folder = new RewrittenFolder("gpt2").Rename(stored => prefix + stored);
        using var model = LanguageModelFolder.Load(folder.Folder);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
        Assert.Contains(wrapper, Assert.Single(model.LoadingNotes), StringComparison.Ordinal);
        folder.Rename(stored => stored.EndsWith("ln_f.bias", StringComparison.Ordinal) ? stored[prefix.Length..] : stored);
        Assert.True(Refused(folder) is { Length: < 900 } refusal && refusal.Contains("and 23 more are missing", StringComparison.Ordinal));
    }

    /// <summary>The module has the fixture's own numbers.</summary>
    private static void SameParameters(string fixture, nn.Module module)
    {
        using var original = SafetensorsFile.Open(Path.Combine(Fixture.PathOf(fixture), "model.safetensors"));
        foreach (var (name, parameter) in module.named_parameters())
        {
            using var scope = NewDisposeScope();
            Fixture.Close(original.Read(name), parameter, 0);
        }
    }

    private static TorchSharp.Modules.Parameter Parameter(nn.Module module, string name) => module.named_parameters().Single(named => named.name == name).parameter;

    private static void Move(Dictionary<string, Tensor> tensors, string from, string to)
    {
        tensors[to] = tensors[from];
        tensors.Remove(from);
    }

    private static string Refused(RewrittenFolder folder) => Assert.Throws<InputException>(() => LanguageModelFolder.Load(folder.Folder)).Message;
}
