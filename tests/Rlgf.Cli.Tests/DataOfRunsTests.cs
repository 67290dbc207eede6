namespace Rlgf.Cli.Tests;

/// <summary>What a row of the data lacks, one to learn from or one that is held out, is said before anything is written: the file, its line, the column and the recipe's key.</summary>
public sealed class DataOfRunsTests
{
    [Theory]
    [InlineData("reward={kind: stack_program}", "reward", """{"text": "a b c d e f", "cases": ["no case"]}""", "can't be scored by 'reward', {0}:8 first: column 'cases' holds 'no case', which is no case")]
    [InlineData("reward={kind: stack_program, cases: tests}", "reward.cases", """{"text": "a b c d e f", "tests": []}""", "can't be scored by 'reward', {0}:8 first: column 'tests' is empty")]
    [InlineData("reward={kind: match, column: answer}", "reward.column", """{"text": "a b c d e f", "answer": ""}""", "can't be scored by 'reward', {0}:8 first: column 'answer' is empty")]
    [InlineData("reward={kind: match, column: answer}", "reward.column", """{"text": "a b c d e f", "answer": true}""", "{0}:8: column 'answer': expected a text, a number or a list of texts, found true")]
    [InlineData("reward={kind: match, column: answer}", "reward.column", """{"text": "a b c d e f", "answer": [1]}""", "{0}:8: column 'answer': element 1: expected text, found the number 1")]
    [InlineData("reward={kind: coverage, column: words}", "reward.column", """{"text": "a b c d e f", "words": []}""", "can't be scored by 'reward', {0}:8 first: column 'words' is empty")]
    [InlineData("reward={kind: metric, metric: bleu}", "reward", """{"text": "a b c d"}""", "can't be scored by 'reward', {0}:8 first: there is no reference response")]
    [InlineData("reward={kind: reasoning_gym}", "reward", """{"text": "a b c d e f", "task": "t", "scorer": "none of them", "answer": "x", "meta": {}}""", "can't be scored by 'reward', {0}:8 first: ")]
    [InlineData("reward={kind: model_judge, url: 'http://localhost:1/', model: m, template: '{row.right} {response}'}", "reward", """{"text": "a b c d e f", "right": ""}""", "can't be scored by 'reward', {0}:8 first: column 'right' is empty")]
    [InlineData("reward={kind: model_judge, url: 'http://localhost:1/', model: m, template: '{reference} {response}'}", "reward", """{"text": "a b c d"}""", "can't be scored by 'reward', {0}:8 first: there is no reference response")]
    [InlineData("reward={kind: sum, parts: [{name: p, reward: {kind: match, column: answer}}]}", "reward.parts.0.reward.column", """{"text": "a b c d e f", "answer": null}""", "can't be scored by 'p', {0}:8 first: column 'answer' is empty")]
    [InlineData("guide={kind: references}", "guide.kind", """{"text": "a b c d"}""", "can't be answered by the guide 'references', {0}:8 first: there is no reference response; filter them out")]
    [InlineData("guide={kind: imperfect_references, right: 0.5}", "guide", """{"text": "a b c d"}""", "can't be answered by the guide 'references, 0.5 right', {0}:8 first: there is no reference response; filter them out")]
    public void A_bad_row_is_named_whichever_file_it_is_in(string change, string key, string bad, string message)
    {
        foreach (var file in (string[])["train.jsonl", "held-out.jsonl"])
        {
            using var scratch = new Scratch();
            var recipe = Recipe(scratch, file, bad);
            foreach (var command in (string[])["check", "train"])
            {
                // A row without a reference is one that the guide can't answer either.
                string[] alone = change.StartsWith("reward", StringComparison.Ordinal) ? ["--set", "algorithm.name=ppo", "--set", "evaluation.guide=false"] : [];
                var result = Cli.Run([command, recipe, "--set", change, .. alone]);
                Assert.Equal(ExitCode.Failed, result.Code);
                Assert.Contains((result.Output + result.Error).Split('\n'), line =>
                    line.StartsWith($"error: --set {change}: {key}: ", StringComparison.Ordinal) && line.Contains(string.Format(null, message, scratch[file]), StringComparison.Ordinal));
                Assert.False(File.Exists(Path.Combine(scratch["run"], "metrics.jsonl")));
            }
        }
    }

