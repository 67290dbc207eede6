using System.Text.Json;
using Rlgf.Text.Data;

namespace Rlgf.Text.Tests.Data;

public sealed class FormatParityTests
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "fixtures", "data-formats");

    public static TheoryData<string, string> Files()
    {
        var data = new TheoryData<string, string>();
        using var manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "manifest.json")));
        foreach (var file in manifest.RootElement.GetProperty("files").EnumerateArray())
        {
            var name = file.GetProperty("file").GetString()!;
            if (!name.Contains(".hf-", StringComparison.Ordinal) && !name.EndsWith(".hf", StringComparison.Ordinal) && !name.EndsWith(".feather", StringComparison.Ordinal))
            {
                data.Add(name, file.GetProperty("table").GetString()!);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_format_reads_to_the_same_rows(string file, string table)
    {
        var expected = Truth(table);
        if (file == "concepts.large-string.parquet")
        {
            expected = expected[..^1];
        }

        if (file == "labels.empty.parquet")
        {
            expected = [];
        }

        var rows = TextDataset.ReadRows(Path.Combine(Folder, file)).ToArray();
        Assert.Equal(expected.Length, rows.Length);
        for (var i = 0; i < rows.Length; i++)
        {
            Assert.Equal(i + 1, rows[i].Number);
            Assert.Equal(expected[i].EnumerateObject().Select(property => property.Name), rows[i].Columns);
            foreach (var property in expected[i].EnumerateObject())
            {
                AssertSame(property.Value, rows[i], property.Name);
            }
        }
    }

    [Fact]
    public void At_least_forty_files_are_compared() => Assert.True(Files().Count >= 40);

    private static JsonElement[] Truth(string table) =>
        [.. File.ReadAllLines(Path.Combine(Folder, table + ".jsonl")).Select(line => JsonDocument.Parse(line).RootElement)];

    private static void AssertSame(JsonElement expected, DataRow row, string column)
    {
        switch (expected.ValueKind)
        {
            case JsonValueKind.Null:
                Assert.Null(row[column]);
                break;
            case JsonValueKind.String:
                Assert.Equal(expected.GetString(), row.GetString(column));
                break;
            case JsonValueKind.True or JsonValueKind.False:
                Assert.Equal(expected.GetBoolean(), row.GetBoolean(column));
                break;
            case JsonValueKind.Number when column == "score":
                Assert.Equal(expected.GetDouble(), row.GetDouble(column));
                break;
            case JsonValueKind.Number:
                Assert.Equal(expected.GetInt64(), row.GetInt64(column));
                break;
            case JsonValueKind.Array when row[column] is IReadOnlyList<object?> list:
                Assert.Equal(expected.EnumerateArray().Select(element => (object?)element.GetString()), list);
                break;
            case JsonValueKind.Array:
                Assert.Equal(expected.EnumerateArray().Select(element => element.GetString()), row.GetStrings(column));
                break;
            default:
                throw new NotSupportedException($"{expected.ValueKind}");
        }
    }
}
