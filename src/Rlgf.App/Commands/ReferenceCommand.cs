using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Recipes;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf reference</c>: every key that a recipe can have, with the kinds of this program.</summary>
internal static class ReferenceCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var command = new Command("reference", CommonOptions.Describe(
            "Prints every key that a recipe can have, with its type, range and default, as Markdown: those of the kinds that this program adds, too. What a key means is the summary of its property, where the " +
            "program's documentation file (GenerateDocumentationFile) lies beside it.",
            "rlgf reference > recipes.md"));
        command.SetAction(_ =>
        {
            terminal.Out.Write(RecipeReference.Write(kinds));
            return ExitCode.Ok;
        });
        return command;
    }
}
