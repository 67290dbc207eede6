using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Text.Data;

namespace Rlgf.Cli.Tests;

/// <summary>Kinds of parts that a program adds: they work everywhere where the built-in ones do, and what is wrong with them or their settings is one line.</summary>
[Collection(ExactNumbersCollection.Name)]
public sealed class OwnKindsTests
{
    [Theory]
    [InlineData("{kind: love, word: good, wrod: x}", "recipe-run.yaml:14: unknown key 'reward.wrod'; did you mean 'word'?")]
    [InlineData("{kind: love, word: good, worth: much}", "recipe-run.yaml:14: reward.worth: expected a number, such as 0.7; found 'much'")]
    [InlineData("{kind: love, word: good, worth: -1}", "recipe-run.yaml:14: reward.worth is -1; it must be at least 0")]
    [InlineData("{kind: love}", "recipe-run.yaml:14: missing key 'reward.word' of the kind 'love'")]
    [InlineData("{kind: love, word: ''}", "recipe-run.yaml:14: reward.word: is empty, which every text holds")]
    [InlineData("{kind: hate, word: good}", "recipe-run.yaml:14: reward.kind: expected one of: classifier, regex, length, sum, ensemble, match, reasoning_gym, coverage, metric, program, http, model_judge, stack_program, ended, length_range, love, broken; found 'hate'; a kind of somebody's own is known to the program that adds it: run that one")]
    [InlineData("{kind: broken}", "recipe-run.yaml:14: reward.kind: the program's code for the kind 'broken' of rewards failed on its settings: InvalidOperationException: no luck")]
    [InlineData("{kind: broken, how: nothing}", "recipe-run.yaml:14: reward.kind: the program's code for the kind 'broken' of rewards made nothing (null)")]
    [InlineData("{kind: broken, how: refuse}", "recipe-run.yaml:14: reward.how: not so")]
    [InlineData("{kind: sum, parts: [{name: a, reward: {kind: broken, how: refuse}}]}", "recipe-run.yaml:14: reward.parts.0.reward.how: not so")]
    [InlineData("{kind: broken, how: rules}", "recipe-run.yaml:14: reward: BrokenSettings failed on these settings: InvalidOperationException: bad rules")]
    [InlineData("{kind: broken, how: setter}", "recipe-run.yaml:14: reward: BrokenSettings failed on these settings: ArgumentException: bad value")]
    [InlineData("{kind: broken, how: score}", "recipe-run.yaml:14: reward.kind: the reward 'broken' failed on PROMPTS:1: InvalidOperationException: no score")]
    public void What_is_wrong_in_a_section_of_ones_own_is_one_line(string reward, string message)
    {
        using var scratch = new Scratch();
        var line = Cli.RunWith(Kinds(), "", default, "check", Recipe(scratch, reward)).OneErrorLine(ExitCode.Failed);
        Assert.Equal("error: " + message.Replace("recipe-run.yaml", scratch["recipe-run.yaml"], StringComparison.Ordinal).Replace("PROMPTS", scratch["prompts.jsonl"], StringComparison.Ordinal), line);
    }

    [Fact]
    public void What_is_wrong_with_a_kind_is_one_line_from_any_command()
    {
        Says("the kind 'love' of rewards is added twice, with LoveSettings and with BrokenSettings: give one of them another name", kinds => kinds.Rewards.Add<BrokenSettings>("love", (_, _) => throw new InvalidOperationException()));
        Says("the kind 'regex' of rewards is added twice, with RegexRewardSection and with OtherSettings: give one of them another name", kinds => kinds.Rewards.Add<OtherSettings>("regex", (_, _) => throw new InvalidOperationException()));
        Says("the kinds 'love' and 'love2' of rewards have one record of settings, LoveSettings: give each a record of its own", kinds => kinds.Rewards.Add<LoveSettings>("love2", (_, _) => throw new InvalidOperationException()));
        Says("the kind 'My Reward' of rewards: a name begins with a small letter and has small letters, digits and _", kinds => kinds.Rewards.Add<OtherSettings>("My Reward", (_, _) => throw new InvalidOperationException()));
        Says("the kind 'call' of guides: CallbackSettings.Call is of the type Func`1, which no recipe can hold: use string, bool, int, long, ulong, double, enums, records (classes) of these, or IReadOnlyList of these",
            kinds => kinds.Guides.Add<CallbackSettings>("call", (_, _) => new ReferencesGuide()));
        Says("the kind 'kinds' of guides: KindSettings has a key 'kind', which names the kind: call it otherwise", kinds => kinds.Guides.Add<KindSettings>("kinds", (_, _) => new ReferencesGuide()));
        Says("the kind 'ppo' of algorithms is added twice, with AlgorithmSection and with AlgorithmSection: give one of them another name", kinds => kinds.Algorithms.Add("ppo", "Mine.", Presets.Ppo()));

        static void Says(string message, Action<PartKinds> add)
        {
            var kinds = Kinds();
            add(kinds);
            Assert.Equal("error: " + message, Cli.RunWith(kinds, "", default, "--help").OneErrorLine(ExitCode.Failed));
        }
    }

