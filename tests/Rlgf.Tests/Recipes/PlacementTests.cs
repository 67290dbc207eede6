using Rlgf.Base;
using Rlgf.Models.NumberTypes;
using Rlgf.Recipes;
using static TorchSharp.torch;

namespace Rlgf.Tests.Recipes;

/// <summary>Where parts of a run compute: what a recipe may say of it, and what is made of that.</summary>
public sealed class PlacementTests
{
    private const string Least = """
        kind: train
        name: demo
        model: {path: m}
        data: {path: d.jsonl, evaluation_path: e.jsonl, prompt_tokens: 4}
        generation: {max_new_tokens: 8}
        guide: {kind: model, path: g}
        reward: {kind: length, target_tokens: 5}
        algorithm: {name: ppo_plus_plus}
        iterations: 3
        rows_per_iteration: 8
        """;

    [Theory]
    [InlineData("device: gpu", "recipe.yaml:11: device: is 'gpu': use cpu, cuda, cuda:N with N from 0, or auto")]
    [InlineData("device: cuda:-1", "recipe.yaml:11: device: is 'cuda:-1': use cpu, cuda, cuda:N with N from 0, or auto")]
    [InlineData("placement: {guide: {device: tpu}}", "placement.guide.device: is 'tpu': use cpu, cuda, cuda:N with N from 0, or auto")]
    [InlineData("placement: {policy: {precision: bfloat16}}", "placement.policy.precision: what is trained is float32; leave it out")]
    [InlineData("placement: {critic: {precision: auto}}", "placement.critic.precision: what is trained is float32; leave it out")]
    [InlineData("placement: {critic: {device: cpu}}", "placement.critic.device: the critic is a head on the policy's states and is where those are; leave it out, or set critic.sharing: separate")]
    [InlineData("placement: {judge: {device: cpu}}", "placement.judge: there is no judge; leave it out, or set judge")]
    [InlineData("placement: {teacher: {device: cpu}}", "teacher")]
    [InlineData("precision: {guide: bfloat16}\nplacement: {guide: {precision: float32}}", "placement.guide.precision: precision.guide says it too; leave one of them out")]
    public void What_no_machine_can_do_or_says_nothing_is_refused_by_its_place(string more, string problem) =>
        Assert.Contains(problem, Assert.Throws<InputException>(() => Parse(more)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_machine_without_the_device_is_told_so_with_the_key()
    {
        Assert.SkipWhen(cuda.is_available(), "This machine has a GPU.");
        Assert.StartsWith("recipe.yaml:11: device: is 'cuda', and no CUDA device is found", Assert.Throws<InputException>(() => Parse("device: cuda").RequireDevices()).Message, StringComparison.Ordinal);
        Assert.Contains("placement.reference.device: is 'cuda:1'", Assert.Throws<InputException>(() => Parse("placement: {reference: {device: cuda:1}}").RequireDevices()).Message, StringComparison.Ordinal);
        Parse("device: auto").RequireDevices();
        Assert.Equal("cpu", Parse("device: auto").Resolved().Device);
    }

    [Fact]
    public void Parts_are_where_they_are_said_to_be_and_otherwise_where_the_recipe_is()
    {
        var places = RunPlacement.Of((TrainRecipe)Parse("placement: {rewards: {precision: bfloat16}, rollouts: {device: cpu}}").Resolved());
        Assert.True(places.Policy.IsSame(ModelPlacement.Default) && places.Rollouts.IsSame(places.Policy) && places.Critic.IsSame(places.Policy) && places.Guide.IsSame(places.Policy));
        Assert.Equal(Precision.Bfloat16, places.Rewards.Precision);
        Assert.Equal(Precision.Float32, places.Judge.Precision);
    }

    [Fact]
    public void The_device_may_change_on_resume_and_the_type_may_not()
    {
        var changeable = RecipeWriter.Write(Parse("device: cpu\nplacement: {guide: {device: cpu, precision: bfloat16}}"), PartKinds.BuiltIn, path => path, member => member.MayChange);
        Assert.DoesNotContain("cpu", changeable, StringComparison.Ordinal);
        Assert.Contains("bfloat16", changeable, StringComparison.Ordinal);
    }

    private static TrainRecipe Parse(string more) => RecipeFile.Parse<TrainRecipe>($"{Least}\n{more}\n", "recipe.yaml");
}
