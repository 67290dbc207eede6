using Rlgf.Base;
using Rlgf.ChatTemplates.Jinja.Library;
using Rlgf.ChatTemplates.Jinja.Python;
using Rlgf.ChatTemplates.Jinja.Running;
using Rlgf.ChatTemplates.Jinja.Syntax;

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
    private readonly IReadOnlyDictionary<string, string> _specialTokens;

    private ChatTemplate(string name, string source, IReadOnlyDictionary<string, string> specialTokens)
    {
        if (source.Length > LongestSource)
            throw new InputException($"{name}: the template has {source.Length} characters; at most {LongestSource} are supported.");
        (_name, _specialTokens) = (name, specialTokens);
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
    /// <exception cref="InputException">The template refuses the messages, or does what it may not.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt, DateTime? now = null)
    {
        ArgumentNullException.ThrowIfNull(messages);
        var rendering = new Rendering(now ?? DateTime.Now, messages.Count, messages.Sum(message => (long)message.Role.Length + message.Content.Length));
        var given = new Dictionary<string, object?>(Globals.All)
        {
            ["messages"] = messages.Select(message => (object?)PythonDict.Of([new("role", message.Role), new("content", message.Content)])).ToList(),
            ["add_generation_prompt"] = addGenerationPrompt,
            ["tools"] = null,
            ["documents"] = null,
        };
        foreach (var (role, token) in _specialTokens)
            given[role] = token;
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
