using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Rlgf.Base;
using Rlgf.ChatTemplates;

namespace Rlgf.Text.Tests.Chat;

/// <summary>Templates against what Jinja2 makes of them: a text, or nothing where it refuses.</summary>
public sealed class JinjaTests
{
    private static readonly DateTime Now = new(2024, 7, 26, 10, 20, 30, DateTimeKind.Unspecified);
    private static readonly Context Given = JsonSerializer.Deserialize<Context>(File.ReadAllText(PathOf("jinja_context.json")))!;

    [Fact]
    public void Cases_of_all_parts_of_Jinja_give_what_it_gives() => Holds(File.ReadLines(PathOf("cases.jsonl")), 110);

    [Fact]
    public void Thousands_of_small_templates_give_what_Jinja_gives()
    {
        using var file = new StreamReader(new GZipStream(File.OpenRead(PathOf("templates.jsonl.gz")), CompressionMode.Decompress));
        Holds(file.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries), 15_000);
    }

    [Theory]
    [InlineData("{{ 'a' | tojson(separator=1) }}", "calls the filter 'tojson' with 'separator', which it doesn't take")]
    [InlineData("{{ 'a' | upper(1) }}", "calls the filter 'upper' with 2 arguments; it takes 1")]
    [InlineData("{{ 'a' | replace('b') }}", "calls the filter 'replace' without 'new'")]
    [InlineData("{{ 'a'.split(by=',') }}", "calls split() with 'by', which it doesn't take")]
    [InlineData("{{ 1 is divisibleby }}", "calls the test 'divisibleby' without 'num'")]
    [InlineData("{{ 1 | round(1, 'up') }}", "calls the filter 'round' with the method 'up'; there are common, ceil and floor")]
    [InlineData("{{ lipsum() }}", "calls lipsum() which writes text at random and isn't supported")]
    public void Arguments_are_used_or_refused_by_name(string template, string message) => Refuses(template, message);

    [Theory]
    [InlineData("{{ 'x' * 1000000000 }}", "makes a value of more than")]
    [InlineData("{{ [0] * 1000000000 }}", "makes a value of more than")]
    [InlineData("{{ 'x'.ljust(1000000000) }}", "makes a value of more than")]
    [InlineData("{{ '%1000000000d' % 1 }}", "makes a value of more than")]
    [InlineData("{{ '{:999999}'.format(1) ~ '{:9999999}'.format(1) }}", "formats a value by '9999999', which doesn't fit it")]
    [InlineData("{{ 10 ** (10 ** 10) }}", "makes an int that is too large")]
    [InlineData("{% set n = namespace(x=3) %}{% for a in range(100) %}{% set n.x = n.x * n.x %}{% endfor %}", "makes an int that is too large")]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "steps; it may never end")]
    [InlineData("{% for a in range(100000) recursive %}{{ loop(range(10)) }}{% endfor %}", "calls itself more than")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself more than")]
    [InlineData("{% block a %}{{ self.a() }}{% endblock %}", "calls itself more than")]
    [InlineData("{% set n = namespace(x=[]) %}{% for a in range(100000) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}", "is nested too deeply")]
    [InlineData("{% set n = namespace(x=()) %}{% for a in range(100000) %}{% set n.x = (n.x,) %}{% endfor %}{{ {n.x: 1} }}", "is nested too deeply")]
    [InlineData("{% set n = namespace(x=[1]) %}{% for a in range(100000) %}{% set n.x = n.x | map('abs') %}{% endfor %}{{ n.x | list }}", "is nested too deeply")]
    [InlineData("{% set n = namespace(x=(1,)) %}{% for a in range(60) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ {n.x: 1} }}", "uses a value as a key that is too large")]
    [InlineData("{% set n = namespace(x=[1]) %}{% for a in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | pprint }}", "steps; it may never end")]
    [InlineData("{% set x = '🙂' * 1000000 %}{% for a in range(100000) %}{% set y = x[a] %}{% endfor %}", "steps; it may never end")]
    [InlineData("{% set x = 'x' * 4000000 %}{% for a in range(100000) %}{% set y = x.find('y') %}{% endfor %}", "steps; it may never end")]
    public void Templates_that_would_take_all_time_or_memory_are_one_error(string template, string message) => Refuses(template, message);

    /// <summary>What a template may do grows with the conversation: one that goes through all messages for each of them is in use.</summary>
    [Fact]
    public void Long_conversations_may_take_many_steps()
    {
        const string Template = "{% for m in messages %}{% set ns = namespace(n=0) %}{% for o in messages %}{% if o.role == m.role %}{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}{{ ns.n }},{% endfor %}";
        var messages = Enumerable.Range(0, 400).Select(i => new ChatMessage(i % 2 == 0 ? "user" : "assistant", "short")).ToArray();
        Assert.Equal(string.Concat(Enumerable.Repeat("200,", 400)), ChatTemplate.Parse("t", Template).Render(messages, false));
    }

    [Fact]
    public void Templates_with_many_branches_are_read_or_one_error()
    {
        Assert.Equal("x", Render("{% if 0 %}" + string.Concat(Enumerable.Repeat("{% elif 0 %}", 500)) + "{% else %}x{% endif %}"));
        Refuses("{% if 0 %}" + string.Concat(Enumerable.Repeat("{% elif 0 %}", 80_000)) + "{% else %}x{% endif %}", "is nested too deeply");
    }

    [Fact]
    public void A_template_says_what_keeps_it_from_rendering()
    {
        Assert.Null(ChatTemplate.Parse("t", "{{ messages[0].content }}").Problem());
        Assert.Equal("t: line 1: the template takes 'b' of 'a', which is undefined.", ChatTemplate.Parse("t", "{{ messages[0].a.b }}").Problem());
    }

    private static void Refuses(string template, string message)
    {
        var watch = Stopwatch.StartNew();
        var error = Assert.Throws<InputException>(() => Render(template));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60));
    }

    private static void Holds(IEnumerable<string> lines, int least)
    {
        var (count, wrong) = (0, new StringBuilder());
        foreach (var line in lines)
        {
            count++;
            var expected = JsonSerializer.Deserialize<TemplateCase>(line)!;
            // Where an object lies in memory is another on every run.
            if (expected.Right?.Contains(" at 0x", StringComparison.Ordinal) == true)
                continue;
            string? rendered = null, error = null;
            try
            {
                rendered = Render(expected.Template);
            }
            catch (InputException refusal)
            {
                error = refusal.Message;
                Assert.DoesNotContain('\n', error);
            }
            if (expected.Ok ? rendered != expected.Right : error is null)
                wrong.AppendLine(expected.Template).AppendLine($"  right {expected.Right ?? "refused"}").AppendLine($"  got   {rendered ?? error}");
        }
        Assert.Equal("", wrong.ToString());
        Assert.True(count >= least, $"{count} cases");
    }

    private static string Render(string template) =>
        ChatTemplate.Parse("t", template, Given.Special).Render(Array.ConvertAll(Given.Messages, message => new ChatMessage(message.Role, message.Content)), Given.AddGenerationPrompt, Now);

    private static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "chat", name);

    private sealed record Message([property: JsonPropertyName("role")] string Role, [property: JsonPropertyName("content")] string Content);

    private sealed record Context(
        [property: JsonPropertyName("messages")] Message[] Messages,
        [property: JsonPropertyName("add_generation_prompt")] bool AddGenerationPrompt,
        [property: JsonPropertyName("special")] Dictionary<string, string> Special);

    private sealed record TemplateCase(
        [property: JsonPropertyName("template")] string Template,
        [property: JsonPropertyName("ok")] bool Ok,
        [property: JsonPropertyName("right")] string? Right);
}
