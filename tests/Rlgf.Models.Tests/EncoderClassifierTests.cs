using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Encoders;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>BERT, DistilBERT and RoBERTa classifiers against transformers; see fixtures/README.md.</summary>
public sealed class EncoderClassifierTests : IDisposable
{
    private const double Tolerance = 5e-5;

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Names => ["bert_classifier", "distilbert_classifier", "roberta_classifier"];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Scores_of_texts_of_different_lengths_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        Assert.Equal(["NEGATIVE", "POSITIVE"], classifier.Labels);
        Fixture.Close(fixture.Tensor("logits"), classifier.Logits(Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Scores_of_pairs_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var pairs = fixture.Expected["pairs"]!;
        var rows = Fixture.Rows(pairs);
        var segments = pairs["token_type_ids"] is { } types ? Fixture.Ints(types).Zip(rows, (row, ids) => row[..ids.Length]).ToArray() : null;
        var expected = pairs["logits"]!.AsArray().SelectMany(row => row!.AsArray().Select(value => (float)value!)).ToArray();
        Fixture.Close(tensor(expected, [rows.Length, 2]), classifier.Logits(rows, segments), Tolerance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void States_of_every_layer_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var classifier = (EncoderClassifier)SequenceClassifierFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var row = Fixture.Rows(fixture.Expected["right_padded"]!)[0];
        var expected = fixture.Tensor("row0.hidden_states");
        List<Tensor> read = [];
        ((EncoderClassifierModule)classifier.Module).LayerInput = x => read.Add(x.clone().DetachFromDisposeScope());
        Fixture.Close(expected[-1], classifier.States([row])[0].narrow(0, 0, row.Length), Tolerance);
        Assert.Equal(expected.size(0) - 1, read.Count);
        for (var layer = 0; layer < read.Count; layer++) Fixture.Close(expected[layer], read[layer].narrow(0, 0, row.Length), Tolerance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Keys_of_transformers_4_give_the_same_classifier(string name)
    {
        using var fixture = new Fixture(name);
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(fixture.Folder, "config_v4.json"), folder.File("config.json"));
        File.Copy(Path.Combine(fixture.Folder, "model.safetensors"), folder.File("model.safetensors"));
        using var classifier = SequenceClassifierFolder.Load(folder.Path);
        using var gradients = no_grad();
        Fixture.Close(fixture.Tensor("logits"), classifier.Logits(Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_saved_classifier_has_the_same_names_shapes_and_bytes(string name)
    {
        using var classifier = SequenceClassifierFolder.Load(Fixture.PathOf(name));
        using var folder = new TemporaryFolder();
        SequenceClassifierFolder.Save(classifier, folder.Path);
        Fixture.SameWeights(Fixture.PathOf(name), folder.Path);
    }

    [Fact]
    public void Names_of_the_first_uploads_and_a_buffer_of_positions_are_understood()
    {
        using var fixture = new Fixture("bert_gamma_beta");
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        Fixture.Close(fixture.Tensor("logits"), classifier.Logits(Fixture.Ints(fixture.Expected["batch"]!["input_ids"]))[0], 1e-4);
    }

    [Fact]
    public void Two_labels_without_names_need_not_be_in_the_configuration()
    {
        using var folder = new TemporaryFolder();
        var json = FolderConfiguration.Read(Fixture.PathOf("bert_classifier")).ToJson();
        json.Remove("id2label");
        File.WriteAllText(folder.File("config.json"), json.ToJsonString());
        File.Copy(Path.Combine(Fixture.PathOf("bert_classifier"), "model.safetensors"), folder.File("model.safetensors"));
        using var classifier = SequenceClassifierFolder.Load(folder.Path);
        Assert.Equal(["LABEL_0", "LABEL_1"], classifier.Labels);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_classifier_begins_with_the_trunk_of_an_encoder_and_keeps_a_head_for_as_many_labels(string name)
    {
        using var original = SequenceClassifierFolder.Load(Fixture.PathOf(name));
        using var gradients = no_grad();
        using var same = SequenceClassifierFolder.FromEncoder(Fixture.PathOf(name), ["bad", "good"], seed: 1);
        Assert.Equal(["bad", "good"], same.Labels);
        int[][] rows = [[2, 5, 9, 11, 3]];
        Fixture.Close(original.Logits(rows), same.Logits(rows), 0);

        using var three = (EncoderClassifier)SequenceClassifierFolder.FromEncoder(Fixture.PathOf(name), ["bad", "fair", "good"], seed: 1);
        Assert.Equal([1, 3], three.Logits(rows).shape);
        Fixture.Close(((EncoderClassifier)original).States(rows), three.States(rows), 0);
        Assert.True(SequenceClassifierFolder.IsEncoder(Fixture.PathOf(name)));
        Assert.Equal(original.Configuration["pad_token_id"]?.ToJsonString(), three.Configuration["pad_token_id"]?.ToJsonString());
    }

    [Theory]
    [InlineData("bert_classifier", "bert.", "cls.predictions.transform.dense.weight", "bert.pooler.dense", "classifier")]
    [InlineData("distilbert_classifier", "distilbert.", "vocab_transform.weight", "pre_classifier", "classifier")]
    [InlineData("roberta_classifier", "roberta.", "lm_head.dense.weight", "classifier.dense", "classifier.out_proj")]
    public void An_encoder_that_was_trained_to_fill_gaps_brings_its_trunk_and_not_its_head(string name, string trunk, string otherHead, params string[] fresh)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(Fixture.PathOf(name), "config.json"), folder.File("config.json"));
        using (var weights = SafetensorsFile.Open(Path.Combine(Fixture.PathOf(name), "model.safetensors")))
        {
            var kept = weights.Entries.Keys.Where(key => !fresh.Any(part => key.StartsWith($"{part}.", StringComparison.Ordinal)) && key.StartsWith(trunk, StringComparison.Ordinal)).ToDictionary(key => key, weights.Read, StringComparer.Ordinal);
            kept[otherHead] = ones(3);
            kept["roberta.pooler.dense.weight"] = ones(3);
            if (trunk != "roberta.") kept.Remove("roberta.pooler.dense.weight");
            Checkpoint.Save(folder.Path, kept.Select(pair => TensorToStore.Of(pair.Key, pair.Value)));
        }

        using var original = (EncoderClassifier)SequenceClassifierFolder.Load(Fixture.PathOf(name));
        using var one = (EncoderClassifier)SequenceClassifierFolder.FromEncoder(folder.Path, ["bad", "good"], seed: 1);
        using var other = (EncoderClassifier)SequenceClassifierFolder.FromEncoder(folder.Path, ["bad", "good"], seed: 2);
        using var gradients = no_grad();
        int[][] rows = [[2, 5, 9, 11, 3]];
        Fixture.Close(original.States(rows), one.States(rows), 0);
        Assert.True((one.Logits(rows) - other.Logits(rows)).abs().max().item<float>() > 1e-5, "The head doesn't follow the seed.");
        Assert.Contains("is missing", Assert.Throws<InputException>(() => SequenceClassifierFolder.Load(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void An_encoder_is_refused_as_a_language_model_by_name(string name)
    {
        var error = Assert.Throws<InputException>(() => LanguageModelFolder.Load(Fixture.PathOf(name)));
        Assert.Contains($"'{name.Split('_')[0]}'", error.Message, StringComparison.Ordinal);
        Assert.Contains("writes no text", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Roberta_reads_two_tokens_less_than_it_has_positions()
    {
        using var classifier = SequenceClassifierFolder.Load(Fixture.PathOf("roberta_classifier"));
        using var gradients = no_grad();
        Assert.Equal(128, classifier.ContextLength);
        Assert.Equal([1, 2], classifier.Logits([[.. Enumerable.Repeat(5, 128)]]).shape);
        Assert.Contains("129 tokens", Assert.Throws<InputException>(() => classifier.Logits([[.. Enumerable.Repeat(5, 129)]])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_text_that_the_model_can_not_tell_apart_is_refused()
    {
        using var classifier = SequenceClassifierFolder.Load(Fixture.PathOf("bert_classifier"));
        Assert.Contains("text 2", Assert.Throws<InputException>(() => classifier.Logits([[2, 5, 3]], [[0, 1, 2]])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Fresh_weights_are_decided_by_the_seed()
    {
        using var one = SequenceClassifierFolder.Load(Fixture.PathOf("bert_classifier"));
        using var other = SequenceClassifierFolder.Load(Fixture.PathOf("distilbert_classifier"));
        foreach (var classifier in (ISequenceClassifier[])[one, other])
        {
            classifier.Initialise(3);
            var first = classifier.Logits([[2, 5, 9, 3]]);
            classifier.Initialise(3);
            Fixture.Close(first, classifier.Logits([[2, 5, 9, 3]]), 0);
            classifier.Initialise(4);
            Assert.True((first - classifier.Logits([[2, 5, 9, 3]])).abs().max().item<float>() > 1e-5);
        }
    }
}
