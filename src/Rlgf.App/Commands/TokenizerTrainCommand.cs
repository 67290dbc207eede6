using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Runs;
using Rlgf.Text.Data;
using Rlgf.Tokenizers.Training;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf tokenizer train</c>: a byte-level BPE tokenizer from texts.</summary>
internal static class TokenizerTrainCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var input = new Option<string[]>("--input")
        {
            HelpName = "FILE", Required = true, AllowMultipleArgumentsPerToken = true,
            Description = "Texts: one or more jsonl, csv, tsv or parquet files (jsonl, csv and tsv also as .gz); - is JSON lines from standard input.",
        };
        var column = new Option<string>("--column") { HelpName = "NAME", Description = "Column that holds the text.", DefaultValueFactory = _ => "text" };
        var replace = new Option<string[]>("--replace")
        {
            HelpName = "PATTERN TEXT", Arity = new ArgumentArity(2, 2), AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [],
            Description = "Replaces a regular expression in every text first, as a recipe's data.replace does, such as '(<br />)+' ' '.",
        };
        var output = CommonOptions.Required("--output", "DIR", "Folder for the tokenizer's files, in the Hugging Face format.");
        var size = CommonOptions.Number("--vocabulary-size", 8192, "Number of ids, the 256 bytes and the special tokens included.");
        var frequency = CommonOptions.Number("--min-frequency", 2, "A pair is merged only if it occurs at least this often.");
        var limit = CommonOptions.OptionalNumber("--limit", "Use the first N rows only.");
        var command = new Command("train", CommonOptions.Describe(
            "Trains a byte-level BPE tokenizer with GPT-2's words, and <|endoftext|> as its special token.",
            "rlgf tokenizer train --input train.jsonl.gz --output my-tokenizer --vocabulary-size 8192"))
        {
            input, column, replace, output, size, frequency, limit,
        };
        command.SetAction(parsed => Run(
            parsed.GetRequiredValue(input), parsed.GetRequiredValue(column), parsed.GetRequiredValue(replace) is [var pattern, var with] ? new TextReplacement(pattern, with) : null, parsed.GetRequiredValue(output),
            new BpeTrainerOptions { VocabularySize = parsed.GetValue(size), MinFrequency = parsed.GetValue(frequency) }, parsed.GetValue(limit), terminal));
        return command;
    }

    private static int Run(string[] inputs, string column, TextReplacement? replacement, string output, BpeTrainerOptions options, int? limit, Terminal terminal)
    {
        Outputs.RequireFolder(output);
        using var progress = new ProgressLine(terminal, "tokenizer train", "merges", Math.Max(0, options.VocabularySize - 256 - options.SpecialTokens.Count));
        var texts = inputs.SelectMany(input => RowInput.Read(input, terminal)).Take(limit ?? int.MaxValue).Select(row => row.GetString(column));
        if (replacement is not null) texts = texts.Select(replacement.Apply);
        var tokenizer = BpeTrainer.Train(
            texts, options,
            new DirectProgress<BpeTrainerProgress>(now => progress.Report(now.Merges, FormattableString.Invariant($"{now.Texts:#,0} texts read"))),
            terminal.Stop);
        tokenizer.Save(output);
        progress.Note(FormattableString.Invariant($"{output}: a tokenizer of {tokenizer.VocabularySize:#,0} tokens"));
        return ExitCode.Ok;
    }
}
