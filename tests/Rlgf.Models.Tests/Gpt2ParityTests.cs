using Rlgf.Models.Checkpoints;
using Rlgf.Models.Optimizers;
using Rlgf.Text;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>GPT-2 against transformers; see fixtures/README.md.</summary>
public sealed class Gpt2ParityTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Logits_equal_those_of_transformers()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Fact]
    public void Keys_of_transformers_4_give_the_same_model()
    {
        using var fixture = new Fixture("gpt2");
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(fixture.Folder, "config_v4.json"), folder.File("config.json"));
        File.Copy(Path.Combine(fixture.Folder, "model.safetensors"), folder.File("model.safetensors"));
        using var model = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Theory]
    [InlineData("gpt2_sharded")]
    [InlineData("gpt2_bf16")]
    [InlineData("gpt2_fp16")]
    [InlineData("gpt2_unprefixed")]
    [InlineData("gpt2_buffers")]
    [InlineData("gpt2_bin")]
    public void Every_way_of_storing_gives_the_logits_of_the_stored_weights(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Ints(fixture.Expected["batch"]!["input_ids"])), Tolerance);
    }

    [Fact]
    public void Response_states_give_the_log_probabilities_of_continuations_after_prompts_of_different_lengths()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var rows = Continuations(fixture.Expected["continuation"]!, (int)fixture.Expected["continuation"]!["first_continuation_column"]!);
        var logProbs = nn.functional.log_softmax(model.Logits(model.ResponseStates(rows)), -1);
        for (var b = 0; b < rows.Length; b++)
        {
            for (var t = 0; t < rows[b].Response.Length; t++)
            {
                var expected = (double)fixture.Expected["continuation"]!["log_probs"]![b]![t]!;
                Assert.Equal(expected, logProbs[b, t, rows[b].Response[t]].item<float>(), Tolerance);
            }
        }
    }

    [Fact]
    public void The_decoder_gives_the_logits_after_rows_of_different_lengths_and_after_each_token_appended()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        using var decoder = model.StartDecoding([.. rows.Select(row => new TokenRow(row[..^2], []))], 2);
        decoder.Append([.. rows.Select(row => row[^2])]);
        decoder.Append([.. rows.Select(row => row[^1])]);
        var packed = fixture.Tensor("logits");
        var last = rows.Select((_, b) => (long)rows.Take(b + 1).Sum(row => row.Length) - 1).ToArray();
        Fixture.Close(packed.index_select(0, tensor(last)), decoder.NextLogits, Tolerance);
    }

    [Theory]
    [InlineData("greedy")]
    [InlineData("greedy_ends_early")]
    public void Greedy_tokens_through_the_decoder_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var rows = Fixture.Rows(fixture.Expected["left_padded"]!);
        var columns = Fixture.Ints(fixture.Expected["left_padded"]!["input_ids"])[0].Length;
        var generation = fixture.Expected["generation"]!.AsArray().Single(item => (string)item!["name"]! == name)!;
        var end = (int)generation["settings"]!["eos_token_id"]!;
        var expected = Fixture.Ints(generation["sequences"]).Select(sequence => UpTo(end, sequence[columns..])).ToArray();
        var written = rows.Select(_ => new List<int>()).ToArray();
        var alive = Enumerable.Range(0, rows.Length).ToList();

        using var decoder = model.StartDecoding([.. rows.Select(row => new TokenRow(row, []))], 20);
        for (var step = 0; step < 20; step++)
        {
            var tokens = decoder.NextLogits.argmax(1).data<long>().Select(token => (int)token).ToArray();
            for (var b = 0; b < alive.Count; b++) written[alive[b]].Add(tokens[b]);
            var staying = Enumerable.Range(0, alive.Count).Where(b => tokens[b] != end).ToArray();
            if (staying.Length == 0) break;
            if (staying.Length < alive.Count) decoder.Select(staying);
            alive = [.. staying.Select(b => alive[b])];
            decoder.Append([.. staying.Select(b => tokens[b])]);
        }

        Assert.Equal(expected, written.Select(row => row.ToArray()));
    }

    [Fact]
    public void Loss_gradients_and_three_AdamW_steps_equal_those_of_transformers()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var training = fixture.Expected["training"]!;
        var labels = Fixture.Ints(training["batch"]!["labels"]);
        var rows = Continuations(training["batch"]!, labels[0].ToList().FindIndex(label => label >= 0));
        var targets = cat([.. rows.Select(row => tensor(row.Response.Select(id => (long)id).ToArray()))]);
        var losses = training["losses_before_each_step_and_after_the_last"]!.AsArray().Select(loss => (double)loss!).ToArray();
        var named = model.Module.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter, StringComparer.Ordinal);
        // The fixture decays every parameter and doesn't clip.
        using var optimizer = new FusedAdamW([new ParameterGroup(named, 1e-3, 0.01)], new AdamWSettings { MaxGradientNorm = null });

        for (var step = 0; step < 3; step++)
        {
            using var loss = Loss(model, rows, targets);
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

        Assert.Equal(losses[3], Loss(model, rows, targets).item<float>(), Tolerance);
        foreach (var name in training["parameters"]!.AsArray().Select(item => (string)item!))
            Fixture.Close(fixture.Tensor($"training.after_3_steps.{name}"), named[name], 1e-5);
    }

    [Fact]
    public void A_saved_model_gives_the_same_weights_and_keeps_what_it_does_not_know()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.json"), "{}");
        LanguageModelFolder.Save(model, folder.Path, shardBytes: 60_000);
        Assert.True(File.Exists(folder.File("model.safetensors.index.json")));
        LanguageModelFolder.Save(model, folder.Path);
        Assert.Equal(
            ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"],
            Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        var saved = ModelConfiguration.Read(folder.Path).ToJson();
        Assert.Equal("cls_index", (string?)saved["summary_type"]);

        using var original = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors"));
        using var copy = SafetensorsFile.Open(folder.File("model.safetensors"));
        Assert.Equal(original.Entries.Keys.Order(StringComparer.Ordinal), copy.Entries.Keys.Order(StringComparer.Ordinal));
        foreach (var name in original.Entries.Keys) Assert.True(original.Read(name).eq(copy.Read(name)).all().item<bool>(), name);
        Assert.Equal("pt", copy.Metadata["format"]);
    }

    [Fact]
    public void Shards_that_were_written_are_read_back()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path, shardBytes: 60_000);
        Assert.False(File.Exists(folder.File("model.safetensors")));
        using var again = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(again, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Fact]
    public void Saving_as_float16_halves_the_file_and_keeps_three_digits()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path, ScalarType.Float16);
        using var again = LanguageModelFolder.Load(folder.Path);
        foreach (var (stored, original) in again.Module.parameters().Zip(model.Module.parameters()))
        {
            // float16 has 11 significant bits, so rounding costs at most 2⁻¹¹ of a number, and 2⁻²⁵ near zero.
            Assert.True(((stored - original).abs() <= original.abs() * Math.Pow(2, -11) + Math.Pow(2, -25)).all().item<bool>());
        }

        Assert.True(new FileInfo(folder.File("model.safetensors")).Length < 0.55 * new FileInfo(Path.Combine(fixture.Folder, "model.safetensors")).Length);
    }

    [Fact]
    public void A_clone_has_the_same_weights_and_its_own_parameters()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var clone = model.Clone();
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        using (no_grad()) foreach (var parameter in model.Module.parameters()) parameter.fill_(0);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(clone, rows), Tolerance);
    }

    private static Tensor Loss(ILanguageModel model, TokenRow[] rows, Tensor targets)
    {
        using var scope = NewDisposeScope();
        var states = model.ResponseStates(rows);
        var packed = cat([.. rows.Select((row, b) => states[b].narrow(0, 0, row.Response.Length))], 0);
        return nn.functional.cross_entropy(model.Logits(packed), targets).MoveToOuterDisposeScope();
    }

    /// <summary>Left-padded prompts up to a column, right-padded continuations from it.</summary>
    private static TokenRow[] Continuations(System.Text.Json.Nodes.JsonNode batch, int first)
    {
        var mask = Fixture.Ints(batch["attention_mask"]);
        return [.. Fixture.Ints(batch["input_ids"]).Select((ids, b) => new TokenRow(
            ids.Where((_, column) => column < first && mask[b][column] == 1).ToArray(),
            ids.Where((_, column) => column >= first && mask[b][column] == 1).ToArray()))];
    }

    private static int[] UpTo(int end, int[] tokens)
    {
        var position = Array.IndexOf(tokens, end);
        return position < 0 ? tokens : tokens[..(position + 1)];
    }
}
