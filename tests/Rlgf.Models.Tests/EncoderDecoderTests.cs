using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.EncoderDecoders;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Optimizers;
using Rlgf.Models.Tests.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Every encoder–decoder of fixtures/models and fixtures/families against transformers; see fixtures/README.md.</summary>
public sealed class EncoderDecoderTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Names => [.. Fixture.Of("seq2seq_lm")];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Logits_after_prompts_and_responses_of_different_lengths_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        Fixture.Close(fixture.Tensor("logits"), PackedLogits(model, Rows(fixture)), Tolerance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Keys_of_transformers_4_give_the_same_model(string name)
    {
        using var fixture = new Fixture(name);
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(fixture.Folder, "config_v4.json"), folder.File("config.json"));
        File.Copy(Path.Combine(fixture.Folder, "model.safetensors"), folder.File("model.safetensors"));
        using var model = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits"), PackedLogits(model, Rows(fixture)), Tolerance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void States_of_encoder_and_decoder_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = (EncoderDecoderLanguageModel)LanguageModelFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var rows = Rows(fixture);
        var encoded = model.Encode([.. rows.Select(row => row.Prompt)]);
        Fixture.Close(fixture.Tensor("encoder_last_hidden_state"), cat([.. rows.Select((row, b) => encoded[b].narrow(0, 0, row.Prompt.Length))], 0), Tolerance);
        Fixture.Close(fixture.Tensor("row0.encoder_hidden_states")[-1], encoded[0].narrow(0, 0, rows[0].Prompt.Length), Tolerance);
        Fixture.Close(fixture.Tensor("row0.decoder_hidden_states")[-1], model.ResponseStates(rows[..1])[0], Tolerance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Log_probabilities_and_entropies_of_responses_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var rows = Rows(fixture);
        var logProbs = model.Logits(model.ResponseStates(rows)).log_softmax(-1);
        var entropies = -(logProbs.exp() * logProbs).sum(-1);
        for (var b = 0; b < rows.Length; b++)
        {
            for (var t = 0; t < rows[b].Response.Length; t++)
            {
                Assert.Equal((double)fixture.Expected["target_log_probs"]![b]![t]!, logProbs[b, t, rows[b].Response[t]].item<float>(), Tolerance);
                Assert.Equal((double)fixture.Expected["target_entropies"]![b]![t]!, entropies[b, t].item<float>(), Tolerance);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_decoder_gives_the_logits_after_responses_of_different_lengths_and_after_each_token_appended(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var rows = Rows(fixture);
        var packed = fixture.Tensor("logits");
        var first = rows.Select((_, b) => (long)rows.Take(b).Sum(row => row.Response.Length)).ToArray();

        // The beginnings end two tokens before the last one that is read, so that they are of different lengths.
        using var decoder = model.StartDecoding([.. rows.Select(row => row with { Response = row.Response[..^3] })], 2);
        for (var last = 3; last >= 1; last--)
        {
            if (last < 3) decoder.Append([.. rows.Select(row => row.Response[^(last + 1)])]);
            Fixture.Close(packed.index_select(0, tensor(rows.Select((row, b) => first[b] + row.Response.Length - last).ToArray())), decoder.NextLogits, Tolerance);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Rows_of_one_prompt_share_what_was_read_of_it_and_still_write_their_own(string name)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        using var gradients = no_grad();
        TokenRow[] rows =
        [
            new([5, 6, 7, 1], [10, 11, 12]), new([8, 1], [13]), new([5, 6, 7, 1], [14]), new([5, 6, 7, 1], [15, 16]), new([9, 9, 9, 9, 9, 1], []), new([8, 1], [17, 18, 19, 20]),
        ];
        using var decoder = model.StartDecoding(rows, 3);
        int[] kept = [5, 4, 1, 4, 5];
        CloseToAlone(rows, decoder.NextLogits);
        // No row of the first prompt stays, so that the others move up.
        decoder.Select(kept);
        var chosen = kept.Select(row => rows[row]).ToArray();
        CloseToAlone(chosen, decoder.NextLogits);
        decoder.Append([21, 22, 23, 24, 25]);
        chosen = [.. chosen.Select((row, b) => row with { Response = [.. row.Response, 21 + b] })];
        CloseToAlone(chosen, decoder.NextLogits);
        decoder.Select([0]);
        decoder.Append([26]);
        CloseToAlone([chosen[0] with { Response = [.. chosen[0].Response, 26] }], decoder.NextLogits);

        void CloseToAlone(TokenRow[] together, Tensor logits)
        {
            // One more token, which is never read, so that there is a prediction after the last.
            var alone = together.Select(row => model.Logits(model.ResponseStates([row with { Response = [.. row.Response, 0] }])[0, row.Response.Length]));
            Fixture.Close(stack([.. alone]), logits, Tolerance);
        }
    }

    [Fact]
    public void A_prompt_is_kept_once_however_many_rows_have_it()
    {
        using var keys = ones(3, 2, 4, 5);
        using var values = ones(3, 2, 4, 5);
        using var prompts = new CrossAttention([(keys, values)], [4, 2, 3], [0, 1, 1, 2, 1]);
        Assert.Equal(3, prompts.Prompts);
        prompts.Own();
        prompts.Select([1, 2, 1, 2, 4, 0]);
        Assert.Equal(2, prompts.Prompts);
        Assert.Equal([6, 2, 1, 5], prompts.Attend(0, ones(6, 2, 1, 5)).shape);
    }

    [Fact]
    public void States_of_a_prompt_that_rows_share_pass_on_the_gradients_of_all_of_them()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("t5"));
        TokenRow[] rows = [new([5, 6, 1], [10, 11]), new([7, 1], [12]), new([5, 6, 1], [13, 14, 15])];
        var together = Gradients(rows);
        var alone = rows.Select(row => Gradients([row])).ToArray();
        foreach (var (name, gradient) in together) Fixture.Close(alone.Select(one => one[name]).Aggregate((sum, one) => sum + one), gradient, 1e-3);

        Dictionary<string, Tensor> Gradients(TokenRow[] batch)
        {
            model.Module.zero_grad();
            (Loss(model, batch) * batch.Sum(row => row.Response.Length)).backward();
            return model.Module.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter.grad!.clone(), StringComparer.Ordinal);
        }
    }

    [Fact]
    public void Loss_gradients_and_three_AdamW_steps_equal_those_of_transformers()
    {
        using var fixture = new Fixture("t5");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var training = fixture.Expected["training"]!;
        var prompts = Fixture.Rows(training["batch"]!);
        TokenRow[] rows = [.. Fixture.Ints(training["batch"]!["labels"]).Select((labels, b) => new TokenRow(prompts[b], labels.Where(label => label >= 0).ToArray()))];
        var losses = training["losses_before_each_step_and_after_the_last"]!.AsArray().Select(loss => (double)loss!).ToArray();
        var named = model.Module.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter, StringComparer.Ordinal);
        // The fixture decays every parameter and doesn't clip.
        using var optimizer = new FusedAdamW([new ParameterGroup(named, 1e-3, 0.01)], new AdamWSettings { MaxGradientNorm = null });

        for (var step = 0; step < 3; step++)
        {
            using var loss = Loss(model, rows);
            Assert.Equal(losses[step], loss.item<float>(), Tolerance);
            optimizer.ClearGradients();
            loss.backward();
            if (step == 0)
            {
                foreach (var name in training["parameters"]!.AsArray().Select(item => (string)item!))
                    Fixture.Close(fixture.Tensor($"training.gradient.{name}"), named[name].grad!, Tolerance);
            }

            var norm = optimizer.Step();
            if (step == 0) Assert.Equal((double)training["total_gradient_norm"]!, norm, Tolerance);
        }

        Assert.Equal(losses[3], Loss(model, rows).item<float>(), Tolerance);
        foreach (var name in training["parameters"]!.AsArray().Select(item => (string)item!))
            Fixture.Close(fixture.Tensor($"training.after_3_steps.{name}"), named[name], 1e-5);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_saved_model_has_the_same_names_shapes_and_bytes(string name)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path);
        Fixture.SameWeights(Fixture.PathOf(name), folder.Path);
        using var fixture = new Fixture(name);
        using var again = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits"), PackedLogits(again, Rows(fixture)), Tolerance);
    }

    [Fact]
    public void Copies_of_tied_weights_and_a_tensor_without_a_use_are_passed_over()
    {
        using var fixture = new Fixture("t5_names");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var batch = fixture.Expected["batch"]!;
        var decoder = Fixture.Ints(batch["decoder_input_ids"])[0];
        Fixture.Close(fixture.Tensor("logits"), PackedLogits(model, [new TokenRow(Fixture.Ints(batch["input_ids"])[0], [.. decoder[1..], 0])]), Tolerance);
    }

    [Fact]
    public void A_file_without_the_bias_of_the_logits_has_none()
    {
        using var fixture = new Fixture("bart");
        using var folder = new TemporaryFolder();
        using (var file = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors")))
            SafetensorsWriter.Write(folder.File("model.safetensors"), file.Entries.Keys.Where(name => name != "final_logits_bias").Select(name => KeyValuePair.Create(name, file.Read(name))));
        File.Copy(Path.Combine(fixture.Folder, "config.json"), folder.File("config.json"));
        using var with = LanguageModelFolder.Load(fixture.Folder);
        using var without = LanguageModelFolder.Load(folder.Path);
        var states = ones(1, 32);
        using var original = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors"));
        Fixture.Close(original.Read("final_logits_bias"), with.Logits(states) - without.Logits(states), 1e-5);
    }

    [Fact]
    public void The_bias_of_the_logits_is_not_trained()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("bart"));
        Assert.DoesNotContain(ParameterGroup.Of(model.Module, 1e-3, 0.01).SelectMany(group => group.Parameters), pair => pair.Key == "final_logits_bias");
    }

    [Fact]
    public void Distances_share_biases_as_published()
    {
        // By hand from Raffel et al. 2020, section 2.1, with the published 32 kinds up to 128: 16 a direction where tokens after are seen, of which 8 for 0 to 7, the others each a factor of 16^(1/8) wide.
        using var encoder = new RelativePositionBias(32, 128, 1, looksAhead: true, CPU);
        using var decoder = new RelativePositionBias(32, 128, 1, looksAhead: false, CPU);
        Assert.Equal([0, 1, 7, 8, 8, 9, 10, 15, 15], new[] { 0, -1, -7, -8, -11, -12, -16, -91, -1000 }.Select(encoder.Bucket));
        Assert.Equal([17, 23, 24, 26, 31], new[] { 1, 7, 8, 16, 128 }.Select(encoder.Bucket));
        Assert.Equal([0, 0, 15, 16, 18, 31, 31], new[] { 5, 0, -15, -16, -21, -113, -500 }.Select(decoder.Bucket));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Fresh_weights_are_decided_by_the_seed_and_a_clone_has_its_own(string name)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        TokenRow[] rows = [new([5, 6, 1], [10, 11])];
        using var gradients = no_grad();
        model.Initialise(3);
        var first = PackedLogits(model, rows);
        using var clone = model.Clone();
        model.Initialise(4);
        Assert.True((first - PackedLogits(model, rows)).abs().max().item<float>() > 1e-4);
        Fixture.Close(first, PackedLogits(clone, rows), 1e-6);
        model.Initialise(3);
        Fixture.Close(first, PackedLogits(model, rows), 0);
    }

    [Fact]
    public void Prompt_and_response_have_limits_of_their_own()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("bart"));
        using var gradients = no_grad();
        int[] Many(int count) => [.. Enumerable.Repeat(5, count)];
        Assert.Equal([1, 127, 32], model.ResponseStates([new(Many(128), Many(127))]).shape);
        var error = Assert.Throws<InputException>(() => model.ResponseStates([new(Many(129), Many(1))]));
        Assert.Contains("128 tokens for a prompt and 127 for a response", error.Message, StringComparison.Ordinal);
        Assert.Throws<InputException>(() => model.ResponseStates([new(Many(1), Many(128))]));
        Assert.Contains("holds no token", Assert.Throws<InputException>(() => model.ResponseStates([new([], Many(1))])).Message, StringComparison.Ordinal);

        using var endless = LanguageModelFolder.Load(Fixture.PathOf("t5"));
        Assert.Equal([1, 300, 32], endless.ResponseStates([new(Many(400), Many(300))]).shape);
    }

    [Fact]
    public void Long_rows_are_attended_to_as_short_ones()
    {
        // Beyond 256 tokens another kernel attends: the beginning of a long response must not notice.
        using var model = LanguageModelFolder.Load(Fixture.PathOf("t5"));
        using var gradients = no_grad();
        int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(i => 5 + i * 7 % 300)];
        var longer = model.ResponseStates([new(Ids(290), Ids(300))]);
        Fixture.Close(longer.narrow(1, 0, 250), model.ResponseStates([new(Ids(290), Ids(250))]), 1e-4);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_layer_of_encoder_and_decoder_reads_what_it_reads_in_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = (EncoderDecoderLanguageModel)LanguageModelFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        List<Tensor> encoder = [], decoder = [];
        if (model.Module is T5Module t5) (t5.Encoder.LayerInput, t5.Decoder.LayerInput) = (Keep(encoder), Keep(decoder));
        else if (model.Module is BartModule bart) (bart.Encoder.LayerInput, bart.Decoder.LayerInput) = (Keep(encoder), Keep(decoder));
        var row = Rows(fixture)[0];
        _ = model.ResponseStates([row]);
        Same("row0.encoder_hidden_states", encoder, row.Prompt.Length);
        Same("row0.decoder_hidden_states", decoder, row.Response.Length);

        void Same(string states, List<Tensor> seen, int tokens)
        {
            var expected = fixture.Tensor(states);
            Assert.Equal(expected.size(0) - 1, seen.Count); // the last is compared elsewhere
            for (var layer = 0; layer < seen.Count; layer++) Fixture.Close(expected[layer], seen[layer].narrow(0, 0, tokens), Tolerance);
        }

        static Action<Tensor> Keep(List<Tensor> seen) => x => seen.Add(x.clone().DetachFromDisposeScope());
    }

    [Theory]
    [InlineData("t5", "transformer.")]
    [InlineData("t5_v1_1", "transformer.")]
    [InlineData("mt5", "transformer.")]
    [InlineData("umt5", "transformer.")]
    [InlineData("bart", "")]
    public void A_classifier_reads_its_labels_where_the_decoder_is_about_to_write_the_last_end_token(string name, string trunk)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        using var classifier = SequenceClassifierFolder.FromLanguageModel(model, ["bad", "fair", "good"], padId: null, seed: 3);
        using var gradients = no_grad();
        var end = (int)model.Configuration["eos_token_id"]!;
        int[][] texts = [[10, 11, 12, end], [13, end, 14, 15, 16, end], [17, end, 20, 21]];
        int[] read = [3, 5, 1];
        // The state from which a response's token is predicted, by the code that the fixtures check; the head by its formula (BartClassificationHead: dense, tanh, out_proj).
        var states = stack([.. texts.Select((text, b) => model.ResponseStates([new TokenRow(text, text)])[0, read[b]])]);
        Tensor Parameter(string part) => classifier.Module.named_parameters().Single(named => named.name == $"classification_head.{part}").parameter;
        var expected = states.matmul(Parameter("dense.weight").t()).add(Parameter("dense.bias")).tanh().matmul(Parameter("out_proj.weight").t()).add(Parameter("out_proj.bias"));
        Assert.True(expected.abs().max().item<float>() > 1e-3);
        Fixture.Close(expected, classifier.Logits(texts), Tolerance);

        Assert.All(classifier.Module.named_parameters(), named =>
            Assert.True(named.name.StartsWith($"{trunk}", StringComparison.Ordinal) || named.name.StartsWith("classification_head.", StringComparison.Ordinal), named.name));
        using var folder = new TemporaryFolder();
        SequenceClassifierFolder.Save(classifier, folder.Path);
        using var again = SequenceClassifierFolder.Load(folder.Path);
        Assert.Equal(["bad", "fair", "good"], again.Labels);
        Fixture.Close(classifier.Logits(texts), again.Logits(texts), 0);
        Assert.Contains($"no end token ({end})", Assert.Throws<InputException>(() => again.Logits([[10, 11]])).Message, StringComparison.Ordinal);
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
        using var folder = new RewrittenFolder(name).Json("config.json", json => json[key] = System.Text.Json.Nodes.JsonNode.Parse(value));
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

    private static TokenRow[] Rows(Fixture fixture)
    {
        var prompts = Fixture.Rows(fixture.Expected["right_padded"]!);
        var mask = Fixture.Ints(fixture.Expected["decoder"]!["attention_mask"]);
        return [.. Fixture.Ints(fixture.Expected["labels"]).Select((labels, b) => new TokenRow(prompts[b], labels[..mask[b].Sum()]))];
    }

    private static Tensor PackedLogits(ILanguageModel model, TokenRow[] rows)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var states = model.ResponseStates(rows);
        return model.Logits(cat([.. rows.Select((row, b) => states[b].narrow(0, 0, row.Response.Length))], 0)).MoveToOuterDisposeScope();
    }

    private static Tensor Loss(ILanguageModel model, TokenRow[] rows)
    {
        using var scope = NewDisposeScope();
        var states = model.ResponseStates(rows);
        var packed = cat([.. rows.Select((row, b) => states[b].narrow(0, 0, row.Response.Length))], 0);
        var targets = cat([.. rows.Select(row => tensor(row.Response.Select(id => (long)id).ToArray()))]);
        return nn.functional.cross_entropy(model.Logits(packed), targets).MoveToOuterDisposeScope();
    }
}
