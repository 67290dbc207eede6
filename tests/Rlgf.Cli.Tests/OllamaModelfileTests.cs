using Rlgf.ChatTemplates;

namespace Rlgf.Cli.Tests;

/// <summary>Values in a Modelfile, read back by the rules of Ollama's own parser, and text in a Go template.</summary>
public sealed class OllamaModelfileTests
{
    [Theory]
    [InlineData("<|im_end|>")]
    [InlineData("a \"b\" c")]
    [InlineData("\"")]
    [InlineData("ends with a \\")]
    [InlineData(" spaces ")]
    [InlineData("line\n\"line\"\nline")]
    public void A_value_is_read_back_as_it_was(string value) => Assert.Equal(value, Read($"PARAMETER stop {OllamaModelfile.Quoted(value)}\n"));

    [Theory]
    [InlineData("three \"\"\" quotes")]
    [InlineData("a\u0001b")]
    [InlineData("a\u200bb")]
    [InlineData("a\rb")]
    public void What_a_modelfile_can_not_hold_is_not_written(string value) => Assert.Null(OllamaModelfile.Quoted(value));

    [Theory]
    [InlineData("{{ x }}")]
    [InlineData("a {{{ b")]
    [InlineData("{\"name\": {\u200b} {🙂} {\r}")]
    [InlineData("ends with {")]
    [InlineData("\"\"\"")]
    [InlineData("\"\"\"\"\n\"")]
    [InlineData("ends with \"")]
    [InlineData("carriage\r\nreturn and\u2028line, \u200bno width, \u00a0no break, \u0085")]
    [InlineData("plain } }} text \\n 🙂")]
    public void Literal_text_is_what_go_writes_of_it(string text)
    {
        var template = OllamaModelfile.Literal(text) + "{{ .Content }}";
        // Read from the file first, then written by the template.
        Assert.Equal(text + "CONTENT", Go(Read($"TEMPLATE \"\"\"{template}\"\"\"\n")));
    }

    [Fact]
    public void A_template_with_braces_and_quotes_has_a_counterpart()
    {
        const string Jinja = "{% for m in messages %}{{ '{{' + m.role + '}}\"\"\"\\n' + m.content + '\"\"\"\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '{{assistant}}\"\"\"\\n' }}{% endif %}";
        var text = OllamaModelfile.Text("m.gguf", ChatTemplate.Parse("t", Jinja, new Dictionary<string, string>()), null, ["</s>"], false, 128, new Dictionary<string, double>(), null);
        var go = Read(text[text.IndexOf("TEMPLATE", StringComparison.Ordinal)..]);
        Assert.Contains("{{ \"{\" }}{user}}", go, StringComparison.Ordinal);
        Assert.DoesNotContain("\"\"\"", go, StringComparison.Ordinal);
    }

    /// <summary>The value of the first command, by Ollama's rules: at white space the value so far is looked at without its surroundings' spaces, and ends at a line's end where its quotes are closed; runes that aren't printable are dropped.</summary>
    private static string Read(string text)
    {
        var at = text.StartsWith("TEMPLATE", StringComparison.Ordinal) ? "TEMPLATE ".Length : "PARAMETER stop ".Length;
        var value = new System.Text.StringBuilder();
        foreach (var rune in text[at..].EnumerateRunes())
        {
            if (rune.Value is '\n' or '\r' && Unquote(value.ToString().Trim()) is { } whole) return whole;
            var category = System.Text.Rune.GetUnicodeCategory(rune);
            var isPrinted = category is not (System.Globalization.UnicodeCategory.Control or System.Globalization.UnicodeCategory.Format or System.Globalization.UnicodeCategory.LineSeparator
                or System.Globalization.UnicodeCategory.ParagraphSeparator or System.Globalization.UnicodeCategory.SpaceSeparator);
            if (isPrinted || rune.Value is ' ' or '\t' or '\n' or '\r') value.Append(rune.ToString());
        }

        throw new InvalidOperationException("the value doesn't end");
    }

    private static string? Unquote(string value)
    {
        const string Quotes = "\"\"\"";
        if (value.StartsWith(Quotes, StringComparison.Ordinal)) return value.Length >= 6 && value.EndsWith(Quotes, StringComparison.Ordinal) ? value[3..^3] : null;
        if (value.StartsWith('"')) return value.Length >= 2 && value.EndsWith('"') ? value[1..^1] : null;
        return value;
    }

    /// <summary>What Go's text/template writes of text, actions with one string, and <c>.Content</c>: an action begins at the first two braces.</summary>
    private static string Go(string template)
    {
        var written = new System.Text.StringBuilder();
        while (template.IndexOf("{{", StringComparison.Ordinal) is var begin and >= 0)
        {
            written.Append(template, 0, begin);
            var end = template.IndexOf("}}", begin, StringComparison.Ordinal);
            var action = template[(begin + 2)..end].Trim();
            if (action == ".Content") written.Append("CONTENT");
            else
            {
                Assert.Matches("^\"(\\\\U[0-9a-f]{8}|\\\\\"|[^\"\\\\])*\"$", action);
                for (var i = 1; i < action.Length - 1; i++)
                {
                    if (action[i] != '\\') written.Append(action[i]);
                    else if (action[++i] == 'U')
                    {
                        written.Append(char.ConvertFromUtf32(Convert.ToInt32(action.Substring(i + 1, 8), 16)));
                        i += 8;
                    }
                    else written.Append(action[i]);
                }
            }

            template = template[(end + 2)..];
        }

        return written.Append(template).ToString();
    }
}
