using Parquet.Serialization;
using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;

namespace Rlgf.Text.Tests.Data;

/// <summary>Conversations and other objects in data files, and numbers that only Python writes.</summary>
public sealed class ObjectsInRowsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Messages_are_read_from_JSON_lines()
    {
        var path = _folder.Write("chat.jsonl", """
            {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": [{"type": "text", "text": "Is it "}, {"type": "text", "text": "good?"}]}], "n": 1}
            {"messages": [{"role": "user", "content": "Weather?", "name": null}, {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "days": 2}]}], "n": 2}
            """);
        var rows = TextDataset.Open(path).Rows;

        Assert.Equal((ChatMessage[])[new("system", "Be short."), new("user", "Is it good?")], ConversationReader.Read(rows[0], "messages").Select(message => new ChatMessage(message.Role, message.Content)));
        var second = ConversationReader.Read(rows[1], "messages");
        Assert.Empty(second[0].Other);
        Assert.Equal(["tool_calls", "content"], second[1].Other.Keys);
        var template = ChatTemplate.Parse("t", "{% for m in messages %}{{ m.role }}:{{ m.content is defined }}:{{ m.tool_calls[0].days + 1 if m.tool_calls }};{% endfor %}");
        Assert.Equal("user:True:;assistant:False:3;", template.Render(second, addGenerationPrompt: false));
    }

    [Theory]
    [InlineData("\"Hello\"", "expected a list of messages, such as [{\"role\": \"user\", \"content\": \"…\"}], found the text \"Hello\"")]
    [InlineData("[]", "holds no message")]
    [InlineData("[\"Hello\"]", "message 1: expected an object with role and content, found the text \"Hello\"")]
    [InlineData("[{\"role\": \"user\", \"content\": \"Hello\"}, {\"content\": \"x\"}]", "message 2: expected a text as role, found no role")]
    [InlineData("[{\"role\": \"user\"}]", "message 1: the user's message has no content; give it a text, or leave the row out")]
    [InlineData("[{\"role\": \"user\", \"content\": 5}]", "message 1: expected a text as content, found the number 5")]
    [InlineData("[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]", "message 1: expected parts of text, found a part of the type 'image'")]
    public void What_is_no_conversation_is_said_with_its_place(string value, string problem)
    {
        var path = _folder.Write("chat.jsonl", $"{{\"messages\": {value}}}\n");
        var error = Assert.Throws<InputException>(() => ConversationReader.Read(TextDataset.Open(path)[0], "messages"));
        Assert.Equal($"{path}:1: column 'messages': {problem}", error.Message);
    }

    [Fact]
    public async Task Objects_and_lists_of_objects_are_read_from_Parquet()
    {
        var path = Path.Combine(_folder.Path, "chat.parquet");
        Row[] written =
        [
            new() { Id = 1, Messages = [new() { Role = "user", Content = "Hello." }, new() { Role = "assistant", Content = "Yes?" }, new() { Role = "user" }], Origin = new() { Site = "a", Page = 3 } },
            new() { Id = 2, Messages = [], Origin = new() { Site = null, Page = 4 } },
            new() { Id = 3, Messages = [new() { Role = "user", Content = "日本語" }], Origin = new() { Site = "b", Page = 5 } },
        ];
        await ParquetSerializer.SerializeAsync(written, path, cancellationToken: TestContext.Current.CancellationToken);

        var rows = TextDataset.Open(path).Rows;

        Assert.Equal(3, rows.Count);
        Assert.All(rows.Zip(written), pair =>
        {
            var messages = ((IReadOnlyList<object?>)pair.First["Messages"]!).Cast<IReadOnlyDictionary<string, object?>>();
            Assert.Equal(pair.Second.Messages!.Select(message => (message.Role, message.Content)), messages.Select(message => ((string?)message["Role"], (string?)message["Content"])));
            var origin = (IReadOnlyDictionary<string, object?>)pair.First["Origin"]!;
            Assert.Equal((pair.Second.Origin!.Site, (long)pair.Second.Origin.Page), ((string?)origin["Site"], (long)origin["Page"]!));
        });
    }

    [Fact]
    public void A_number_that_only_Python_writes_stops_no_file_but_whoever_asks_for_it()
    {
        var path = _folder.Write("p.jsonl", """
            {"text": "NaN and \"Infinity\" are names", "score": NaN, "list": [1, -Infinity]}
            {"text": "two", "score": 0.5, "list": [Infinity]}
            {"text": "three", "score": 1e999, "list": []}
            """);
        var rows = TextDataset.Open(path).Rows;

        Assert.Equal(["NaN and \"Infinity\" are names", "two", "three"], rows.Select(row => row.GetString("text")));
        Assert.Equal(0.5, rows[1].GetDouble("score"));
        Assert.Equal($"{path}:1: column 'score': holds NaN, which isn't read", Assert.Throws<InputException>(() => rows[0].GetDouble("score")).Message);
        Assert.Contains("holds the number 1e999, which is beyond what a float64 can hold", Assert.Throws<InputException>(() => rows[2].GetDouble("score")).Message, StringComparison.Ordinal);
        Assert.Contains("element 2: expected text", Assert.Throws<InputException>(() => TextDataset.Open(_folder.Write("q.jsonl", "{\"list\": [\"a\", NaN]}\n"))[0].GetStrings("list")).Message, StringComparison.Ordinal);
        Assert.Contains("q.jsonl:1: not valid JSON at byte ", Assert.Throws<InputException>(() => TextDataset.Open(_folder.Write("q.jsonl", "{\"score\": NaN ! }\n"))).Message, StringComparison.Ordinal);
    }

    public sealed class Row
    {
        public int Id { get; set; }

        public List<Message>? Messages { get; set; }

        public Origin? Origin { get; set; }
    }

    public sealed class Message
    {
        public string? Role { get; set; }

        public string? Content { get; set; }
    }

    public sealed class Origin
    {
        public string? Site { get; set; }

        public int Page { get; set; }
    }
}
