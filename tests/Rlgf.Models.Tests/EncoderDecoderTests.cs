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

    /// <summary>The prompts and responses of a fixture.</summary>
    internal static TokenRow[] Rows(Fixture fixture)
    {
        var prompts = Fixture.Rows(fixture.Expected["right_padded"]!);
        var mask = Fixture.Ints(fixture.Expected["decoder"]!["attention_mask"]);
        return [.. Fixture.Ints(fixture.Expected["labels"]).Select((labels, b) => new TokenRow(prompts[b], labels[..mask[b].Sum()]))];
    }

    /// <summary>Logits of all tokens of the responses, one behind the other.</summary>
    internal static Tensor PackedLogits(ILanguageModel model, TokenRow[] rows)
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
