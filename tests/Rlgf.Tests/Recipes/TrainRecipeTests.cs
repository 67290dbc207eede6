using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models.NumberTypes;
using Rlgf.Recipes;
using Rlgf.Rollouts;
using Rlgf.Training;

namespace Rlgf.Tests.Recipes;

public sealed class TrainRecipeTests
{
    private const string Least = """
        kind: train
        name: demo
        model: {path: m}
        data: {path: d.jsonl, prompt_tokens: 4}
        generation: {max_new_tokens: 8}
        guide: {kind: model, path: g}
        reward: {kind: length, target_tokens: 5}
        algorithm: {name: ppo_plus_plus}
        iterations: 3
        rows_per_iteration: 8
        """;

    [Theory]
    [InlineData("ppo")]
    [InlineData("ppo_plus_plus")]
    [InlineData("aggrevated")]
    [InlineData("lols")]
    [InlineData("d2lols")]
    [InlineData("adaptive")]
    [InlineData("adaptive_v1")]
    [InlineData("grpo")]
    [InlineData("rloo")]
    [InlineData("dr_po")]
    [InlineData("dr_grpo")]
    [InlineData("dapo")]
    [InlineData("gspo")]
    [InlineData("reinforce_plus_plus")]
    [InlineData("r3")]
    [InlineData("uft")]
    [InlineData("adaback")]
    [InlineData("bread")]
    [InlineData("ghpo")]
    [InlineData("luffy")]
    public void A_name_alone_is_the_preset_also_when_resolved_and_written(string name)
    {
        var recipe = Load([$"algorithm.name={name}", .. name switch { "d2lols" or "uft" => ["algorithm.switch_iteration=2"], "dr_po" => ["guide={kind: references}"], _ => (string[])[] }]);
        Assert.Equal(Presets.Named(name, 2), recipe.Algorithm.ToSettings());
        var again = RecipeFile.Parse<TrainRecipe>(RecipeFile.Write(recipe.Resolved()), "again.yaml");
        Assert.Equal(Presets.Named(name, 2), again.Algorithm.ToSettings());
    }

    [Theory]
    [InlineData("ppo", "{}", KlPlacement.Reward, KlEstimator.K1)]
    [InlineData("adaptive", "{}", KlPlacement.Reward, KlEstimator.K1)]
    [InlineData("grpo", "{}", KlPlacement.Loss, KlEstimator.K3)]
    [InlineData("rloo", "{}", KlPlacement.Loss, KlEstimator.K3)]
    [InlineData("grpo", "{placement: reward}", KlPlacement.Reward, KlEstimator.K1)]
    [InlineData("grpo", "{estimator: k2}", KlPlacement.Loss, KlEstimator.K2)]
    [InlineData("ppo", "{placement: loss}", KlPlacement.Loss, KlEstimator.K3)]
    public void Where_the_penalty_goes_is_the_estimators_own_choice_and_the_resolved_recipe_says_it(string name, string kl, KlPlacement placement, KlEstimator estimator)
    {
        var again = RecipeFile.Parse<TrainRecipe>(RecipeFile.Write(Load($"algorithm.name={name}", $"kl={kl}").Resolved()), "again.yaml");
        Assert.Equal(placement, again.Kl.Placement);
        Assert.Equal(estimator, again.Kl.Estimator);
    }

    [Fact]
    public void An_estimator_that_does_nothing_where_the_penalty_goes_by_default_is_refused() => Assert.Equal(
        "--set kl.estimator=k1: kl: with the advantage 'grpo' the penalty goes into the loss where kl.placement does not say otherwise: k1 as a loss has an expected gradient of 0, so it would hold nothing back; use k2 or k3",
        Assert.Throws<InputException>(() => Load("algorithm.name=grpo", "kl.estimator=k1")).Message);

