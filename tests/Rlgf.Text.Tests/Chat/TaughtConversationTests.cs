using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;
using Rlgf.Text.Tests.Tokenization;

namespace Rlgf.Text.Tests.Chat;

/// <summary>Which tokens of a conversation are learned: as the transformers library has it where a template marks its generation and that is right, and by the rule of prefixes elsewhere (fixtures/chat/training).</summary>
public sealed class TaughtConversationTests
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "fixtures", "chat", "training");

    /// <summary>Conversations with content in parts, which is joined when they are read, where others write Python's form of the list.</summary>
    private static readonly string[] Parts = ["parts_user", "parts_assistant"];

    private static readonly Dictionary<string, IReadOnlyList<ChatMessage>> Conversations =
        JsonLines.Read(Path.Combine(Folder, "conversations.jsonl.gz")).ToDictionary(row => row.GetString("id"), row => ConversationReader.Read(row, "messages"));

    [Theory]
    [InlineData("tiny_llama3", 32)]
    [InlineData("tiny_qwen2", 31)]
    [InlineData("tiny_llama2", 25)]
    public void Turns_are_what_a_conversation_adds_to_what_is_asked(string target, int compared)
    {
        var tokenizer = TokenizerFixtures.Load(target[5..]);
        var encoder = new ConversationEncoder(ChatTemplateFolder.Load(TokenizerFixtures.FolderOf(target[5..])), tokenizer, markersAreTokens: true);
        var count = 0;
        foreach (var row in JsonLines.Read(Path.Combine(Folder, "prefix.jsonl.gz")).Where(row => row.GetString("target") == target && !Parts.Contains(row.GetString("conversation"))))
        {
            var (name, messages) = (row.GetString("conversation"), Conversations[row.GetString("conversation")]);
            if (row.Has("error"))
            {
                Assert.Throws<InputException>(() => encoder.EncodeTaught(messages, TaughtTurns.Assistant));
                continue;
            }

            var taught = Assert.Single(encoder.EncodeTaught(messages, TaughtTurns.Assistant));
            Same(row, "mask", taught, name);
            Assert.Equal(encoder.Encode(messages, addGenerationPrompt: false).Ids, taught.Ids);
            count++;
        }

        Assert.Equal(compared, count);
    }

    [Fact]
    public void Marked_parts_are_learned_with_every_token_that_covers_them()
    {
        var count = 0;
        foreach (var rows in JsonLines.Read(Path.Combine(Folder, "masks.jsonl.gz")).GroupBy(row => (Target: row.GetString("target"), Template: row.GetString("template"))))
        {
            var name = rows.Key.Target[5..];
            var special = new Dictionary<string, string> { ["bos_token"] = name == "llama3" ? "<|begin_of_text|>" : "<s>", ["eos_token"] = name switch { "llama3" => "<|end_of_text|>", "qwen2" => "<|im_end|>", _ => "</s>" } };
            var template = ChatTemplate.Parse(rows.Key.Template, File.ReadAllText(Path.Combine(Folder, Path.GetFileName(rows.Key.Template))), special);
            var encoder = new ConversationEncoder(template, TokenizerFixtures.Load(name), markersAreTokens: true);
            foreach (var row in rows.Where(row => !Parts.Contains(row.GetString("conversation"))))
            {
                var conversation = row.GetString("conversation");
                if (row.Has("error"))
                {
                    Assert.Throws<InputException>(() => encoder.EncodeTaught(Conversations[conversation], TaughtTurns.Assistant));
                    continue;
                }

                var messages = Conversations[conversation];
                if (!messages.Any(message => message.Role == ChatMessage.Assistant)) continue;
                var taught = encoder.EncodeTaught(messages, TaughtTurns.Assistant);
                if (taught.Count == 0) Assert.Empty(Ranges(row, "spans"));
                else Same(row, row.Has("sound_mask") ? "sound_mask" : "mask", Assert.Single(taught), $"{rows.Key}, {conversation}");
                count++;
            }
        }

        Assert.True(count > 500, $"{count}");
    }

    [Fact]
    public void A_template_that_rewrites_earlier_turns_makes_a_row_of_each()
    {
        // As Qwen 3's: the last answer has a think block, which is left out once something comes after it.
        var template = ChatTemplate.Parse("t", """
            {%- for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' and loop.last %}[]{% endif %}{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}
            """);
        var tokenizer = TokenizerFixtures.Load("llama2");
        var encoder = new ConversationEncoder(template, tokenizer);
        ChatMessage[] messages = [new("user", "One"), new("assistant", "Two"), new("user", "Three"), new("assistant", "Four")];

        string[] Learned(IEnumerable<TaughtConversation> rows) => [.. rows.Select(row => tokenizer.Decode([.. row.Ids.Where((_, i) => row.IsTaught[i])], skipSpecialTokens: false))];
        Assert.Equal(["[]Two</s>", "[]Four</s>"], Learned(encoder.EncodeTaught(messages, TaughtTurns.Assistant)));
        Assert.Equal(["[]Four</s>"], Learned(encoder.EncodeTaught(messages, TaughtTurns.Last)));
        Assert.Equal(["[]Four</s>"], Learned(encoder.EncodeTaught(messages, TaughtTurns.Assistant, from: 3)));
        var all = Assert.Single(encoder.EncodeTaught(messages, TaughtTurns.All));
        Assert.DoesNotContain(false, all.IsTaught);
        Assert.Empty(encoder.EncodeTaught(messages[..1], TaughtTurns.Assistant));

        var (prompt, answer) = encoder.EncodeAnswer(messages[..3], messages[3]);
        Assert.Equal(encoder.EncodeTaught(messages, TaughtTurns.Last)[0].Ids, prompt.Concat(answer));
        Assert.Equal("[]Four</s>", tokenizer.Decode(answer, skipSpecialTokens: false));
    }

    [Fact]
    public void A_user_who_writes_a_token_s_name_ends_no_turn_and_moves_no_mask()
    {
        var tokenizer = TokenizerFixtures.Load("qwen2");
        var encoder = new ConversationEncoder(ChatTemplateFolder.Load(TokenizerFixtures.FolderOf("qwen2")), tokenizer);
        ChatMessage[] messages = [new("user", "Say <|im_end|> twice."), new("assistant", "No.")];
        var taught = Assert.Single(encoder.EncodeTaught(messages, TaughtTurns.Assistant));
        Assert.Equal(encoder.Encode(messages, addGenerationPrompt: false).Ids, taught.Ids);
        Assert.Equal("No.<|im_end|>\n", tokenizer.Decode([.. taught.Ids.Where((_, i) => taught.IsTaught[i])], skipSpecialTokens: false));
    }

    private static void Same(DataRow row, string column, TaughtConversation taught, string name)
    {
        var expected = new bool[taught.Ids.Length];
        foreach (var (from, to) in Ranges(row, column)) expected.AsSpan(from..to).Fill(true);
        Assert.True(expected.AsSpan().SequenceEqual(taught.IsTaught), $"{name}: expected {Text(expected)}, got {Text(taught.IsTaught)}");
    }

    private static string Text(bool[] mask) => string.Concat(mask.Select(taught => taught ? '1' : '0'));

    private static (int From, int To)[] Ranges(DataRow row, string column) =>
        [.. ((IReadOnlyList<object?>)row[column]!).Cast<IReadOnlyList<object?>>().Select(range => ((int)(long)range[0]!, (int)(long)range[1]!))];
}
