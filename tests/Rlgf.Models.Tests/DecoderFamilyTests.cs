using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Decoders;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Every decoder-only language model of fixtures/models and fixtures/families against transformers; see fixtures/README.md.</summary>
public sealed class DecoderFamilyTests : IDisposable
{
    private const double OfLosses = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Models => [.. Fixture.Of("causal_lm")];

    /// <summary>Those that give a row of a batch the numbers that it has when all rows are shorter: rotation that looks at the longest row is in <see cref="FamilyTests"/>.</summary>
    public static TheoryData<string> ModelsOfRows => [.. Fixture.Of("causal_lm").Where(name => name is not ("llama_rope_dynamic" or "phi4_mini"))];

    public static TheoryData<string> TrainedModels => [.. Fixture.Of("causal_lm", expected => expected["training"] is not null)];

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void All_families_are_there() =>
        Assert.Equal(
            [
                "gemma", "gpt2", "gpt_neox", "gpt_neox_sequential", "gptj", "llama", "llama3_rope", "mistral", "opt", "phi3", "qwen2", "qwen3",
                "bloom", "falcon", "falcon_alibi", "gemma2", "gemma3", "gpt_bigcode", "gpt_neo", "gpt_oss", "granite", "granitemoehybrid", "lfm2", "llama_rope_dynamic", "llama_rope_linear", "llama_rope_yarn",
                "ministral3", "mixtral", "nanochat", "olmo2", "phi4_mini", "qwen3_5", "qwen3_moe", "smollm3", "stablelm", "starcoder2",
            ],
            Fixture.Of("causal_lm"));

