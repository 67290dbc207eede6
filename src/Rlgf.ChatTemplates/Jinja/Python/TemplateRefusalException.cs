namespace Rlgf.ChatTemplates.Jinja;

/// <summary>The template itself refuses the messages.</summary>
/// <param name="message">In its own words.</param>
internal sealed class TemplateRefusalException(string message) : Exception(message);
