using System.Globalization;
using System.Text;
using Rlgf.Base;
using Rlgf.ChatTemplates;

namespace Rlgf.Cli;

/// <summary>
/// What Ollama needs beside a GGUF file (https://docs.ollama.com/modelfile): where it ends, how it is sampled, and the chat template in Go's template language, which Ollama has instead of Jinja. A template is written where what each role's message
/// is put between can be told from what the model's own writes.
/// </summary>
internal static class OllamaModelfile
{
    private const string System = "system", User = "user";

    private const string Quotes = "\"\"\"";

    private static readonly (string Key, string Name)[] Parameters = [("temperature", "temperature"), ("top_k", "top_k"), ("top_p", "top_p"), ("min_p", "min_p"), ("repetition_penalty", "repeat_penalty")];

    /// <summary>The file's text.</summary>
    /// <param name="file">Name of the GGUF file beside it.</param>
    /// <param name="template">The model's chat template; null where it has none.</param>
    /// <param name="bos">The token that llama.cpp itself puts before a text, as it is spelt; null for none.</param>
    /// <param name="ends">The tokens that end an answer.</param>
    /// <param name="hasEndOfTurn">Whether the template's own end of a turn is among them.</param>
    /// <param name="context">The most tokens of a text.</param>
    /// <param name="sampling">What is recommended for sampling, by the keys of <c>generation_config.json</c>.</param>
    /// <param name="license">The licence.</param>
    public static string Text(string file, ChatTemplate? template, string? bos, IReadOnlyList<string> ends, bool hasEndOfTurn, int context, IReadOnlyDictionary<string, double> sampling, string? license)
    {
        var lines = new List<string> { $"FROM ./{file}" };
        var parts = template is null ? null : PartsOf(template, bos);
        if (parts is not null) lines.Add($"TEMPLATE \"\"\"{parts.ToGo()}\"\"\"");
        else if (template is not null) lines.Add("# The model's chat template has no counterpart that could be told from what it writes; Ollama looks for one that it knows in the GGUF file.");
        // Where no token ends an answer, the words that begin the next turn do.
        string[] words = hasEndOfTurn || parts is null || string.IsNullOrWhiteSpace(parts.User.Before) ? [] : [parts.User.Before.Trim()];
        foreach (var end in ends.Where(end => end.Length > 0).Concat(words))
            lines.Add(Quoted(end) is { } quoted ? $"PARAMETER stop {quoted}" : $"# A Modelfile can't hold the end {string.Join(' ', end.EnumerateRunes().Select(rune => $"U+{rune.Value:X4}"))}: it is the GGUF file's alone.");
        lines.Add(string.Create(CultureInfo.InvariantCulture, $"PARAMETER num_ctx {Math.Min(context, 8192)}"));
        foreach (var (key, name) in Parameters)
        {
            if (sampling.TryGetValue(key, out var value)) lines.Add(string.Create(CultureInfo.InvariantCulture, $"PARAMETER {name} {value}"));
        }

        if (license is not null && Quoted(license) is { } licence) lines.Add($"LICENSE {licence}");
        return string.Concat(lines.Select(line => $"{line}\n"));
    }

    /// <summary>
    /// A value between quotes; null where a Modelfile can't hold it. It has no escapes: between three quotes a value ends at the first three that end a line, and what can't be printed is dropped
    /// (https://github.com/ollama/ollama/blob/main/parser/parser.go).
    /// </summary>
    internal static string? Quoted(string value) => value.Contains(Quotes, StringComparison.Ordinal) || value.EnumerateRunes().Any(rune => rune.Value is not (' ' or '\n' or '\t') && !IsPrinted(rune)) ? null
        : value.Contains('"', StringComparison.Ordinal) || value.Contains('\n', StringComparison.Ordinal) ? $"{Quotes}{value}{Quotes}" : $"\"{value}\"";

