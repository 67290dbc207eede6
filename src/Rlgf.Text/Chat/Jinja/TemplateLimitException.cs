namespace Rlgf.Text.Chat.Jinja;

/// <summary>A template asks for more than it is given, at a place that doesn't know its line.</summary>
internal sealed class TemplateLimitException(string what) : Exception(what);
