using System.Collections.ObjectModel;
using System.Globalization;
using Rlgf.Base;
using Rlgf.ChatTemplates.Jinja;

namespace Rlgf.ChatTemplates;

/// <summary>How a model was taught to read conversations: a Jinja template in its folder, as the transformers library's <c>apply_chat_template</c> uses it.</summary>
/// <remarks>
/// No package for .NET renders Jinja as Python does, so an interpreter is here: <c>Jinja/Syntax</c> reads a template, <c>Jinja/Running</c> runs it,
/// <c>Jinja/Library</c> has its filters, tests and functions, and <c>Jinja/Python</c> the values that it works with. Templates come with models from anywhere: they can
/// read nothing but the messages, and what they do is counted.
/// </remarks>
public sealed class ChatTemplate
{
    private const int LongestSource = 1 << 20;

    private readonly string _name;
    private readonly Template _template;
    private readonly string _source;
    private readonly IReadOnlyDictionary<string, string> _specialTokens;

    private ChatTemplate(string name, string source, IReadOnlyDictionary<string, string> specialTokens)
    {
        if (source.Length > LongestSource)
            throw new InputException($"{name}: the template has {source.Length} characters; at most {LongestSource} are supported.");
        (_name, _source, _specialTokens) = (name, source, specialTokens);
        _template = Guarded(null, () => TemplateParser.Parse(source));
    }

    /// <summary>Makes a template of its text.</summary>
    /// <param name="name">How errors call it.</param>
    /// <param name="source">The template.</param>
    /// <param name="specialTokens">Tokens that it may name, such as <c>bos_token</c>.</param>
    /// <exception cref="InputException">It isn't a template, or uses what isn't supported; the message names the line.</exception>
    public static ChatTemplate Parse(string name, string source, IReadOnlyDictionary<string, string>? specialTokens = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new ChatTemplate(name, source, specialTokens ?? new Dictionary<string, string>());
    }

    /// <summary>Writes a conversation as the model was taught to read it, special tokens included: encode it without adding any.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="addGenerationPrompt">Whether it ends with the beginning of the assistant's next message.</param>
    /// <param name="now">The time that the template is told, where it asks; by default the time of this machine.</param>
    /// <param name="variables">What else the template may read, such as <c>tools</c> or <c>enable_thinking</c>; null for nothing.</param>
    /// <exception cref="InputException">The template refuses the messages, or does what it may not.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt, DateTime? now = null, IReadOnlyDictionary<string, object?>? variables = null)
    {
        ArgumentNullException.ThrowIfNull(messages);
        PythonDict[] given = [.. messages.Select(message => TemplateValues.Of(message))];
        return Render(given, addGenerationPrompt, now, variables);
    }

    /// <summary>Whether the template says what the assistant wrote, by <c>{% generation %}</c>.</summary>
    public bool MarksGeneration => _source.Contains("endgeneration", StringComparison.Ordinal);

    /// <summary>As <c>Render</c>, with a character before and one after each part that the template says the assistant wrote.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="marks">The two, of <see cref="UnusedCharacters"/>.</param>
    /// <param name="now">The time that the template is told, where it asks; by default the time of this machine.</param>
    /// <exception cref="InputException">The template refuses the messages, or does what it may not.</exception>
    public string RenderMarked(IReadOnlyList<ChatMessage> messages, (char Begin, char End) marks, DateTime? now = null)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return Render([.. messages.Select(message => TemplateValues.Of(message))], addGenerationPrompt: false, now, null, marks);
    }

    /// <summary>As <c>Render</c>, but the last message is left open where its text ends, to be gone on with.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="now">The time that the template is told, where it asks; by default the time of this machine.</param>
    /// <param name="variables">What else the template may read; null for nothing.</param>
    /// <remarks>As the transformers library's <c>continue_final_message</c>: white space at the text's end goes where the template takes it away.</remarks>
    /// <exception cref="InputException">The last message has no text, or the template doesn't write it.</exception>
    public string RenderOpen(IReadOnlyList<ChatMessage> messages, DateTime? now = null, IReadOnlyDictionary<string, object?>? variables = null)
    {
        ArgumentNullException.ThrowIfNull(messages);
        PythonDict[] given = [.. messages.Select(message => TemplateValues.Of(message))];
        // Letters alone, which no template writes in another way, that stand nowhere else; the blank after them tells whether the template trims.
        var closed = Render(given, addGenerationPrompt: false, now, variables);
        var end = Enumerable.Range(0, int.MaxValue).Select(number => string.Create(CultureInfo.InvariantCulture, $"ENDSHERE{number} ")).First(name => !closed.Contains(name.TrimEnd(), StringComparison.Ordinal));
        if (given.Length == 0 || !_source.Contains("content", StringComparison.Ordinal) || TemplateValues.AppendToContent(given[^1], end) is not { } text)
            throw new InputException($"{_name}: the last message has no text to go on from.");
        var whole = Render(given, addGenerationPrompt: false, now, variables);
        var at = whole.LastIndexOf(end.TrimEnd(), StringComparison.Ordinal);
        if (at < 0 || !whole.Contains(WhiteSpace.Trim(text), StringComparison.Ordinal))
            throw new InputException($"{_name}: the template does not write the last message as it is, so that nothing can go on from it.");
        return whole.AsSpan(at).StartsWith(end, StringComparison.Ordinal) ? whole[..at] : WhiteSpace.TrimEnd(whole[..at]);
    }

    /// <summary>Characters for private use that neither the template nor some messages have, so that they can stand for something while it renders them.</summary>
    public IEnumerable<char> UnusedCharacters(IReadOnlyList<ChatMessage> messages) => TemplateValues.UnusedCharacters(_source, messages);

    private string Render(PythonDict[] messages, bool addGenerationPrompt, DateTime? now, IReadOnlyDictionary<string, object?>? variables, (char Begin, char End)? marks = null)
    {
        var rendering = new Rendering(now ?? DateTime.Now, messages.Length, messages.Sum(message => TemplateValues.Characters(message))) { Marks = marks };
        var given = new Dictionary<string, object?>(Globals.All)
        {
            ["messages"] = messages.Select(message => (object?)message).ToList(),
            ["add_generation_prompt"] = addGenerationPrompt,
            ["tools"] = null,
            ["documents"] = null,
        };
        foreach (var (role, token) in _specialTokens)
            given[role] = token;
        foreach (var (name, value) in variables ?? ReadOnlyDictionary<string, object?>.Empty)
            given[name] = TemplateValues.Of(value);
        return Guarded(rendering, () => _template.Render(rendering, given));
    }

    /// <summary>Tries a conversation of one message.</summary>
    /// <returns>What keeps the template from rendering it; null where it can.</returns>
    public string? Problem()
    {
        try
        {
            Render([new ChatMessage("user", "Hello")], addGenerationPrompt: true);
            return null;
        }
        catch (InputException error)
        {
            return error.Message;
        }
    }

    private T Guarded<T>(Rendering? rendering, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (InsufficientExecutionStackException error)
        {
            throw new InputException($"{_name}: the template is nested too deeply.", error);
        }
        catch (TemplateRefusalException error)
        {
            throw new InputException($"{_name}: the template refuses these messages: {error.Message.ReplaceLineEndings(" ")}", error);
        }
        catch (TemplateException error)
        {
            throw new InputException($"{_name}: line {error.Line ?? rendering?.Line ?? 1}: the template {error.Message.ReplaceLineEndings(" ")}.", error);
        }
    }
}
