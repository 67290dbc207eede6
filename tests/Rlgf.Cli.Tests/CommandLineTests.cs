using System.CommandLine;
using Rlgf.Base;

namespace Rlgf.Cli.Tests;

public sealed class CommandLineTests
{
    [Fact]
    public void A_command_that_does_not_exist_is_wrong_use() =>
        Assert.Contains("frobnicate", Cli.Run("frobnicate").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);

    [Fact]
    public void A_misspelt_option_names_the_one_that_was_meant() =>
        Assert.Contains("did you mean '--version'", Cli.Run("--verison").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);

    [Fact]
    public void The_bare_command_shows_its_help_and_is_wrong_use()
    {
        var result = Cli.Run();
        Assert.Equal(ExitCode.WrongUse, result.Code);
        Assert.Contains("Usage:", result.Output, StringComparison.Ordinal);
        Assert.Empty(result.Error);
    }

    [Fact]
    public void The_version_is_a_number()
    {
        var result = Cli.Run("--version");
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Matches(@"^\d+\.\d+\.\d+", result.Output);
    }

    [Fact]
    public void Every_command_says_what_it_is_for_with_an_example()
    {
        using var nothing = new StringReader("");
        var root = CommandLine.Create(new Terminal(nothing, TextWriter.Null, TextWriter.Null), added: OwnCommands.All);
        foreach (var (path, command) in Leaves(root, []))
        {
            var result = Cli.Run([.. path, "--help"]);
            Assert.Equal(ExitCode.Ok, result.Code);
            Assert.Contains($"rlgf {string.Join(' ', path)}", result.Output, StringComparison.Ordinal);
            Assert.Contains("Example:", result.Output, StringComparison.Ordinal);
            Assert.All(command.Options, option => Assert.False(string.IsNullOrWhiteSpace(option.Description), $"{command.Name} {option.Name}"));
        }
    }

    [Theory]
    [InlineData(28)]
    [InlineData(unchecked((int)0x80070070))]
    public void A_full_disk_is_one_clear_line(int code)
    {
        var (exit, line) = Report(new IOException("No space left on device : '/mnt/x/model.safetensors'", code));
        Assert.Equal(ExitCode.Failed, exit);
        Assert.Equal("error: the disk is full: No space left on device : '/mnt/x/model.safetensors'; what was written before is kept\n", line);
    }

    [Fact]
    public void The_systems_own_sentence_begins_as_all_others_do() =>
        Assert.Equal("error: access to the path '/x' is denied.\n", Report(new UnauthorizedAccessException("Access to the path '/x' is denied.")).Line);

    [Fact]
    public void Bad_input_is_its_own_message_alone()
    {
        var (exit, line) = Report(new InputException("a.jsonl:3: no column 'text'"));
        Assert.Equal(ExitCode.Failed, exit);
        Assert.Equal("error: a.jsonl:3: no column 'text'\n", line);
    }

    [Fact]
    public void A_defect_is_one_line_with_a_way_to_the_trace()
    {
        var (exit, line) = Report(new InvalidOperationException("tensors differ\n  at native frame 1\n  at native frame 2"));
        Assert.Equal(ExitCode.Failed, exit);
        Assert.Equal("error: unexpected InvalidOperationException: tensors differ (set RLGF_TRACE=1 and run again for the stack trace)\n", line);
    }

    [Fact]
    public void Stopping_has_its_own_exit_code_also_from_inside_a_task()
    {
        var (exit, line) = Report(new AggregateException(new StoppedException("stopped after 3 of 10 rows")));
        Assert.Equal(ExitCode.Stopped, exit);
        Assert.Equal("stopped after 3 of 10 rows\n", line);
    }

    private static (int Exit, string Line) Report(Exception exception)
    {
        using var nothing = new StringReader("");
        using var error = new StringWriter { NewLine = "\n" };
        return (Failure.Report(exception, new Terminal(nothing, TextWriter.Null, error)), error.ToString());
    }

    private static IEnumerable<(string[] Path, Command Command)> Leaves(Command command, string[] path) => command.Subcommands.Count == 0
        ? [(path, command)]
        : command.Subcommands.SelectMany(child => Leaves(child, [.. path, child.Name]));

    [Fact]
    public void A_value_that_an_option_does_not_take_is_one_line_that_lists_those_it_does()
    {
        var line = Cli.Run("convert", "--model", "m", "--output", "o", "--type", "float64").OneErrorLine(ExitCode.WrongUse);
        Assert.Contains("'float64' not recognized. Must be one of: 'float16' 'bfloat16' 'float32'", line, StringComparison.Ordinal);
    }
}
