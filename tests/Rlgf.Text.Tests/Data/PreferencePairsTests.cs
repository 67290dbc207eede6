using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;

namespace Rlgf.Text.Tests.Data;

/// <summary>Pairs of a preferred and another answer, in the forms in which data sets have them.</summary>
public sealed class PreferencePairsTests : IDisposable
{
    private const string User = """{"role": "user", "content": "Hi"}""", Yes = """{"role": "assistant", "content": "Yes."}""", No = """{"role": "assistant", "content": "No."}""";

    private readonly TemporaryFolder _folder = new();
    private readonly DroppedRows _dropped = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"prompt": "Hi", "chosen": "Yes.", "rejected": "No."}""", false)]
    [InlineData($$"""{"prompt": "Hi", "chosen": [{{Yes}}], "rejected": [{{No}}]}""", true)]
    [InlineData($$"""{"prompt": [{{User}}], "chosen": "Yes.", "rejected": "No."}""", true)]
    [InlineData($$"""{"prompt": [{{User}}], "chosen": [{{Yes}}], "rejected": [{{No}}]}""", true)]
    [InlineData($$"""{"chosen": [{{User}}, {{Yes}}], "rejected": [{{User}}, {{No}}]}""", true)]
    [InlineData($$"""{"prompt": "Hi", "chosen": [{{User}}, {{Yes}}], "rejected": [{{User}}, {{No}}]}""", true)]
    [InlineData($$"""{"prompt": [{{User}}], "chosen": [{{User}}, {{Yes}}], "rejected": [{{User}}, {{No}}]}""", true)]
    public void A_pair_is_the_same_in_each_form(string line, bool isConversation)
    {
        var pair = Assert.Single(Read(line));

        Assert.Equal("user: Hi", Written(pair.Prompt));
        Assert.Equal("user: Hi|assistant: Yes.", Written(pair.ChosenConversation));
        Assert.Equal("user: Hi|assistant: No.", Written(pair.RejectedConversation));
        Assert.Equal(isConversation, pair.IsConversation);
        Assert.Equal(0, pair.Margin);
        Assert.Null(_dropped.Line(1));
    }

    [Fact]
    public void Columns_may_have_other_names_and_a_margin()
    {
        var path = _folder.Write("pairs.csv", "q,good,bad,by\nHi,Yes.,No.,1.5\n");
        var pair = Assert.Single(PreferencePairs.Read(TextDataset.Open(path).Rows, new() { Prompt = "q", Chosen = "good", Rejected = "bad", Margin = "by" }, _dropped));

        Assert.Equal(("Yes.", "No.", 1.5, false), (pair.Chosen.Content, pair.Rejected.Content, pair.Margin, pair.IsConversation));
    }

    [Fact]
    public void Pairs_that_teach_nothing_are_left_out_and_counted()
    {
        var pairs = Read(
            """{"prompt": "a", "chosen": "Yes.", "rejected": "Yes."}""",
            """{"prompt": "b", "chosen": "Yes.", "rejected": " "}""",
            """{"prompt": "c", "chosen": "Yes.", "rejected": "Yes"}""",
            """{"prompt": "d", "chosen": "", "rejected": "No."}""",
            $$"""{"prompt": "e", "chosen": [{{Yes}}], "rejected": "Yes."}""",
            // Neither thoughts nor an empty list of calls is an answer.
            """{"prompt": "h", "chosen": [{"role": "assistant", "content": "", "reasoning_content": "Hm."}], "rejected": "No."}""",
            """{"prompt": "i", "chosen": [{"role": "assistant", "content": "", "tool_calls": []}], "rejected": "No."}""",
            // Calls of tools are answers without text.
            """{"prompt": "f", "chosen": [{"role": "assistant", "content": null, "tool_calls": [{"name": "a"}]}], "rejected": [{"role": "assistant", "content": null, "tool_calls": [{"name": "b"}]}]}""",
            """{"prompt": "g", "chosen": [{"role": "assistant", "content": null, "tool_calls": [{"name": "a"}]}], "rejected": [{"role": "assistant", "content": null, "tool_calls": [{"name": "a"}]}]}""");

        Assert.Equal(["c", "f"], pairs.Select(pair => pair.Prompt[0].Content));
        Assert.Equal(3, _dropped.ByReason[PreferencePairs.Same]);
        Assert.Equal(4, _dropped.ByReason[PreferencePairs.Empty]);
        var path = Path.Combine(_folder.Path, "pairs.jsonl");
        Assert.Equal($"7 of 9 rows are left out: 3 because chosen and rejected are the same (the first: {path}:1), 4 because an answer is empty (the first: {path}:2)", _dropped.Line(9));
    }

    [Theory]
    [InlineData("""{"prompt": "Hi", "chosen": "Yes."}""", "no column 'rejected'; there is prompt, chosen")]
    [InlineData("""{"chosen": "Yes.", "rejected": "No."}""", "no column 'prompt'; there is chosen, rejected")]
    [InlineData("""{"prompt": "", "chosen": "Yes.", "rejected": "No."}""", "column 'prompt': it is empty; an answer needs something that it answers")]
    [InlineData("""{"prompt": null, "chosen": "Yes.", "rejected": "No."}""", "column 'prompt': expected a prompt: a text or a list of messages, found null")]
    [InlineData("""{"prompt": "Hi", "chosen": null, "rejected": "No."}""", "column 'chosen': expected an answer: a text, or a list of messages that ends with the assistant's, found null")]
    [InlineData("""{"prompt": "Hi", "chosen": "Yes.", "rejected": [{"role": "assistant", "content": null}]}""", "column 'rejected': message 1: the assistant's message has null as content and calls no tool; give it a text, or leave the row out")]
    [InlineData("""{"prompt": "Hi", "chosen": "Yes.", "rejected": [{"role": "assistant", "reasoning_content": "Hm."}]}""", "column 'rejected': message 1: the assistant's message has no content and calls no tool; give it a text, or leave the row out")]
    [InlineData("""{"prompt": "Hi", "chosen": "Yes.", "rejected": 5}""", "column 'rejected': expected an answer: a text, or a list of messages that ends with the assistant's, found the number 5")]
    [InlineData($$"""{"prompt": "Hi", "chosen": [{{Yes}}, {{User}}], "rejected": [{{No}}]}""", "column 'chosen': it ends with the user's turn; an answer is the assistant's")]
    [InlineData($$"""{"prompt": "Hi", "chosen": [{{Yes}}], "rejected": [{{User}}, {{No}}]}""", "column 'rejected': one of chosen and rejected holds a whole conversation and the other only an answer; write both alike")]
    [InlineData($$"""{"prompt": [{{User}}, {{Yes}}], "chosen": "Yes.", "rejected": "No."}""", "column 'prompt': it ends with the assistant's turn, so that there is nothing to answer")]
    [InlineData($$"""{"prompt": [{"role": "human", "content": "Hi"}], "chosen": "Yes.", "rejected": "No."}""", "column 'prompt': message 1: the role 'human' is none of system, developer, user, assistant, tool, function, ipython; rename it")]
    [InlineData($$"""{"chosen": [{{User}}, {{Yes}}], "rejected": [{"role": "user", "content": "Ho"}, {{No}}]}""", "column 'rejected': its prompt differs from that of chosen at message 1; a pair has two answers to one prompt, the last messages")]
    [InlineData($$"""{"chosen": [{{User}}, {{Yes}}], "rejected": [{{User}}, {{No}}, {{User}}, {{No}}]}""", "column 'rejected': its prompt differs from that of chosen at message 2; a pair has two answers to one prompt, the last messages")]
    [InlineData($$"""{"chosen": [{{User}}, {{Yes}}, {{Yes}}], "rejected": [{{User}}, {{Yes}}, {{No}}]}""", "column 'chosen': it ends with two turns of the assistant, so that the last one answers nothing")]
    [InlineData($$"""{"chosen": [{{Yes}}, {{User}}, {{Yes}}], "rejected": [{{No}}]}""", "column 'chosen': it holds 3 messages from the assistant's on; an answer is one message, and a whole conversation begins with the user's or the system's")]
    [InlineData($$"""{"prompt": "Ho", "chosen": [{{User}}, {{Yes}}], "rejected": [{{User}}, {{No}}]}""", "column 'prompt': it is none of the messages before the answers in chosen and rejected, so that the prompts differ")]
    [InlineData($$"""{"prompt": [{{User}}, {{Yes}}, {{User}}], "chosen": [{{User}}, {{Yes}}], "rejected": [{{User}}, {{No}}]}""", "column 'prompt': it is not what chosen and rejected begin with, so that the prompts differ")]
    public void What_is_malformed_is_said_with_its_place(string line, string problem) => Refused(null, line, problem);

    [Theory]
    [InlineData("NaN", "column 'm': holds NaN, which isn't read")]
    [InlineData("Infinity", "column 'm': holds Infinity, which isn't read")]
    [InlineData("null", "column 'm': expected a number, found null")]
    [InlineData("1e30", "column 'm': the margin is 1E+30; it is by how much the chosen answer's score is ahead, a number from 0 to 1000")]
    [InlineData("1000.5", "column 'm': the margin is 1000.5; it is by how much the chosen answer's score is ahead, a number from 0 to 1000")]
    [InlineData("-0.5", "column 'm': the margin is -0.5, below 0, so that the rejected answer would be the better one; swap the two, or leave such rows out (data.filter)")]
    [InlineData("\"1\"", "column 'm': expected a number, found the text \"1\"")]
    public void A_margin_is_a_finite_number(string margin, string problem) =>
        Refused(new() { Margin = "m" }, $$"""{"prompt": "Hi", "chosen": "Yes.", "rejected": "No.", "m": {{margin}}}""", problem);

    [Fact]
    public void A_margin_of_a_table_is_a_finite_number_too()
    {
        var path = _folder.Write("pairs.csv", "prompt,chosen,rejected,m\nHi,Yes.,No.,NaN\n");
        var error = Assert.Throws<InputException>(() => PreferencePairs.Read(TextDataset.Open(path).Rows, new() { Margin = "m" }, _dropped).ToArray());
        Assert.Equal($"{path}:2 (row 1): column 'm': the margin is NaN; it is by how much the chosen answer's score is ahead, a number from 0 to 1000", error.Message);
    }

    private void Refused(PairColumns? columns, string line, string problem)
    {
        var path = _folder.Write("pairs.jsonl", $$"""{"prompt": "Hi", "chosen": "Yes.", "rejected": "No.", "m": 1}""" + "\n" + line + "\n");
        var error = Assert.Throws<InputException>(() => PreferencePairs.Read(TextDataset.Open(path).Rows, columns, _dropped).ToArray());
        Assert.Equal($"{path}:2: {problem}", error.Message);
    }

    private PreferencePair[] Read(params string[] lines) => [.. PreferencePairs.Read(TextDataset.Open(_folder.Write("pairs.jsonl", string.Join('\n', lines))).Rows, null, _dropped)];

    private static string Written(IEnumerable<ChatMessage> messages) => string.Join('|', messages.Select(message => $"{message.Role}: {message.Content}"));
}
