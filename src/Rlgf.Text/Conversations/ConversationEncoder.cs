using System.Text;
using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Conversations;

/// <summary>A conversation as a model reads it.</summary>
/// <param name="Text">As its template writes it, special tokens included.</param>
/// <param name="Ids">The text's tokens; nothing is put around them, since the template does that.</param>
public sealed record EncodedConversation(string Text, int[] Ids);

/// <summary>Which turns of a conversation are learned.</summary>
public enum TaughtTurns
{
    /// <summary>All of the assistant's.</summary>
    Assistant,

    /// <summary>The assistant's last one.</summary>
    Last,

    /// <summary>All that is written, by whomever.</summary>
    All,
}

/// <summary>A conversation to learn from.</summary>
/// <param name="Ids">Its tokens.</param>
/// <param name="IsTaught">Which of them are learned.</param>
public sealed record TaughtConversation(int[] Ids, bool[] IsTaught);

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

    /// <summary>Encodes a conversation to learn from, with which of its tokens are learned.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="turns">Which turns are learned, each with what ends it.</param>
    /// <param name="from">The first message that may be learned: those before it are a prompt.</param>
    /// <returns>
    /// One row, where the template says what the assistant wrote, or writes each turn the same whatever comes after it; else one row for each turn, which ends with it, as templates that leave out earlier thinking need. None
    /// where there is no turn to learn. An assistant's turn that nothing comes before isn't learned without the template's word: what asks for it can't be told from it.
    /// </returns>
    /// <remarks>
    /// Where the template has <c>{% generation %}</c> blocks, a token is learned that covers any part of one; else a turn is what the conversation up to it adds to the conversation before it with the beginning of an answer.
    /// </remarks>
    /// <exception cref="InputException">The template refuses the messages, or writes the conversation in another way once it is answered.</exception>
    public IReadOnlyList<TaughtConversation> EncodeTaught(IReadOnlyList<ChatMessage> messages, TaughtTurns turns, int from = 0)
    {
        if (turns == TaughtTurns.All) return [Taught(Render(messages, safe => _template.Render(safe, addGenerationPrompt: false, _now)), [(0, int.MaxValue)])];
        int[] answers = [.. Enumerable.Range(from, messages.Count - from).Where(i => messages[i].Role == ChatMessage.Assistant)];
        if (turns == TaughtTurns.Last) answers = answers is [.., var last] ? [last] : [];
        if (answers.Length == 0) return [];
        if (_template.MarksGeneration && from == 0)
        {
            var marked = Render(messages, null);
            return marked.Blocks.Count == 0 ? [] : [Taught(marked, turns == TaughtTurns.Last ? marked.Blocks[^1..] : marked.Blocks)];
        }

        var whole = UpTo(messages.Count, asksForAnswer: false);
        var spans = answers.Where(answer => answer > 0).Select(answer =>
        {
            var (before, after) = (UpTo(answer, asksForAnswer: true), answer == messages.Count - 1 ? whole : UpTo(answer + 1, asksForAnswer: false));
            return after.Text.StartsWith(before.Text, StringComparison.Ordinal) ? (Rendered: after, Span: (before.Text.Length, after.Text.Length))
                : throw new InputException($"the template writes what comes before message {answer + 1} in another way once that has answered it, so that the two can't be told apart");
        }).ToArray();
        if (spans.Length == 0) return [];
        return spans.All(turn => whole.Text.StartsWith(turn.Rendered.Text, StringComparison.Ordinal))
            ? [Taught(whole, [.. spans.Select(turn => turn.Span)])]
            : [.. spans.Select(turn => Taught(turn.Rendered, [turn.Span]))];

        RenderedConversation UpTo(int count, bool asksForAnswer) => Render([.. messages.Take(count)], safe => _template.Render(safe, asksForAnswer, _now));
    }

    /// <summary>The tokens of a text, of which those are learned that cover any part of a span.</summary>
    private TaughtConversation Taught(RenderedConversation rendered, IReadOnlyList<(int Start, int End)> spans)
    {
        var tokens = _tokenizer.EncodeWithOffsets(rendered.Text, rendered.Markers);
        return new(tokens.Ids, Array.ConvertAll(tokens.Offsets, token => spans.Any(span => token.Start < span.End && token.End > span.Start)));
    }

    private EncodedConversation Encode(IReadOnlyList<ChatMessage> messages, Func<IReadOnlyList<ChatMessage>, string> render)
    {
        var rendered = Render(messages, render);
        return new(rendered.Text, _tokenizer.Encode(rendered.Text, rendered.Markers));
    }

    /// <summary>What the template writes, with the markers that are text.</summary>
    /// <param name="messages">The messages.</param>
    /// <param name="render">Writes them; null for the template, with the parts that it says the assistant wrote.</param>
    private RenderedConversation Render(IReadOnlyList<ChatMessage> messages, Func<IReadOnlyList<ChatMessage>, string>? render)
    {
        // While the template works, a character that nobody uses stands for each marker: the template may trim, split and join the text, and where markers end up is known.
        using var characters = _template.UnusedCharacters(messages).GetEnumerator();
        (char Begin, char End)? marks = render is null ? (Next(), Next()) : null;
        var stands = new Dictionary<string, char>(StringComparer.Ordinal);
        string Protect(string text, string role)
        {
            if (text.Length == 0 || _markersAreTokens) return text;
            var protectedText = new StringBuilder(text.Length);
            var at = 0;
            foreach (var found in Markers(_tokenizer, text, role))
            {
                var marker = text[found.Start..found.End];
                if (!stands.TryGetValue(marker, out var character))
                {
                    stands[marker] = character = Next();
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
        return PutBack(render is null ? _template.RenderMarked(safe, marks!.Value, _now) : render(safe), stands, marks);

        char Next() => characters.MoveNext() ? characters.Current
            : throw new InputException("a conversation uses all characters for private use (U+E000 to U+F8FF), so that none is left to mark a token's name with; remove some.");
    }

    private static object? Protected(object? value, Func<string, string> protect) => value switch
    {
        string text => protect(text),
        IReadOnlyDictionary<string, object?> named => named.ToDictionary(entry => entry.Key, entry => Protected(entry.Value, protect)),
        IReadOnlyList<object?> list => list.Select(inner => Protected(inner, protect)).ToArray(),
        _ => value,
    };

    /// <summary>The text with the markers in it and without marks, and where they were.</summary>
    private static RenderedConversation PutBack(string rendered, Dictionary<string, char> stands, (char Begin, char End)? marks)
    {
        List<(int Start, int End)> markers = [], blocks = [];
        if (stands.Count == 0 && marks is null) return new(rendered, markers, blocks);
        var marked = stands.ToDictionary(entry => entry.Value, entry => entry.Key);
        var text = new StringBuilder(rendered.Length);
        var begun = new Stack<int>();
        foreach (var character in rendered)
        {
            if (character == marks?.Begin) begun.Push(text.Length);
            else if (character == marks?.End)
            {
                if (begun.TryPop(out var begin)) blocks.Add((begin, text.Length));
            }
            else if (marked.TryGetValue(character, out var marker))
            {
                markers.Add((text.Length, text.Length + marker.Length));
                text.Append(marker);
            }
            else text.Append(character);
        }

        return new(text.ToString(), markers, blocks);
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

    /// <summary>What a template wrote.</summary>
    /// <param name="Text">The text.</param>
    /// <param name="Markers">Tokens' names in it that are text.</param>
    /// <param name="Blocks">What the assistant wrote, where the template was asked for it.</param>
    private sealed record RenderedConversation(string Text, List<(int Start, int End)> Markers, List<(int Start, int End)> Blocks);
}
