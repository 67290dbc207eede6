namespace Rlgf.ChatTemplates.Jinja;

/// <summary>A template that can be rendered.</summary>
/// <param name="Body">What it does.</param>
/// <param name="Scope">The names that it sets.</param>
/// <param name="Blocks">Its blocks by name.</param>
internal sealed record Template(Body Body, Scope Scope, IReadOnlyDictionary<string, Block> Blocks)
{
    /// <summary>Renders it.</summary>
    /// <param name="rendering">The use of it.</param>
    /// <param name="given">The names that it is given.</param>
    public string Render(Rendering rendering, IReadOnlyDictionary<string, object?> given)
    {
        var frame = Frame.Of(rendering, given, Scope);
        frame.Top.Set("self", new BlockReferences(Blocks, frame));
        Body.Execute(frame);
        return rendering.Text;
    }
}
