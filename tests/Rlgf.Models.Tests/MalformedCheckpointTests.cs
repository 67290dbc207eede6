using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Gpt2;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Folders as a new user may have them: each fault is one line that names the file and what to do, and never ends the process.</summary>
public sealed class MalformedCheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public MalformedCheckpointTests()
    {
        foreach (var name in (string[])["config.json", "model.safetensors"]) File.Copy(Path.Combine(Fixture.PathOf("gpt2"), name), _folder.File(name));
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_folder_as_it_is_loads()
    {
        using var model = LanguageModelFolder.Load(_folder.Path);
        Assert.Equal(new LanguageModelShape(420, 32, 128), model.Shape);
    }

    [Fact]
    public void No_folder() => Refused("there is no such folder", folder: _folder.File("nowhere"));

    [Fact]
    public void A_damaged_GGUF_file_in_place_of_a_folder()
    {
        File.WriteAllText(_folder.File("model.gguf"), "GGUF");
        Refused("no folder can be made of this one either", folder: _folder.File("model.gguf"));
    }

    [Fact]
    public void No_configuration()
    {
        File.Delete(_folder.File("config.json"));
        Refused("config.json: the file is missing");
    }

    [Fact]
    public void No_weights()
    {
        File.Delete(_folder.File("model.safetensors"));
        Refused("there are no weights");
    }

    [Theory]
    [InlineData("pytorch_model.bin", "pytorch_model.bin: it is not a zip archive")]
    [InlineData("adapter.bin", "adapter.bin is not one of these")]
    [InlineData("model.gguf", "no folder can be made of model.gguf either")]
    [InlineData("tf_model.h5", "tf_model.h5 is not one of these")]
    public void Weights_in_another_format_or_under_another_name(string name, string message)
    {
        File.Move(_folder.File("model.safetensors"), _folder.File(name));
        Refused(message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(100)]
    [InlineData(5000)]
    [InlineData(174_631)]
    public void A_truncated_file(int bytes)
    {
        var content = File.ReadAllBytes(_folder.File("model.safetensors"));
        File.WriteAllBytes(_folder.File("model.safetensors"), content[..bytes]);
        Refused("model.safetensors: ");
    }

    [Fact]
    public void A_missing_shard()
    {
        CopyShards();
        File.Delete(_folder.File("model-00003-of-00004.safetensors"));
        Refused("the shard model-00003-of-00004.safetensors is missing");
    }

    [Theory]
    [InlineData("{}", "there is no weight_map")]
    [InlineData("[1", "it isn't an index of shards")]
    [InlineData("""{"weight_map":{"a":1}}""", "it isn't an index of shards")]
    [InlineData("""{"weight_map":{"a":null}}""", "is not the name of a file in this folder")]
    [InlineData("""{"weight_map":{"a":"../model.safetensors"}}""", "is not the name of a file in this folder")]
    [InlineData("""{"weight_map":{"a":"/etc/passwd"}}""", "is not the name of a file in this folder")]
    [InlineData("""{"weight_map":{"a":".."}}""", "the shard .. is missing")]
    [InlineData("""{"weight_map":{"a":"model-00001-of-00004.safetensors"}}""", "'a' is not in model-00001-of-00004.safetensors")]
    public void A_malformed_index(string json, string message)
    {
        CopyShards();
        File.WriteAllText(_folder.File("model.safetensors.index.json"), json);
        Refused(message);
    }

    [Theory]
    [InlineData("", "not valid JSON")]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "it is not an object")]
    [InlineData("""{"a":1,"a":2}""", "not valid JSON")]
    [InlineData("{}", "model_type is missing")]
    [InlineData("""{"model_type":7}""", "model_type is not a text")]
    [InlineData("""{"model_type":"mamba"}""", "model_type is 'mamba': known families are ")]
    public void A_malformed_configuration(string json, string message)
    {
        File.WriteAllText(_folder.File("config.json"), json);
        Refused(message);
    }

    [Theory]
    [InlineData("n_embd", null, "n_embd is missing")]
    [InlineData("n_embd", "33", "n_head is 4, which doesn't divide n_embd = 33")]
    [InlineData("n_layer", "\"two\"", "n_layer is not a whole number")]
    [InlineData("n_layer", "2.5", "n_layer is not a whole number")]
    [InlineData("n_layer", "99999999999", "n_layer is not a whole number")]
    [InlineData("n_head", "-4", "n_head is -4: it must be positive")]
    [InlineData("n_positions", "0", "n_positions is 0: it must be positive")]
    [InlineData("layer_norm_epsilon", "0", "layer_norm_epsilon is 0: it must be positive")]
    [InlineData("activation_function", "\"mish\"", "activation_function is 'mish': known are")]
    [InlineData("scale_attn_weights", "false", "scale_attn_weights is false, which isn't supported")]
    [InlineData("scale_attn_by_inverse_layer_idx", "true", "isn't supported")]
    [InlineData("vocab_size", "421", "'transformer.wte.weight' has the shape [420, 32] where config.json asks for [421, 32]")]
    [InlineData("n_layer", "1", "'transformer.h.1.attn.c_attn.bias' is unexpected")]
    [InlineData("n_layer", "3", "'transformer.h.2.attn.c_attn.bias' is missing")]
    [InlineData("tie_word_embeddings", "false", "'lm_head.weight' is missing")]
    public void A_setting_that_is_missing_impossible_or_at_odds_with_the_weights(string key, string? value, string message)
    {
        var json = FolderConfiguration.Read(_folder.Path).ToJson();
        if (value is null) json.Remove(key);
        else json[key] = JsonNode.Parse(value);
        File.WriteAllText(_folder.File("config.json"), json.ToJsonString());
        Refused(message);
    }

    [Fact]
    public void All_faults_of_the_weights_are_listed_at_once()
    {
        using (var scope = NewDisposeScope())
        {
            Dictionary<string, Tensor> tensors;
            using (var file = SafetensorsFile.Open(_folder.File("model.safetensors"))) tensors = file.Entries.Keys.ToDictionary(name => name, name => file.Read(name), StringComparer.Ordinal);
            tensors.Remove("transformer.ln_f.bias");
            tensors["transformer.ln_f.weight"] = zeros(3);
            tensors["transformer.h.0.attn.extra"] = zeros(1);
            SafetensorsWriter.Write(_folder.File("model.safetensors"), tensors);
        }

        var message = Refused("'transformer.ln_f.bias' is missing");
        Assert.Contains("'transformer.ln_f.weight' has the shape [3] where config.json asks for [32]", message, StringComparison.Ordinal);
        Assert.Contains("'transformer.h.0.attn.extra' is unexpected", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"1":"a"}""")]
    [InlineData("""{"0":"a","x":"b"}""")]
    [InlineData("""{"0":1}""")]
    public void Labels_that_are_not_numbered_through(string labels)
    {
        var json = FolderConfiguration.Read(Fixture.PathOf("gpt2_reward")).ToJson();
        json["id2label"] = JsonNode.Parse(labels);
        File.WriteAllText(_folder.File("config.json"), json.ToJsonString());
        Assert.Contains("id2label must name the labels", Assert.Throws<InputException>(() => SequenceClassifierFolder.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_beyond_the_context_or_without_a_prompt()
    {
        using var model = LanguageModelFolder.Load(_folder.Path);
        Assert.Contains("129 tokens", Assert.Throws<InputException>(() => model.ResponseStates([new TokenRow(new int[100], new int[29])])).Message, StringComparison.Ordinal);
        Assert.Contains("no token", Assert.Throws<InputException>(() => model.StartDecoding([new TokenRow([], [1])], 1)).Message, StringComparison.Ordinal);
        using var decoder = model.StartDecoding([new TokenRow(new int[127], [])], 2);
        decoder.Append([1]);
        Assert.Contains("context of 128", Assert.Throws<InputException>(() => decoder.Append([1])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Ids_beyond_the_vocabulary()
    {
        using var model = LanguageModelFolder.Load(_folder.Path);
        Assert.Contains("420", Assert.Throws<InputException>(() => model.ResponseStates([new TokenRow([420], [1])])).Message, StringComparison.Ordinal);
        Assert.Contains("-1", Assert.Throws<InputException>(() => model.StartDecoding([new TokenRow([-1], [1])], 1)).Message, StringComparison.Ordinal);
        using var decoder = model.StartDecoding([new TokenRow([1], [])], 2);
        Assert.Contains("420", Assert.Throws<InputException>(() => decoder.Append([420])).Message, StringComparison.Ordinal);
    }

    private string Refused(string message, string? folder = null)
    {
        var fault = Assert.Throws<InputException>(() => LanguageModelFolder.Load(folder ?? _folder.Path));
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', fault.Message);
        return fault.Message;
    }

    private void CopyShards()
    {
        File.Delete(_folder.File("model.safetensors"));
        foreach (var path in Directory.GetFiles(Fixture.PathOf("gpt2_sharded"), "model*")) File.Copy(path, _folder.File(Path.GetFileName(path)));
    }
}

/// <summary>Fresh models.</summary>
public sealed class FreshModelTests
{
    private static readonly Gpt2Configuration Small = new() { Vocabulary = 50, ContextLength = 16, Width = 64, Layers = 8, Heads = 4, EosId = 49 };

    [Fact]
    public void The_seed_decides_the_weights()
    {
        using var one = LanguageModelFolder.Create(Small.ToModelConfiguration(), 1);
        using var same = LanguageModelFolder.Create(Small.ToModelConfiguration(), 1);
        using var other = LanguageModelFolder.Create(Small.ToModelConfiguration(), 2);
        Assert.Equal(Flat(one), Flat(same));
        Assert.NotEqual(Flat(one), Flat(other));
    }

    [Fact]
    public void Deviations_are_those_of_GPT2()
    {
        using var model = LanguageModelFolder.Create(Small.ToModelConfiguration(), 1);
        foreach (var (name, parameter) in model.Module.named_parameters())
        {
            var values = parameter.data<float>().ToArray();
            if (parameter.ndim < 2) Assert.All(values, value => Assert.Equal(name.Contains(".ln_", StringComparison.Ordinal) && name.EndsWith("weight", StringComparison.Ordinal) ? 1f : 0f, value));
            // 1/√(2 · 8) = 1/4 for what adds to the residual stream. Of n draws the deviation's own relative error is 1/√(2n), here below 2 %.
            else Assert.Equal(name.EndsWith("c_proj.weight", StringComparison.Ordinal) ? 0.005 : 0.02, Math.Sqrt(values.Average(value => (double)value * value)), name.EndsWith("c_proj.weight", StringComparison.Ordinal) ? 0.0005 : 0.002);
        }
    }

    [Fact]
    public void A_saved_fresh_model_comes_back_with_its_configuration()
    {
        using var folder = new TemporaryFolder();
        using var model = LanguageModelFolder.Create(Small.ToModelConfiguration(), 1);
        LanguageModelFolder.Save(model, folder.Path);
        using var again = LanguageModelFolder.Load(folder.Path);
        Assert.Equal(Flat(model), Flat(again));
        Assert.Equal(model.Shape, again.Shape);
        Assert.Equal(49, (int?)FolderConfiguration.Read(folder.Path).TokenId("eos_token_id"));
    }

    [Fact]
    public void Long_rows_short_rows_and_the_decoder_agree()
    {
        // Beyond 256 tokens another kernel attends; what stands after a token can't change its logits, so a row's beginning alone must give the same. Heads of 64 take the paths of real models.
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        using var model = LanguageModelFolder.Create(new Gpt2Configuration { Vocabulary = 50, ContextLength = 300, Width = 128, Layers = 2, Heads = 2 }.ToModelConfiguration(), 1);
        var ids = Enumerable.Range(0, 300).Select(i => i * 7 % 50).ToArray();
        var whole = Fixture.AllLogits(model, [ids[..299]]);
        Fixture.Close(whole.narrow(0, 0, 200), Fixture.AllLogits(model, [ids[..200]]), 1e-5);

        using var decoder = model.StartDecoding([new TokenRow(ids[..290], []), new TokenRow(ids[..150], [])], 5);
        for (var step = 0; step < 5; step++)
        {
            Fixture.Close(whole[289 + step], decoder.NextLogits[0], 1e-5);
            Fixture.Close(whole[149 + step], decoder.NextLogits[1], 1e-5);
            decoder.Append([ids[290 + step], ids[150 + step]]);
        }
    }

    private static float[] Flat(ILanguageModel model) => [.. model.Module.parameters().SelectMany(parameter => parameter.data<float>().ToArray())];
}
