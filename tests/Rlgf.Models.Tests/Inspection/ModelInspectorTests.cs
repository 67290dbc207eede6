using Rlgf.Models.Inspection;
using Rlgf.Models.Loading;
using Rlgf.Models.Tests.Checkpoints.Gguf;

namespace Rlgf.Models.Tests.Inspection;

public sealed class ModelInspectorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Folders whose tokenizer lies beside them, so that nothing is missing.</summary>
    public static TheoryData<string> Folders => [.. Directory.GetDirectories(Path.Combine(AppContext.BaseDirectory, "fixtures", "models")).Select(path => Path.GetFileName(path)!).Where(name => File.Exists(Path.Combine(Fixture.PathOf(name), "config.json")))];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Folders))]
    public void Every_family_is_described_with_the_parameters_that_loading_fills(string name)
    {
        var description = ModelInspector.Inspect(Fixture.PathOf(name));
        Assert.DoesNotContain(description.NotSupported, fault => !fault.Contains("tokenizer", StringComparison.Ordinal));
        Assert.NotNull(description.Sizes!.Layers);
        Assert.NotNull(description.Sizes.Width);
        Assert.NotNull(description.Sizes.Heads);
        Assert.NotNull(description.Sizes.Vocabulary);
        using var classifier = description.Kind == "classifier" ? SequenceClassifierFolder.Load(Fixture.PathOf(name)) : null;
        using var model = classifier is null ? LanguageModelFolder.Load(Fixture.PathOf(name)) : null;
        Assert.Equal((classifier?.Module ?? model!.Module).parameters().Sum(parameter => parameter.NumberOfElements), description.Parameters);
    }

    [Fact]
    public void A_gguf_file_is_described_from_its_keys()
    {
        File.WriteAllBytes(_folder.File("model.gguf"), GgufOfFolder.Write(Fixture.PathOf("qwen2"), new GgufWriter().Text("tokenizer.ggml.pre", "qwen2").Text("tokenizer.chat_template", "{{ x }}")).ToArray());
        var description = ModelInspector.Inspect(_folder.File("model.gguf"));
        var original = ModelInspector.Inspect(Fixture.PathOf("qwen2"));
        Assert.Equal(original.Sizes, description.Sizes);
        Assert.Equal(original.Parameters, description.Parameters);
        Assert.Equal("qwen2", description.Family);
        Assert.Equal(description.Parameters, description.StoredTypes["F32"]);
        Assert.Equal("<|im_end|>", description.Tokenizer!.Eos!.Text);
        Assert.True(description.ChatTemplate);
        Assert.True(description.Supported);
    }

    /// <summary>A template that can't be parsed or rendered is there, but what is wrong with it is said.</summary>
    [Theory]
    [InlineData("{{ messages[0].content + eos_token }}", null)]
    [InlineData("{% if x %}", "has a block without its endif")]
    [InlineData("a\n{{ messages[0].nothing.content }}", "line 2: the template takes 'content' of 'nothing', which is undefined")]
    public void A_chat_template_that_cannot_be_used_is_said_to_be_broken(string template, string? problem)
    {
        File.WriteAllBytes(_folder.File("model.gguf"), GgufOfFolder.Write(Fixture.PathOf("qwen2"), new GgufWriter().Text("tokenizer.ggml.pre", "qwen2").Text("tokenizer.chat_template", template)).ToArray());
        foreach (var file in Directory.GetFiles(Fixture.PathOf("qwen2")))
            File.Copy(file, _folder.File(Path.GetFileName(file)), overwrite: true);
        File.WriteAllText(_folder.File("chat_template.jinja"), template);
        foreach (var description in new[] { ModelInspector.Inspect(_folder.File("model.gguf")), ModelInspector.Inspect(_folder.Path) })
        {
            Assert.True(description.ChatTemplate);
            Assert.Equal(problem is null, description.ChatTemplateProblem is null);
            Assert.Contains(problem ?? "", description.ChatTemplateProblem ?? "", StringComparison.Ordinal);
        }
    }

    [Fact]
    public void What_a_gguf_file_has_that_is_not_converted_is_named()
    {
        File.WriteAllBytes(_folder.File("model.gguf"), new GgufWriter().Text("general.architecture", "mamba").Whole("mamba.block_count", 3).Text("tokenizer.ggml.model", "rwkv").Floats("x", [4], 1, 2, 3, 4).ToArray());
        var description = ModelInspector.Inspect(_folder.File("model.gguf"));
        Assert.False(description.Supported);
        Assert.Contains(description.NotSupported, fault => fault.Contains("'mamba', which isn't converted", StringComparison.Ordinal));
        Assert.Contains(description.NotSupported, fault => fault.Contains("'rwkv' (RWKV's longest match), a tokenizer that isn't read", StringComparison.Ordinal));
        Assert.Equal(3, description.Sizes!.Layers);
        Assert.Equal(4, description.Parameters);
    }

    [Fact]
    public void Training_an_adapter_needs_memory_for_gradients_of_the_adapter_alone()
    {
        var need = new MemoryNeed(1000, 10, new ModelSizes(3, null, 8, 4, 2, 5, 100, 64));
        Assert.Equal(4000, need.RunFloat32);
        Assert.Equal(2000, need.RunBfloat16);
        Assert.Equal(4 * 1000 + 12 * 10, need.TrainFloat32);
        Assert.Equal(2 * 3 * 2 * 5 * 4, need.CacheFloat32PerToken);
    }

    [Theory]
    [InlineData("gpt2_lora", "gpt2")]
    [InlineData("llama_lora_all", "llama")]
    public void An_adapter_is_described_with_its_base(string name, string baseName)
    {
        var (adapter, model) = (ModelInspector.Inspect(Fixture.PathOf(name)), ModelInspector.Inspect(Fixture.PathOf(baseName)));
        Assert.Equal("adapter", adapter.Kind);
        Assert.DoesNotContain(adapter.NotSupported, fault => !fault.Contains("tokenizer", StringComparison.Ordinal));
        Assert.Equal(model.Sizes, adapter.Sizes);
        Assert.Equal(model.Parameters + adapter.AdapterParameters, adapter.Parameters);
        Assert.InRange(adapter.AdapterParameters!.Value, 1, model.Parameters!.Value - 1);
    }

    [Fact]
    public void An_adapter_is_told_from_a_model()
    {
        File.WriteAllText(_folder.File("adapter_config.json"), """{"peft_type": "LORA", "base_model_name_or_path": "someone/base", "r": 4}""");
        var description = ModelInspector.Inspect(_folder.Path);
        Assert.Equal("adapter", description.Kind);
        Assert.Equal("someone/base", description.Base);
        Assert.Contains(description.NotSupported, fault => fault.Contains("'someone/base', where there is no model", StringComparison.Ordinal));
        Assert.Contains(description.NotSupported, fault => fault.Contains("adapter_model.safetensors", StringComparison.Ordinal));
    }
}
