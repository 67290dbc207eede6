using System.Text.Json.Nodes;
using Rlgf.Gguf;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Conversion;
using Rlgf.Models.Loading;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>A model that others published and stored as GGUF, against what transformers and the gguf package make of it. It is too large for the repository.</summary>
public sealed class RealGgufTests(RealGgufTests.ConvertedModel converted) : IClassFixture<RealGgufTests.ConvertedModel>, IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Every_tensor_is_the_dequantised_one()
    {
        var expected = converted.Expected["tensors"]!.AsObject();
        using var weights = SafetensorsFile.Open(Path.Combine(converted.Folder, "model.safetensors"));
        Assert.Equal(expected.Select(pair => pair.Key).Order(StringComparer.Ordinal), weights.Entries.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, facts) in expected)
        {
            using var scope = NewDisposeScope();
            Assert.Equal(facts!["shape"]!.AsArray().Select(length => (long)length!), weights.Entries[name].Shape);
            var flat = weights.Read(name).view(-1);
            Assert.Equal(facts["first"]!.AsArray().Select(number => (float)number!), flat[..4].data<float>().ToArray());
            Assert.Equal(facts["last"]!.AsArray().Select(number => (float)number!), flat[^4..].data<float>().ToArray());
            var wide = flat.to(float64);
            var squares = wide.square().sum().item<double>();
            Assert.Equal((double)facts["sum_of_squares"]!, squares, 1e-9 * squares);
            // A sum of n numbers of either sign is known to about the root of their squares.
            Assert.Equal((double)facts["sum"]!, wide.sum().item<double>(), 1e-9 * Math.Sqrt(squares * flat.size(0)));
        }
    }

    [Fact]
    public void Texts_have_the_token_ids_of_transformers()
    {
        var tokenizer = TokenizerFolder.Load(converted.Folder);
        foreach (var text in converted.Expected["tokenizer"]!.AsArray()) Assert.Equal(text!["ids"]!.AsArray().Select(id => (int)id!), tokenizer.Encode((string)text["text"]!));
        Assert.Equal(2, tokenizer.EosId);
        Assert.Equal(2, tokenizer.PadId);
    }

    [Fact]
    public void Configuration_and_chat_template_are_those_of_transformers()
    {
        var configuration = FolderConfiguration.Read(converted.Folder).ToJson();
        Assert.Equal((double)converted.Expected["config"]!["rope_parameters"]!["rope_theta"]!, (double)configuration["rope_theta"]!);
        foreach (var (key, value) in converted.Expected["config"]!.AsObject())
        {
            // Notes of the writer, and what a GGUF file doesn't hold.
            if (key is "_model_name_or_path" or "transformers_version" or "rope_parameters" or "pretraining_tp" or "unk_token_id") continue;
            Assert.True(JsonNode.DeepEquals(value, configuration[key]), $"{key}: {value?.ToJsonString()} became {configuration[key]?.ToJsonString()}");
        }

        Assert.Equal((string?)converted.Expected["chat_template"], (string?)JsonNode.Parse(File.ReadAllText(Path.Combine(converted.Folder, "tokenizer_config.json")))!["chat_template"]);
    }

    [Fact]
    public void Responses_have_the_log_probabilities_of_transformers()
    {
        using var gradients = no_grad();
        using var model = LanguageModelFolder.Load(converted.Folder);
        foreach (var row in converted.Expected["score"]!.AsArray())
        {
            using var scope = NewDisposeScope();
            int[] response = Ids(row!["response_ids"]);
            var logProbs = nn.functional.log_softmax(model.Logits(model.ResponseStates([new TokenRow(Ids(row["prompt_ids"]), response)])[0]), -1);
            for (var t = 0; t < response.Length; t++) Assert.Equal((double)row["log_probs"]![t]!, logProbs[t, response[t]].item<float>(), 2e-4);
        }
    }

    [Fact]
    public void Greedy_tokens_are_those_of_transformers()
    {
        using var model = LanguageModelFolder.Load(converted.Folder);
        foreach (var row in converted.Expected["greedy"]!.AsArray())
        {
            int[] expected = Ids(row!["response_ids"]);
            using var decoder = model.StartDecoding([new TokenRow(Ids(row["prompt_ids"]), [])], expected.Length);
            foreach (var token in expected)
            {
                using var scope = NewDisposeScope();
                Assert.Equal(token, decoder.NextLogits.argmax(-1).item<long>());
                decoder.Append([token]);
            }
        }
    }

    private static int[] Ids(JsonNode? ids) => [.. ids!.AsArray().Select(id => (int)id!)];

    /// <summary>The model, converted once for all tests.</summary>
    public sealed class ConvertedModel : IDisposable
    {
        private readonly TemporaryFolder _folder = new();
        private JsonNode? _expected;

        public string Folder
        {
            get
            {
                Convert();
                return _folder.Path;
            }
        }

        public JsonNode Expected
        {
            get
            {
                Convert();
                return _expected!;
            }
        }

        public void Dispose() => _folder.Dispose();

        private void Convert()
        {
            if (_expected is not null) return;
            var folder = SharedFolder.Require("real", "smollm2-135m-instruct");
            GgufConversion.Convert(Path.Combine(folder, "SmolLM2-135M-Instruct.Q4_1.gguf"), _folder.Path, ScalarType.Float32);
            _expected = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "expected.json")))!;
        }
    }
}
