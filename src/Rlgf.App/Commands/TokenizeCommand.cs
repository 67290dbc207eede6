using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Tokenizers;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf tokenize</c>: texts to token ids.</summary>
internal static class TokenizeCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var tokenizer = CommonOptions.Required("--tokenizer", "DIR", "Folder with tokenizer.json, or with an older tokenizer's files.");
        var input = CommonOptions.Required("--input", "FILE", "Rows {\"text\"}: jsonl, csv, tsv or parquet; - is JSON lines from standard input.");
        var output = CommonOptions.Output("{\"ids\", \"tokens\", \"offsets\"}");
        var command = new Command("tokenize", CommonOptions.Describe(
            "Splits texts into tokens. No special tokens are added. Offsets are [start, end) in Unicode code points, as Python counts characters.",
            "echo '{\"text\": \"A fine film.\"}' | rlgf tokenize --tokenizer assets/policy --input - --output -"))
        {
            tokenizer, input, output,
        };
        command.SetAction(parsed => Run(parsed.GetRequiredValue(tokenizer), parsed.GetRequiredValue(input), parsed.GetRequiredValue(output), terminal));
        return command;
    }

    private static int Run(string tokenizerFolder, string input, string output, Terminal terminal)
    {
        RowOutput.Require(output, input);
        var tokenizer = TokenizerFolder.Load(tokenizerFolder);
        // Nothing is written before the first row was read: a wrong input leaves an old output alone.
        using var rows = RowInput.Read(input, terminal).GetEnumerator();
        var more = rows.MoveNext();
        using var writer = new RowOutput(output, terminal);
        using var progress = new ProgressLine(terminal, "tokenize", "rows", total: null);
        for (; more; more = rows.MoveNext())
        {
            if (terminal.Stop.IsCancellationRequested)
            {
                throw writer.Stopped();
            }

            var text = rows.Current.GetString("text");
            var tokens = tokenizer.EncodeWithOffsets(text);
            writer.Write(new Row(tokens.Ids, tokens.Tokens, InCodePoints(text, tokens.Offsets)));
            progress.Report(writer.Count);
        }

        writer.Complete();
        return ExitCode.Ok;
    }

    /// <summary>Offsets in UTF-16 units, as .NET counts, to offsets in code points. A lone surrogate counts as one.</summary>
    private static int[][] InCodePoints(string text, (int Start, int End)[] offsets)
    {
        var before = new int[text.Length + 1];
        for (var unit = 0; unit < text.Length; unit++)
        {
            var endsPair = unit > 0 && char.IsSurrogatePair(text[unit - 1], text[unit]);
            before[unit + 1] = before[unit] + (endsPair ? 0 : 1);
        }

        // Inside a pair, the count is that of the pair's end: no offset of a tokenizer points there.
        return Array.ConvertAll(offsets, offset => new[] { before[offset.Start], before[offset.End] });
    }

    private sealed record Row(int[] Ids, string[] Tokens, int[][] Offsets);
}
