using System.IO.Compression;
using System.Text;
using Rlgf.Base;
using Rlgf.Text.Data;

namespace Rlgf.Text.Tests.Data;

public sealed class BadInputTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("a.jsonl", "", "FILE: there are no rows")]
    [InlineData("a.jsonl", "\n \n", "FILE: there are no rows")]
    [InlineData("a.jsonl", "{\"text\": \"x\"}\n{\"text\": }\n", "FILE:2: not valid JSON at byte 10: '}' is an invalid start of a value")]
    [InlineData("a.jsonl", "\n[1]", "FILE:2: expected a JSON object, such as {\"text\": \"…\"}, found a list")]
    [InlineData("a.jsonl", "{\"text\": \"x\", \"text\": \"y\"}", "FILE:1: not valid JSON")]
    [InlineData("a.jsonl", "{\"text\": \"\\ud800\"}", "FILE:1: a string holds half of a surrogate pair")]
    [InlineData("a.jsonl", "{\"text\": \"x\"}\n{\"txet\": \"y\"}\n", "FILE:2: no column 'text'; did you mean 'txet'?")]
    [InlineData("a.csv", "", "FILE: the file is empty; the first line must name the columns")]
    [InlineData("a.csv", "text,label\n", "FILE: there are no rows")]
    [InlineData("a.csv", "text,label\n\"two\nlines\",1\nx,1,2\n", "FILE:4 (row 2): 3 fields where the header has 2")]
    [InlineData("a.csv", "text,label\nx\n", "FILE:2 (row 1): 1 fields where the header has 2")]
    [InlineData("a.csv", "text,text\nx,y\n", "FILE:1: two columns are named 'text'")]
    [InlineData("a.csv", "text,label\nx,1\n\"never closed,1\nx,1\n", "FILE:3: ")]
    [InlineData("a.csv", "text,label\na \"quote\" inside,1\n", "FILE:2: ")]
    [InlineData("a.csv", "txt,label\nx,1\n", "FILE:2 (row 1): no column 'text'; did you mean 'txt'?")]
    [InlineData("a.parquet", "not parquet at all", "FILE: not a Parquet file, or damaged: ")]
    [InlineData("a.txt", "x", "FILE: the name doesn't say the format: it should end in .jsonl, .csv, .tsv (also .gz) or .parquet")]
    [InlineData("a.arrow", "x", "FILE: Arrow files aren't read; save the rows as Parquet or JSON lines")]
    public void A_bad_file_is_one_line_that_names_the_file_and_the_line(string name, string content, string expected)
    {
        var path = _folder.Write(name, content);
        AssertMessage(expected.Replace("FILE", path, StringComparison.Ordinal), () => TextDataset.Open(path, new() { Columns = ["text"] }));
    }

    [Fact]
    public void A_missing_file_and_a_folder_say_so()
    {
        AssertMessage($"{_folder.Path}/no.jsonl: there is no such file", () => TextDataset.Open(_folder.Path + "/no.jsonl"));
        AssertMessage($"{_folder.Path}: this is a folder", () => TextDataset.Open(_folder.Path));
    }

    [Fact]
    public void Bytes_that_are_not_UTF8_are_an_error_and_not_replaced()
    {
        byte[] bytes = [.. "{\"text\": \""u8, 0xE9, .. "\"}\n"u8];
        var path = _folder.Write("a.jsonl", bytes);
        AssertMessage($"{path}:1: not valid UTF-8", () => TextDataset.Open(path));
        path = _folder.Write("a.csv", [.. "text,label\n"u8, 0xE9, .. ",1\n"u8]);
        AssertMessage($"{path}, after line 1: not valid UTF-8", () => TextDataset.Open(path));
    }

    [Fact]
    public void A_gzip_file_that_was_cut_off_is_an_error()
    {
        using var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.Fastest))
        {
            gzip.Write(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 5000).Select(i => $"{{\"text\": \"row {i} {RandomStream.Mix((ulong)i)}\"}}\n"))));
        }

        var whole = memory.ToArray();
        Assert.Equal(5000, TextDataset.Open(_folder.Write("whole.jsonl.gz", whole)).Count);
        var path = _folder.Write("cut.jsonl.gz", whole[..(whole.Length / 2)]);
        var error = Assert.Throws<InputException>(() => TextDataset.Open(path));
        Assert.Contains("damaged or cut off", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_value_of_another_type_names_the_row_the_column_and_what_it_found()
    {
        var path = _folder.Write("a.jsonl", "{\"text\": 5, \"label\": \"yes\", \"list\": [\"a\", null], \"inner\": {\"x\": 1}, \"ids\": [1, 2.5]}\n");
        var row = TextDataset.Open(path)[0];
        AssertMessage($"{path}:1: column 'text': expected text, found the number 5", () => row.GetString("text"));
        AssertMessage($"{path}:1: column 'label': expected a whole number, found the text \"yes\"", () => row.GetInt64("label"));
        AssertMessage($"{path}:1: column 'list': element 2: expected text, found null", () => row.GetStrings("list"));
        AssertMessage($"{path}:1: column 'inner': expected text, found an object", () => row.GetString("inner"));
        AssertMessage($"{path}:1: column 'ids': element 2: expected a whole number of 32 bits, found the number 2.5", () => row.GetInt32s("ids"));
        AssertMessage($"{path}:1: no column 'missing'; there is text, label, list, inner, ids", () => row.GetBoolean("missing"));
    }

    private static void AssertMessage(string start, Func<object?> action)
    {
        var error = Assert.Throws<InputException>(action);
        Assert.StartsWith(start, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }
}
