using Rlgf.Text.Data;

namespace Rlgf.Text.Tests.Data;

public sealed class JsonLinesTests
{
    [Fact]
    public void Written_rows_read_back_to_the_same_values()
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, "out.jsonl");
        JsonLines.Write(path, [new Written("a\n\"猫\" 😀", [1, 2], [-0.5f, float.NegativeInfinity], null), new Written("", [], [], "x")]);
        Assert.Equal(
            "{\"prompt\":\"a\\n\\\"猫\\\" 😀\",\"response_ids\":[1,2],\"log_probs\":[-0.5,\"-Infinity\"]}", File.ReadAllLines(path)[0]
                .Replace("\\uD83D\\uDE00", "😀", StringComparison.Ordinal));
        var rows = JsonLines.Read(path).ToArray();
        Assert.Equal("a\n\"猫\" 😀", rows[0].GetString("prompt"));
        Assert.Equal([1, 2], rows[0].GetInt32s("response_ids"));
        Assert.Equal("x", rows[1].GetString("note"));
        Assert.False(rows[0].Has("note"));
    }

    [Fact]
    public void A_folder_that_is_not_there_is_one_clear_line()
    {
        var error = Assert.Throws<InputException>(() => JsonLines.Create("/no/such/folder/out.jsonl"));
        Assert.StartsWith("/no/such/folder/out.jsonl: can't be written", error.Message, StringComparison.Ordinal);
    }

    private sealed record Written(string Prompt, int[] ResponseIds, float[] LogProbs, string? Note);
}
