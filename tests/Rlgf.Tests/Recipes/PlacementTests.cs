using Rlgf.Base;
using Rlgf.Models.NumberTypes;
using Rlgf.Recipes;
using Rlgf.Tests.Supervised;
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
    [InlineData("placement: {policy: {precision: bfloat16}}", "placement.policy.precision")]
    [InlineData("placement: {critic: {precision: auto}}", "placement.critic.precision: what is trained is float32; leave it out")]
    [InlineData("placement: {critic: {device: cpu}}", "placement.critic.device: the critic is a head on the policy's states and is where those are; leave it out, or set critic.sharing: separate")]
    [InlineData("placement: {judge: {device: cpu}}", "placement.judge: there is no judge; leave it out, or set judge")]
    [InlineData("placement: {teacher: {device: cpu}}", "teacher")]
    [InlineData("precision: {guide: bfloat16}\nplacement: {guide: {precision: float32}}", "placement.guide.precision: precision.guide says it too; leave one of them out")]
    [InlineData("precision: {guide: float32}\nplacement: {guide: {precision: bfloat16}}", "recipe.yaml:12: placement.guide.precision: precision.guide says it too; leave one of them out")]
    [InlineData("precision: {rollouts: float32}\nplacement: {rollouts: {precision: bfloat16}}", "placement.rollouts.precision: precision.rollouts says it too; leave one of them out")]
    [InlineData("judge: {kind: classifier, path: c}\nprecision: {rewards: bfloat16}\nplacement: {judge: {precision: float32}}", "placement.judge.precision: precision.rewards says it too; leave one of them out")]
    public void What_no_machine_can_do_or_says_nothing_is_refused_by_its_place(string more, string problem) =>
        Assert.Contains(problem, Assert.Throws<InputException>(() => Parse(more)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("placement: {rewards: {device: cpu}}", "recipe.yaml:11: placement.rewards.device: the reward has no model on this machine to place; leave it out")]
    [InlineData("placement: {rewards: {precision: bfloat16}}", "recipe.yaml:11: placement.rewards.precision: the reward has no model on this machine that computes; leave it out")]
    [InlineData("placement: {rewards: {precision: auto}}", "placement.rewards.precision: the reward has no model")]
    [InlineData("precision: {rewards: auto}", "recipe.yaml:11: precision.rewards: neither reward nor judge has models that compute in another type than float32; leave it out")]
    [InlineData("judge: {kind: ended}\nplacement: {judge: {device: cpu}}", "recipe.yaml:12: placement.judge.device: the judge has no model on this machine to place; leave it out")]
    [InlineData("reward: {kind: metric, metric: bertscore, encoder: e}\nplacement: {rewards: {precision: bfloat16}}", "placement.rewards.precision: the reward's models compute in float32 always; leave it out")]
    [InlineData("reward: {kind: metric, metric: bleu}\nplacement: {rewards: {device: cpu}}", "placement.rewards.device: the reward has no model")]
    [InlineData("reward: {kind: match}\nplacement: {rewards: {device: cpu}}", "placement.rewards.device: the reward has no model")]
    [InlineData("reward: {kind: reasoning_gym}\nplacement: {rewards: {device: cpu}}", "placement.rewards.device: the reward has no model")]
    [InlineData("guide: {kind: countdown_search, right: 0.5}\nplacement: {guide: {device: cpu}}", "placement.guide.device: the guide has no model")]
    [InlineData("reward: {kind: program, program: p}\nplacement: {rewards: {device: cpu}}", "placement.rewards.device: the reward has no model")]
    [InlineData("reward: {kind: http, url: 'http://localhost:1/s'}\nplacement: {rewards: {device: cpu}}", "placement.rewards.device: the reward has no model")]
    [InlineData("reward: {kind: sum, parts: [{name: a, reward: {kind: ended}}, {name: b, reward: {kind: length_range, at_most: 4}}]}\nplacement: {rewards: {device: cpu}}", "placement.rewards.device: the reward has no model")]
    [InlineData("guide: {kind: references}\nplacement: {guide: {device: cpu}}", "recipe.yaml:11: placement.guide.device: the guide has no model on this machine to place; leave it out")]
    [InlineData("guide: {kind: imperfect_references, right: 0.5}\nplacement: {guide: {precision: bfloat16}}", "placement.guide.precision: the guide has no model on this machine that computes; leave it out")]
    [InlineData("guide: {kind: references}\nprecision: {guide: bfloat16}", "precision.guide: there is no guide with models that compute in another type than float32; leave it out")]
    [InlineData("algorithm: {name: rloo, group_size: 2}\nplacement: {critic: {precision: float32}}", "placement.critic: 'rloo' has no critic; leave it out")]
    [InlineData("algorithm: {name: ppo, guide_credit: {weight: one}}", "algorithm.guide_credit.weight: 'ppo' gives the guide no credit; set guide_credit.coefficient too, or leave it out")]
    [InlineData("reward: {kind: http, url: 'http://localhost:1/s', retries: 0, retry_wait_seconds: 2}", "reward.retry_wait_seconds: is the wait before a request is repeated, and retries is 0; leave it out")]
    [InlineData("data: {path: d.jsonl, prompt_tokens: 4}\nevaluation: {prompts: 5}", "evaluation.prompts: no prompts are held out to be answered; leave it out, or set data.evaluation_path")]
    [InlineData("data: {path: d.jsonl, prompt_tokens: 4}\nevaluation: {decoding: {max_new_tokens: 3}}", "evaluation.decoding: no prompts are held out to be answered; leave it out, or set data.evaluation_path")]
    [InlineData("data: {path: d.jsonl, prompt_tokens: 4}\nevaluation: {by: difficulty}", "evaluation.by: no prompts are held out to be answered; leave it out, or set data.evaluation_path")]
    [InlineData("data: {path: d.jsonl, prompt_tokens: 4}\nevaluation: {guide: true}", "evaluation.guide: no prompts are held out to be answered; leave it out, or set data.evaluation_path")]
    public void What_has_no_use_is_refused_by_its_place(string more, string problem) => Assert.Contains(problem, Assert.Throws<InputException>(() => Parse(more)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("placement: {rewards: {precision: float32}, guide: {device: cpu}}")]
    [InlineData("guide: {kind: references}\nplacement: {guide: {precision: float32}}")]
    [InlineData("reward: {kind: metric, metric: perplexity, model: m}\nplacement: {rewards: {device: cpu, precision: bfloat16}}")]
    [InlineData("reward: {kind: metric, metric: bertscore, encoder: e}\nplacement: {rewards: {device: cpu}}")]
    [InlineData("reward: {kind: sum, parts: [{name: a, reward: {kind: ended}}, {name: b, reward: {kind: classifier, path: c}}]}\nplacement: {rewards: {device: cpu, precision: bfloat16}}")]
    [InlineData("judge: {kind: classifier, path: c}\nprecision: {rewards: bfloat16}")]
    public void What_is_used_or_is_so_anyway_is_accepted_and_a_run_reads_its_own_recipe(string more)
    {
        var resolved = (TrainRecipe)Parse(more).Resolved();
        Assert.Equal(RecipeFile.Write(resolved), RecipeFile.Write(RecipeFile.Parse<TrainRecipe>(RecipeFile.Write(resolved), "recipe.yaml")));
    }

    [Theory]
    [InlineData("data: {path: d.jsonl, prompt_tokens: 4}")]
    [InlineData("algorithm: {name: rloo, group_size: 2}")]
    [InlineData("algorithm: {name: ppo}\nreward: {kind: http, url: 'http://localhost:1/s', retries: 0}")]
    public void A_recipe_with_every_default_spelt_out_is_accepted(string more)
    {
        var resolved = RecipeFile.Write(Parse(more).Resolved());
        Assert.Equal(resolved, RecipeFile.Write(RecipeFile.Parse<TrainRecipe>(resolved, "recipe.yaml")));
    }

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
        var places = RunPlacement.Of((TrainRecipe)Parse("reward: {kind: classifier, path: c}\nplacement: {rewards: {precision: bfloat16}, rollouts: {device: cpu}}").Resolved());
        Assert.True(places.Policy.IsSame(ModelPlacement.Default) && places.Rollouts.IsSame(places.Policy) && places.Critic.IsSame(places.Policy) && places.Guide.IsSame(places.Policy));
        Assert.Equal(Precision.Bfloat16, places.Rewards.Precision);
        Assert.Equal(Precision.Float32, places.Judge.Precision);
    }

    [Theory]
    [InlineData("precision: {policy: bfloat16_base, rollouts: float32}", "precision.rollouts: the policy's base is bfloat16, of which a float32 copy would be twice as large and no more exact; leave it out")]
    [InlineData("precision: {policy: bfloat16_base}\nplacement: {reference: {precision: float32}}", "placement.reference.precision: float32 would be compared with a policy whose base is bfloat16, so that the start had a KL to itself; leave it out")]
    [InlineData("precision: {policy: bfloat16_base}\nplacement: {policy: {precision: auto}}", "placement.policy.precision: precision.policy says it too; leave one of them out")]
    [InlineData("precision: {policy: bfloat16}", "precision.policy")]
    public void What_a_base_in_bfloat16_does_not_go_with_is_refused_by_its_place(string more, string problem) =>
        Assert.Contains(problem, Assert.Throws<InputException>(() => Parse($"model: {{path: m, lora: {{}}}}\n{more}")).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("precision: {policy: bfloat16_base}", "recipe.yaml:11: precision.policy: ")]
    [InlineData("placement: {policy: {precision: bfloat16_base}}", "recipe.yaml:11: placement.policy.precision: ")]
    public void A_base_in_bfloat16_without_an_adapter_on_it_is_refused(string more, string place)
    {
        using var folder = new TemporaryFolder();
        var recipe = Parse($"model: {{path: {folder.Path}}}\n{more}");
        Assert.Equal($"{place}bfloat16_base is for a base under a LoRA adapter, and here all weights are trained, which are float32; set model.lora, or leave it out", Assert.Throws<InputException>(recipe.RequireDevices).Message);
        File.WriteAllText(Path.Combine(folder.Path, "adapter_config.json"), "{}");
        if (PrecisionOfModels.HasBfloat16Products) recipe.RequireDevices();
        else Assert.StartsWith($"{place}the processor has no instructions for products of bfloat16", Assert.Throws<InputException>(recipe.RequireDevices).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("precision: {policy: bfloat16_base}")]
    [InlineData("precision: {policy: bfloat16_base, rollouts: auto, reference: auto}\nalgorithm: {name: rloo, group_size: 2}")]
    [InlineData("placement: {policy: {precision: bfloat16_base}, reference: {precision: bfloat16}}\nkl: {placement: loss, estimator: k3}")]
    [InlineData("precision: {policy: auto}")]
    public void With_a_base_in_bfloat16_rollouts_and_reference_are_so_too_and_a_run_reads_its_own_recipe(string more)
    {
        var resolved = (TrainRecipe)Parse($"model: {{path: m, lora: {{}}}}\n{more}").Resolved();
        var (policy, type) = more.Contains("auto}", StringComparison.Ordinal) && !more.Contains("bfloat16_base", StringComparison.Ordinal) && !PrecisionOfModels.HasBfloat16Products
            ? (PolicyPrecision.Float32, Precision.Float32) : (PolicyPrecision.Bfloat16Base, Precision.Bfloat16);
        Assert.Equal(policy, resolved.Placement.Policy.Precision);
        Assert.Equal((type, type, Precision.Float32), (resolved.Placement.Rollouts.Precision, resolved.Placement.Reference.Precision, resolved.Placement.Guide.Precision));
        Assert.Equal(RecipeFile.Write(resolved), RecipeFile.Write(RecipeFile.Parse<TrainRecipe>(RecipeFile.Write(resolved), "recipe.yaml").Resolved()));
        var places = RunPlacement.Of(resolved);
        Assert.True(places.Rollouts.IsSame(places.Policy) && places.Reference.IsSame(places.Policy));
        Assert.Equal(type, places.Policy.Precision);
    }

    [Fact]
    public void Auto_is_float32_where_all_weights_are_trained()
    {
        Assert.Equal(PolicyPrecision.Float32, ((TrainRecipe)Parse("precision: {policy: auto}").Resolved()).Placement.Policy.Precision);
        Assert.Null(((TrainRecipe)Parse("device: cpu").Resolved()).Placement.Policy.Precision);
        var sft = RecipeFile.Parse<SftRecipe>("kind: sft\nname: a\nmodel: {kind: folder, path: m, lora: {}}\ndata: {path: d}\nprecision: {policy: auto}\n", "r.yaml");
        Assert.Equal(PrecisionOfModels.HasBfloat16Products ? PolicyPrecision.Bfloat16Base : PolicyPrecision.Float32, ((SftRecipe)sft.Resolved()).Precision.Policy);
        using var folder = new TemporaryFolder();
        var refused = RecipeFile.Parse<SftRecipe>($"kind: sft\nname: a\nmodel: {{kind: folder, path: {folder.Path}}}\ndata: {{path: d}}\nprecision: {{policy: bfloat16_base}}\n", "r.yaml");
        Assert.StartsWith("r.yaml:5: precision.policy: bfloat16_base is for a base under a LoRA adapter", Assert.Throws<InputException>(refused.RequireDevices).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_device_may_change_on_resume_and_the_type_may_not()
    {
        var changeable = RecipeWriter.Write(Parse("device: cpu\nplacement: {guide: {device: cpu, precision: bfloat16}}"), PartKinds.BuiltIn, path => path, member => member.MayChange);
        Assert.DoesNotContain("cpu", changeable, StringComparison.Ordinal);
        Assert.Contains("bfloat16", changeable, StringComparison.Ordinal);
    }

    /// <summary>The least recipe with more keys, or with others in place of its own.</summary>
    private static TrainRecipe Parse(string more)
    {
        string[] keys = [.. more.Split('\n').Select(line => line[..(line.IndexOf(':', StringComparison.Ordinal) + 1)])];
        var kept = Least.Split('\n').Where(line => !Array.Exists(keys, key => line.StartsWith(key, StringComparison.Ordinal)));
        return RecipeFile.Parse<TrainRecipe>($"{string.Join('\n', kept)}\n{more}\n", "recipe.yaml");
    }
}
