using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Models that compute in bfloat16. It has 8 significant bits; transformers itself is up to 0.18 away from float32 in the logits of these models.</summary>
public sealed class PrecisionTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Models => [.. Fixture.Of("causal_lm")];

    public void Dispose() => _scope.Dispose();

    [Theory, MemberData(nameof(Models))]
    public void Logits_in_bfloat16_are_float32_numbers_near_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder, precision: Precision.Bfloat16);
        using var gradients = no_grad();
        Assert.All(model.Module.parameters(), parameter => Assert.Equal(ScalarType.BFloat16, parameter.dtype));
        var difference = fixture.Tensor("logits") - Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!));
        Assert.Equal(ScalarType.Float32, difference.dtype);
        // Above nothing: it is another type. The logits have a standard deviation of about 3.
        Assert.InRange(difference.abs().mean().item<float>(), 1e-4, 0.08);
    }

    [Theory, MemberData(nameof(Models))]
    public void What_is_sampled_in_bfloat16_has_the_log_probabilities_of_a_second_reading(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder, precision: Precision.Bfloat16);
        using var gradients = no_grad();
        var prompts = Fixture.Rows(fixture.Expected["right_padded"]!);
        var written = TextGenerator.Generate(model, [.. prompts.Select((prompt, row) => new GenerationRequest(new TokenRow(prompt, []), (ulong)row))], new SamplingSettings { MaxNewTokens = 6 }, seed: 1);
        var rows = written.Select((row, b) => new TokenRow(prompts[b], row.Tokens)).ToArray();
        var distributions = nn.functional.log_softmax(model.Logits(model.ResponseStates(rows)), -1);
        var differences = rows.SelectMany((row, b) => row.Response.Select((token, t) => Math.Abs(distributions[b, t, token].item<float>() - written[b].RawLogProbs[t]))).ToArray();
        Assert.InRange(differences.Average(), 0, 0.08);
    }

    [Theory]
    [InlineData("t5")]
    [InlineData("t5_v1_1")]
    [InlineData("bart")]
    [InlineData("mt5")]
    [InlineData("umt5")]
    [InlineData("pegasus")]
    [InlineData("marian")]
    public void Encoder_decoders_read_and_write_in_bfloat16(string name)
    {
        using var fixture = new Fixture(name);
        using var exact = LanguageModelFolder.Load(fixture.Folder);
        using var model = LanguageModelFolder.Load(fixture.Folder, precision: Precision.Bfloat16);
        using var gradients = no_grad();
        var prompts = Fixture.Rows(fixture.Expected["right_padded"]!);
        var written = TextGenerator.Generate(model, [.. prompts.Select((prompt, row) => new GenerationRequest(new TokenRow(prompt, []), (ulong)row))], new SamplingSettings { MaxNewTokens = 6 }, seed: 1);
        var rows = written.Select((row, b) => new TokenRow(prompts[b], row.Tokens)).ToArray();
        foreach (var reader in new[] { model, exact })
        {
            var distributions = nn.functional.log_softmax(reader.Logits(reader.ResponseStates(rows)), -1);
            Assert.InRange(rows.SelectMany((row, b) => row.Response.Select((token, t) => Math.Abs(distributions[b, t, token].item<float>() - written[b].RawLogProbs[t]))).Average(), 0, 0.1);
        }
    }

    [Fact]
    public void A_copy_of_another_type_has_the_same_weights_rounded_and_follows_the_model()
    {
        using var fixture = new Fixture("llama");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var copy = PrecisionOfModels.CopyAs(model, Precision.Bfloat16);
        var weight = model.Module.parameters().First();
        Assert.True(copy.Module.parameters().First().eq(weight.to(bfloat16)).all().item<bool>());
        using (no_grad()) weight.mul_(2);
        Assert.False(copy.Module.parameters().First().eq(weight.to(bfloat16)).all().item<bool>());
        PrecisionOfModels.CopyWeights(model, copy);
        Assert.True(copy.Module.parameters().First().eq(weight.to(bfloat16)).all().item<bool>());
    }

    [Theory]
    [InlineData("llama_reward")]
    [InlineData("bert_classifier")]
    [InlineData("deberta_v3_reward")]
    [InlineData("modernbert_reward")]
    public void A_classifier_in_bfloat16_scores_nearly_the_same(string name)
    {
        using var fixture = new Fixture(name);
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var rounded = SequenceClassifierFolder.Load(fixture.Folder, precision: Precision.Bfloat16);
        using var gradients = no_grad();
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        Assert.InRange((classifier.Logits(rows) - rounded.Logits(rows)).abs().max().item<float>(), 1e-5, 0.2);
    }

    [Fact]
    public void Auto_follows_from_the_processors_features()
    {
        // Linux lists them; elsewhere it is enough that the answer is one of the two.
        var expected = File.Exists("/proc/cpuinfo") ? File.ReadAllText("/proc/cpuinfo").Contains(" avx512_bf16", StringComparison.Ordinal) : PrecisionOfModels.HasBfloat16Products;
        Assert.Equal(expected ? Precision.Bfloat16 : Precision.Float32, Precision.Auto.Resolved());
    }
}
