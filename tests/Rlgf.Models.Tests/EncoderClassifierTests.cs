using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Encoders;
using Rlgf.Models.Loading;
using Rlgf.Models.Tests.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Classifiers on encoders against transformers; see fixtures/README.md.</summary>
public sealed class EncoderClassifierTests : IDisposable
{
    private const double Tolerance = 5e-5;

    private readonly DisposeScope _scope = NewDisposeScope();

    // Decoders are padded on their left too.
    public static TheoryData<string> Names => [.. Fixture.Of("sequence_classifier", expected => expected["pairs"] is not null)];

    public static TheoryData<string> NamesOfFamilies => [.. Fixture.InFamilies("sequence_classifier", expected => expected["pairs"] is not null)];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Scores_of_texts_of_different_lengths_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        Assert.Equal(fixture.Expected["labels"]!.AsArray().Select(label => (string)label!), classifier.Labels);
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
        Fixture.Close(Numbers(pairs["logits"]!), classifier.Logits(rows, segments), Tolerance);
    }

    [Theory]
    [MemberData(nameof(NamesOfFamilies))]
    public void Scores_of_a_long_text_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var text = fixture.Expected["long"]!;
        Fixture.Close(Numbers(text["logits"]!), classifier.Logits(Fixture.Ints(text["input_ids"])), Tolerance);
    }

    [Theory]
    [MemberData(nameof(NamesOfFamilies))]
    public void The_loss_of_labels_equals_that_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        if (fixture.Expected["cross_entropy"] is not { } loss) return;
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        var labels = fixture.Expected["label_ids"]!.AsArray().Select(label => (long)label!).ToArray();
        using var ours = nn.functional.cross_entropy(classifier.Logits(Fixture.Rows(fixture.Expected["right_padded"]!)), tensor(labels));
        Assert.Equal((double)loss, ours.item<float>(), Tolerance);
        // What is learned from reaches every number that is read.
        ours.backward();
        Assert.All(classifier.Module.named_parameters(), named => Assert.True(named.parameter.grad is not null, named.name));
    }

    [Theory]
    [MemberData(nameof(NamesOfFamilies))]
    public void A_text_is_cut_into_the_ids_that_the_scores_are_of(string name)
    {
        using var fixture = new Fixture(name);
        // Fixtures without their tokenizers are only scores.
        if (!File.Exists(Path.Combine(fixture.Folder, "tokenizer.json"))) return;
        using var classifier = TextClassifier.Load(fixture.Folder);
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        var texts = fixture.Expected["texts"]!.AsArray().Select(text => (string)text!).ToArray();
        Assert.Equal(rows, texts.Select(text => classifier.Tokenizer.EncodeInput(text).Ids));
        var pairs = fixture.Expected["pairs"]!;
        Assert.Equal(Fixture.Rows(pairs), pairs["texts"]!.AsArray().Select(pair => classifier.Tokenizer.EncodeInput((string)pair![0]!, (string)pair[1]!).Ids));
    }

    [Theory]
    [InlineData("spm.model")]
    [InlineData("sentencepiece.bpe.model")]
    public void A_folder_with_a_sentencepiece_model_that_is_not_read_is_refused_by_its_name(string file)
    {
        using var folder = new RewrittenFolder("deberta_v3_reward");
        File.WriteAllText(folder.FileOf(file), "pieces");
        var fault = Assert.Throws<InputException>(() => TextClassifier.Load(folder.Folder)).Message;
        Assert.StartsWith($"{folder.FileOf(file)}: a sentencepiece model of this name", fault, StringComparison.Ordinal);
        Assert.Contains("save tokenizer.json beside it", fault, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(NamesOfFamilies))]
    public void Every_number_that_is_read_counts(string name)
    {
        using var fixture = new Fixture(name);
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        int[][] all = [.. rows, .. Fixture.Ints(fixture.Expected["long"]!["input_ids"])];
        var scores = classifier.Logits(all);
        foreach (var (parameter, value) in classifier.Module.named_parameters())
        {
            // A key's shift adds the same to all scores of a query where nothing turns or compares keys otherwise.
            if (parameter.EndsWith(".key.bias", StringComparison.Ordinal)) continue;
            using var kept = value.clone();
            value.fill_(parameter.EndsWith("orm.weight", StringComparison.OrdinalIgnoreCase) ? 1 : 0);
            var moved = (classifier.Logits(all) - scores).abs().max().item<float>();
            Assert.True(moved > 0.02, $"Without {parameter} scores move by {moved} only.");
            value.copy_(kept);
        }
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
        string[] labels = [.. original.Labels.Select((_, label) => $"label {label}")];
        using var same = SequenceClassifierFolder.FromEncoder(Fixture.PathOf(name), labels, seed: 1);
        Assert.Equal(labels, same.Labels);
        int[][] rows = [[2, 5, 9, 11, 3]];
        Fixture.Close(original.Logits(rows), same.Logits(rows), 0);

        using var more = (EncoderClassifier)SequenceClassifierFolder.FromEncoder(Fixture.PathOf(name), [.. labels, "one more"], seed: 1);
        Assert.Equal([1, labels.Length + 1], more.Logits(rows).shape);
        Fixture.Close(((EncoderClassifier)original).States(rows), more.States(rows), 0);
        Assert.True(SequenceClassifierFolder.IsEncoder(Fixture.PathOf(name)));
        Assert.Equal(original.Configuration["pad_token_id"]?.ToJsonString(), more.Configuration["pad_token_id"]?.ToJsonString());
    }

    [Theory]
    [InlineData("bert_classifier", "bert.", "cls.predictions.transform.dense.weight", "bert.pooler.dense", "classifier")]
    [InlineData("distilbert_classifier", "distilbert.", "vocab_transform.weight", "pre_classifier", "classifier")]
    [InlineData("roberta_classifier", "roberta.", "lm_head.dense.weight", "classifier.dense", "classifier.out_proj")]
    [InlineData("xlm_roberta_classifier", "roberta.", "lm_head.dense.weight", "classifier.dense", "classifier.out_proj")]
    [InlineData("electra_classifier", "electra.", "discriminator_predictions.dense.weight", "classifier.dense", "classifier.out_proj")]
    [InlineData("albert_classifier", "albert.", "predictions.dense.weight", "albert.pooler", "classifier")]
    [InlineData("deberta_v3_reward", "deberta.", "mask_predictions.dense.weight", "pooler.dense", "classifier")]
    [InlineData("modernbert_classifier", "model.", "decoder.bias", "head.dense", "head.norm", "classifier")]
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
        Assert.Contains($"'{FolderConfiguration.Read(Fixture.PathOf(name)).ModelType}'", error.Message, StringComparison.Ordinal);
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

    /// <summary>Rows of numbers [B, N] float32.</summary>
    internal static Tensor Numbers(JsonNode rows) => tensor(rows.AsArray().SelectMany(row => row!.AsArray().Select(value => (float)value!)).ToArray(), [rows.AsArray().Count, rows[0]!.AsArray().Count]);
}