    [Fact]
    public void A_reference_is_compared_in_one_type_or_refused_by_its_place()
    {
        Assert.Contains("precision.reference", Refused("precision={reference: bfloat16}"), StringComparison.Ordinal);
        Assert.Contains("precision.reference", Refused("precision={reference: bfloat16, rollouts: auto}"), StringComparison.Ordinal);
        Assert.Contains("kl.placement", Refused("precision={reference: bfloat16, rollouts: bfloat16}", "kl={placement: loss, estimator: k3}"), StringComparison.Ordinal);
        Load("precision={reference: bfloat16, rollouts: bfloat16}");
        Assert.Contains("placement.reference.precision", Refused("placement={reference: {precision: bfloat16}}"), StringComparison.Ordinal);
        Load("placement={reference: {precision: bfloat16}, rollouts: {precision: bfloat16}}");
        Load("placement={reference: {precision: bfloat16}}", "precision={rollouts: bfloat16}");

        string Refused(params string[] changes) => Assert.Throws<InputException>(() => Load(changes)).Message;
    }

    [Fact]
    public void Auto_is_resolved_into_types_that_can_be_compared_and_written_into_the_recipe()
    {
        var fast = Precision.Auto.Resolved();
        const Precision Exact = Precision.Float32;
        // Of what there isn't (a judge) nothing is written, and of what is trained nothing need be.
        Assert.Equal(Types(fast, fast, fast, fast), Resolved("precision={reference: auto, guide: auto, rewards: auto, rollouts: auto}"));
        Assert.Equal(Types(fast, fast, fast, fast), Resolved("placement={reference: {precision: auto}, guide: {precision: auto}, rewards: {precision: auto}, rollouts: {precision: auto}}"));
        Assert.Equal(Types(Exact, Exact, Exact, Exact), Resolved("precision={reference: auto}"));
        Assert.Equal(Types(Exact, Exact, Exact, Exact), Resolved());
        Assert.Equal(Types(Exact, Exact, Exact, fast), Resolved("precision={reference: auto, rollouts: auto}", "kl={placement: loss, estimator: k3}"));
        Assert.Equal(Types(Exact, fast, Exact, Exact), Resolved("precision={guide: auto}", "placement={rewards: {precision: float32}}"));

        PlacementSection Resolved(params string[] changes)
        {
            var once = (TrainRecipe)Load(["reward={kind: classifier, path: c}", .. changes]).Resolved();
            var again = RecipeFile.Parse<TrainRecipe>(RecipeFile.Write(once), "again.yaml");
            Assert.Equal(RecipeFile.Write(once), RecipeFile.Write(again.Resolved()));
            Assert.Null(again.Precision);
            return again.Placement;
        }

        static PlacementSection Types(Precision reference, Precision guide, Precision rewards, Precision rollouts) =>
            new() { Reference = new() { Precision = reference }, Guide = new() { Precision = guide }, Rewards = new() { Precision = rewards }, Rollouts = new() { Precision = rollouts } };
    }

    [Fact]
    public void An_instruction_that_leaves_the_prompt_out_is_refused_by_its_place()
    {
        Assert.Equal("Go on: {prompt}", ((ModelGuideSection)Load("guide={kind: model, path: g, chat: {instruction: 'Go on: {prompt}'}}").Guide!).Chat!.Instruction);
        var message = Assert.Throws<InputException>(() => Load("guide={kind: model, path: g, chat: {instruction: Go on}}")).Message;
        Assert.Contains("instruction", message, StringComparison.Ordinal);
        Assert.Contains("{prompt}", message, StringComparison.Ordinal);
    }

