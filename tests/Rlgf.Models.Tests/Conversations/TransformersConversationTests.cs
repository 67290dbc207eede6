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

    private sealed record Target(string Name, ITokenizer Tokenizer, ChatTemplate Template, bool IsGguf);

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
        if (template.EndsWith("own template", StringComparison.Ordinal) || template.EndsWith("the tokenizer's own", StringComparison.Ordinal)) return new Target(name, read, ChatTemplateFolder.Load(found), isGguf);
        var jinja = Path.Combine(sources, "trl", template.Split('/')[^1]);
        var special = (IReadOnlyDictionary<string, object?>)target["special"]!;
        return File.Exists(jinja) ? new Target(name, read, ChatTemplate.Parse(jinja, File.ReadAllText(jinja), special.ToDictionary(token => token.Key, token => (string)token.Value!)), isGguf) : null;
    }

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