    [Fact]
    public void A_held_out_row_is_named_also_where_it_is_only_evaluated_and_the_judge_alone_reads_it()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "held-out.jsonl", """{"text": "a b c d e f", "answer": ""}""");
        foreach (var change in (string[])["reward={kind: match, column: answer}", "judge={kind: match, column: answer}"])
        {
            var key = change.Split('=')[0];
            Assert.StartsWith($"error: --set {change}: {key}.column: 1 of 8 held-out prompts can't be scored by '{key}', {scratch["held-out.jsonl"]}:8 first: column 'answer' is empty; filter them out, or set failure_score",
                Cli.Run("evaluate", recipe, "--set", change).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        }

        // With a score for such rows nothing stops, and it is said once for each file that has them.
        var result = Cli.Run("check", recipe, "--set", "reward={kind: match, column: answer, failure_score: 0}");
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Single(result.Output.Split('\n'), line => line.StartsWith("warning: ", StringComparison.Ordinal) && line.Contains("1 of 8 held-out prompts can't be scored by 'reward'", StringComparison.Ordinal) && line.EndsWith("; they get 0", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"text": "a b c d e f", "kind": ["x"]}""", "column 'kind': results are given by a text, a number, or true and false")]
    [InlineData("""{"text": "a b c d e f"}""", "no column 'kind'")]
    public void A_held_out_row_without_what_results_are_given_by_names_the_key(string bad, string message)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "held-out.jsonl", bad);
        foreach (var command in (string[])["check", "train", "evaluate"])
        {
            Assert.Equal($"error: --set evaluation.by=kind: evaluation.by: {scratch["held-out.jsonl"]}:8: {message}",
                Cli.Run(command, recipe, "--set", "evaluation.by=kind").OneErrorLine(ExitCode.Failed).Split("; there is")[0]);
        }
    }

    [Theory]
    [InlineData("12", "expected a text or a list of texts, found the number 12")]
    [InlineData("true", "expected a text or a list of texts, found true")]
    [InlineData("[\"x\", 5]", "element 2: expected text, found the number 5")]
    public void A_reference_of_another_kind_says_what_was_found_and_what_would_do(string value, string message)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "train.jsonl", $$"""{"text": "a b c d e f", "answer": {{value}}}""");
        Assert.Equal($"error: --set data.reference_column=answer: data.reference_column: {scratch["train.jsonl"]}:8: column 'answer': {message}",
            Cli.Run("check", recipe, "--set", "data.reference_column=answer").OneErrorLine(ExitCode.Failed));
    }

    [Theory]
    [InlineData("supervised: {column: none}", "supervised.column: none of 8 prompts has a text for the supervised loss: column 'none' is empty in all of their rows")]
    [InlineData("supervised: {}", "supervised: none of 8 prompts has a text for the supervised loss, since none has a reference: check data.reference_column, or data.prompt_tokens")]
    [InlineData("supervised: {column: nope}", "supervised.column: ")]
    public void Prompts_without_a_text_for_the_supervised_loss_are_no_matter_of_the_response_s_length(string supervised, string message)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "train.jsonl", """{"text": "a b c d", "none": ""}""", """{"text": "a b c d", "none": ""}""");
        File.AppendAllText(recipe, supervised + "\n");
        foreach (var command in (string[])["check", "train"])
        {
            var result = Cli.Run(command, recipe, "--set", "algorithm.name=ppo", "--set", "guide=null");
            var error = Assert.Single((result.Output + result.Error).Split('\n'), line => line.StartsWith("error: ", StringComparison.Ordinal));
            Assert.StartsWith($"error: {recipe}:{File.ReadLines(recipe).Count()}: {message}", error, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("algorithm.roll_in_probability: the guide begins no response of 'ppo_plus_plus': the probability is 0", "algorithm.roll_in_probability=0")]
    [InlineData("algorithm.cut.nothing_probability: nothing of the guide's text is ever given in 'adaback', as this is 1", "algorithm={name: adaback, cut: {nothing_probability: 1}}", "generation.max_new_tokens=40")]
    [InlineData("algorithm.success_reward: no row can succeed: that takes a reward of 2 and there is none above 1", "algorithm={name: bread, success_reward: 2}", "generation.max_new_tokens=40")]
    [InlineData("algorithm.guide_rows: no row of a group is the guide's: it is 0 and 'luffy' has 1", "algorithm={name: luffy, guide_rows: 0}")]
    [InlineData("algorithm.guide_credit.coefficient: what the guide wrote teaches nothing: its weight is 0 and 'luffy' has 1", "algorithm={name: luffy, guide_credit: {coefficient: 0}}", "generation.max_new_tokens=40")]
    [InlineData("supervised.coefficient: the supervised loss teaches nothing: its weight is 0 in every iteration", "supervised={coefficient: 0}", "generation.max_new_tokens=40")]
    [InlineData("generation.max_new_tokens: 8 of 8 prompts have a reference that is longer than a response may be, 6 tokens: the guide 'references' gives its beginning and never its end; the longest has ", "generation.max_new_tokens=6")]
    public void Guidance_that_is_switched_off_is_said_once_before_the_run(string message, params string[] changes)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "train.jsonl", """{"text": "The acting is good and bad 8"}""");
        string[] set = [.. changes.SelectMany(change => (string[])["--set", change])];
        foreach (var command in (string[])["check", "train"])
        {
            var result = Cli.Run([command, recipe, .. set]);
            Assert.Equal(ExitCode.Ok, result.Code);
            var line = Assert.Single((result.Output + result.Error).Split('\n'), line => line.StartsWith("warning: ", StringComparison.Ordinal));
            Assert.StartsWith($"warning: --set {changes[0]}: {message}", line, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_guide_that_never_teaches_is_said_once_while_it_trains()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "train.jsonl", """{"text": "The acting is good and bad 8"}""");
        string[] set = [.. ((string[])["generation.max_new_tokens=40", "algorithm={name: adaptive, lessons: {window: 8}}", "reward={kind: regex, pattern: never}"]).SelectMany(change => (string[])["--set", change])];
        var result = Cli.Run(["train", recipe, .. set]);
        Assert.Equal(ExitCode.Ok, result.Code);
        var line = Assert.Single(result.ErrorLines, line => line.Contains("no lesson in", StringComparison.Ordinal));
        Assert.Matches("^warning: after [123] iterations: no lesson in the guide's first 8 whole answers, nor in the policy's own: all rewards are 0, so that", line);
    }

    /// <summary>A recipe with two files of eight rows, of which one has a bad row, its last.</summary>
    /// <param name="scratch">Where.</param>
    /// <param name="file">Which file has the bad row.</param>
    /// <param name="bad">That row.</param>
    /// <param name="others">The other rows; null for ones that have all that is asked for.</param>
    private static string Recipe(Scratch scratch, string file, string bad, string? others = null)
    {
        foreach (var name in (string[])["train.jsonl", "held-out.jsonl"])
        {
            var rows = Enumerable.Range(0, 8).Select(i => others ??
                $$$"""{"text": "The acting is good and bad {{{i}}}", "answer": "x", "words": ["run"], "cases": ["3=3"], "tests": ["3=3"], "kind": "k", "right": "r", "task": "t", "scorer": "exact", "meta": {}}""").ToArray();
            if (name == file) rows[7] = bad;
            scratch.Write(name, rows);
        }

        var recipe = TrainTests.Recipe(scratch, "run");
        File.WriteAllText(recipe, File.ReadAllText(recipe)
            .Replace($"  path: {scratch["prompts.jsonl"]}", $"  path: {scratch["train.jsonl"]}", StringComparison.Ordinal)
            .Replace($"  evaluation_path: {scratch["prompts.jsonl"]}", $"  evaluation_path: {scratch["held-out.jsonl"]}", StringComparison.Ordinal)
            .Replace("  prompts: 4", "  prompts: 8", StringComparison.Ordinal));
        return recipe;
    }
}
