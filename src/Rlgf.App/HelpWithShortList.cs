using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Rlgf.App;

/// <summary>The library's help, but a list of commands shows the first sentence of each rather than all of its explanation.</summary>
internal sealed class HelpWithShortList(int width) : SynchronousCommandLineAction
{
    private readonly HelpAction _help = new() { MaxWidth = width };

    /// <summary>Help is for those who do not know yet what a command needs.</summary>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        foreach (var child in parseResult.CommandResult.Command.Subcommands)
        {
            child.Description = child.Description?.Split(". ", 2)[0].Split('\n', 2)[0].TrimEnd('.');
        }

        return _help.Invoke(parseResult);
    }
}
