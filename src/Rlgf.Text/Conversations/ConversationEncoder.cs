using System.Text;
using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Conversations;

/// <summary>A conversation as a model reads it.</summary>
/// <param name="Text">As its template writes it, special tokens included.</param>
/// <param name="Ids">The text's tokens; nothing is put around them, since the template does that.</param>
public sealed record EncodedConversation(string Text, int[] Ids);

/// <summary>
/// From messages to what a model reads: its template's rendering, whose own tokens are whole. What others wrote into a message stays text, as with the transformers library's
/// <c>sanitize_control_tokens</c>: a user who writes <c>&lt;|im_end|&gt;</c> does not end his turn.
/// </summary>
public sealed class ConversationEncoder
{
    /// <summary>An answer that no template changes.</summary>
    private const string Probe = "XYZZY";

    private readonly ChatTemplate _template;
    private readonly ITokenizer _tokenizer;
    private readonly DateTime? _now;
    private readonly bool _markersAreTokens;
    private readonly Lazy<int?> _endOfTurn;

    /// <summary>Makes an encoder.</summary>
    /// <param name="template">The model's template.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="now">The time that a template is told which asks; null for that of this machine.</param>
    /// <param name="markersAreTokens">Whether a token's name in a message is that token, as most libraries have it, rather than text.</param>
    public ConversationEncoder(ChatTemplate template, ITokenizer tokenizer, DateTime? now = null, bool markersAreTokens = false)
    {
        (_template, _tokenizer, _now, _markersAreTokens) = (template, tokenizer, now, markersAreTokens);
        _endOfTurn = new(FindEndOfTurn);
    }

    /// <summary>The token that ends an answer by the template, which is not always the tokenizer's end token; null where the template writes none.</summary>
    public int? EndOfTurn => _endOfTurn.Value;

    /// <summary>Encodes a conversation up to the beginning of the assistant's next message; one whose last message is the assistant's is left open there, to be gone on with.</summary>
    /// <exception cref="InputException">The template refuses the messages.</exception>
    public EncodedConversation EncodePrompt(IReadOnlyList<ChatMessage> messages) => messages is [.., { Role: ChatMessage.Assistant }]
        ? Encode(messages, safe => _template.RenderOpen(safe, _now))
        : Encode(messages, addGenerationPrompt: true);

    /// <summary>Encodes a conversation.</summary>
    /// <param name="messages">The messages.</param>
    /// <param name="addGenerationPrompt">Whether it ends with the beginning of the assistant's next message.</param>
    /// <exception cref="InputException">The template refuses the messages.</exception>
    public EncodedConversation Encode(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt) => Encode(messages, safe => _template.Render(safe, addGenerationPrompt, _now));

    /// <summary>Encodes a conversation and an answer to it, up to the token that ends the answer.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="answer">The assistant's message.</param>
    /// <returns>
    /// Tokens of what is asked, which the conversation with the beginning of the assistant's message begins with, and of the answer. Where the last of the one and the first of the other are a single token, it is the answer's.
    /// </returns>
    /// <exception cref="InputException">The template refuses the messages, or writes the conversation in another way once it is answered.</exception>
    public (int[] Prompt, int[] Answer) EncodeAnswer(IReadOnlyList<ChatMessage> messages, ChatMessage answer)
    {
        var (asked, whole) = (Encode(messages, addGenerationPrompt: true), Encode([.. messages, answer], addGenerationPrompt: false));
        if (!whole.Text.StartsWith(asked.Text, StringComparison.Ordinal)) throw new InputException("the template writes the conversation in another way once it is answered, so that what is asked can't be told from the answer");
        var prompt = asked.Ids.AsSpan().CommonPrefixLength(whole.Ids);
        var end = EndOfTurn is { } id && Array.LastIndexOf(whole.Ids, id) is var last && last >= prompt ? last + 1 : whole.Ids.Length;
        return (whole.Ids[..prompt], whole.Ids[prompt..end]);
    }

