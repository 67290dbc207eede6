using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.EncoderDecoders;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Optimizers;
using Rlgf.Models.Tests.Checkpoints;
using TorchSharp;
using static Rlgf.Models.Tests.EncoderDecoderTests;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>What tells mT5, UMT5, Pegasus and Marian from T5 and BART: settings, positions, classifiers, tokenizers.</summary>
public sealed class EncoderDecoderFamilyTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void All_families_are_there() => Assert.Equal(["bart", "t5", "t5_v1_1", "marian", "mt5", "pegasus", "umt5"], Fixture.Of("seq2seq_lm"));

    [Theory]
    [InlineData("mt5", "scale_decoder_outputs", "true")]
    [InlineData("mt5", "feed_forward_proj", "\"gated-relu\"")]
    [InlineData("mt5", "relative_attention_max_distance", "5")]
    [InlineData("mt5", "layer_norm_epsilon", "0.1")]
    [InlineData("mt5", "tie_word_embeddings", "false", "")] // the head is its own whatever the key says
    [InlineData("umt5", "scale_decoder_outputs", "false")]
    [InlineData("umt5", "relative_attention_max_distance", "5")]
    [InlineData("pegasus", "scale_embedding", "false")]
    [InlineData("pegasus", "activation_function", "\"silu\"")]
    [InlineData("pegasus", "normalize_before", "true", "")]
    [InlineData("pegasus", "normalize_before", "false", "normalize_before is false")]
    [InlineData("pegasus", "add_final_layer_norm", "false", "add_final_layer_norm is false")]
    [InlineData("pegasus", "normalize_embedding", "true", "normalize_embedding is true")]
    [InlineData("pegasus", "static_position_embeddings", "false", "static_position_embeddings is false")]
    [InlineData("marian", "scale_embedding", "false")]
    [InlineData("marian", "activation_function", "\"relu\"")]
    [InlineData("marian", "normalize_before", "true", "normalize_before is true")]
    [InlineData("marian", "share_encoder_decoder_embeddings", "false", "share_encoder_decoder_embeddings is false")]
    [InlineData("marian", "decoder_vocab_size", "300", "decoder_vocab_size is 300, and vocab_size 340")]
    [InlineData("marian", "decoder_start_token_id", "null", "decoder_start_token_id is missing")]
    [InlineData("marian", "tie_word_embeddings", "false", "the weights don't fit config.json")]
    public void A_setting_that_is_read_matters_and_one_that_is_not_there_is_refused_by_name(string name, string key, string value, string? refusal = null)
    {
        using var fixture = new Fixture(name);
        using var folder = new RewrittenFolder(name).Json("config.json", json => json[key] = JsonNode.Parse(value));
        if (refusal is { Length: > 0 })
        {
            var message = Assert.Throws<InputException>(() => LanguageModelFolder.Load(folder.Folder)).Message;
            Assert.Contains(refusal, message, StringComparison.Ordinal);
            Assert.Contains(refusal.Contains("weights", StringComparison.Ordinal) ? folder.Folder : folder.FileOf("config.json"), message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', message);
            return;
        }

        using var model = LanguageModelFolder.Load(folder.Folder);
        var moved = (fixture.Tensor("logits") - PackedLogits(model, Rows(fixture))).abs().max().item<float>();
        Assert.Equal(refusal is null, moved > 0.02);
    }

    [Theory]
    [InlineData("bart")]
    [InlineData("pegasus")]
    [InlineData("marian")]
    public void Prompts_that_begin_at_later_positions_give_the_logits_of_transformers_with_padding_on_the_left(string name)
    {
        // There padding takes positions and is hidden; here there is none, and a row's positions begin behind where it would be.
        using var fixture = new Fixture(name);
        using var model = (EncoderDecoderLanguageModel)LanguageModelFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var bart = (BartModule)model.Module;
        var embedding = bart.named_parameters().Single(named => named.name == "model.shared.weight").parameter;
        var masks = Fixture.Ints(fixture.Expected["left_padded"]!["attention_mask"]);
        var start = (long)(int)model.Configuration["decoder_start_token_id"]!;
        var logits = Rows(fixture).Select((row, b) =>
        {
            var length = row.Prompt.Length;
            var first = masks[b].Length - length;
            var embedded = embedding.index_select(0, tensor(Array.ConvertAll(row.Prompt, id => (long)id)));
            if ((bool?)model.Configuration["scale_embedding"] == true) embedded = embedded * Math.Sqrt(embedding.size(1));
            var encoded = bart.Encoder.Forward(embedded, arange(first, first + length, int64), 1, length, new BidirectionalAttention([length], length, CPU), null);
            long[] read = [start, .. row.Response[..^1].Select(id => (long)id)];
            var states = bart.Decode(tensor(read, [1, read.Length]), null, new CausalAttention(read.Length, [null], CPU), new CrossAttention(bart.KeysAndValues(encoded), [length], [0]));
            return model.Logits(states)[0];
        });
        Fixture.Close(fixture.Tensor("logits_left_padded"), cat([.. logits], 0), Tolerance);
    }

    [Theory]
    [InlineData("marian", true)]
    [InlineData("pegasus", false)]
    public void Sines_and_cosines_may_be_in_the_file_or_not(string name, bool added)
    {
        using var fixture = new Fixture(name);
        using var folder = new RewrittenFolder(name).Weights(tensors =>
        {
            foreach (var half in (string[])["encoder", "decoder"])
            {
                var position = $"model.{half}.embed_positions.weight";
                if (added) tensors[position] = zeros([128, 32]);
                else Assert.True(tensors.Remove(position));
            }
        });
        using var model = LanguageModelFolder.Load(folder.Folder);
        Fixture.Close(fixture.Tensor("logits"), PackedLogits(model, Rows(fixture)), Tolerance);
        Assert.DoesNotContain(ParameterGroup.Of(model.Module, 1e-3, 0.01).SelectMany(group => group.Parameters), pair => pair.Key.Contains("embed_positions", StringComparison.Ordinal));
    }

    [Fact]
    public void The_table_of_sines_and_cosines_is_the_one_that_files_hold()
    {
        using var file = SafetensorsFile.Open(Path.Combine(Fixture.PathOf("pegasus"), "model.safetensors"));
        var stored = file.Read("model.encoder.embed_positions.weight");
        using var table = Weights.Parameter(stored.shape, CPU);
        SinusoidalPositions.Fill(table);
        Fixture.Close(stored, table, 1e-6);
        Assert.False(table.requires_grad);
    }

    [Theory]
    [InlineData("marian")]
    [InlineData("pegasus")]
    public void A_family_without_classifiers_says_so(string name)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        var message = Assert.Throws<InputException>(() => SequenceClassifierFolder.FromLanguageModel(model, ["bad", "good"], padId: null, seed: 3)).Message;
        Assert.Contains($"model_type is '{name}', of which there are no classifiers", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("marian")]
    [InlineData("mt5")]
    [InlineData("pegasus")]
    [InlineData("umt5")]
    public void Restarts_from_any_prefix_go_on_as_what_was_written_at_once(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var prompts = Fixture.Rows(fixture.Expected["right_padded"]!);
        var settings = new SamplingSettings { MaxNewTokens = 12, EndTokens = [] };
        var whole = TextGenerator.Generate(model, [.. prompts.Select((prompt, b) => new GenerationRequest(new TokenRow(prompt, []), (ulong)b))], settings, seed: 3);
        var packed = PackedLogits(model, [.. prompts.Zip(whole, (prompt, row) => new TokenRow(prompt, [.. row.Tokens]))]).log_softmax(-1);
        // What sampling says that a token's probability was is what reading the response gives.
        for (var b = 0; b < whole.Count; b++)
        {
            for (var t = 0; t < 12; t++) Assert.Equal(packed[b * 12 + t, whole[b].Tokens[t]].item<float>(), whole[b].RawLogProbs[t], Tolerance);
        }

        // Greedily, so that what follows a prefix is decided by it.
        var greedy = settings with { Greedy = true };
        var written = TextGenerator.Generate(model, [.. prompts.Select((prompt, b) => new GenerationRequest(new TokenRow(prompt, []), (ulong)b))], greedy, seed: 3);
        foreach (var kept in (int[])[1, 4, 11])
        {
            var again = TextGenerator.Generate(
                model, [.. prompts.Select((prompt, b) => new GenerationRequest(new TokenRow(prompt, [.. written[b].Tokens.Take(kept)]), (ulong)b))], greedy with { MaxNewTokens = 12 - kept }, seed: 3);
            for (var b = 0; b < prompts.Length; b++) Assert.Equal(written[b].Tokens.Skip(kept), again[b].Tokens);
        }
    }

    [Theory]
    [InlineData("marian")]
    [InlineData("mt5")]
    [InlineData("pegasus")]
    [InlineData("umt5")]
    public void The_folders_tokenizer_gives_the_ids_of_prompts_and_responses(string name)
    {
        using var fixture = new Fixture(name);
        using var text = TextModel.Load(fixture.Folder);
        var rows = Rows(fixture);
        Assert.Equal(rows.Select(row => row.Prompt), fixture.Expected["inputs"]!.AsArray().Select(input => text.Tokenizer.Encode((string)input!, addSpecialTokens: true)));
        Assert.Equal(rows.Select(row => row.Response), fixture.Expected["targets"]!.AsArray().Select(target => text.Tokenizer.Encode((string)target!, addSpecialTokens: true)));
        Assert.Equal([(int)text.Model.Configuration["eos_token_id"]!], text.EndTokens);
    }
}
