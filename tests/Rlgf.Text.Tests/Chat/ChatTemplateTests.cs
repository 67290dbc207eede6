using System.Text.Json;
using System.Text.Json.Serialization;
using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Text.Tests.Data;
using Rlgf.Text.Tests.Tokenization;

namespace Rlgf.Text.Tests.Chat;

public sealed class ChatTemplateTests
{
    private static readonly ChatMessage[] Hello = [new("user", "Hello")];

    [Theory]
    [InlineData("llama2")]
    [InlineData("llama3")]
    [InlineData("qwen2")]
    public void Conversations_read_as_the_transformers_library_writes_them_and_have_its_ids(string name)
    {
        var template = ChatTemplateFolder.Load(TokenizerFixtures.FolderOf(name));
        var tokenizer = TokenizerFixtures.Load(name);
        var renderings = Read<ChatFile>(Path.Combine(TokenizerFixtures.FolderOf(name), "chat.json")).Renderings;
        Assert.NotEmpty(renderings);
        Assert.All(renderings, expected =>
        {
            var text = template.Render(Messages(expected.Messages), expected.AddGenerationPrompt);
            Assert.Equal(expected.Text, text);
            Assert.Equal(expected.Ids, tokenizer.Encode(text));
        });
    }

    [Fact]
    public void Templates_give_what_Jinja_gives()
    {
        var file = Read<CaseFile>(Path.Combine(AppContext.BaseDirectory, "fixtures", "chat", "cases.json"));
        var tokens = new Dictionary<string, string> { ["bos_token"] = "<s>", ["eos_token"] = "</s>" };
        Assert.True(file.Cases.Length > 150);
        Assert.All(file.Cases, expected => Assert.Equal(
            expected.Text, ChatTemplate.Parse("a template", expected.Template, tokens).Render(Messages(expected.Messages), expected.AddGenerationPrompt, file.Now)));
    }

    [Fact]
    public void A_template_is_found_in_the_configuration_as_a_text_or_as_the_default_of_several()
    {
        using var folder = new TemporaryFolder();
        Assert.Null(ChatTemplateFolder.Find(folder.Path));
        Assert.Contains("has no chat template", Assert.Throws<InputException>(() => ChatTemplateFolder.Load(folder.Path)).Message, StringComparison.Ordinal);
        folder.Write("tokenizer_config.json", """{"chat_template": "{{ messages[0].content }}"}""");
        Assert.Equal("Hello", ChatTemplateFolder.Load(folder.Path).Render(Hello, false));
        folder.Write("tokenizer_config.json", """{"chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "{{ bos_token }}y"}], "bos_token": {"content": "<s>"}}""");
        Assert.Equal("<s>y", ChatTemplateFolder.Load(folder.Path).Render(Hello, false));
        folder.Write("chat_template.jinja", "from the file of its own");
        Assert.Equal("from the file of its own", ChatTemplateFolder.Load(folder.Path).Render(Hello, false));
    }

