using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Registers modules under dotted names, which the library refuses: each level in between becomes a module that does nothing itself. So one block serves families that name its parts differently.</summary>
internal static class NamedModules
{
    /// <summary>Registers modules.</summary>
    /// <param name="root">Receives them.</param>
    /// <param name="modules">Names below <paramref name="root"/>, such as <c>attention.self.query</c>, each once, and what they name.</param>
    public static void Register(nn.Module root, IEnumerable<(string Name, nn.Module Module)> modules)
    {
        foreach (var level in modules.GroupBy(named => named.Name.Split('.')[0]))
        {
            if (level.SingleOrDefault(named => named.Name == level.Key).Module is { } module)
            {
                if (module is BareParameter bare) root.register_parameter(level.Key, bare.Value);
                else root.register_module(level.Key, module);
                continue;
            }

            var branch = new Branch();
            Register(branch, level.Select(named => (named.Name[(level.Key.Length + 1)..], named.Module)));
            root.register_module(level.Key, branch);
        }
    }

    private sealed class Branch() : nn.Module(nameof(Branch));
}