    /// <summary>
    /// The tokens' names in a message that are text and no tokens: all of the vocabulary's added ones. In what the assistant wrote only special ones are, since decoding leaves those out and writes the
    /// others (<c>&lt;think&gt;</c>); names of nothing but blanks are no markers.
    /// </summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="text">A text of the message.</param>
    /// <param name="role">Who wrote it.</param>
    public static IEnumerable<FoundToken> Markers(ITokenizer tokenizer, string text, string role) => tokenizer.FindAddedTokens(text)
        .Where(found => (found.IsSpecial || role != ChatMessage.Assistant) && !text.AsSpan(found.Start, found.End - found.Start).IsWhiteSpace());

    private EncodedConversation Encode(IReadOnlyList<ChatMessage> messages, Func<IReadOnlyList<ChatMessage>, string> render)
    {
        if (_markersAreTokens)
        {
            var rendered = render(messages);
            return new(rendered, _tokenizer.Encode(rendered));
        }

        // While the template works, a character that nobody uses stands for each marker: the template may trim, split and join the text, and where markers end up is known.
        using var characters = _template.UnusedCharacters(messages).GetEnumerator();
        var stands = new Dictionary<string, char>(StringComparer.Ordinal);
        string Protect(string text, string role)
        {
            if (text.Length == 0) return text;
            var protectedText = new StringBuilder(text.Length);
            var at = 0;
            foreach (var found in Markers(_tokenizer, text, role))
            {
                var marker = text[found.Start..found.End];
                if (!stands.TryGetValue(marker, out var character))
                {
                    if (!characters.MoveNext()) throw new InputException("a conversation uses all characters for private use (U+E000 to U+F8FF), so that none is left to mark a token's name with; remove some.");
                    stands[marker] = character = characters.Current;
                }

                protectedText.Append(text, at, found.Start - at).Append(character);
                at = found.End;
            }

            return protectedText.Append(text, at, text.Length - at).ToString();
        }

        var safe = messages.Select(message => new ChatMessage(Protect(message.Role, ""), Protect(message.Content, message.Role))
        {
            Other = message.Other.ToDictionary(entry => entry.Key, entry => Protected(entry.Value, text => Protect(text, message.Role))),
        }).ToArray();
        var (whole, markers) = PutBack(render(safe), stands);
        return new(whole, _tokenizer.Encode(whole, markers));
    }

    private static object? Protected(object? value, Func<string, string> protect) => value switch
    {
        string text => protect(text),
        IReadOnlyDictionary<string, object?> named => named.ToDictionary(entry => entry.Key, entry => Protected(entry.Value, protect)),
        IReadOnlyList<object?> list => list.Select(inner => Protected(inner, protect)).ToArray(),
        _ => value,
    };

    /// <summary>The text with the markers in it, and where they are.</summary>
    private static (string Text, List<(int Start, int End)> Markers) PutBack(string rendered, Dictionary<string, char> stands)
    {
        var ranges = new List<(int, int)>();
        if (stands.Count == 0) return (rendered, ranges);
        var marked = stands.ToDictionary(entry => entry.Value, entry => entry.Key);
        var text = new StringBuilder(rendered.Length);
        foreach (var character in rendered)
        {
            if (!marked.TryGetValue(character, out var marker))
            {
                text.Append(character);
                continue;
            }

            ranges.Add((text.Length, text.Length + marker.Length));
            text.Append(marker);
        }

        return (text.ToString(), ranges);
    }

    /// <summary>The first added token that the template writes after an answer.</summary>
    private int? FindEndOfTurn()
    {
        try
        {
            var text = _template.Render([new("user", "Hello"), new(ChatMessage.Assistant, Probe)], addGenerationPrompt: false, _now);
            var at = text.LastIndexOf(Probe, StringComparison.Ordinal);
            return at >= 0 && _tokenizer.FindAddedTokens(text[(at + Probe.Length)..]) is [var end, ..] ? end.Id : null;
        }
        catch (InputException)
        {
            // It takes other conversations only; the model's own end tokens are what is known.
            return null;
        }
    }
}
