namespace Rlgf.Text.Chat.Jinja;

/// <summary>The value of a name that has none: it writes nothing and is false, but nothing else can be done with it.</summary>
internal sealed record Undefined(string Name);
