namespace Rlgf.Cli.Tests;

/// <summary>What is missing, what was computed before, and what would not be used, is said before any work, by the option that it came from.</summary>
public sealed class MissingAndUnusedTests
{
    [Theory]
    [InlineData("model.path={0}/none", "--set model.path={0}/none: model.path: {0}/none: there is no such file or folder")]
    [InlineData("data.path={0}/none.jsonl", "--set data.path={0}/none.jsonl: data.path: {0}/none.jsonl: there is no such file or folder")]
    [InlineData("guide={{kind: model, path: {0}/none}}", "guide.path: {0}/none: there is no such file or folder")]
    public void A_sweep_looks_for_files_before_it_begins(string change, string message)
    {
        using var scratch = new Scratch();
        var folder = Path.GetDirectoryName(scratch["x"]);
        var line = Cli.Run("sweep", TrainTests.Recipe(scratch, "unused"), "--over", "update.epochs=1,2", "--output", scratch["sweep"], "--set", string.Format(null, change, folder)).OneErrorLine(ExitCode.Failed);
        Assert.EndsWith(string.Format(null, message, folder), line, StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch["sweep"]));
    }

    [Theory]
    [InlineData("error: --over update.epochs=0: update.epochs is 0; it must be at least 1", "--over", "update.epochs=1,0")]
    [InlineData("error: --over algorithm.name=pppo: algorithm.name: expected one of", "--over", "algorithm.name=ppo_plus_plus,pppo")]
    [InlineData("error: --over no.such=1: unknown key 'no'", "--over", "no.such=1,2")]
    [InlineData("error: --set update.epochs=0: update.epochs is 0; it must be at least 1", "--over", "checkpoints.every=1,2", "--set", "update.epochs=0")]
    public void A_sweep_names_the_option_that_a_value_came_by(string message, params string[] options)
    {
        using var scratch = new Scratch();
        Assert.StartsWith(message, Cli.Run(["sweep", TrainTests.Recipe(scratch, "unused"), "--output", scratch["sweep"], .. options]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("train", "RECIPE")]
    [InlineData("check", "RECIPE")]
    [InlineData("evaluate", "RECIPE")]
    [InlineData("guide", "sample", "RECIPE", "--output", "OUT")]
    [InlineData("sweep", "RECIPE", "--over", "update.epochs=1,2", "--output", "OUT")]
    public void A_device_that_is_not_there_is_named_by_its_option(params string[] command)
    {
        Assert.SkipWhen(TorchSharp.torch.cuda.is_available(), "This machine has a GPU.");
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        string[] args = [.. command.Select(word => word == "RECIPE" ? recipe : word == "OUT" ? scratch["out"] : word), "--device", "cuda:7"];
        Assert.StartsWith("error: --device cuda:7: device: is 'cuda:7', and no CUDA device is found", Cli.Run(args).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void Answers_of_a_stopped_guide_sample_are_not_replaced()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        var kept = scratch.Write("answers.jsonl.partial", """{"prompt": "a", "text": "b"}""");
        string[] command = ["guide", "sample", recipe, "--answers", "4", "--output", scratch["answers.jsonl"]];
        Assert.Equal($"error: {kept}: has rows of a command that was stopped, which this one would replace; give them another name to keep them, or remove them", Cli.Run(command).OneErrorLine(ExitCode.Failed));
        Assert.Contains("\"text\": \"b\"", File.ReadAllText(kept), StringComparison.Ordinal);
        var rows = scratch.Write("rows.jsonl", """{"response": "x"}""");
        scratch.Write("scores.jsonl.partial", "{}");
        Assert.Contains("scores.jsonl.partial: has rows of a command", Cli.Run("reward", "score", "--recipe", recipe, "--rows", rows, "--output", scratch["scores.jsonl"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);

        File.Move(kept, scratch["kept.jsonl"]);
        Assert.Equal(ExitCode.Ok, Cli.Run(command).Code);
    }

    [Theory]
    [InlineData("rows.csv", ".csv")]
    [InlineData("rows.TSV", ".TSV")]
    [InlineData("rows.parquet", ".parquet")]
    [InlineData("rows.jsonl.gz", ".gz")]
    public void JSON_lines_go_under_no_name_of_another_format(string name, string ending)
    {
        using var scratch = new Scratch();
        var message = $"error: {scratch[name]}: JSON is written, and the ending {ending} stands for another format, as which it would be read; let the name end in .jsonl";
        Assert.Equal(message, Cli.Run("task", "chain", "--rows", "2", "--output", scratch[name]).OneErrorLine(ExitCode.Failed));
        Assert.Equal(message, Cli.Run("guide", "sample", TrainTests.Recipe(scratch, "run"), "--output", scratch[name]).OneErrorLine(ExitCode.Failed));
        Assert.Equal(message, Cli.Run("tokenize", "--tokenizer", Fixtures.Model("gpt2"), "--input", scratch.Write("in.jsonl", """{"text": "a"}"""), "--output", scratch[name]).OneErrorLine(ExitCode.Failed));
        Assert.False(File.Exists(scratch[name]));
    }

    [Fact]
    public void Counts_have_an_upper_limit()
    {
        using var scratch = new Scratch();
        Assert.Contains("--samples 65537: expected 1 to 65536 answers to each prompt", Cli.Run("evaluate", TrainTests.Recipe(scratch, "run"), "--samples", "65537").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
        var texts = scratch.Write("texts.jsonl", """{"text": "a b c"}""");
        Assert.Contains("--resamples 1000001: expected 0 to 1000000", Cli.Run("metrics", "--predictions", texts, "--resamples", "1000001").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--concepts-column is for coverage, which is not among the metrics asked for", "--concepts-column", "words")]
    [InlineData("--concepts-column is for coverage", "--concepts-column", "concepts")]
    [InlineData("--java is for spice, which is not among the metrics asked for", "--java", "java")]
    [InlineData("--seed decides what is drawn for the intervals, and --resamples 0 asks for none; leave one of them out", "--seed", "0", "--resamples", "0")]
    public void Metrics_refuse_options_without_use(string message, params string[] options)
    {
        using var scratch = new Scratch();
        string[] command = ["metrics", "--predictions", scratch.Write("texts.jsonl", """{"text": "a b c"}"""), "--metrics", "distinct_1"];
        Assert.Contains(message, Cli.Run([.. command, .. options]).OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
        Assert.Equal(ExitCode.Ok, Cli.Run([.. command, "--resamples", "0"]).Code);
    }

    [Theory]
    [InlineData("check")]
    [InlineData("train")]
    public void A_column_that_is_not_there_is_said_with_the_key_that_names_it(string command)
    {
        using var scratch = new Scratch();
        var result = Cli.Run(command, TrainTests.Recipe(scratch, "run"), "--set", "reward={kind: match, column: nope}");
        Assert.Equal(ExitCode.Failed, result.Code);
        Assert.Matches(@"^error: --set reward=\{kind: match, column: nope\}: reward\.column: .*nope", Assert.Single((result.Output + result.Error).Split('\n'), line => line.StartsWith("error: ", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_program_that_is_not_there_or_does_not_start_is_said_with_its_key()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        foreach (var command in (string[][])[["check", recipe], ["train", recipe], ["guide", "sample", recipe, "--output", scratch["answers.jsonl"]]])
        {
            Assert.Equal("error: --set reward={kind: program, program: nonexist}: reward.program: there is no program 'nonexist' on the path or in the current folder; install it, or name its file",
                Cli.Run([.. command, "--set", "reward={kind: program, program: nonexist}"]).OneErrorLine(ExitCode.Failed));
        }

        if (OperatingSystem.IsWindows()) return;
        var text = scratch.Write("no-program", "not a program");
        var line = Cli.Run("check", recipe, "--set", $"reward={{kind: program, program: {text}}}").OneErrorLine(ExitCode.Failed);
        Assert.Contains($"reward.program: the program '{text}' can't be started", line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stopped_quickstart_is_gone_on_with_by_the_same_command()
    {
        using var scratch = new Scratch();
        using var stop = new CancellationTokenSource();
        using var output = new StringWriter();
        using var error = new StoppingWriter(stop, "begins anew");
        using var input = new StringReader("");
        Assert.Equal(ExitCode.Stopped, CommandLine.Run(["quickstart", "--short", "--output", scratch["quick"]], new Terminal(input, output, error) { Stop = stop.Token }));
        Assert.Matches(@"stopped (before the first iteration|after \d of 3 iterations, which are saved); the same command goes on$", error.ToString().Trim());
        Assert.DoesNotContain("--resume", error.ToString(), StringComparison.Ordinal);
    }

    /// <summary>Stops the command once a text is written.</summary>
    private sealed class StoppingWriter(CancellationTokenSource stop, string at) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            if (value?.Contains(at, StringComparison.Ordinal) == true) stop.Cancel();
        }
    }
}
