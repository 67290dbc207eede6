namespace Rlgf.Cli.Tests;

/// <summary>The guide <c>kind: gguf</c> in a recipe.</summary>
[Collection(ExactNumbersCollection.Name)]
public sealed class GgufGuideTests
{
    private static string Gguf => Path.Combine(AppContext.BaseDirectory, "fixtures", "gguf", "llama.f32.gguf");

    [Theory]
    [InlineData("ppo_plus_plus")]
    [InlineData("aggrevated")]
    public void A_run_guided_by_a_file_equals_the_run_guided_by_the_folder_that_it_converts_to(string algorithm)
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("convert", Gguf, scratch["folder"], "--type", "float32").Code);
        Train("gguf", "gguf", Gguf);
        Train("model", "model", scratch["folder"]);
        Assert.Equal(TrainTests.Metrics(scratch["model"]), TrainTests.Metrics(scratch["gguf"]));
        Assert.Contains("\"tokens/guide\":", TrainTests.Metrics(scratch["gguf"])[0], StringComparison.Ordinal);

        void Train(string run, string kind, string path)
        {
            var result = Cli.Run("train", TrainTests.Recipe(scratch, run), "--set", $"algorithm.name={algorithm}", "--set", $"guide={{kind: {kind}, path: {path}, sampling: {{max_new_tokens: 6, greedy: true}}}}");
            Assert.True(result.Code == ExitCode.Ok, result.Error);
        }
    }

    [Fact]
    public void What_is_wrong_with_the_guide_is_one_line_before_anything_is_trained()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        File.WriteAllBytes(scratch["short.gguf"], File.ReadAllBytes(Gguf)[..200_000]);
        Says("llama.cpp refuses it", $"path: {scratch["short.gguf"]}");
        Says("no such file", $"path: {scratch["absent.gguf"]}");
        Says("no chat template", $"path: {Path.Combine(Path.GetDirectoryName(Gguf)!, "gpt2.f32.gguf")}, chat: {{}}");
        Says("guide.sampling.max_new_tokens: a prompt", $"path: {Gguf}, sampling: {{max_new_tokens: 100000}}");
        Says("more than the model's context of", $"path: {Gguf}, sampling: {{max_new_tokens: 127}}");
        Says("placement.guide", $"path: {Gguf}", "placement.guide.precision=bfloat16");
        Assert.False(Directory.Exists(scratch["run/checkpoints"]));

        void Says(string what, string guide, params string[] set) =>
            Assert.Contains(what, Cli.Run(["train", recipe, "--set", $"guide={{kind: gguf, {guide}}}", .. set.SelectMany(change => new[] { "--set", change })]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }
}