    [Fact]
    public void What_a_template_refuses_is_said_with_its_own_words()
    {
        var template = ChatTemplateFolder.Load(TokenizerFixtures.FolderOf("llama2"));
        var error = Assert.Throws<InputException>(() => template.Render([new("assistant", "I begin")], false));
        Assert.EndsWith("chat_template.jinja: the template refuses these messages: Conversation roles must alternate user/assistant/user/assistant/...", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a\n{% do 1 %}", "line 2: the template uses '{% do %}', which chat templates don't have")]
    [InlineData("{% break %}", "uses '{% break %}' outside of a loop")]
    [InlineData("{{ 'x' | urlize }}", "uses the filter 'urlize', which isn't supported")]
    [InlineData("{{ 'x' | nosuch }}", "uses the filter 'nosuch', which Jinja doesn't have")]
    [InlineData("{{ 'x' is nosuch }}", "uses the test 'nosuch', which Jinja doesn't have")]
    [InlineData("{% if x %}", "line 1: the template has a block without its endif")]
    [InlineData("{% endif %}", "uses '{% endif %}', which ends no block there")]
    [InlineData("{{ x", "has a tag that doesn't end with }}")]
    [InlineData("{{ 'x }}", "has a text in quotes that doesn't end")]
    [InlineData("{# x", "has a comment that doesn't end")]
    [InlineData("{{ 1 + }}", "needs a value before the end of a tag")]
    [InlineData("{{ 1 2 }}", "has a tag that doesn't end at '2'")]
    [InlineData("{{ § }}", "has the character '§'")]
    [InlineData("{% set 1 = 2 %}", "sets something that isn't a name")]
    public void What_is_not_supported_is_refused_by_name_and_line_when_it_is_read(string source, string message)
        => Refuses(message, () => ChatTemplate.Parse("t.jinja", source));

    [Theory]
    [InlineData("{{ nothing.content }}", "takes 'content' of 'nothing', which is undefined")]
    [InlineData("\n\n{{ messages[0].content + 1 }}", "line 3: the template has + between a str and a int")]
    [InlineData("\n{% include 'x' %}", "line 2: the template uses '{% include %}', but a chat template has no others beside it")]
    [InlineData("{{ 1 / 0 }}", "can't work out 1 / 0")]
    [InlineData("{{ 'a' < 1 }}", "compares a str with a int by <")]
    [InlineData("{{ messages.append(1) }}", "calls 'append', which is undefined or can't be called here")]
    [InlineData("{{ ''.__class__.__mro__ }}", "takes '__mro__' of '__class__', which is undefined")]
    [InlineData("{{ ''.encode() }}", "calls 'encode', which is undefined or can't be called here")]
    [InlineData("{% set a.b = 1 %}", "isn't a namespace")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself more than")]
    [InlineData("{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}", "does more than")]
    [InlineData("{% for a in range(1000000) %}{% endfor %}", "calls range() for more than")]
    [InlineData("{{ 'x' * 100000000 }}", "makes a value of more than")]
    [InlineData("{% set x = 'x' * 4000000 %}{% for a in range(100) %}{% set y = x.upper() %}{% endfor %}", "makes values of more than")]
    [InlineData("{% set x = 'x' * 4000000 %}{{ range(100) | map('default', x) | map('string') | join(x) }}", "makes a value of more than")]
    [InlineData("{% set n = namespace(x='xxxxxxxx') %}{% for a in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}", "makes a value of more than")]
    [InlineData("{% set n = namespace(x=[1]) %}{% for a in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}", "makes a value of more than")]
    [InlineData("{% set n = namespace(x=1) %}{% for a in range(100) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}", "writes a value that is too large")]
    [InlineData("{% set n = namespace(x=1) %}{% for a in range(100) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | tojson }}", "makes a value of more than")]
    [InlineData("{% set n = namespace(x=1, y=1) %}{% for a in range(60) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}", "compares values that are too large")]
    [InlineData("{% set n = namespace(x=1) %}{% for a in range(100000) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}", "is nested too deeply")]
    public void What_goes_wrong_or_would_never_end_is_one_error(string source, string message)
        => Refuses(message, () => ChatTemplate.Parse("t.jinja", source).Render(Hello, false));

    [Fact]
    public void Deeply_nested_templates_are_refused()
    {
        Refuses("has an expression nested more than 200 deep", () => ChatTemplate.Parse("t.jinja", "{{ " + new string('(', 100_000) + "1" + new string(')', 100_000) + " }}"));
        Refuses("has blocks nested more than 100 deep", () => ChatTemplate.Parse("t.jinja", string.Concat(Enumerable.Repeat("{% if 1 %}", 100_000))));
        Refuses("has an expression nested more than 200 deep", () => ChatTemplate.Parse("t.jinja", "{{ " + string.Concat(Enumerable.Repeat("not ", 100_000)) + "1 }}"));
        Refuses("the template has 2000000 characters; at most", () => ChatTemplate.Parse("t.jinja", new string('x', 2_000_000)));
    }

    /// <summary>Long chains are not deep: they end, one way or the other, without taking the process with them.</summary>
    [Theory]
    [InlineData("1", " + 1")]
    [InlineData("x", ".x")]
    [InlineData("1", " | string")]
    [InlineData("1", " if 1 else 1")]
    [InlineData("1", " and 1")]
    public void Long_chains_end_in_a_text_or_an_error(string first, string next)
    {
        try
        {
            ChatTemplate.Parse("t.jinja", "{{ " + first + string.Concat(Enumerable.Repeat(next, 60_000)) + " }}").Render(Hello, false);
        }
        catch (InputException error)
        {
            Assert.DoesNotContain('\n', error.Message);
        }
    }

    private static void Refuses(string message, Action work)
    {
        var error = Assert.Throws<InputException>(work);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.StartsWith("t.jinja: ", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    private static ChatMessage[] Messages(Message[] messages) => Array.ConvertAll(messages, message => new ChatMessage(message.Role, message.Content));

    private static T Read<T>(string path) => JsonSerializer.Deserialize<T>(File.ReadAllText(path))!;

    private sealed record Message([property: JsonPropertyName("role")] string Role, [property: JsonPropertyName("content")] string Content);

    private sealed record ChatFile([property: JsonPropertyName("renderings")] Rendering[] Renderings);

    private sealed record Rendering(
        [property: JsonPropertyName("messages")] Message[] Messages,
        [property: JsonPropertyName("add_generation_prompt")] bool AddGenerationPrompt,
        [property: JsonPropertyName("text")] string Text,
        [property: JsonPropertyName("ids")] int[] Ids);

    private sealed record CaseFile([property: JsonPropertyName("now")] DateTime Now, [property: JsonPropertyName("cases")] TemplateCase[] Cases);

    private sealed record TemplateCase(
        [property: JsonPropertyName("template")] string Template,
        [property: JsonPropertyName("messages")] Message[] Messages,
        [property: JsonPropertyName("add_generation_prompt")] bool AddGenerationPrompt,
        [property: JsonPropertyName("text")] string Text);
}