    [Fact]
    public void A_run_of_own_kinds_everywhere_is_trained_resumed_and_evaluated_by_them()
    {
        using var scratch = new Scratch();
        var told = new List<string>();
        var kinds = Kinds(told);
        var recipe = Recipe(scratch, "{kind: sum, parts: [{name: loved, weight: 2, reward: {kind: love, word: g, worth: 3}}, {name: e, reward: {kind: regex, pattern: e}}]}");
        string[] own =
        [
            "--set", "guide={kind: teacher, says: ' good', times: 2}", "--set", "judge={kind: love, word: e}", "--set", "algorithm={name: gentle, softness: 0.25}",
            "--set", "data.reader={kind: counting, count: 7}", "--set", "logs=[{kind: list, prefix: seen}]", "--set", "checkpoints.every=1",
        ];
        var trained = Cli.RunWith(kinds, "", default, ["train", recipe, .. own]);
        Assert.True(trained.Code == ExitCode.Ok, trained.Error);
        Assert.Equal(["seen 0 done", "seen evaluation 0", "seen samples 1", "seen iteration 0", "seen samples 2", "seen iteration 1", "seen evaluation 2", "seen samples 3", "seen iteration 2", "seen evaluation 3", "seen end"], told);
        var run = scratch["run"];
        Assert.Equal("gentle", new RunFolder(run).ReadDescription().Algorithm);
        // β of the own algorithm is 1 − softness, unless the recipe says otherwise.
        var resolved = File.ReadAllText(Path.Combine(run, "recipe.yaml"));
        foreach (var line in (string[])["  name: gentle", "  softness: 0.25", "  roll_in_probability: 0.75", "    kind: counting", "    count: 7", "  kind: teacher", "  times: 2", "- kind: list"])
            Assert.Contains(line, resolved, StringComparison.Ordinal);
        var rows = Fixtures.Rows(Path.Combine(run, "evaluations", "iteration-00003.jsonl"));
        Assert.All(rows, row => Assert.StartsWith("row ", row["prompt"]!.GetValue<string>(), StringComparison.Ordinal));
        Assert.All(rows, row =>
        {
            var text = row["response"]!.GetValue<string>();
            var (love, e) = (text.Contains('g', StringComparison.Ordinal) ? 3 : 0, text.Contains('e', StringComparison.Ordinal) ? 1 : 0);
            Assert.Equal(2 * love + e, row["reward"]!.GetValue<double>());
            Assert.Equal(love, row["reward_parts"]!["loved"]!.GetValue<double>());
            Assert.Equal(e, row["judge"]!.GetValue<double>());
        });

        Directory.Delete(Path.Combine(run, "checkpoints", "iteration-00003"), recursive: true);
        told.Clear();
        var resumed = Cli.RunWith(kinds, "", default, "train", run, "--resume");
        Assert.True(resumed.Code is ExitCode.Ok, resumed.Error);
        Assert.Equal(["seen 2 done", "seen evaluation 2", "seen samples 3", "seen iteration 2", "seen evaluation 3", "seen end"], told);
        Assert.Equal(rows.Select(row => row.ToJsonString()), Fixtures.Rows(Path.Combine(run, "evaluations", "iteration-00003.jsonl")).Select(row => row.ToJsonString()));
    }

