namespace Rlgf.ChatTemplates.Jinja;

/// <summary>What is wrong with a template or with what it does; where it stands is added by the one who knows the line.</summary>
/// <param name="what">What the template does, as the end of a sentence that begins with "the template".</param>
/// <param name="line">The line, where it is known.</param>
internal sealed class TemplateException(string what, int? line = null) : Exception(what)
{
    /// <summary>The line of the template; null where it is the one that is being worked on.</summary>
    public int? Line { get; } = line;
}