    [Theory, MemberData(nameof(Models))]
    public void Logits_and_states_of_every_layer_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, rows), fixture.Tolerance);

        var expected = fixture.Tensor("row0.hidden_states");
        List<Tensor> read = [];
        ((DecoderModule)model.Module).LayerInput = x => read.Add(x.clone().DetachFromDisposeScope());
        var states = model.ResponseStates([new TokenRow([rows[0][0]], [.. rows[0][1..], 0])])[0];
        Fixture.Close(expected[-1], states, fixture.Tolerance);
        Assert.Equal(expected.size(0) - 1, read.Count);
        for (var layer = 0; layer < read.Count; layer++) Fixture.Close(expected[layer], read[layer].narrow(0, 0, rows[0].Length), fixture.Tolerance);
    }

    [Theory, MemberData(nameof(Models))]
    public void Keys_of_transformers_4_give_the_same_model(string name)
    {
        using var fixture = new Fixture(name);
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(fixture.Folder, "config_v4.json"), folder.File("config.json"));
        File.Copy(Path.Combine(fixture.Folder, "model.safetensors"), folder.File("model.safetensors"));
        using var model = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), fixture.Tolerance);
    }

    [Theory, MemberData(nameof(Models))]
    public void Log_probabilities_and_entropies_of_continuations_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var continuation = fixture.Expected["continuation"]!;
        var rows = Fixture.Continuations(continuation, (int)continuation["first_continuation_column"]!);
        // transformers reads the last token too, and a rotation may look at the longest row.
        var distributions = nn.functional.log_softmax(model.Logits(model.ResponseStates([.. rows.Select(row => row with { Response = [.. row.Response, 0] })])), -1);
        var entropies = -(distributions.exp() * distributions).sum(-1);
        for (var b = 0; b < rows.Length; b++)
        {
            var sum = 0.0;
            for (var t = 0; t < rows[b].Response.Length; t++)
            {
                var logProb = distributions[b, t, rows[b].Response[t]].item<float>();
                Assert.Equal((double)continuation["log_probs"]![b]![t]!, logProb, fixture.Tolerance);
                Assert.Equal((double)continuation["entropies"]![b]![t]!, entropies[b, t].item<float>(), fixture.Tolerance);
                sum += logProb;
            }

            Assert.Equal((double)continuation["sums"]![b]!, sum, fixture.Tolerance);
        }
    }

    [Theory, MemberData(nameof(ModelsOfRows))]
    public void The_decoder_gives_the_logits_after_rows_of_different_lengths_and_after_each_token_appended(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        var logits = fixture.Tensor("logits");
        const int Appended = 3;
        using var decoder = model.StartDecoding([.. rows.Select(row => new TokenRow(row[..^Appended], []))], Appended);
        for (var left = Appended; ; left--)
        {
            var last = rows.Select((_, b) => (long)rows.Take(b + 1).Sum(row => row.Length) - 1 - left).ToArray();
            Fixture.Close(logits.index_select(0, tensor(last)), decoder.NextLogits, fixture.Tolerance);
            if (left == 0) break;
            decoder.Append([.. rows.Select(row => row[^left])]);
        }
    }

    [Theory, MemberData(nameof(Models))]
    public void Greedy_tokens_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var columns = Fixture.Ints(fixture.Expected["left_padded"]!["input_ids"])[0].Length;
        GenerationRequest[] requests = [.. Fixture.Rows(fixture.Expected["left_padded"]!).Select((prompt, b) => new GenerationRequest(new TokenRow(prompt, []), (ulong)b))];
        foreach (var generation in fixture.Expected["generation"]!.AsArray().Where(item => (string)item!["name"]! is "greedy" or "greedy_min_new_tokens" or "greedy_ends_early"))
        {
            var settings = new SamplingSettings
            {
                Greedy = true,
                MaxNewTokens = (int)generation!["settings"]!["max_new_tokens"]!,
                MinNewTokens = (int?)generation["settings"]!["min_new_tokens"] ?? 0,
                EndTokens = [(int)generation["settings"]!["eos_token_id"]!],
            };

            var rows = TextGenerator.Generate(model, requests, settings, seed: 0);

            foreach (var (expected, row) in Fixture.Ints(generation["sequences"]).Zip(rows))
            {
                var end = Array.IndexOf(expected, settings.EndTokens[0], columns);
                Assert.Equal(expected[columns..(end < 0 ? expected.Length : end + 1)], row.Tokens);
                Assert.Equal(end >= 0, row.Ended);
            }
        }
    }

    [Theory, MemberData(nameof(TrainedModels))]
    public void Loss_gradients_and_three_AdamW_steps_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var training = fixture.Expected["training"]!;
        var labels = Fixture.Ints(training["batch"]!["labels"]);
        var rows = Fixture.Continuations(training["batch"]!, labels[0].ToList().FindIndex(label => label >= 0));
        var targets = cat([.. rows.Select(row => tensor(row.Response.Select(id => (long)id).ToArray()))]);
        var losses = training["losses_before_each_step_and_after_the_last"]!.AsArray().Select(loss => (double)loss!).ToArray();
        var named = model.Module.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter, StringComparer.Ordinal);
        // The fixture decays every parameter and doesn't clip.
        using var optimizer = new FusedAdamW([new ParameterGroup(named, 1e-3, 0.01)], new AdamWSettings { MaxGradientNorm = null });

        for (var step = 0; step < 3; step++)
        {
            using var loss = Loss(model, rows, targets);
            Assert.Equal(losses[step], loss.item<float>(), OfLosses);
            optimizer.ClearGradients();
            loss.backward();
            if (step == 0)
            {
                foreach (var parameter in training["parameters"]!.AsArray().Select(item => (string)item!))
                    Fixture.Close(fixture.Tensor($"training.gradient.{parameter}"), named[parameter].grad!, OfLosses);
            }

            var norm = optimizer.Step();
            if (step == 0) Assert.Equal((double)training["total_gradient_norm"]!, norm, OfLosses);
        }

        Assert.Equal(losses[3], Loss(model, rows, targets).item<float>(), OfLosses);
        foreach (var parameter in training["parameters"]!.AsArray().Select(item => (string)item!))
            Fixture.Close(fixture.Tensor($"training.after_3_steps.{parameter}"), named[parameter], 1e-5);
    }

    [Theory, MemberData(nameof(Models))]
    public void A_saved_model_has_the_same_names_shapes_and_bytes(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path);
        Fixture.SameWeights(fixture.Folder, folder.Path);
    }

    [Theory]
    [InlineData("llama", "model.", "layers.0.self_attn.rotary_emb.inv_freq")]
    [InlineData("opt", "model.", null)]
    [InlineData("gpt_neox", "gpt_neox.", "layers.0.attention.masked_bias")]
    [InlineData("gptj", "transformer.", "h.0.attn.bias")]
    [InlineData("llama3_rope", "model.", "lm_head.weight")] // a copy of the tied head
    public void Names_without_the_trunk_and_buffers_of_old_files_give_the_same_model(string name, string trunk, string? ignored)
    {
        using var fixture = new Fixture(name);
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(fixture.Folder, "config.json"), folder.File("config.json"));
        using (var weights = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors")))
        {
            var renamed = weights.Entries.Keys.ToDictionary(key => key.StartsWith(trunk, StringComparison.Ordinal) ? key[trunk.Length..] : key, weights.Read, StringComparer.Ordinal);
            if (ignored is not null) renamed[ignored] = ignored == "lm_head.weight" ? renamed["embed_tokens.weight"].clone() : ones(3);
            Checkpoint.Save(folder.Path, renamed.Select(pair => TensorToStore.Of(pair.Key, pair.Value)));
        }

        using var model = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), fixture.Tolerance);
    }

    [Theory]
    [InlineData("llama", "rope_parameters", """{"rope_type": "proportional", "rope_theta": 10000.0, "factor": 4.0}""", "rope_parameters: rope_type is 'proportional': supported are default, linear, dynamic, llama3, yarn and longrope")]
    [InlineData("llama", "rope_parameters", """{"rope_type": "linear", "rope_theta": 10000.0}""", "rope_parameters: factor is missing")]
    [InlineData("llama", "num_key_value_heads", "4", "num_key_value_heads is 4, which doesn't divide num_attention_heads = 6")]
    [InlineData("llama", "hidden_act", "\"tanh\"", "hidden_act is 'tanh'")]
    [InlineData("llama", "quantization_config", """{"bits": 4}""", "quantised weights aren't supported")]
    [InlineData("llama", "add_cross_attention", "true", "add_cross_attention is true, which isn't supported")]
    [InlineData("qwen2", "use_sliding_window", "true", "use_sliding_window is true, which isn't supported")]
    [InlineData("qwen3", "layer_types", """["full_attention", "sliding_attention"]""", "layer_types names 'sliding_attention'")]
    [InlineData("opt", "do_layer_norm_before", "false", "do_layer_norm_before is false, which isn't supported")]
    [InlineData("opt", "word_embed_proj_dim", "16", "word_embed_proj_dim is 16 and hidden_size 32")]
    [InlineData("gptj", "tie_word_embeddings", "true", "tie_word_embeddings is true, which isn't supported")]
    [InlineData("gptj", "rotary_dim", "7", "rotary_dim is 7")]
    [InlineData("gpt_neox", "num_attention_heads", "5", "num_attention_heads is 5, which doesn't divide hidden_size = 48")]
    [InlineData("gemma", "use_bidirectional_attention", "true", "use_bidirectional_attention is true, which isn't supported")]
    public void What_is_not_supported_is_refused_by_name_before_any_weight_is_read(string name, string key, string value, string message)
    {
        using var fixture = new Fixture(name);
        using var folder = new TemporaryFolder(); // without weights
        var configuration = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(fixture.Folder, "config.json")))!;
        configuration[key] = JsonNode.Parse(value);
        File.WriteAllText(folder.File("config.json"), configuration.ToJsonString());
        Assert.Contains(message, Assert.Throws<InputException>(() => LanguageModelFolder.Load(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Models))]
    public void Fresh_weights_make_a_model_that_predicts_nothing_in_particular(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Create(FolderConfiguration.Read(fixture.Folder), seed: 1);
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        var probabilities = nn.functional.softmax(Fixture.AllLogits(model, rows), -1);
        Assert.True(probabilities.max().item<float>() < 0.1, "A fresh model is sure of a token.");
        foreach (var (parameterName, parameter) in model.Module.named_parameters())
            Assert.True(parameter.isfinite().all().item<bool>() && parameter.abs().max().item<float>() <= 1, parameterName);
    }

    private static Tensor Loss(ILanguageModel model, TokenRow[] rows, Tensor targets)
    {
        using var scope = NewDisposeScope();
        var states = model.ResponseStates(rows);
        var packed = cat([.. rows.Select((row, b) => states[b].narrow(0, 0, row.Response.Length))], 0);
        return nn.functional.cross_entropy(model.Logits(packed), targets).MoveToOuterDisposeScope();
    }
}
