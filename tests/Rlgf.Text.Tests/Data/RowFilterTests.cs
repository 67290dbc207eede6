using Rlgf.Base;
using Rlgf.Text.Data;

namespace Rlgf.Text.Tests.Data;

public sealed class RowFilterTests
{
    private static readonly DataRow Row = DataRow.Create("memory", 1, ("text", "hello"), ("label", 1), ("score", 0.5), ("flag", true), ("nothing", null), ("list", new[] { "a", "b" }));

    [Theory]
    [InlineData("label == 1", true)]
    [InlineData("label != 1", false)]
    [InlineData("label == 1.0", true)]
    [InlineData("label>=-1&&label<2", true)]
    [InlineData("score > 5e-1 || score <= .5", true)]
    [InlineData("text == 'hello'", true)]
    [InlineData("text == \"hell'o\"", false)]
    [InlineData("text < 'help'", true)]
    [InlineData("length(text) == 5 && length( list ) == 2", true)]
    [InlineData("flag", true)]
    [InlineData("!flag", false)]
    [InlineData("flag == false", false)]
    [InlineData("!(label == 2) && flag", true)]
    [InlineData("nothing == null", true)]
    [InlineData("nothing == 1", false)]
    [InlineData("nothing != 1", true)]
    [InlineData("nothing != null && nothing > 3", false)]
    [InlineData("1 == label", true)]
    // && binds tighter than ||.
    [InlineData("true == true || label == 2 && label == 3", true)]
    [InlineData("(true == true || label == 2) && label == 3", false)]
    public void Conditions_are_what_they_read_as(string expression, bool expected) => Assert.Equal(expected, RowFilter.Parse(expression).Accepts(Row));

    [Theory]
    [InlineData("", "filter '', column 1: expected a column or a value, found the end")]
    [InlineData("label = 1", "filter 'label = 1', column 7: found '='; equality is ==")]
    [InlineData("label == ", "filter 'label == ', column 10: expected a column or a value, found the end")]
    [InlineData("label == 1 label", "filter 'label == 1 label', column 12: expected && or || or the end, found 'l'")]
    [InlineData("(label == 1", "filter '(label == 1', column 12: expected )")]
    [InlineData("size(text) > 1", "filter 'size(text) > 1', column 1: there is no function 'size', only length and part")]
    [InlineData("part(text) == 0", "filter 'part(text) == 0', column 10: expected , and the number of parts")]
    [InlineData("text == 'x", "filter 'text == 'x', column 9: this quote is never closed")]
    [InlineData("label == 1x", "filter 'label == 1x', column 10: '1x' isn't a number")]
    [InlineData("1", "filter '1', column 2: expected a comparison: == != < <= > >=")]
    public void A_mistake_points_to_the_column_of_the_expression(string expression, string message) =>
        Assert.Equal(message, Assert.Throws<InputException>(() => RowFilter.Parse(expression)).Message);

    [Theory]
    [InlineData("lable == 1", "memory, row 1: no column 'lable'; did you mean 'label'?")]
    [InlineData("text == 1", "memory, row 1: filter 'text == 1': can't compare the text \"hello\" with the number 1 by ==")]
    [InlineData("flag < true", "memory, row 1: filter 'flag < true': can't compare true with true by <")]
    [InlineData("nothing > 1", "memory, row 1: filter 'nothing > 1': null has no order; put 'nothing != null &&' before the comparison")]
    [InlineData("text", "memory, row 1: column 'text': expected true or false, found the text \"hello\"")]
    [InlineData("length(label) > 1", "memory, row 1: column 'label': length needs a text or a list, found the number 1")]
    public void A_row_that_does_not_fit_is_named(string expression, string message) =>
        Assert.Equal(message, Assert.Throws<InputException>(() => RowFilter.Parse(expression).Accepts(Row)).Message);

    [Fact]
    public void A_dataset_keeps_the_rows_that_pass_and_their_numbers()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.csv", "text,label\nshort,1\nlong enough,0\nlonger still,1\nthe longest,1\n");
        var options = new TextDatasetOptions { Filter = "label == 1 && length(text) > 6" };
        Assert.Equal([3, 4], TextDataset.Open(path, options).Rows.Select(row => row.Number));
        Assert.Equal([3], TextDataset.Open(path, options with { Limit = 1 }).Rows.Select(row => row.Number));
        Assert.Equal(
            $"{path}: none of 4 rows passes the filter 'label == 7'", Assert.Throws<InputException>(() => TextDataset.Open(path, new() { Filter = "label == 7" })).Message);
    }

    [Fact]
    public void Texts_are_replaced_before_they_are_filtered()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.jsonl", """{"text": "one <br /><br />two", "more": ["a<br />b", 1], "label": 1}""" + "\n" + """{"text": "short<br />", "more": [], "label": 0}""");
        var options = new TextDatasetOptions
        {
            Replacements = [new TextReplacement("(\\s*<br />\\s*)+", " "), new TextReplacement("(t)wo", "$1hree")],
            Filter = "length(text) > 6",
        };
        var row = Assert.Single(TextDataset.Open(path, options).Rows);
        Assert.Equal("one three", row.GetString("text"));
        Assert.Equal(["a b", 1L], Assert.IsAssignableFrom<IReadOnlyList<object?>>(row["more"]));
        Assert.Equal(1, row.GetInt64("label"));
    }

    [Theory]
    [InlineData("(a")]
    [InlineData("(a)\\1")]
    public void A_pattern_that_cannot_be_used_is_named(string pattern) =>
        Assert.StartsWith($"the pattern '{pattern}': ", Assert.Throws<InputException>(() => new TextReplacement(pattern, "")).Message);

    [Fact]
    public void Parts_split_a_data_set_evenly_and_without_overlap()
    {
        var rows = Enumerable.Range(0, 3000).Select(i => DataRow.Create("rows", i + 1, ("text", $"review {i}"))).ToArray();
        var parts = Enumerable.Range(0, 3).Select(part => rows.Where(RowFilter.Parse($"part(text, 3) == {part}").Accepts).ToArray()).ToArray();
        Assert.Equal(3000, parts.SelectMany(part => part).Distinct().Count());
        // Binomial with mean 1000 and deviation 26.
        Assert.All(parts, part => Assert.InRange(part.Length, 870, 1130));
    }
}
