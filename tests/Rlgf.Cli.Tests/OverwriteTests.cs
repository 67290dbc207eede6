namespace Rlgf.Cli.Tests;

/// <summary>Outputs never replace what they are made from, nor what a run or a model keeps in its folder: one line, and nothing is touched.</summary>
public sealed class OverwriteTests
{
    [Theory]
    [InlineData("metrics.jsonl")]
    [InlineData("evaluation.jsonl")]
    [InlineData("recipe.yaml")]
    [InlineData("run.json")]
    [InlineData("report.html")]
    [InlineData("inputs.json")]
    [InlineData("evaluations/iteration-00003.jsonl")]
    [InlineData("evaluations/mine.jsonl")]
    [InlineData("checkpoints/iteration-00003/policy/mine.jsonl")]
    [InlineData(".lock")]
    public void Rows_do_not_replace_what_a_run_keeps(string file)
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "run")).Code);
        var before = Everything(scratch["."]);
        Assert.Contains("belongs to the run in", Cli.Run("evaluate", scratch["run"], "--output", Path.Combine(scratch["run"], file)).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal(before, Everything(scratch["."]));
    }

    [Fact]
    public void Rows_may_lie_in_a_run_s_folder_under_a_name_of_their_own()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "run")).Code);
        for (var time = 0; time < 2; time++) Assert.Equal(ExitCode.Ok, Cli.Run("evaluate", scratch["run"], "--output", scratch["run/mine.jsonl"]).Code);
        Assert.Equal(4, Fixtures.Rows(scratch["run/mine.jsonl"]).Length);
    }

    [Theory]
    [InlineData("recipe")]
    [InlineData("data")]
    [InlineData("unfinished data")]
    public void An_evaluation_does_not_replace_its_recipe_or_data(string what)
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        File.Move(scratch["prompts.jsonl"], scratch["prompts.jsonl.partial"]);
        string[] data = ["--set", $"data.path={scratch["prompts.jsonl.partial"]}", "--set", $"data.evaluation_path={scratch["prompts.jsonl.partial"]}", "--set", "data.format=json_lines"];
        var output = what switch { "recipe" => recipe, "data" => scratch["prompts.jsonl.partial"], _ => scratch["prompts.jsonl"] };
        var before = Everything(scratch["."]);
        Assert.Contains("is read as", Cli.Run(["evaluate", recipe, "--output", output, .. data]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal(before, Everything(scratch["."]));
    }

    [Theory]
    [InlineData("same")]
    [InlineData("relative")]
    [InlineData("link")]
    [InlineData("folder link")]
    [InlineData("unfinished")]
    public void Rows_do_not_replace_the_rows_that_they_are_made_from(string way)
    {
        using var scratch = new Scratch();
        Directory.CreateDirectory(scratch["folder"]);
        var input = scratch.Write("folder/rows.jsonl", """{"prompt": "This movie", "text": "This movie", "response": " is"}""");
        var output = input;
        switch (way)
        {
            case "relative": output = scratch["folder/../folder/./rows.jsonl"]; break;
            case "link": File.CreateSymbolicLink(output = scratch["folder/link.jsonl"], "rows.jsonl"); break;
            case "folder link":
                Directory.CreateSymbolicLink(scratch["elsewhere"], scratch["folder"]);
                output = scratch["elsewhere/rows.jsonl"];
                break;
            case "unfinished":
                File.Move(input, input + ".partial");
                // Read as what it is by another name.
                File.CreateSymbolicLink(scratch["partial.jsonl"], input + ".partial");
                (input, output) = (scratch["partial.jsonl"], input);
                break;
        }

        var before = Everything(scratch["."]);
        var model = Fixtures.Model("gpt2");
        foreach (var command in (string[][])[["tokenize", "--tokenizer", model, "--input", input], ["score", "--model", model, "--input", input], ["generate", "--model", model, "--prompts", input, "--max-new-tokens", "2"]])
        {
            var line = Cli.Run([.. command, "--output", output]).OneErrorLine(ExitCode.Failed);
            Assert.Contains($"{output}: is read as", line, StringComparison.Ordinal);
            Assert.Equal(before, Everything(scratch["."]));
        }
    }

    [Fact]
    public void A_second_name_of_one_file_keeps_its_content()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("needs ln");
        using var scratch = new Scratch();
        var input = scratch.Write("rows.jsonl", """{"text": "This movie"}""");
        var before = File.ReadAllText(input);
        using (var link = System.Diagnostics.Process.Start("ln", [input, scratch["other.jsonl"]])) link.WaitForExit();
        Assert.Equal(ExitCode.Ok, Cli.Run("tokenize", "--tokenizer", Fixtures.Model("gpt2"), "--input", input, "--output", scratch["other.jsonl"]).Code);
        Assert.Equal(before, File.ReadAllText(input));
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("model.safetensors")]
    [InlineData("tokenizer.json")]
    [InlineData("rows.txt")]
    public void Rows_do_not_replace_files_of_a_model(string file)
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        var input = scratch.Write("rows.jsonl", """{"prompt": "This movie", "text": "This movie"}""");
        var before = Everything(scratch["."]);
        Assert.Contains("holds a model", Cli.Run("generate", "--model", model, "--prompts", input, "--output", Path.Combine(model, file)).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("holds a model", Cli.Run("tokenize", "--tokenizer", model, "--input", input, "--output", Path.Combine(model, file)).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal(before, Everything(scratch["."]));
        Assert.Equal(ExitCode.Ok, Cli.Run("tokenize", "--tokenizer", model, "--input", input, "--output", Path.Combine(model, "rows.jsonl")).Code);
    }

    [Fact]
    public void A_folder_as_the_output_of_rows_is_refused_before_the_work()
    {
        using var scratch = new Scratch();
        var folder = Directory.CreateDirectory(scratch["folder"]).FullName;
        var input = scratch.Write("rows.jsonl", "this is no row: reading it is work");
        foreach (var command in (string[][])[["tokenize", "--tokenizer", scratch["nowhere"], "--input", input], ["score", "--model", scratch["nowhere"], "--input", input], ["generate", "--model", scratch["nowhere"], "--prompts", input],
            ["evaluate", TrainTests.Recipe(scratch, "run"), "--set", $"model.path={scratch["nowhere"]}"]])
        {
            Assert.Contains($"{folder}: is a folder", Cli.Run([.. command, "--output", folder]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
            Assert.Contains($"{input} is a file", Cli.Run([.. command, "--output", Path.Combine(input, "rows.jsonl")]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_folder_of_rows_is_made_with_them_and_not_before()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Failed, Cli.Run("task", "chain", "--length", "2", "--rows", "101", "--output", scratch["new/folder/rows.jsonl"]).Code);
        Assert.False(Directory.Exists(scratch["new"]));
        Assert.Equal(ExitCode.Ok, Cli.Run("task", "chain", "--length", "2", "--rows", "100", "--output", scratch["new/folder/rows.jsonl"]).Code);
        Assert.Equal(100, File.ReadAllLines(scratch["new/folder/rows.jsonl"]).Length);
    }

    [Fact]
    public void A_model_is_not_converted_into_itself_nor_over_another_nor_its_tokenizer_replaced()
    {
        using var scratch = new Scratch();
        var (model, other) = (scratch.CopyOf("gpt2"), scratch.CopyOf("t5"));
        var texts = scratch.Write("texts.jsonl", """{"text": "a b c a b c"}""");
        Directory.CreateSymbolicLink(scratch["link"], model);
        var before = Everything(scratch["."]);
        Assert.Contains("is what the results are made from", Cli.Run("convert", model, model).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("is what the results are made from", Cli.Run("convert", model, scratch["link"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("holds a model", Cli.Run("convert", model, other).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("holds a model", Cli.Run("tokenizer", "train", "--input", texts, "--output", model).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("holds a model", Cli.Run("quickstart", "--output", model).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal(before, Everything(scratch["."]));
    }

    [Fact]
    public void Results_need_a_folder_of_their_own_neither_a_whole_disk_nor_a_home()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        foreach (var folder in (string[])[Path.GetPathRoot(scratch["."])!, Environment.GetFolderPath(Environment.SpecialFolder.UserProfile)])
        {
            Assert.Contains("results need a folder of their own", Cli.Run("check", recipe, "--set", $"output={folder}").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
            Assert.Contains("results need a folder of their own", Cli.Run("convert", scratch.CopyOf("gpt2"), "--output", folder).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void No_training_begins_in_the_folder_of_a_model_or_over_a_file_that_is_no_run_s()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        File.Copy(TrainTests.Recipe(scratch, "run"), scratch["recipe.yaml"]);
        var sft = SupervisedTests.Sft(scratch);
        var before = Everything(scratch["."]);
        foreach (var command in (string[][])[["train", scratch["recipe.yaml"]], ["check", scratch["recipe.yaml"]], ["sft", sft]])
        {
            var line = Cli.Run([.. command, "--set", $"output={model}"]).OneErrorLine(ExitCode.Failed);
            Assert.Contains("--set output=", line, StringComparison.Ordinal);
            Assert.Contains("holds a model that no run has made", line, StringComparison.Ordinal);
            // Beside a recipe of that name, which the run's own would replace.
            Assert.Contains("recipe.yaml: is there already and belongs to no run", Cli.Run([.. command, "--set", $"output={scratch["."]}"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        }

        Assert.Equal(before, Everything(scratch["."]));
    }

    [Fact]
    public void A_comparison_does_not_replace_the_report_of_a_run()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "run")).Code);
        var before = Everything(scratch["."]);
        foreach (var output in (string[])["run", "run/checkpoints", "run/evaluations/mine"])
            Assert.Contains("run", Cli.Run("compare", scratch["run"], "--output", scratch[output]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal(before, Everything(scratch["."]));
        Assert.Equal(ExitCode.Ok, Cli.Run("compare", scratch["run"], "--output", scratch["results"]).Code);
        Assert.Equal(ExitCode.Ok, Cli.Run("compare", scratch["run"], "--output", scratch["results"]).Code);
    }

    [Fact]
    public void Check_finds_an_output_that_can_not_be()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("needs /proc, in which no folder can be made");
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        Assert.Contains("--set output=/proc/x: output: /proc/x: the folder can't be written to", Cli.Run("check", recipe, "--set", "output=/proc/x").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains($"{recipe}:3: output: ", Cli.Run("check", TrainTests.Recipe(scratch, "prompts.jsonl")).OneErrorLine(ExitCode.Failed).Replace("recipe-prompts.jsonl.yaml", "recipe-run.yaml", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    /// <summary>Every file's name and content, and every folder's name.</summary>
    private static string[] Everything(string folder) => [.. Directory.EnumerateFileSystemEntries(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
        .Select(path => Directory.Exists(path) ? path : $"{path} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path)))}")];
}
