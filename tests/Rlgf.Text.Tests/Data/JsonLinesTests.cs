using Rlgf.Base;
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
    public void A_number_that_is_not_known_is_null_and_all_others_keep_their_shortest_digits()
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, "out.jsonl");
        JsonLines.Write(path, [new Measured(double.NaN, 0.1f, [float.NaN, 1e-7f, 3, float.PositiveInfinity], null), new Measured(1.0 / 3, -2, [], double.NaN)]);
        Assert.Equal(
            ["{\"a\":null,\"b\":0.1,\"c\":[null,1E-07,3,\"Infinity\"]}", "{\"a\":0.3333333333333333,\"b\":-2,\"c\":[],\"d\":null}"], File.ReadAllLines(path));
        Assert.Equal(2, JsonLines.Read(path).Count());
    }

    [Fact]
    public void A_folder_that_is_not_there_is_one_clear_line()
    {
        var error = Assert.Throws<InputException>(() => JsonLines.Create("/no/such/folder/out.jsonl"));
        Assert.StartsWith("/no/such/folder/out.jsonl: can't be written", error.Message, StringComparison.Ordinal);
    }

    private sealed record Measured(double A, float B, float[] C, double? D);

    private sealed record Written(string Prompt, int[] ResponseIds, float[] LogProbs, string? Note);
}
