using System.CommandLine;
using System.Text;

namespace Rlgf.Cli.Tests;

/// <summary>docs/commands.md is the help of every command; after a change of the help run the test with RLGF_UPDATE_DOCS=1, which writes the file.</summary>
public sealed class CommandReferenceTests
{
    [Fact]
    public void The_reference_of_commands_is_their_help()
    {
        using var nothing = new StringReader("");
        var text = new StringBuilder("# Commands\n\nThis is what `--help` says. `./rlgf` at the root of the repository builds what has changed and runs the command.\n");
        foreach (var path in Paths(CommandLine.Create(new Terminal(nothing, TextWriter.Null, TextWriter.Null), added: OwnCommands.All), []))
        {
            var help = Cli.Run([.. path, "--help"]).Output.TrimEnd().Split('\n').Select(line => line.TrimEnd());
            text.Append($"\n## rlgf {string.Join(' ', path)}".TrimEnd()).Append("\n\n```\n").AppendJoin('\n', help).Append("\n```\n");
        }

        var file = Path.Combine(Repository.Root, "docs", "commands.md");
        if (Environment.GetEnvironmentVariable("RLGF_UPDATE_DOCS") == "1")
        {
            File.WriteAllText(file, text.ToString());
        }

        Assert.True(text.ToString() == File.ReadAllText(file), "docs/commands.md is out of date; run this test with RLGF_UPDATE_DOCS=1 to write it");
    }

    private static IEnumerable<string[]> Paths(Command command, string[] path) =>
        command.Subcommands.SelectMany(child => Paths(child, [.. path, child.Name])).Prepend(path);
}
