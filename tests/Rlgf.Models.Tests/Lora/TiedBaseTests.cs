using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using Rlgf.Models.Tests.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Lora;

/// <summary>
/// Adapters that touch the embedding or the head of a model whose head is its embedding. What must come out is the model with two weights that PEFT's settings describe, put together by hand from the base's weights and the adapter's
/// and loaded as a whole model.
/// </summary>
public sealed class TiedBaseTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private static readonly int[][] Rows = [[5, 6, 7, 8, 9], [11, 12, 13]];

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Generator _random;
    private Tensor? _down;
    private Tensor? _up;

    public TiedBaseTests()
    {
        TorchRuntime.Load();
        _random = new Generator(1);
    }

    public static TheoryData<string> Bases => ["gpt2", "llama3_rope", "qwen2", "gemma", "opt"];

    public void Dispose()
    {
        _random.Dispose();
        _scope.Dispose();
    }

    [Theory, MemberData(nameof(Bases))]
    public void An_embedding_that_is_saved_whole_leaves_the_head_as_it_was(string name)
    {
        var (embedding, weight) = EmbeddingOf(name);
        var trained = weight + Random(weight.shape);
        var tensors = WithMap(name, new() { [$"{embedding}.weight"] = trained });
        Check(name, tensors, Saves(LastPart(embedding)), Untied(name, trained, weight));
    }

    [Theory, MemberData(nameof(Bases))]
    public void With_weight_tying_ensured_the_head_is_the_new_embedding(string name)
    {
        var (embedding, weight) = EmbeddingOf(name);
        var trained = weight + Random(weight.shape);
        var settings = Saves(LastPart(embedding));
        settings["ensure_weight_tying"] = true;
        Check(name, WithMap(name, new() { [$"{embedding}.weight"] = trained }), settings, Whole(name, tensors => tensors[$"{embedding}.weight"] = trained));
        // Some versions of PEFT store it under both names.
        Check(name, WithMap(name, new() { [$"{embedding}.weight"] = trained, ["lm_head.weight"] = trained.clone() }), settings, Whole(name, tensors => tensors[$"{embedding}.weight"] = trained), sameNames: false);
    }

    [Theory, MemberData(nameof(Bases))]
    public void A_head_that_is_saved_whole_leaves_the_embedding_as_it_was(string name)
    {
        var (_, weight) = EmbeddingOf(name);
        var head = weight + Random(weight.shape);
        Check(name, WithMap(name, new() { ["lm_head.weight"] = head }), Saves("lm_head"), Untied(name, weight, head));
    }

    [Theory, MemberData(nameof(Bases))]
    public void Both_may_be_saved_whole(string name)
    {
        var (embedding, weight) = EmbeddingOf(name);
        var (trained, head) = (weight + Random(weight.shape), weight + Random(weight.shape));
        Check(name, WithMap(name, new() { [$"{embedding}.weight"] = trained, ["lm_head.weight"] = head }), Saves(LastPart(embedding), "lm_head"), Untied(name, trained, head));
    }

    [Theory, MemberData(nameof(Bases))]
    public void An_adapter_on_the_embedding_leaves_the_head_as_it_was(string name)
    {
        var (embedding, weight) = EmbeddingOf(name);
        var (down, up) = (Random([AdapterOnFixture.Rank, weight.size(0)]), Random([weight.size(1), AdapterOnFixture.Rank]));
        var adapted = weight + AdapterOnFixture.Scaling * up.matmul(down).t();
        var tensors = WithMap(name, new() { [$"{embedding}.lora_embedding_A"] = down, [$"{embedding}.lora_embedding_B"] = up });
        Check(name, tensors, [], Untied(name, adapted, weight));
        // As PEFT saves it by default where the embedding is a target: the base's own beside it, of both ends.
        tensors[$"{embedding}.base_layer.weight"] = weight;
        tensors["lm_head.weight"] = weight;
        Check(name, tensors, [], Untied(name, adapted, weight));
    }

    [Theory, MemberData(nameof(Bases))]
    public void An_adapter_on_the_head_leaves_the_embedding_as_it_was(string name)
    {
        var (_, weight) = EmbeddingOf(name);
        var (down, up) = (Random([AdapterOnFixture.Rank, weight.size(1)]), Random([weight.size(0), AdapterOnFixture.Rank]));
        Check(name, WithMap(name, new() { ["lm_head.lora_A.weight"] = down, ["lm_head.lora_B.weight"] = up }), [], Untied(name, weight, weight + AdapterOnFixture.Scaling * up.matmul(down)));
    }

    [Theory, MemberData(nameof(Bases))]
    public void Embeddings_that_were_saved_with_the_adapter_stand_in_place_of_the_bases(string name)
    {
        var (embedding, weight) = EmbeddingOf(name);
        var other = weight + Random(weight.shape);
        foreach (var names in (string[][])[[$"{embedding}.weight"], [$"{embedding}.weight", "lm_head.weight"]])
            Check(name, WithMap(name, names.ToDictionary(key => key, _ => other.clone())), [], Whole(name, tensors => tensors[$"{embedding}.weight"] = other), sameNames: names.Length == 1);

        // With an adapter on the embedding both weights begin from what was saved.
        var (down, up) = (Random([AdapterOnFixture.Rank, weight.size(0)]), Random([weight.size(1), AdapterOnFixture.Rank]));
        var adapted = WithMap(name, new() { [$"{embedding}.lora_embedding_A"] = down, [$"{embedding}.lora_embedding_B"] = up, [$"{embedding}.base_layer.weight"] = other });
        Check(name, adapted, [], Untied(name, other + AdapterOnFixture.Scaling * up.matmul(down).t(), other), sameNames: false);
    }

    [Fact]
    public void Embeddings_that_differ_or_are_of_another_vocabulary_are_refused()
    {
        var (embedding, weight) = EmbeddingOf("qwen2");
        using var differing = new AdapterOnFixture("qwen2", WithMap("qwen2", new() { [$"{embedding}.weight"] = weight, ["lm_head.weight"] = weight + 1 }));
        Assert.Contains("differ, and the base model ties them; name the one that was trained in modules_to_save", Refused(differing), StringComparison.Ordinal);
        using var resized = new AdapterOnFixture("qwen2", WithMap("qwen2", new() { [$"{embedding}.weight"] = Random([weight.size(0) + 2, weight.size(1)]) }));
        var refusal = Refused(resized);
        Assert.Contains("has the shape [422, 48] where the base model asks for [420, 48]", refusal, StringComparison.Ordinal);
        Assert.Contains("(save_embedding_layers) and are of another vocabulary: merge it in PEFT", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_what_the_adapter_trains_is_trained()
    {
        var (embedding, weight) = EmbeddingOf("qwen2");
        using var adapter = new AdapterOnFixture("qwen2", WithMap("qwen2", new() { [$"{embedding}.weight"] = weight + 1 }), Saves("embed_tokens"));
        using var model = LanguageModelFolder.Load(adapter.Folder);
        Assert.Equal(
            ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.lora_A.weight", "model.layers.0.self_attn.q_proj.lora_B.weight"],
            model.Module.named_parameters().Where(named => named.parameter.requires_grad).Select(named => named.name).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("t5", "shared.weight", "shared", "modules_to_save has 'shared'")]
    [InlineData("t5", "lm_head.weight", "lm_head", "modules_to_save has 'lm_head'")]
    [InlineData("bart", "model.shared.weight", "shared", "modules_to_save has 'model.shared'")]
    public void What_an_encoder_decoder_has_in_common_is_refused_by_the_settings_name(string name, string tensor, string saved, string message)
    {
        using var adapter = new AdapterOnFixture(name, new Dictionary<string, Tensor> { [tensor] = Random([420, 32]) }, Saves(saved));
        var refusal = Refused(adapter);
        Assert.Contains(message, refusal, StringComparison.Ordinal);
        Assert.Contains("merge_and_unload", refusal, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpt2", "transformer.wpe.lora_embedding_A", "target_modules has 'transformer.wpe'")]
    [InlineData("t5", "shared.lora_embedding_A", "target_modules has 'shared'")]
    [InlineData("bart", "lm_head.lora_A.weight", "target_modules has 'lm_head'")]
    public void A_table_that_takes_no_adapter_is_refused_by_the_settings_name(string name, string tensor, string message)
    {
        using var adapter = new AdapterOnFixture(name, new Dictionary<string, Tensor> { [tensor] = Random([AdapterOnFixture.Rank, 32]) });
        Assert.Contains(message, Refused(adapter), StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_on_a_tied_embedding_with_weight_tying_ensured_is_refused_by_the_settings_name()
    {
        var (embedding, weight) = EmbeddingOf("qwen2");
        var tensors = WithMap("qwen2", new() { [$"{embedding}.lora_embedding_A"] = Random([AdapterOnFixture.Rank, weight.size(0)]), [$"{embedding}.lora_embedding_B"] = Random([weight.size(1), AdapterOnFixture.Rank]) });
        using var adapter = new AdapterOnFixture("qwen2", tensors, new JsonObject { ["ensure_weight_tying"] = true });
        Assert.Contains("ensure_weight_tying is true with an adapter on the embedding", Refused(adapter), StringComparison.Ordinal);
    }

    /// <summary>The adapter gives the whole model's logits: as it is, saved and loaded, cloned and merged; and its base, which may share its memory, stays what it is.</summary>
    private static void Check(string name, Dictionary<string, Tensor> tensors, JsonObject settings, RewrittenFolder whole, bool sameNames = true)
    {
        using var folder = whole;
        using var adapter = new AdapterOnFixture(name, tensors, settings);
        using var model = LanguageModelFolder.Load(adapter.Folder);
        using var expectedModel = LanguageModelFolder.Load(folder.Folder);
        var expected = Fixture.AllLogits(expectedModel, Rows);
        Fixture.Close(expected, Fixture.AllLogits(model, Rows), Tolerance);
        using var plain = LanguageModelFolder.Load(Fixture.PathOf(name), sharing: model);
        using var unshared = LanguageModelFolder.Load(Fixture.PathOf(name));
        var before = Fixture.AllLogits(unshared, Rows);
        Fixture.Close(before, Fixture.AllLogits(plain, Rows), Tolerance);
        Assert.True((before - expected).abs().max().item<float>() > 0.01);

        using var saved = new TemporaryFolder();
        LanguageModelFolder.Save(model, saved.Path);
        if (sameNames) Fixture.SameWeights(adapter.Folder, saved.Path, "adapter_model.safetensors");
        using var again = LanguageModelFolder.Load(saved.Path);
        using var clone = again.Clone();
        Fixture.Close(expected, Fixture.AllLogits(clone, Rows), Tolerance);
        LanguageModelFolder.LoadWeights(again, saved.Path);
        Fixture.Close(expected, Fixture.AllLogits(again, Rows), Tolerance);

        using var merged = new TemporaryFolder();
        LanguageModelFolder.Save(model, merged.Path, mergeAdapter: true);
        using var mergedModel = LanguageModelFolder.Load(merged.Path);
        Fixture.Close(expected, Fixture.AllLogits(mergedModel, Rows), Tolerance);
    }

    /// <summary>The base with the adapter's product on one map of the first layer, as <see cref="WithMap"/> has it, and other changes.</summary>
    private RewrittenFolder Whole(string name, Action<Dictionary<string, Tensor>> change) => new RewrittenFolder(name).Weights(tensors =>
    {
        var map = $"{MapOf(name)}.weight";
        var product = AdapterOnFixture.Scaling * _up!.matmul(_down!);
        tensors[map] = tensors[map] + (name == "gpt2" ? product.t() : product);
        change(tensors);
    });

    private RewrittenFolder Untied(string name, Tensor embedding, Tensor head) =>
        Whole(name, tensors =>
        {
            tensors[$"{EmbeddingOf(name).Name}.weight"] = embedding;
            tensors["lm_head.weight"] = head.clone();
        }).Json("config.json", json => json["tie_word_embeddings"] = false);

    /// <summary>The tensors and those of an adapter on one map.</summary>
    private Dictionary<string, Tensor> WithMap(string name, Dictionary<string, Tensor> tensors)
    {
        using var file = SafetensorsFile.Open(Path.Combine(Fixture.PathOf(name), "model.safetensors"));
        var shape = file.Entries[$"{MapOf(name)}.weight"].Shape;
        var (outputs, inputs) = name == "gpt2" ? (shape[1], shape[0]) : (shape[0], shape[1]);
        _down ??= Random([AdapterOnFixture.Rank, inputs]);
        _up ??= Random([outputs, AdapterOnFixture.Rank]);
        tensors[$"{MapOf(name)}.lora_A.weight"] = _down;
        tensors[$"{MapOf(name)}.lora_B.weight"] = _up;
        return tensors;
    }

    private static string MapOf(string name) => name switch
    {
        "gpt2" => "transformer.h.0.attn.c_attn",
        "opt" => "model.decoder.layers.0.self_attn.q_proj",
        _ => "model.layers.0.self_attn.q_proj",
    };

    private static (string Name, Tensor Weight) EmbeddingOf(string name)
    {
        var embedding = name switch { "gpt2" => "transformer.wte", "opt" => "model.decoder.embed_tokens", _ => "model.embed_tokens" };
        using var file = SafetensorsFile.Open(Path.Combine(Fixture.PathOf(name), "model.safetensors"));
        return (embedding, file.Read($"{embedding}.weight"));
    }

    private Tensor Random(long[] shape) => randn(shape, generator: _random) * 0.1;

    private static JsonObject Saves(params string[] modules) => new() { ["modules_to_save"] = new JsonArray([.. modules.Select(module => (JsonNode)module)]) };

    private static string LastPart(string name) => name[(name.LastIndexOf('.') + 1)..];

    private static string Refused(AdapterOnFixture adapter) => Assert.Throws<InputException>(() => LanguageModelFolder.Load(adapter.Folder)).Message;
}
