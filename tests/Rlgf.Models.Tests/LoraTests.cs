using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Low-rank adapters against PEFT, and what training with them leaves alone; see fixtures/README.md.</summary>
public sealed class LoraTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Adapters => [.. Fixture.Of("lora")];

    public void Dispose() => _scope.Dispose();

    [Theory, MemberData(nameof(Adapters))]
    public void Logits_with_and_without_an_adapter_and_merged_equal_those_of_peft(string name)
    {
        using var fixture = new Fixture(name);
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var plain = LanguageModelFolder.Load(Path.Combine(fixture.Folder, (string)fixture.Expected["base"]!));
        Fixture.Close(fixture.Tensor("logits_with_adapter"), Fixture.AllLogits(model, rows), Tolerance);
        Fixture.Close(fixture.Tensor("logits_without_adapter"), Fixture.AllLogits(plain, rows), Tolerance);

        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path, mergeAdapter: true);
        using var merged = LanguageModelFolder.Load(folder.Path);
        Assert.False(LoraAdapters.Has(merged.Module));
        Fixture.Close(fixture.Tensor("logits_merged"), Fixture.AllLogits(merged, rows), Tolerance);
        var weight = fixture.Tensors.Single(tensor => tensor.StartsWith("merged.", StringComparison.Ordinal));
        Fixture.Close(fixture.Tensor(weight), merged.Module.named_parameters().Single(named => $"merged.{named.name}" == weight).parameter, 1e-6);
    }

    [Fact]
    public void A_base_that_goes_by_its_name_on_a_hub_is_found_among_what_was_fetched()
    {
        using var cache = new TemporaryFolder();
        using var adapter = new TemporaryFolder();
        var snapshot = Path.Combine(cache.Path, "models--someone--tiny-gpt2", "snapshots", "0123456789abcdef");
        Directory.CreateDirectory(snapshot);
        foreach (var file in Directory.GetFiles(Fixture.PathOf("gpt2"))) File.Copy(file, Path.Combine(snapshot, Path.GetFileName(file)));
        foreach (var file in Directory.GetFiles(Fixture.PathOf("gpt2_lora"))) File.Copy(file, adapter.File(Path.GetFileName(file)));
        var settings = JsonNode.Parse(File.ReadAllText(adapter.File("adapter_config.json")))!;
        settings["base_model_name_or_path"] = "someone/tiny-gpt2";
        File.WriteAllText(adapter.File("adapter_config.json"), settings.ToJsonString());
        var before = Environment.GetEnvironmentVariable("HF_HUB_CACHE");
        try
        {
            Environment.SetEnvironmentVariable("HF_HUB_CACHE", cache.Path);
            Assert.Contains("rlgf fetch", Assert.Throws<InputException>(() => LanguageModelFolder.Load(adapter.Path)).Message, StringComparison.Ordinal);
            Directory.CreateDirectory(Path.Combine(cache.Path, "models--someone--tiny-gpt2", "refs"));
            File.WriteAllText(Path.Combine(cache.Path, "models--someone--tiny-gpt2", "refs", "main"), "0123456789abcdef");
            using var fixture = new Fixture("gpt2_lora");
            using var model = LanguageModelFolder.Load(adapter.Path);
            Fixture.Close(fixture.Tensor("logits_with_adapter"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
            using var saved = new TemporaryFolder();
            LanguageModelFolder.Save(model, saved.Path);
            Assert.Contains("\"someone/tiny-gpt2\"", File.ReadAllText(saved.File("adapter_config.json")), StringComparison.Ordinal);
        }
        finally
        {
            Environment.SetEnvironmentVariable("HF_HUB_CACHE", before);
        }
    }

    [Theory, MemberData(nameof(Adapters))]
    public void A_saved_adapter_has_the_same_names_shapes_and_bytes_and_settings(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path);
        Fixture.SameWeights(fixture.Folder, folder.Path, "adapter_model.safetensors");
        Assert.False(File.Exists(folder.File("model.safetensors")));
        var settings = JsonNode.Parse(File.ReadAllText(Path.Combine(fixture.Folder, "adapter_config.json")))!;
        var saved = JsonNode.Parse(File.ReadAllText(folder.File("adapter_config.json")))!;
        // "../gpt2" leads nowhere from there.
        Assert.False(Path.IsPathRooted((string)saved["base_model_name_or_path"]!));
        Assert.Equal(Path.GetFullPath(Path.Combine(fixture.Folder, (string)settings["base_model_name_or_path"]!)), Path.GetFullPath(Path.Combine(folder.Path, (string)saved["base_model_name_or_path"]!)));
        saved["base_model_name_or_path"] = (string)settings["base_model_name_or_path"]!;
        Assert.True(JsonNode.DeepEquals(settings, saved));
        using var again = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits_with_adapter"), Fixture.AllLogits(again, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Theory]
    [InlineData("moved together", "runs/one")]
    [InlineData("moved together", "elsewhere/deeper/one")]
    public void An_adapter_that_moved_with_its_base_finds_it(string root, string run)
    {
        using var fixture = new Fixture("gpt2_lora");
        using var folder = new TemporaryFolder();
        var start = Path.Combine(folder.Path, "project", "models", "start");
        Directory.CreateDirectory(start);
        foreach (var file in Directory.GetFiles(Fixture.PathOf("gpt2"))) File.WriteAllBytes(Path.Combine(start, Path.GetFileName(file)), File.ReadAllBytes(file));
        using (var model = LanguageModelFolder.Load(start))
        {
            LoraAdapters.Attach(model, new LoraSettings { Rank = 2 }, start, seed: 1);
            LanguageModelFolder.Save(model, Path.Combine(folder.Path, "project", "runs", "one"));
        }

        Assert.Contains("\"../../models/start\"", File.ReadAllText(Path.Combine(folder.Path, "project", "runs", "one", "adapter_config.json")), StringComparison.Ordinal);
        Directory.Move(Path.Combine(folder.Path, "project"), Path.Combine(folder.Path, root));
        var moved = Path.Combine(folder.Path, root, run);
        if (run != "runs/one")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(moved)!);
            Directory.Move(Path.Combine(folder.Path, root, "runs", "one"), moved);
        }

        using var again = LanguageModelFolder.Load(moved);
        // A trained model that has the adapter needs no base to read it.
        Directory.Move(Path.Combine(folder.Path, root, "models"), Path.Combine(folder.Path, "gone"));
        LanguageModelFolder.LoadWeights(again, moved);
        Assert.Throws<InputException>(() => LanguageModelFolder.Load(moved));
    }

    [Fact]
    public void Models_and_classifiers_on_the_base_of_an_adapter_share_its_memory()
    {
        using var fixture = new Fixture("llama_lora");
        using var other = new Fixture("llama_lora_all");
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        using var policy = LanguageModelFolder.Load(fixture.Folder);
        using var plain = LanguageModelFolder.Load(Fixture.PathOf("llama"), sharing: policy);
        using var guide = LanguageModelFolder.Load(other.Folder, sharing: policy);
        using var folder = new TemporaryFolder();
        using (var start = LanguageModelFolder.Load(Fixture.PathOf("llama")))
        {
            LoraAdapters.Freeze(start.Module);
            using var made = SequenceClassifierFolder.FromLanguageModel(start, ["bad", "good"], padId: null, seed: 1);
            LoraAdapters.Attach(made, new LoraSettings(), Fixture.PathOf("llama"), seed: 2);
            SequenceClassifierFolder.Save(made, folder.Path);
        }

        using var classifier = SequenceClassifierFolder.Load(folder.Path, sharing: policy);
        using var alone = SequenceClassifierFolder.Load(folder.Path);

        Fixture.Close(fixture.Tensor("logits_with_adapter"), Fixture.AllLogits(policy, rows), Tolerance);
        Fixture.Close(fixture.Tensor("logits_without_adapter"), Fixture.AllLogits(plain, rows), Tolerance);
        Fixture.Close(other.Tensor("logits_with_adapter"), Fixture.AllLogits(guide, rows), Tolerance);
        using var gradients = no_grad();
        Fixture.Close(alone.Logits(rows), classifier.Logits(rows), 0);
        IntPtr Address(nn.Module module, string name) => module.named_parameters().Single(named => named.name == name).parameter.storage<float>().data_ptr();
        foreach (var name in ModuleWeights.Named(plain.Module).Select(named => named.Key))
        {
            foreach (var module in new[] { plain.Module, guide.Module, classifier.Module }.Where(module => module != classifier.Module || name != "lm_head.weight"))
                Assert.Equal(Address(policy.Module, name), Address(module, name));
        }

        // Another base is not shared.
        using var gpt2 = LanguageModelFolder.Load(Fixture.PathOf("gpt2"), sharing: policy);
        Assert.True(gpt2.Module.parameters().All(parameter => parameter.requires_grad));
    }

    [Fact]
    public void The_decoder_and_a_clone_have_the_adapter_too()
    {
        using var fixture = new Fixture("llama_lora_all");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var clone = model.Clone();
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        var logits = fixture.Tensor("logits_with_adapter");
        Fixture.Close(logits, Fixture.AllLogits(clone, rows), Tolerance);
        using var decoder = clone.StartDecoding([new TokenRow(rows[0][..^1], [])], 1);
        decoder.Append([rows[0][^1]]);
        Fixture.Close(logits[rows[0].Length - 1], decoder.NextLogits[0], Tolerance);
    }

    [Theory]
    [InlineData("gpt2", false)]
    [InlineData("llama", true)]
    public void A_new_adapter_changes_nothing_until_it_is_trained_and_then_only_itself(string name, bool rankStabilised)
    {
        using var fixture = new Fixture(name);
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        LoraAdapters.Attach(model, new LoraSettings { Rank = 3, RankStabilised = rankStabilised }, fixture.Folder, seed: 1);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, rows), Tolerance);
        using var reference = model.Clone();

        var (before, after) = Train(model, rows);

        Assert.True(after < before - 0.1, $"The loss went from {before} to {after}.");
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(reference, rows), Tolerance);
        using var original = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors"));
        foreach (var (parameterName, parameter) in model.Module.named_parameters().Where(named => !named.parameter.requires_grad))
            Assert.True(original.Read(parameterName).bytes.SequenceEqual(parameter.bytes), parameterName);

        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path);
        using var again = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(Fixture.AllLogits(model, rows), Fixture.AllLogits(again, rows), 0);
        Assert.Equal(rankStabilised, (bool)JsonNode.Parse(File.ReadAllText(folder.File("adapter_config.json")))!["use_rslora"]!);
    }

    public static TheoryData<string> Models => [.. Fixture.Of("causal_lm"), .. Fixture.Of("seq2seq_lm")];

    [Theory, MemberData(nameof(Models))]
    public void Every_family_takes_an_adapter_on_all_linear_maps_saves_it_and_merges_it(string name)
    {
        using var gradients = no_grad();
        using var random = new Generator(1);
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        TokenRow[] rows = [new([5, 6, 7], [8, 9]), new([11], [12, 13])];
        var before = Logits(model);
        LoraAdapters.Attach(model, new LoraSettings { Rank = 2 }, Fixture.PathOf(name), seed: 1);
        // What is added is 0, but on some processors the product before it is then rounded in another order.
        Fixture.Close(before, Logits(model), 1e-5);
        foreach (var (parameterName, parameter) in model.Module.named_parameters())
        {
            if (parameterName.EndsWith("lora_B.weight", StringComparison.Ordinal)) parameter.normal_(0, 0.05, random);
        }

        var adapted = Logits(model);
        Assert.True((adapted - before).abs().max().item<float>() > 0.1);
        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path);
        using var again = LanguageModelFolder.Load(folder.Path);
        using var clone = again.Clone();
        Fixture.Close(adapted, Logits(clone), 0);
        using var mergedFolder = new TemporaryFolder();
        LanguageModelFolder.Save(model, mergedFolder.Path, mergeAdapter: true);
        using var merged = LanguageModelFolder.Load(mergedFolder.Path);
        Fixture.Close(adapted, Logits(merged), Tolerance);

        Tensor Logits(ILanguageModel of) => of.Logits(of.ResponseStates(rows));
    }

    [Fact]
    public void Clones_share_the_memory_of_the_base_and_outlive_each_other()
    {
        using var fixture = new Fixture("llama_lora");
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        var model = LanguageModelFolder.Load(fixture.Folder);
        using var clone = model.Clone();
        var parameters = clone.Module.named_parameters().ToDictionary(named => named.name, named => named.parameter, StringComparer.Ordinal);
        foreach (var (name, parameter) in model.Module.named_parameters())
        {
            var isShared = parameter.storage<float>().data_ptr() == parameters[name].storage<float>().data_ptr();
            Assert.Equal(!name.Contains("lora_", StringComparison.Ordinal), isShared);
            Assert.Equal(parameter.requires_grad, parameters[name].requires_grad);
        }

        model.Dispose();
        Fixture.Close(fixture.Tensor("logits_with_adapter"), Fixture.AllLogits(clone, rows), Tolerance);
    }

    [Fact]
    public void Gradients_of_an_adapter_follow_from_that_of_the_weight_it_is_added_to()
    {
        // W' = W + s B A, so dB = s dW' Aᵀ and dA = s Bᵀ dW'.
        using var fixture = new Fixture("llama_lora");
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path, mergeAdapter: true);
        using var merged = LanguageModelFolder.Load(folder.Path);
        Loss(model, rows).backward();
        Loss(merged, rows).backward();
        Tensor Parameter(ILanguageModel of, string name) => of.Module.named_parameters().Single(named => named.name == name).parameter;
        const string Map = "model.layers.1.self_attn.v_proj";
        var scaling = (float)fixture.Expected["scaling"]!;
        var (down, up, weight) = (Parameter(model, $"{Map}.lora_A.weight"), Parameter(model, $"{Map}.lora_B.weight"), Parameter(merged, $"{Map}.weight"));
        Fixture.Close(scaling * weight.grad!.matmul(down.detach().t()), up.grad!, Tolerance);
        Fixture.Close(scaling * up.detach().t().matmul(weight.grad!), down.grad!, Tolerance);
        Assert.True(Parameter(model, $"{Map}.weight").grad is null);
    }

    [Fact]
    public void Dropout_leaves_out_inputs_of_the_product_only_where_training_asks_for_it()
    {
        TorchRuntime.Load();
        using var random = new Generator(1);
        using var map = new Linear(40, 3, bias: false, CPU);
        map.Initialise(1, random);
        var configuration = new LoraSettings { Rank = 2, Dropout = 0.5 }.ToConfiguration(["x"], "base", "CAUSAL_LM", transposed: false, []);
        map.Adapt(configuration, configuration.SizeOf("x"), CPU);
        using var gradients = no_grad();
        foreach (var factor in map.parameters().Skip(1)) factor.normal_(0, 1, random);
        var x = randn([1, 40], generator: random);
        var exact = x.matmul(map.MergedWeight().t());
        Fixture.Close(exact, map.Forward(x), 1e-4);

        map.train();
        manual_seed(1);
        var draws = map.Forward(x.expand(20_000, 40));
        Assert.True(draws.std(0).min().item<float>() > 1);
        // The mean over many draws is what it is without dropout: its own deviation is that of one draw by √20000.
        Assert.True(((draws.mean([0]) - exact).abs() < 4 * draws.std(0) / Math.Sqrt(20_000)).all().item<bool>());
        map.eval();
        Fixture.Close(exact, map.Forward(x), 1e-4);
    }

    [Theory]
    [InlineData("peft_type", "\"IA3\"", "peft_type is 'IA3': only LORA is supported")]
    [InlineData("use_dora", "true", "use_dora is true, which isn't supported")]
    [InlineData("bias", "\"all\"", "bias is 'all'")]
    [InlineData("rank_pattern", """{"q_proj": 2}""", "'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight' has the shape [3, 48], and adapter_config.json says r = 2")]
    [InlineData("rank_pattern", """{"q_proj": 0}""", "rank_pattern: q_proj is 0: it must be positive")]
    [InlineData("rank_pattern", """{"(": 2}""", "rank_pattern: '(' can't be used as a pattern")]
    [InlineData("trainable_token_indices", "[1, 2]", "trainable_token_indices is set, which isn't supported; merge the adapter in PEFT")]
    [InlineData("layer_replication", "[[0, 1]]", "layer_replication is set, which isn't supported; merge the adapter in PEFT")]
    [InlineData("kasa_config", """{"beta": 1}""", "kasa_config is set, which isn't supported; merge the adapter in PEFT")]
    [InlineData("lora_bias", "true", "lora_bias is true, which isn't supported; merge the adapter in PEFT")]
    [InlineData("init_lora_weights", "\"pissa\"", "init_lora_weights is 'pissa', with which the adapter is for other weights than the base's own")]
    [InlineData("init_lora_weights", "\"loftq\"", "init_lora_weights is 'loftq'")]
    [InlineData("r", "1000000000", "'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight' has the shape [3, 48], and adapter_config.json says r = 1000000000")]
    [InlineData("modules_to_save", "[1]", "modules_to_save is not a list of texts")]
    [InlineData("lora_dropout", "1.0", "lora_dropout is 1")]
    [InlineData("base_model_name_or_path", "\"someone/llama\"", "base_model_name_or_path is 'someone/llama', where there is no model")]
    [InlineData("base_model_name_or_path", "\"../gpt2\"", "'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight' is unexpected")]
    public void What_is_not_supported_or_does_not_fit_is_refused_by_name(string key, string value, string message)
    {
        using var models = new TemporaryFolder();
        foreach (var name in new[] { "llama_lora", "llama", "gpt2" })
        {
            Directory.CreateDirectory(models.File(name));
            foreach (var file in new[] { "config.json", "model.safetensors", "adapter_config.json", "adapter_model.safetensors" }.Where(file => File.Exists(Path.Combine(Fixture.PathOf(name), file))))
                File.Copy(Path.Combine(Fixture.PathOf(name), file), Path.Combine(models.File(name), file));
        }

        var path = Path.Combine(models.File("llama_lora"), "adapter_config.json");
        var configuration = (JsonObject)JsonNode.Parse(File.ReadAllText(path))!;
        configuration[key] = JsonNode.Parse(value);
        File.WriteAllText(path, configuration.ToJsonString());
        Assert.Contains(message, Assert.Throws<InputException>(() => LanguageModelFolder.Load(models.File("llama_lora"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_target_that_the_model_does_not_have_is_refused_with_those_that_it_has()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("llama"));
        var fault = Assert.Throws<InputException>(() => LoraAdapters.Attach(model, new LoraSettings { TargetModules = ["c_attn"] }, Fixture.PathOf("llama"), seed: 1));
        Assert.Contains("'c_attn'", fault.Message, StringComparison.Ordinal);
        Assert.Contains("q_proj", fault.Message, StringComparison.Ordinal);
        Assert.True(model.Module.parameters().All(parameter => parameter.requires_grad));
    }

    private static (double Before, double After) Train(ILanguageModel model, int[][] rows)
    {
        using var optimizer = new FusedAdamW(ParameterGroup.Of(model.Module, 0.01, 0), new AdamWSettings());
        var losses = new List<double>();
        for (var step = 0; step < 10; step++)
        {
            using var loss = Loss(model, rows);
            losses.Add(loss.item<float>());
            optimizer.ClearGradients();
            loss.backward();
            optimizer.Step();
        }

        return (losses[0], losses[^1]);
    }

    /// <summary>Of every token after the first.</summary>
    private static Tensor Loss(ILanguageModel model, int[][] rows)
    {
        using var scope = NewDisposeScope();
        var states = model.ResponseStates([.. rows.Select(row => new TokenRow([row[0]], row[1..]))]);
        var packed = cat([.. rows.Select((row, b) => states[b].narrow(0, 0, row.Length - 1))], 0);
        return nn.functional.cross_entropy(model.Logits(packed), tensor(rows.SelectMany(row => row[1..]).Select(id => (long)id).ToArray())).MoveToOuterDisposeScope();
    }
}