    [Fact]
    public void Supervised_training_reads_by_a_reader_and_tells_a_log_of_ones_own()
    {
        using var scratch = new Scratch();
        var told = new List<string>();
        string[] own = ["--set", "data.reader={kind: counting, count: 60}", "--set", "training.max_steps=3", "--set", "training.evaluate_every=2", "--set", "logs=[{kind: list, prefix: seen}]"];
        var trained = Cli.RunWith(Kinds(told), "", default, ["sft", SupervisedTests.Sft(scratch), .. own]);
        Assert.True(trained.Code == ExitCode.Ok, trained.Error);
        Assert.Equal(["seen 0 done", "seen held-out 0", "seen step 1", "seen step 2", "seen held-out 2", "seen step 3", "seen held-out 3", "seen end"], told);
        told.Clear();
        var longer = Cli.RunWith(Kinds(told), "", default, ["sft", scratch["model"], "--resume", "--set", "training.max_steps=4"]);
        Assert.True(longer.Code == ExitCode.Ok, longer.Error);
        Assert.Equal(["seen 3 done", "seen step 4", "seen held-out 4", "seen end"], told);
        var failed = Cli.RunWith(Kinds(told), "", default, ["sft", SupervisedTests.Sft(scratch), .. own, "--set", $"output={scratch["failed"]}", "--set", "logs=[{kind: list, prefix: ''}]"]);
        Assert.Equal("error: the log ListLog failed on the held-out examples after 0 steps: InvalidOperationException: full", failed.ErrorLines[^1]);
        Assert.Contains("kind: counting", File.ReadAllText(Path.Combine(scratch["model"], "recipe.yaml")), StringComparison.Ordinal);
        Assert.Equal(ExitCode.Ok, Cli.RunWith(Kinds(), "", default, ["check", SupervisedTests.Sft(scratch), .. own]).Code);
    }