    /// <summary>The sections that say how tokens are chosen are held to their own rules, each at its own line.</summary>
    [Theory]
    [InlineData("generation", "demo.yaml:6: generation.min_new_tokens: 9 tokens at least and 8 at most (max_new_tokens)")]
    [InlineData("decoding", "demo.yaml:6: evaluation.decoding.min_new_tokens: 9 tokens at least and 8 at most (max_new_tokens)")]
    [InlineData("guide", "demo.yaml:6: guide.sampling.min_new_tokens: 9 tokens at least and 8 at most (max_new_tokens)")]
    [InlineData("greedy", "demo.yaml:6: evaluation.decoding.greedy: greedy and beams are two ways to choose tokens")]
    public void Settings_of_generation_that_contradict_each_other_are_refused_by_line_and_key(string section, string message)
    {
        // Each puts the key that is wrong at line 6.
        var text = section switch
        {
            "generation" => "generation:\n  max_new_tokens: 8\n  min_new_tokens: 9",
            "guide" => "guide: {kind: model, path: g,\n  sampling: {max_new_tokens: 8,\n  min_new_tokens: 9}}",
            "decoding" => "evaluation:\n  decoding: {max_new_tokens: 8,\n    min_new_tokens: 9}",
            _ => "evaluation:\n  decoding: {max_new_tokens: 8, beams: {width: 2},\n    greedy: true}",
        };
        var rest = Least.Split('\n').Skip(3).Where(line => !line.StartsWith($"{section}:", StringComparison.Ordinal));
        var fault = Assert.Throws<InputException>(() => RecipeFile.Parse<TrainRecipe>($"kind: train\nname: demo\nmodel: {{path: m}}\n{text}\n{string.Join('\n', rest)}", "demo.yaml"));
        Assert.StartsWith(message, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Keys_change_the_preset_on_their_own_axis()
    {
        var settings = Load("algorithm={name: lols, roll_in_probability: 0.3, roll_in_lengths: exact, policy_probability: 0.5, advantage: rloo, group_size: 4, "
            + "guide_credit: {coefficient: 1.5, weight: one, gap: measured}}").Algorithm.ToSettings();
        Assert.Equal(
            Presets.Lols(0.5, 0.3) with
            {
                First = new RolloutPhase(Actor.Guide, Actor.Policy, 0.3, RollInLengths.Exact),
                Second = new RolloutPhase(Actor.Policy, Actor.Guide, 0.3, RollInLengths.Exact),
                Advantage = AdvantageEstimator.Rloo,
                GroupSize = 4,
                GuideCredit = 1.5,
                GuideCreditWeight = GuideCreditWeight.One,
                ScaleByGap = true,
            },
            settings);
        Assert.Equal(Presets.Lols() with { Gamma = 0.9, Lambda = 0 }, Load("algorithm={name: lols, gamma: 0.9, lambda: 0}").Algorithm.ToSettings());
    }

    [Fact]
    public void A_cut_is_changed_key_by_key_and_another_rule_begins_anew()
    {
        var r3 = Load("algorithm.name=r3", "algorithm.cut.high=0.4");
        Assert.Equal((CutRule.Window, 0.0, 0.4), (r3.Algorithm.ToSettings().First.Cut!.Rule, r3.Algorithm.ToSettings().First.Cut!.Low, r3.Algorithm.ToSettings().First.Cut!.High));
        Assert.Equal(0.757, r3.Algorithm.ToSettings().First.RollInProbability);
        var uft = Load("algorithm.name=uft", "algorithm.switch_iteration=50", "algorithm.cut.probability=0.6").Algorithm.ToSettings();
        Assert.Equal((0.6, 0.05, 50, 5), (uft.First.Cut!.Probability, uft.First.Cut.FinalProbability, uft.First.Cut.Iterations, uft.First.Cut.Chunks));
        Assert.Equal((0.0, null), (uft.Second!.RollInProbability, uft.Second.Cut));
        var staged = Load("algorithm.name=uft", "algorithm.cut={rule: window, low: 0.5, high: 0.5}").Algorithm.ToSettings().First.Cut!;
        Assert.Equal((CutSchedule.Constant, null, null), (staged.Schedule, staged.Probability, staged.Iterations));
        var plus = Load("algorithm.roll_in_lengths=share", "algorithm.cut={low: 0.5}");
        Assert.Equal(0.5, RecipeFile.Parse<TrainRecipe>(RecipeFile.Write(plus.Resolved()), "again.yaml").Algorithm.ToSettings().First.Cut!.Low);
    }

    [Fact]
    public void A_custom_algorithm_is_its_phases()
    {
        var settings = Load("algorithm={name: custom, schedule: switch, switch_iteration: 5, first: {roll_in: guide, roll_out: policy, roll_in_probability: 1, lengths: limit}, "
            + "second: {roll_in: policy, roll_out: policy, roll_in_probability: 0, lengths: inside}}").Algorithm.ToSettings();
        Assert.Equal(
            new AlgorithmSettings
            {
                Name = "custom",
                First = new RolloutPhase(Actor.Guide, Actor.Policy, 1, RollInLengths.Limit),
                Second = new RolloutPhase(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside),
                Schedule = PlanSchedule.Switch,
                SwitchIteration = 5,
            },
            settings);
    }

    [Fact]
    public void What_depends_on_other_keys_is_filled_in_when_resolved()
    {
        var resolved = (TrainRecipe)Load("generation.top_k=50").Resolved();
        Assert.Equal("runs/demo", resolved.Output);
        Assert.Equal("m", resolved.Model.Tokenizer);
        Assert.Equal(50, ((ModelGuideSection)resolved.Guide!).Sampling!.TopK);
        Assert.Equal(50, resolved.Evaluation.Decoding!.TopK);
        Assert.Equal(0.6, resolved.Algorithm.RollInProbability);
    }

    [Theory]
    [InlineData("guide=null", "--set guide=null: guide: the algorithm 'ppo_plus_plus' needs a guide and there is none; set one, or use ppo")]
    [InlineData("algorithm.name=d2lols", "r.yaml:8: algorithm.switch_iteration: 'd2lols' must have it: the first iteration of the second phase")]
    [InlineData("algorithm.switch_iteration=2", "--set algorithm.switch_iteration=2: algorithm.switch_iteration: 'ppo_plus_plus' doesn't switch; that is d2lols")]
    [InlineData("algorithm.policy_probability=0.5", "--set algorithm.policy_probability=0.5: algorithm.policy_probability: 'ppo_plus_plus' throws no coin between phases; that is lols")]
    [InlineData("algorithm={name: ppo, roll_in_probability: 0.5}", "--set algorithm={name: ppo, roll_in_probability: 0.5}: algorithm.roll_in_probability: 'ppo' has no roll-ins")]
    [InlineData("algorithm.roll_in_probability=1.5", "--set algorithm.roll_in_probability=1.5: algorithm.roll_in_probability is 1.5; it must be at most 1")]
    [InlineData("algorithm.advantage=grpo", "r.yaml:8: algorithm.group_size: the estimator of 'ppo_plus_plus' compares the responses to one prompt: it must be at least 2, it is 1")]
    [InlineData("algorithm={name: adaback, group_size: 1}", "--set algorithm={name: adaback, group_size: 1}: algorithm.group_size: the estimator of 'adaback' compares the responses to one prompt: it must be at least 2, it is 1")]
    [InlineData("algorithm={name: uft, group_size: 1, advantage: gae}", "--set algorithm={name: uft, group_size: 1, advantage: gae}: algorithm.group_size: the rows to one prompt share a roll-in of 'uft', and one row has nobody to share it with: set 2 or more, or roll_in_scope: row")]
    [InlineData("update={clip_range: 0.3, clip_range_high: 0.1}", "--set update={clip_range: 0.3, clip_range_high: 0.1}: update.clip_range_high: 0.1 is below clip_range 0.3: the range is the wider one above 1; raise this, or lower that")]
    [InlineData("update={clip_range_high: 0.1}", "--set update={clip_range_high: 0.1}: update.clip_range_high: 0.1 is below clip_range, which 'ppo_plus_plus' has as 0.2: the range is the wider one above 1; raise this, or lower that")]
    [InlineData("algorithm={name: grpo, group_size: 3}", "r.yaml:10: rows_per_iteration: 8 rows can't be shared out in groups of algorithm.group_size 3")]
    [InlineData("algorithm.name=custom", "r.yaml:8: algorithm.first: a custom algorithm must have a phase: {roll_in: guide, roll_out: policy, roll_in_probability: 0.5, lengths: inside}")]
    [InlineData("algorithm.roll_in_lenghts=exact", "--set algorithm.roll_in_lenghts=exact: unknown key 'algorithm.roll_in_lenghts'; did you mean 'roll_in_lengths'?")]
    [InlineData("kl={placement: loss, estimator: k1}", "--set kl={placement: loss, estimator: k1}: kl.estimator: k1 as a loss has an expected gradient of 0, so it would hold nothing back; use k2 or k3")]
    [InlineData("algorithm.name=dr_po", "r.yaml:6: guide: 'dr_po' restarts from the data's references, and this guide writes texts of its own: use the guide references, or ppo_plus_plus")]
    [InlineData("algorithm.cut={low: 0.5}", "--set algorithm.cut={low: 0.5}: algorithm.cut: the roll-ins of 'ppo_plus_plus' are not cut by a share of the guide's text; set roll_in_lengths: share too, or leave it out")]
    [InlineData("algorithm={name: ppo, cut: {low: 0.5}}", "--set algorithm={name: ppo, cut: {low: 0.5}}: algorithm.cut: 'ppo' has no roll-ins")]
    [InlineData("algorithm={name: ppo, roll_in_scope: group}", "--set algorithm={name: ppo, roll_in_scope: group}: algorithm.roll_in_scope: the guide begins no response of 'ppo'; leave it out")]
    [InlineData("algorithm={name: aggrevated, roll_in_lengths: share}", "--set algorithm={name: aggrevated, roll_in_lengths: share}: algorithm.roll_in_lengths: share is a share of the guide's text, and here the policy rolls in; use limit, inside or exact")]
    [InlineData("algorithm.roll_in_scope=group", "--set algorithm.roll_in_scope=group: algorithm.roll_in_scope: the rows to one prompt share a roll-in, and 'ppo_plus_plus' has one row to each: set group_size to 2 or more, or leave it out")]
    [InlineData("algorithm={name: r3, cut: {low: 0.8, high: 0.2}}", "--set algorithm={name: r3, cut: {low: 0.8, high: 0.2}}: algorithm.cut.low: the least share is above the largest")]
    [InlineData("algorithm={name: r3, cut: {chunks: 4}}", "--set algorithm={name: r3, cut: {chunks: 4}}: algorithm.cut.chunks: it belongs to the rule binomial or bisect or ladder; leave it out")]
    [InlineData("algorithm={name: r3, cut: {rule: binomial}}", "--set algorithm={name: r3, cut: {rule: binomial}}: algorithm.cut.probability: the rule binomial must have it: the probability of each part of the text")]
    [InlineData("algorithm={name: r3, cut: {final_high: 0.2}}", "--set algorithm={name: r3, cut: {final_high: 0.2}}: algorithm.cut.final_high: it belongs to a schedule; set schedule: linear, cosine or stages, or leave it out")]
    [InlineData("algorithm={name: r3, cut: {final_high: 0.2, schedule: linear}}", "--set algorithm={name: r3, cut: {final_high: 0.2, schedule: linear}}: algorithm.cut.iterations: a schedule must have it: the iterations until the final values")]
    [InlineData("algorithm={name: r3, cut: {schedule: linear, iterations: 5}}", "--set algorithm={name: r3, cut: {schedule: linear, iterations: 5}}: algorithm.cut.schedule: nothing has a final value; set final_low or final_high, or leave it out")]
    [InlineData("algorithm={name: r3, cut: {final_high: 0.2, schedule: stages, iterations: 5}}", "--set algorithm={name: r3, cut: {final_high: 0.2, schedule: stages, iterations: 5}}: algorithm.cut.stages: the schedule stages and the number of stages belong together; set both or neither")]
    [InlineData("algorithm={name: custom, first: {roll_in: guide, roll_out: policy, roll_in_probability: 0.5, lengths: share}}", "--set algorithm={name: custom, first: {roll_in: guide, roll_out: policy, roll_in_probability: 0.5, lengths: share}}: algorithm.first.cut: roll-ins of the lengths share need it: {rule: window, low: 0, high: 1}")]
    [InlineData("algorithm={name: r3, cut: {rule: ladder}}", "--set algorithm={name: r3, cut: {rule: ladder}}: algorithm.cut.rule: a ladder is climbed by further writings: it is for gate.cut; use window or binomial")]
    [InlineData("algorithm={name: r3, cut: {rule: interval, low: 0.1}}", "--set algorithm={name: r3, cut: {rule: interval, low: 0.1}}: algorithm.cut.low: it belongs to the rule window; leave it out")]
    [InlineData("algorithm={name: bread, gate: {cut: {success_low: 0.8}}}", "--set algorithm={name: bread, gate: {cut: {success_low: 0.8}}}: algorithm.gate.cut.success_low: it is above success_high")]
    [InlineData("algorithm={name: ghpo, gate: {rounds: 5}}", "--set algorithm={name: ghpo, gate: {rounds: 5}}: algorithm.gate.rounds: 5 writings climb a ladder of 4 parts: the last of them would give the whole text again; set as many rounds at most")]
    [InlineData("algorithm={name: grpo, gate: {rounds: 2}}", "--set algorithm={name: grpo, gate: {rounds: 2}}: algorithm.gate: 'grpo' writes nothing again; say by gate.cut what the new rows begin with, or leave it out")]
    [InlineData("algorithm={name: grpo, success_reward: 2}", "--set algorithm={name: grpo, success_reward: 2}: algorithm.success_reward: 'grpo' does not ask which rows succeeded: that is for a gate, or a cut by the rule interval or bisect; leave it out")]
    [InlineData("algorithm={name: adaback, gate: {cut: {rule: bisect}}}", "--set algorithm={name: adaback, gate: {cut: {rule: bisect}}}: algorithm.gate.cut: two cuts of 'adaback' go by what is known of a prompt (interval, bisect), and they would not know which of them it was; give one of them another rule")]
    [InlineData("algorithm={name: luffy, guide_rows: 8}", "--set algorithm={name: luffy, guide_rows: 8}: algorithm.guide_rows: 8 of 8 rows to a prompt are the guide's: leave one to the policy at least, or make group_size larger")]
    [InlineData("algorithm={name: luffy, guide_credit: {shape: probability, gamma: 0.2}}", "--set algorithm={name: luffy, guide_credit: {shape: probability, gamma: 0.2}}: algorithm.guide_credit: gamma belongs to shape: shaped; leave it out")]
    [InlineData("algorithm={name: grpo, groups: {baseline: unguided}}", "--set algorithm={name: grpo, groups: {baseline: unguided}}: algorithm.groups: baseline: all rows of 'grpo' are unguided; leave it out")]
    [InlineData("algorithm={name: adaptive, lessons: {asking: one, guide_token_price: 2}}", "--set algorithm={name: adaptive, lessons: {asking: one, guide_token_price: 2}}: algorithm.lessons.guide_token_price: the guide is asked as often as the algorithm says, whatever it costs; set asking: measured, or leave it out")]
    [InlineData("algorithm.roll_in_lengths=whole", "--set algorithm.roll_in_lengths=whole: algorithm.roll_in_lengths: whole leaves the policy nothing to write; set algorithm.guide_rows for some rows of the guide's, or use share")]
    [InlineData("data.filter=label = 1", "--set data.filter=label = 1: data.filter: filter 'label = 1', column 7: found '='; equality is ==")]
    [InlineData("reward={kind: regex, pattern: '(a'}", "--set reward={kind: regex, pattern: '(a'}: reward.pattern: no regular expression at character 3: insufficient closing parentheses")]
    [InlineData("judge={kind: length, target_tokens: 5, normalise: true}", "--set judge={kind: length, target_tokens: 5, normalise: true}: judge: normalise is for the reward that training learns from; a judge's scores are reported as they are")]
    [InlineData("reward={kind: sum, parts: [{name: a, reward: {kind: length, target_tokens: 5, normalise: true}}]}",
        "--set reward={kind: sum, parts: [{name: a, reward: {kind: length, target_tokens: 5, normalise: true}}]}: reward.parts: normalise is for the whole reward; set it beside parts, and weigh the parts by weight")]
    [InlineData("reward={kind: sum, parts: []}", "--set reward={kind: sum, parts: []}: reward.parts: a sum needs one part at least")]
    public void A_combination_that_cannot_run_names_its_key(string change, string message) => Assert.Equal(message, Assert.Throws<InputException>(() => Load(change)).Message);

    [Fact]
    public void A_clip_range_above_the_algorithm_s_own_upper_one_is_refused_by_what_was_said()
    {
        Assert.Equal(
            "--set update.clip_range=0.5: update.clip_range: 0.5 is above clip_range_high, which 'dapo' has as 0.28: the range is the wider one above 1; set that too, or lower this",
            Assert.Throws<InputException>(() => Load("guide=null", "algorithm.name=dapo", "update.clip_range=0.5")).Message);
        Assert.Equal(0.6, ((TrainRecipe)Load("guide=null", "algorithm.name=dapo", "update.clip_range=0.5", "update.clip_range_high=0.6").Resolved()).Update.ClipRangeHigh);
        // A weight is bounded from above only.
        Assert.Equal(0.1, Load("update.surrogate=cispo", "update.clip_range_high=0.1").Update.ClipRangeHigh);
    }

    [Theory]
    [InlineData("{name: luffy, guide_rows: 0}")]
    [InlineData("{name: luffy, guide_rows: 2, guide_credit: {coefficient: 0}}")]
    [InlineData("{name: uft, roll_in_probability: 0, switch_iteration: 4}")]
    [InlineData("{name: uft, roll_in_scope: row, cut: {probability: 0}}")]
    [InlineData("{name: r3, roll_in_lengths: inside}")]
    [InlineData("{name: adaback, cut: {nothing_probability: 1, memory: 0}, success_reward: 0.5}")]
    [InlineData("{name: bread, success_reward: 0, gate: {rows: join}}")]
    [InlineData("{name: dapo, groups: {equal: keep, epsilon: 0}}")]
    [InlineData("{name: dr_grpo, groups: {scaling: batch_deviation}}")]
    [InlineData("{name: lols, policy_probability: 0}")]
    [InlineData("{name: adaptive, guide_credit: {coefficient: 1, weight: one}, lessons: {asking: one}}")]
    [InlineData("{name: adaptive_v1, guide_credit: {coefficient: 0, gap: one}}")]
    [InlineData("{name: adaptive, lessons: {guide_token_price: 2.5}}")]
    [InlineData("{name: grpo, advantage: gae, lambda: 0, gamma: 0.5}")]
    [InlineData("{name: ppo, advantage: rloo, group_size: 2, groups: {scaling: group_deviation}}")]
    public void What_an_algorithm_was_told_is_still_so_when_all_is_filled_in(string section)
    {
        var algorithm = Load($"algorithm={section}").Algorithm;
        Assert.Equal(algorithm.ToSettings(), algorithm.Resolved().ToSettings());
        Assert.Equal(algorithm.ToSettings(), RecipeFile.Parse<AlgorithmSection>(RecipeFile.Write(algorithm.Resolved()), "a.yaml").ToSettings());
    }

    [Fact]
    public void A_guide_that_is_not_there_can_not_be_evaluated() => Assert.Equal(
        "--set evaluation.guide=true: evaluation.guide: there is no guide to evaluate; leave it out, or set guide",
        Assert.Throws<InputException>(() => Load("guide=null", "algorithm.name=ppo", "evaluation.guide=true")).Message);

    private static TrainRecipe Load(params string[] changes) => RecipeFile.Parse<TrainRecipe>(Least, "r.yaml", [.. changes]);
}
