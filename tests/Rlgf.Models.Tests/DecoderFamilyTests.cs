using Rlgf.Models.Checkpoints;
using Rlgf.Models.Generation;
using Rlgf.Models.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Every decoder-only language model of fixtures/models against transformers; see fixtures/README.md.</summary>
public sealed class DecoderFamilyTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Models => [.. Fixture.Of("causal_lm")];

    public static TheoryData<string> TrainedModels => [.. Fixture.Of("causal_lm", expected => expected["training"] is not null)];

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void All_families_are_there() =>
        Assert.Equal(
            ["gemma", "gpt2", "gpt_neox", "gpt_neox_sequential", "gptj", "llama", "llama3_rope", "mistral", "opt", "phi3", "qwen2", "qwen3"],
            Fixture.Of("causal_lm"));

    [Theory, MemberData(nameof(Models))]
    public void Logits_and_last_states_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, rows), Tolerance);

        var states = model.ResponseStates([new TokenRow([rows[0][0]], [.. rows[0][1..], 0])])[0];
        Fixture.Close(fixture.Tensor("row0.hidden_states")[-1], states, Tolerance);
    }

    [Theory, MemberData(nameof(Models))]
    public void Keys_of_transformers_4_give_the_same_model(string name)
    {
        using var fixture = new Fixture(name);
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(fixture.Folder, "config_v4.json"), folder.File("config.json"));
        File.Copy(Path.Combine(fixture.Folder, "model.safetensors"), folder.File("model.safetensors"));
        using var model = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Theory, MemberData(nameof(Models))]
    public void Log_probabilities_and_entropies_of_continuations_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        var continuation = fixture.Expected["continuation"]!;
        var rows = Fixture.Continuations(continuation, (int)continuation["first_continuation_column"]!);
        var distributions = nn.functional.log_softmax(model.Logits(model.ResponseStates(rows)), -1);
        var entropies = -(distributions.exp() * distributions).sum(-1);
        for (var b = 0; b < rows.Length; b++)
        {
            var sum = 0.0;
            for (var t = 0; t < rows[b].Response.Length; t++)
            {
                var logProb = distributions[b, t, rows[b].Response[t]].item<float>();
                Assert.Equal((double)continuation["log_probs"]![b]![t]!, logProb, Tolerance);
                Assert.Equal((double)continuation["entropies"]![b]![t]!, entropies[b, t].item<float>(), Tolerance);
                sum += logProb;
            }

            Assert.Equal((double)continuation["sums"]![b]!, sum, Tolerance);
        }
    }

    [Theory, MemberData(nameof(Models))]
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
            Fixture.Close(logits.index_select(0, tensor(last)), decoder.NextLogits, Tolerance);
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
            Assert.Equal(losses[step], loss.item<float>(), Tolerance);
            optimizer.ClearGradients();
            loss.backward();
            if (step == 0)
            {
                foreach (var parameter in training["parameters"]!.AsArray().Select(item => (string)item!))
                    Fixture.Close(fixture.Tensor($"training.gradient.{parameter}"), named[parameter].grad!, Tolerance);
            }

            var norm = optimizer.Step();
            if (step == 0) Assert.Equal((double)training["total_gradient_norm"]!, norm, Tolerance);
        }

        Assert.Equal(losses[3], Loss(model, rows, targets).item<float>(), Tolerance);
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

    private static Tensor Loss(ILanguageModel model, TokenRow[] rows, Tensor targets)
    {
        using var scope = NewDisposeScope();
        var states = model.ResponseStates(rows);
        var packed = cat([.. rows.Select((row, b) => states[b].narrow(0, 0, row.Response.Length))], 0);
        return nn.functional.cross_entropy(model.Logits(packed), targets).MoveToOuterDisposeScope();
    }
}
