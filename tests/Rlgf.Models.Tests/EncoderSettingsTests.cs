using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Loading;
using Rlgf.Models.Tests.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>What the settings of encoders do: those that are read change what comes out, and others are refused.</summary>
public sealed class EncoderSettingsTests : IDisposable
{
    private const double Tolerance = 5e-5;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("deberta_v3_classifier", "pos_att_type", "\"c2p\"")]
    [InlineData("deberta_v3_classifier", "pos_att_type", "[\"p2c\"]")]
    [InlineData("deberta_v3_classifier", "max_relative_positions", "20")]
    [InlineData("deberta_v3_reward", "pos_att_type", "[]")]
    [InlineData("deberta_v3_reward", "max_position_embeddings", "100")]
    [InlineData("deberta_v3_reward", "pooler_hidden_act", "\"relu\"")]
    [InlineData("deberta_v3_reward", "hidden_act", "\"relu\"")]
    [InlineData("modernbert_classifier", "classifier_pooling", "\"cls\"")]
    [InlineData("modernbert_reward", "classifier_pooling", "\"mean\"")]
    [InlineData("modernbert_reward", "classifier_activation", "\"relu\"")]
    [InlineData("modernbert_reward", "hidden_activation", "\"relu\"")]
    [InlineData("modernbert_classifier", "local_attention", "4")]
    [InlineData("modernbert_classifier", "local_attention", "8")]
    [InlineData("modernbert_classifier", "layer_types", "[\"full_attention\", \"full_attention\", \"sliding_attention\", \"full_attention\"]")]
    [InlineData("modernbert_classifier", "global_attn_every_n_layers", "2", "layer_types")]
    [InlineData("modernbert_classifier", "global_rope_theta", "100", "rope_parameters")]
    [InlineData("modernbert_classifier", "local_rope_theta", "100", "rope_parameters")]
    [InlineData("modernbert_reward", "norm_eps", "0.1")]
    [InlineData("xlm_roberta_classifier", "pad_token_id", "0")]
    [InlineData("electra_classifier", "hidden_act", "\"relu\"")]
    [InlineData("electra_classifier", "num_attention_heads", "2")]
    [InlineData("albert_classifier", "hidden_act", "\"relu\"")]
    [InlineData("albert_classifier", "num_hidden_layers", "2")]
    public void A_setting_that_is_changed_changes_scores(string name, string key, string json, string? without = null)
    {
        using var fixture = new Fixture(name);
        using var folder = new RewrittenFolder(name).Json("config.json", configuration =>
        {
            if (without is not null) configuration.Remove(without);
            configuration[key] = JsonNode.Parse(json);
        });
        using var classifier = SequenceClassifierFolder.Load(folder.Folder);
        using var gradients = no_grad();
        var text = fixture.Expected["long"]!;
        var moved = (classifier.Logits(Fixture.Rows(fixture.Expected["right_padded"]!)) - fixture.Tensor("logits")).abs().max().item<float>();
        moved = Math.Max(moved, (classifier.Logits(Fixture.Ints(text["input_ids"])) - EncoderClassifierTests.Numbers(text["logits"]!)).abs().max().item<float>());
        Assert.True(moved > 0.02, $"With another {key} scores move by {moved} only.");
    }

    [Theory]
    [InlineData("deberta_v3_reward", "relative_attention", "false", "is false")]
    [InlineData("deberta_v3_reward", "position_biased_input", "null", "or not there, which means that: only false")]
    [InlineData("deberta_v3_reward", "share_att_key", "false", "only true")]
    [InlineData("deberta_v3_reward", "norm_rel_ebd", "null", "is 'none': only 'layer_norm'")]
    [InlineData("deberta_v3_reward", "type_vocab_size", "2", "a table of a row's texts")]
    [InlineData("deberta_v3_reward", "conv_kernel_size", "3", "a convolution")]
    [InlineData("deberta_v3_reward", "embedding_size", "24", "only hidden_size = 48")]
    [InlineData("deberta_v3_reward", "pooler_hidden_size", "24", "only hidden_size = 48")]
    [InlineData("deberta_v3_reward", "attention_head_size", "8", "num_attention_heads = 12")]
    [InlineData("deberta_v3_reward", "position_buckets", "-1", "distances without buckets")]
    [InlineData("deberta_v3_reward", "position_buckets", "300", "half of which must be less than the longest distance, 129")]
    [InlineData("deberta_v3_reward", "pos_att_type", "\"c2p|p2p\"", "names 'p2p'")]
    [InlineData("deberta_v3_reward", "pooler_hidden_act", "\"mish\"", "is 'mish'")]
    [InlineData("modernbert_reward", "classifier_pooling", "\"max\"", "is 'max'")]
    [InlineData("modernbert_reward", "layer_types", "[\"full_attention\"]", "names 1 layers")]
    [InlineData("modernbert_reward", "num_attention_heads", "3", "doesn't divide hidden_size = 32")]
    [InlineData("electra_classifier", "position_embedding_type", "\"relative_key\"", "only absolute")]
    [InlineData("albert_classifier", "num_hidden_groups", "4", "more than num_hidden_layers = 3")]
    [InlineData("xlm_roberta_classifier", "is_decoder", "true", "isn't supported")]
    [InlineData("deberta_v3_reward", "quantization_config", "{}", "quantised weights aren't supported")]
    public void What_is_not_built_is_refused_by_one_line_that_names_the_setting_and_the_file(string name, string key, string json, string message)
    {
        using var folder = new RewrittenFolder(name).Json("config.json", configuration => configuration[key] = JsonNode.Parse(json));
        var fault = Assert.Throws<InputException>(() => SequenceClassifierFolder.Load(folder.Folder)).Message;
        Assert.StartsWith($"{folder.FileOf("config.json")}: {key} ", fault, StringComparison.Ordinal);
        Assert.Contains(message, fault, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', fault);
    }

    [Fact]
    public void Layers_of_one_set_that_follow_each_other_are_as_many_sets_of_one_layer()
    {
        using var gradients = no_grad();
        int[][] rows = [[2, 5, 9, 11, 3], [2, 3]];
        using var together = Albert(configuration => (configuration["num_hidden_layers"], configuration["inner_group_num"]) = (1, 2), (0, 0), (0, 1));
        using var apart = Albert(configuration => (configuration["num_hidden_layers"], configuration["num_hidden_groups"]) = (2, 2), (0, 0), (1, 0));
        using var one = SequenceClassifierFolder.Load(together.Folder);
        using var other = SequenceClassifierFolder.Load(apart.Folder);
        Fixture.Close(one.Logits(rows), other.Logits(rows), 0);

        static RewrittenFolder Albert(Action<JsonObject> change, params (int Group, int Part)[] places)
        {
            const string layer = "albert.encoder.albert_layer_groups.0.albert_layers.0.";
            return new RewrittenFolder("albert_classifier").Json("config.json", change).Weights(tensors =>
            {
                foreach (var key in tensors.Keys.Where(key => key.StartsWith(layer, StringComparison.Ordinal)).ToArray())
                {
                    var value = tensors[key];
                    tensors.Remove(key);
                    for (var i = 0; i < places.Length; i++) tensors[$"albert.encoder.albert_layer_groups.{places[i].Group}.albert_layers.{places[i].Part}.{key[layer.Length..]}"] = value * (1 + i / 4f);
                }
            });
        }
    }

    [Fact]
    public void Distances_have_kinds_of_their_own_when_they_are_small_and_share_them_by_their_logarithm_beyond()
    {
        // The sizes of DeBERTa v3: the formula of the fixtures' README, which no distance of these comes near a border of, in double precision.
        var settings = new DistanceSettings(256, 512, QueriesSeeDistance: true, KeysSeeDistance: true);
        for (var away = 0; away < 600; away++)
        {
            var kind = away <= 128 ? away : Math.Ceiling(Math.Log(away / 128.0) / Math.Log(511 / 128.0) * 127 - 1e-9) + 128;
            Assert.Equal((int)Math.Clamp(256 + kind, 0, 511), settings.Kind(away));
            Assert.Equal((int)Math.Clamp(256 - kind, 0, 511), settings.Kind(-away));
        }
    }

    [Fact]
    public void What_is_saved_says_the_same_to_both_versions_of_transformers()
    {
        using var fixture = new Fixture("modernbert_classifier");
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        SequenceClassifierFolder.Save(classifier, folder.Path);
        foreach (var others in (string[][])[["rope_parameters", "layer_types"], ["global_rope_theta", "local_rope_theta", "global_attn_every_n_layers"]])
        {
            using var read = new RewrittenFolder("modernbert_classifier").Json("config.json", configuration =>
            {
                var saved = JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!.AsObject();
                configuration.Clear();
                foreach (var (key, value) in saved.Where(pair => !others.Contains(pair.Key))) configuration[key] = value?.DeepClone();
            });
            using var again = SequenceClassifierFolder.Load(read.Folder);
            using var gradients = no_grad();
            Fixture.Close(fixture.Tensor("logits"), again.Logits(Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
        }
    }
}