    /// <summary>Text in a Go template, what would be read as something else in a string of Go's: braces that open an action, three quotes, a quote at the very end, what can't be printed.</summary>
    internal static string Literal(string text)
    {
        var written = new StringBuilder();
        for (var at = 0; at < text.Length;)
        {
            if (!Rune.TryGetRuneAt(text, at, out var rune)) rune = Rune.ReplacementChar;
            var rest = text.AsSpan(at);
            var isTaken = rune.Value switch
            {
                // What follows may itself be written by an action, whose braces would join this one.
                '{' => rest.Length == 1 || !(char.IsLetterOrDigit(rest[1]) || rest[1] is ' ' or '\n' or '\t' or '}' or '%'),
                '"' => rest.Length == 1 || rest.StartsWith(Quotes, StringComparison.Ordinal) || (at > 0 && text[at - 1] == '"'),
                '\n' or '\t' or ' ' => false,
                _ => !IsPrinted(rune),
            };
            if (!isTaken) written.Append(rune.ToString());
            else written.Append(CultureInfo.InvariantCulture, $"{{{{ \"{(rune.Value is '"' ? "\\\"" : rune.Value is '{' ? "{" : $"\\U{rune.Value:x8}")}\" }}}}");
            at += rune.Utf16SequenceLength;
        }

        return written.ToString();
    }

    /// <summary>What Go calls printable: letters, marks, numbers, punctuation, symbols; of white space the ASCII space alone.</summary>
    private static bool IsPrinted(Rune rune) => rune.Value == ' ' || !(Rune.IsControl(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);

    /// <summary>The template in Go's language; null where what stands around messages can't be told.</summary>
    internal static string? TemplateOf(ChatTemplate template, string? bos) => PartsOf(template, bos)?.ToGo();

    private static Parts? PartsOf(ChatTemplate template, string? bos)
    {
        try
        {
            return Around(template, bos) is { } parts && Agrees(parts, template) ? parts : null;
        }
        catch (InputException)
        {
            // It refuses a conversation of these roles.
            return null;
        }
    }

    private static Parts? Around(ChatTemplate template, string? bos)
    {
        const string S = "Sentence one", U = "Sentence two", A = "Sentence three", V = "Sentence four";
        ChatMessage system = new(System, S), first = new(User, U), answer = new(ChatMessage.Assistant, A), second = new(User, V);
        if (Between(Render(first), U) is not [var head, var afterUser] || Between(Render(first, answer), U, A) is not [_, var toAnswer, var afterAnswer]
            || Between(Render(first, answer, second), A, V) is not [_, var toSecond, _] || Between(Render(system, first), S, U) is not [var beforeSystem, var toUser, _])
            return null;
        var whole = template.Render([first], addGenerationPrompt: true, DateTime.UnixEpoch);
        if (!whole.StartsWith(Render(first), StringComparison.Ordinal) || !toAnswer.StartsWith(afterUser, StringComparison.Ordinal) || !toSecond.StartsWith(afterAnswer, StringComparison.Ordinal)) return null;
        var beforeUser = toSecond[afterAnswer.Length..];
        if (!toUser.EndsWith(beforeUser, StringComparison.Ordinal) || !head.EndsWith(beforeUser, StringComparison.Ordinal)) return null;
        var start = head[..^beforeUser.Length];
        if (bos is not null && start.StartsWith(bos, StringComparison.Ordinal) && beforeSystem.StartsWith(bos, StringComparison.Ordinal)) (start, beforeSystem) = (start[bos.Length..], beforeSystem[bos.Length..]);
        else bos = null;
        return new Parts(bos ?? "", start, (beforeSystem, toUser[..^beforeUser.Length]), (beforeUser, afterUser), (toAnswer[afterUser.Length..], afterAnswer), whole[Render(first).Length..]);

        string Render(params ChatMessage[] messages) => template.Render(messages, addGenerationPrompt: false, DateTime.UnixEpoch);
    }

    /// <summary>Whether the parts make of longer conversations what the template makes of them.</summary>
    private static bool Agrees(Parts parts, ChatTemplate template)
    {
        ChatMessage[][] conversations =
        [
            [new(User, "a b"), new(ChatMessage.Assistant, "c d"), new(User, "e f")],
            [new(System, "x"), new(User, "a b"), new(ChatMessage.Assistant, "c d"), new(User, "e f"), new(ChatMessage.Assistant, "g"), new(User, "h i")],
        ];
        return Array.TrueForAll(conversations, conversation => parts.Write(conversation) == template.Render(conversation, addGenerationPrompt: true, DateTime.UnixEpoch));
    }

    /// <summary>What stands around texts that occur once each; null where one doesn't.</summary>
    private static string[]? Between(string rendered, params string[] texts)
    {
        var parts = new List<string>();
        var at = 0;
        foreach (var text in texts)
        {
            var place = rendered.IndexOf(text, at, StringComparison.Ordinal);
            if (place < 0 || rendered.IndexOf(text, place + 1, StringComparison.Ordinal) >= 0) return null;
            parts.Add(rendered[at..place]);
            at = place + text.Length;
        }

        return [.. parts, rendered[at..]];
    }

    /// <param name="Begin">What the engine itself puts first.</param>
    /// <param name="WithoutSystem">What begins a conversation without a message of the system.</param>
    /// <param name="System">Before and behind a message of the system.</param>
    /// <param name="User">Before and behind one of the user.</param>
    /// <param name="Answer">Before and behind an answer.</param>
    /// <param name="Last">What asks for the next answer.</param>
    private sealed record Parts(string Begin, string WithoutSystem, (string Before, string Behind) System, (string Before, string Behind) User, (string Before, string Behind) Answer, string Last)
    {
        public string Write(ChatMessage[] messages) => Begin + (messages[0].Role == OllamaModelfile.System ? "" : WithoutSystem)
            + string.Concat(messages.Select(message => Around(message.Role) is var (before, behind) ? before + message.Content + behind : "")) + Last;

        public string ToGo()
        {
            var first = WithoutSystem.Length == 0 ? "" : $"{{{{ if ne (index .Messages 0).Role \"system\" }}}}{Literal(WithoutSystem)}{{{{ end }}}}";
            return $"{first}{{{{ range .Messages }}}}{{{{ if eq .Role \"system\" }}}}{One(System)}{{{{ else if eq .Role \"user\" }}}}{One(User)}{{{{ else }}}}{One(Answer)}{{{{ end }}}}{{{{ end }}}}{Literal(Last)}";

            static string One((string Before, string Behind) around) => $"{Literal(around.Before)}{{{{ .Content }}}}{Literal(around.Behind)}";
        }

        private (string Before, string Behind) Around(string role) => role switch { OllamaModelfile.System => System, OllamaModelfile.User => User, _ => Answer };
    }
}