    [Fact]
    public void A_reader_or_log_that_fails_is_named_with_what_it_was_at()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "{kind: regex, pattern: e}");
        Assert.Equal($"error: --set data.reader={{kind: counting, count: -1}}: data.reader.kind: the reader 'counting' failed on {scratch["prompts.jsonl"]}: InvalidOperationException: no more",
            Cli.RunWith(Kinds(), "", default, "check", recipe, "--set", "data.reader={kind: counting, count: -1}").OneErrorLine(ExitCode.Failed));
        var failed = Cli.RunWith(Kinds(), "", default, "train", recipe, "--set", "logs=[{kind: list, prefix: ''}]");
        Assert.Equal(ExitCode.Failed, failed.Code);
        Assert.Equal("error: the log ListLog failed on the evaluation after 0 iterations: InvalidOperationException: full", failed.ErrorLines[^1]);
    }

    [Fact]
    public void A_run_without_a_recipe_is_not_evaluated_by_another()
    {
        using var scratch = new Scratch();
        var folder = new RunFolder(scratch["run"]);
        using (var log = FolderRunLog.Begin(folder, new RunDescription("mine", "ppo", 0), Report.SyntheticRuns.Machine))
            log.Iteration(new IterationRecord(0, new RolloutPlan(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside), new Dictionary<string, double> { ["reward/mean"] = 1 }));
        foreach (var command in (string[])["evaluate", "check"])
            Assert.StartsWith($"error: {scratch["run"]}: the run has no recipe: ", Cli.Run(command, scratch["run"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void Help_and_reference_list_the_kinds_of_the_program()
    {
        var help = Cli.RunWith(Kinds(), "", default, "train", "--help").Output;
        foreach (var part in (string[])["teacher", "love", "gentle", "counting", "list"]) Assert.Contains(part, help, StringComparison.Ordinal);
        var reference = Cli.RunWith(Kinds(), "", default, "reference").Output;
        foreach (var line in (string[])["### kind: love", "| `word` | text | required |", "| `worth` | number ≥ 0 | `1` |", "- `gentle`: Rolls in softly.", "### name: gentle", "| `softness` | number | `0.5` |", "### kind: counting"])
            Assert.Contains(line, reference, StringComparison.Ordinal);
    }

    private static string Recipe(Scratch scratch, string reward)
    {
        var file = TrainTests.Recipe(scratch, "run");
        var lines = File.ReadAllLines(file).ToList();
        var at = lines.IndexOf("reward:");
        lines.RemoveRange(at, 3);
        lines.Insert(at, $"reward: {reward}");
        File.WriteAllLines(file, lines);
        return file;
    }

    private static PartKinds Kinds(List<string>? told = null)
    {
        var kinds = new PartKinds();
        kinds.Rewards.Add<LoveSettings>("love", (settings, services) => new FunctionReward(services.Name, response => response.Text.Contains(settings.Word, StringComparison.Ordinal) ? settings.Worth : 0));
        kinds.Rewards.Add<BrokenSettings>("broken", (settings, services) => settings.How switch
        {
            "refuse" => throw services.Refusal("how", "not so"),
            "nothing" => null!,
            "score" => new FunctionReward("broken", _ => throw new InvalidOperationException("no score")),
            _ => throw new InvalidOperationException("no luck"),
        });
        kinds.Guides.Add<TeacherSettings>("teacher", (settings, services) => new FunctionGuide("teacher", _ => new GuideContinuation(string.Concat(Enumerable.Repeat(settings.Says, settings.Times)), Ended: true)));
        kinds.Readers.Add<CountingSettings>("counting", (settings, source) => Count(settings.Count, source));
        kinds.Logs.Add<ListSettings>("list", (settings, services) => new ListLog(settings.Prefix, services.Done, told ?? []));
        kinds.Algorithms.Add<GentleSettings>("gentle", "Rolls in softly.", settings => Presets.PpoPlusPlus(1 - settings.Softness));
        return kinds;
    }

    private static IEnumerable<DataRow> Count(int count, DataSource source)
    {
        if (count < 0) throw new InvalidOperationException("no more");
        for (var i = 1; i <= count; i++) yield return DataRow.Create(source.Path, i, ("text", $"row {i} of a table that nobody wrote into a file"));
    }

    internal sealed record LoveSettings : RewardSection, ICheckedSection
    {
        public required string Word { get; init; }

        [Limits(AtLeast = 0)]
        public double Worth { get; init; } = 1;

        public IEnumerable<(string Key, string Problem)> Problems()
        {
            if (Word.Length == 0) yield return ("word", "is empty, which every text holds");
        }
    }

    internal sealed record BrokenSettings : RewardSection, ICheckedSection
    {
        public string How { get; init => field = value == "setter" ? throw new ArgumentException("bad value") : value; } = "";

        public IEnumerable<(string Key, string Problem)> Problems() => How == "rules" ? throw new InvalidOperationException("bad rules") : [];
    }

    internal sealed record OtherSettings : RewardSection;

    internal sealed record CallbackSettings : GuideSection
    {
        public Func<string>? Call { get; init; }
    }

    internal sealed record KindSettings : GuideSection
    {
        public string Kind { get; init; } = "";
    }

    internal sealed record TeacherSettings : GuideSection
    {
        public required string Says { get; init; }

        public int Times { get; init; } = 1;
    }

    internal sealed record CountingSettings : DataReaderSection
    {
        public required int Count { get; init; }
    }

    internal sealed record ListSettings : RunLogSection
    {
        public required string Prefix { get; init; }
    }

    internal sealed record GentleSettings : AlgorithmSection
    {
        public double Softness { get; init; } = 0.5;
    }

    private sealed class ListLog : IRunLog, IDisposable
    {
        private readonly string _prefix;
        private readonly List<string> _told;

        public ListLog(string prefix, int done, List<string> told)
        {
            (_prefix, _told) = (prefix, told);
            Say($"{done} done");
        }

        public void Iteration(IterationRecord record) => Say($"iteration {record.Iteration}");

        public void Evaluation(EvaluationRecord record)
        {
            if (_prefix.Length == 0) throw new InvalidOperationException("full");
            Say($"evaluation {record.Iteration}");
        }

        public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) => Say($"samples {iteration}");

        public void Step(StepRecord record) => Say($"step {record.Step}");

        public void HeldOut(StepRecord record)
        {
            if (_prefix.Length == 0) throw new InvalidOperationException("full");
            Say($"held-out {record.Step}");
        }

        public void Dispose() => Say("end");

        private void Say(string what) => _told.Add($"{_prefix} {what}");
    }
}
