using System.Text.Json.Nodes;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;

namespace Rlgf.Models.Tests.Generation;

/// <summary>Greedy and beam generation of every family against transformers' <c>generate</c>.</summary>
public sealed class GenerationParityTests
{
    public static TheoryData<string> Names => [.. Fixture.Of("causal_lm", Generates), .. Fixture.Of("seq2seq_lm", Generates)];

    [Fact]
    public void Every_family_is_compared() => Assert.Equal(43, Names.Count);

    [Theory]
    [MemberData(nameof(Names))]
    public void Sequences_and_scores_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var isCausal = (string)fixture.Expected["kind"]! == "causal_lm";
        var batch = fixture.Expected[isCausal ? "left_padded" : "right_padded"]!;
        GenerationRequest[] requests = [.. Fixture.Rows(batch).Select((prompt, b) => new GenerationRequest(new TokenRow(prompt, []), (ulong)b))];

        // A decoder's sequences begin with the padded prompt, an encoder–decoder's with the start token.
        var first = isCausal ? Fixture.Ints(batch["input_ids"])[0].Length : 1;
        foreach (var generation in fixture.Expected["generation"]!.AsArray())
        {
            var settings = Settings(generation!["settings"]!);
            var end = settings.EndTokens[0];
            var expected = Fixture.Ints(generation["sequences"]).Select(sequence => UpTo(end, sequence[first..])).ToArray();
            if (settings.Beams is null)
            {
                Assert.Equal(expected, TextGenerator.Generate(model, requests, settings, seed: 0).Select(row => row.Tokens));
                continue;
            }

            var found = BeamSearch.Search(model, requests, settings, (int)generation["settings"]!["num_return_sequences"]!).SelectMany(row => row).ToArray();
            Assert.True(expected.Zip(found).All(pair => pair.First.SequenceEqual(pair.Second.Row.Tokens)), $"{generation["name"]}: {string.Join(" | ", found.Select(one => string.Join(' ', one.Row.Tokens)))}");
            Assert.Equal(expected.Length, found.Length);
            foreach (var (score, row) in generation["sequences_scores"]!.AsArray().Zip(found)) Assert.Equal((double)score!, row.Score, 1e-4);
            Assert.All(found, row => Assert.Equal(row.Row.Tokens[^1] == end, row.Row.Ended));
        }
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("t5")]
    [InlineData("bart")]
    public void Sampling_beams_and_reading_leave_no_tensor(string name)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        GenerationRequest[] requests = [.. Enumerable.Range(0, 6).Select(i => new GenerationRequest(new TokenRow([5, 6 + i / 2, 1], []), (ulong)i, MaxNewTokens: 2 + i))];
        var sampling = new SamplingSettings { MaxNewTokens = 8, EndTokens = [83], TopK = 40, NoRepeatNgram = 2 };
        Once();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = TorchSharp.torch.Tensor.TotalCount;

        for (var call = 0; call < 5; call++) Once();

        Assert.Equal(before, TorchSharp.torch.Tensor.TotalCount);

        void Once()
        {
            TextGenerator.Generate(model, requests, sampling, seed: 1);
            BeamSearch.Search(model, requests, sampling with { Beams = new BeamSettings { Width = 3 } }, wanted: 2);
            using var scope = TorchSharp.torch.NewDisposeScope();
            model.Module.zero_grad();
            model.Logits(model.ResponseStates([.. requests.Select(request => request.Row with { Response = [7, 8, 9] })])).square().mean().backward();
        }
    }

    private static bool Generates(JsonNode expected) => expected["generation"] is not null;

    private static SamplingSettings Settings(JsonNode settings)
    {
        var result = new SamplingSettings { MaxNewTokens = (int)settings["max_new_tokens"]!, Greedy = settings["num_beams"] is null };
        foreach (var (key, value) in settings.AsObject())
        {
            result = key switch
            {
                "eos_token_id" => result with { EndTokens = [(int)value!] },
                "min_new_tokens" => result with { MinNewTokens = (int)value! },
                "repetition_penalty" => result with { RepetitionPenalty = (double)value! },
                "no_repeat_ngram_size" => result with { NoRepeatNgram = (int)value! },
                "num_beams" => result with
                {
                    Beams = new BeamSettings
                    {
                        Width = (int)value!,
                        LengthPenalty = (double)settings["length_penalty"]!,
                        Stop = settings["early_stopping"]!.ToJsonString() switch { "false" => BeamStop.WhenUnlikely, "true" => BeamStop.WhenFull, _ => BeamStop.WhenImpossible },
                    },
                },
                // How many are wanted, what fills up batches, and what the beams hold already.
                "max_new_tokens" or "num_return_sequences" or "pad_token_id" or "early_stopping" or "length_penalty" => result,
                _ => throw new NotSupportedException(key),
            };
        }

        return result;
    }

    private static int[] UpTo(int end, int[] tokens)
    {
        var position = Array.IndexOf(tokens, end);
        return position < 0 ? tokens : tokens[..(position + 1)];
    }
}
