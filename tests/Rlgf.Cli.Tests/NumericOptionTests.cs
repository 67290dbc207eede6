using System.CommandLine;

namespace Rlgf.Cli.Tests;

/// <summary>Numbers on the command line are written in one way, and whatever is written in another is an error: every option of every command that takes one.</summary>
public sealed class NumericOptionTests
{
    private static readonly string[] NotNumbers =
        ["0,7", "1,000", "1.000,5", "1 000", "_1", "1_", "1__000", " 1", "1 ", "", " ", "NaN", "nan", "Infinity", "-Infinity", "∞", "1e999", "0x10", "10h", "1e", "1..2", "--1", "१", "one", "1f", "$1", "(1)", "1%", "null", "true"];

    private static readonly string[] NotWhole = ["0.7", "1.0", "1e3", "1.", ".5", "99999999999999999999999"];

    public static TheoryData<string, string, bool> Options()
    {
        using var nothing = new StringReader("");
        var data = new TheoryData<string, string, bool>();
        foreach (var (path, command) in Commands(CommandLine.Create(new Terminal(nothing, TextWriter.Null, TextWriter.Null), added: OwnCommands.All), []))
        {
            foreach (var option in command.Options)
            {
                var type = Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType;
                if (type.IsPrimitive && type != typeof(bool)) data.Add(string.Join(' ', path), option.Name, type == typeof(double));
            }
        }

        return data;
    }

    [Fact]
    public void There_are_such_options() => Assert.True(Options().Count >= 15);

    [Theory, MemberData(nameof(Options))]
    public void What_is_no_number_is_an_error_that_shows_it(string command, string option, bool isReal)
    {
        foreach (var text in isReal ? NotNumbers : [.. NotNumbers, .. NotWhole])
        {
            // An equals sign, since what begins with a dash would be taken for an option.
            var line = Cli.Run([.. command.Split(' '), .. Required(command), $"{option}={text}"]).OneErrorLine(ExitCode.WrongUse);
            Assert.True(line.Contains(option, StringComparison.Ordinal) && (text.Length == 0 || line.Contains($"'{text}'", StringComparison.Ordinal)), $"{text}: {line}");
        }
    }

    [Theory, MemberData(nameof(Options))]
    public void A_number_is_taken_as_it_is_written(string command, string option, bool isReal)
    {
        using var nothing = new StringReader("");
        var root = CommandLine.Create(new Terminal(nothing, TextWriter.Null, TextWriter.Null), added: OwnCommands.All);
        (string Text, double Value)[] numbers = isReal ? [("0.7", 0.7), (".5", 0.5), ("1e-3", 0.001), ("2", 2)] : [("12", 12), ("0", 0), ("1000", 1000), ("1_000", 1000)];
        foreach (var (text, value) in numbers)
        {
            var parsed = root.Parse([.. command.Split(' '), .. Required(command), option, text]);
            Assert.Empty(parsed.Errors);
            Assert.Equal(value, Convert.ToDouble(parsed.GetValue<object>(option), System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    [Fact]
    public void A_comma_is_no_decimal_point_in_the_words_of_the_message() => Assert.Equal(
        "error: --temperature: expected a number, such as 0.7; found '0,7'; see 'rlgf generate --help'",
        Cli.Run("generate", "--model", "m", "--prompts", "p", "--output", "o", "--temperature", "0,7").OneErrorLine(ExitCode.WrongUse));

    /// <summary>What a command can't do without, so that nothing else is wrong.</summary>
    private static string[] Required(string command)
    {
        using var nothing = new StringReader("");
        Command found = CommandLine.Create(new Terminal(nothing, TextWriter.Null, TextWriter.Null), added: OwnCommands.All);
        foreach (var name in command.Split(' ')) found = found.Subcommands.First(child => child.Name == name);
        return [.. found.Arguments.Where(argument => argument.Arity.MinimumNumberOfValues > 0).Select(_ => "x"), .. found.Options.Where(option => option.Required).SelectMany(option => new[] { option.Name, "x" })];
    }

    private static IEnumerable<(string[] Path, Command Command)> Commands(Command command, string[] path) =>
        command.Subcommands.SelectMany(child => Commands(child, [.. path, child.Name])).Prepend((path, command));
}
