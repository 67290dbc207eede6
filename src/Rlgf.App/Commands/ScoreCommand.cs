using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Rollouts;
using Rlgf.Text.Data;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf score</c>: log-probabilities of given texts under a language model, or what a classifier makes of them.</summary>
internal static class ScoreCommand
{
    /// <summary>Rows among which rows of like length are put together; written when all of them are done.</summary>
    private const int RowsAtOnce = 512;

    /// <summary>The most logits in memory at once, padding included: half a gigabyte.</summary>
    private const long LogitsAtOnce = 1L << 27;

    /// <summary>The transforms by the names that recipes have for them.</summary>
    private static readonly Dictionary<string, ClassifierTransform> Transforms =
        Enum.GetValues<ClassifierTransform>().ToDictionary(transform => JsonNamingPolicy.SnakeCaseLower.ConvertName(transform.ToString()));

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var model = CommonOptions.Required("--model", "DIR", "Folder of a language model or of a sequence classifier, with its tokenizer, in the Hugging Face format.");
        var tokenizer = CommonOptions.Tokenizer();
        var input = CommonOptions.Required("--input", "FILE", "Rows {\"prompt\", \"response\"} or {\"text\"} or {\"prompt_ids\", \"response_ids\"}: jsonl, csv, tsv or parquet; - is JSON lines from standard input.");
        var output = CommonOptions.Output("{\"log_probs\", \"sum\", \"perplexity\"} or, from a classifier, {\"logits\", \"probabilities\", \"score\"}");
        var truncate = new Option<bool>("--truncate") { Description = "Keep the first tokens of a row that is longer than the model's context, instead of stopping with an error." };
        var label = new Option<string?>("--label") { HelpName = "NAME", Description = "Of a classifier: the label that \"score\" is read from. Without it, the only one of a reward model." };
        var transform = new Option<string?>("--transform")
        {
            HelpName = "NAME",
            Description = "Of a classifier: what \"score\" is made of the label's output: logit, sigmoid, probability or log_odds. " +
                "Without it, what a recipe's reward takes: the probability of the label, or the output of a reward model or a regression as it is.",
        };
        transform.AcceptOnlyFromAmong([.. Transforms.Keys]);
        var precision = CommonOptions.Precision();
        var device = CommonOptions.Device();
        var command = new Command("score", CommonOptions.Describe(
            "Scores given texts. A language model gives natural log-probabilities of the response's tokens, given the prompt; of {\"text\"}, all tokens but the first are scored, " +
            "since nothing comes before it (where the tokenizer puts a begin token in front, that one is the first). Prompt and response are split into tokens separately, an empty prompt is the " +
            "tokenizer's begin token, and ids, where a row has them, are taken instead of the text. perplexity is exp(-sum / tokens), null without tokens. " +
            "A classifier reads prompt and response as one text. Its probabilities are the softmax of its logits, or their sigmoids where its problem_type is " +
            "multi_label_classification; a reward model and a regression have none. score is the number that a recipe's reward of the same label and transform gives.",
            "rlgf score --model assets/policy --input out.jsonl --output scores.jsonl"))
        {
            model, tokenizer, input, output, label, transform, truncate, precision, device,
        };
        command.SetAction(parsed =>
        {
            var folder = parsed.GetRequiredValue(model);
            var (source, target, cut) = (parsed.GetRequiredValue(input), parsed.GetRequiredValue(output), parsed.GetValue(truncate));
            var words = parsed.GetValue(tokenizer);
            var placement = new ModelPlacement(CommonOptions.DeviceOf(parsed, device), CommonOptions.PrecisionOf(parsed, precision, device));
            var (named, made) = (parsed.GetValue(label), parsed.GetValue(transform));
            RowOutput.Require(target, source);
            if (FolderConfiguration.Read(folder).IsClassifier) return ScoreByClassifier(folder, words, placement, source, target, cut, named, made, terminal);
            if (named is not null || made is not null) throw new UsageException($"{(named is null ? "--transform" : "--label")} is for classifiers, and {folder} holds a language model");
            return ScoreByLanguageModel(folder, words, placement, source, target, cut, terminal);
        });
        return command;
    }

    private static int ScoreByLanguageModel(string folder, string? tokenizer, ModelPlacement placement, string input, string output, bool truncate, Terminal terminal)
    {
        using var model = TextModel.Load(folder, tokenizer, placement.Device, placement.Precision);
        terminal.Tell(folder, model.Model.LoadingNotes);
        var shape = model.Model.Shape;
        var rows = Array.ConvertAll([.. RowInput.ReadAll(input, terminal)], (DataRow row) => Cut(ReadRow(row, model), shape, truncate, row));
        return Score(rows, row => row.Prompt.Length + row.Response.Length, shape.Vocabulary, batch => LogProbs(model.Model, batch), output, terminal);
    }

    private static int ScoreByClassifier(string folder, string? tokenizer, ModelPlacement placement, string input, string output, bool truncate, string? label, string? transform, Terminal terminal)
    {
        using var classifier = TextClassifier.Load(folder, tokenizer, placement.Device, placement.Precision);
        terminal.Tell(folder, classifier.Model.LoadingNotes);
        var head = ClassifierHead.Of(classifier.Model);
        var taken = transform is null ? head.DefaultTransform : Transforms[transform];
        // Without a label there is a score of the only one, and of several no score.
        var isScored = label is not null || head.Labels.Count == 1;
        if (isScored && (head.LabelProblem(label) ?? head.TransformProblem(taken)) is { } problem) throw new InputException($"{folder}: {problem}");
        if (!isScored && transform is not null) throw new UsageException($"--transform needs --label, one of: {string.Join(", ", head.Labels)}");
        var rows = Array.ConvertAll([.. RowInput.ReadAll(input, terminal)], (DataRow row) =>
        {
            var room = classifier.Model.ContextLength;
            var ids = ReadWhole(row, classifier.Tokenizer, truncate ? room : null);
            if (ids.Length == 0) throw new InputException($"{row.Location}: there is no token to classify");
            RequireIds(ids, classifier.Tokenizer.VocabularySize, row);
            return ids.Length <= room ? ids : throw TooLong(row, ids.Length, $"the model's context of {room}");
        });
        // A classifier has few logits; what takes memory is its inside, so tokens are counted as if each had a vocabulary of the usual size.
        return Score(rows, row => row.Length, 16_384, batch => Classify(classifier.Model, head, isScored ? head.IndexOf(label) : null, taken, batch), output, terminal);
    }

    /// <summary>Scores rows in batches of like length and writes the results in the rows' order.</summary>
    private static int Score<TRow, TResult>(TRow[] rows, Func<TRow, int> length, int logitsPerToken, Func<IReadOnlyList<TRow>, TResult[]> score, string output, Terminal terminal)
    {
        using var writer = new RowOutput(output, terminal);
        using var progress = new ProgressLine(terminal, "score", "rows", rows.Length);
        using var noGradient = no_grad();
        foreach (var window in Enumerable.Range(0, rows.Length).Chunk(RowsAtOnce))
        {
            var results = new TResult[window.Length];
            var done = 0;
            foreach (var batch in Batches([.. window.OrderBy(row => length(rows[row]))], row => length(rows[row]), logitsPerToken))
            {
                if (terminal.Stop.IsCancellationRequested)
                {
                    throw writer.Stopped(rows.Length);
                }

                using var scope = NewDisposeScope();
                var scored = score([.. batch.Select(row => rows[row])]);
                for (var i = 0; i < batch.Count; i++) results[batch[i] - window[0]] = scored[i];
                progress.Report(writer.Count + (done += batch.Count));
            }

            foreach (var result in results) writer.Write(result);
            writer.Flush();
        }

        writer.Complete();
        progress.Done();
        return ExitCode.Ok;
    }

    /// <summary>Splits rows, shortest first, so that a batch with its padding stays within <see cref="LogitsAtOnce"/>; a row too long for that is a batch of its own.</summary>
    private static IEnumerable<List<int>> Batches(int[] sorted, Func<int, int> length, int logitsPerToken)
    {
        var batch = new List<int>();
        foreach (var row in sorted)
        {
            if (batch.Count > 0 && (batch.Count + 1L) * length(row) * logitsPerToken > LogitsAtOnce)
            {
                yield return batch;
                batch = [];
            }

            batch.Add(row);
        }

        if (batch.Count > 0) yield return batch;
    }

    private static TokenScores[] LogProbs(ILanguageModel model, IReadOnlyList<TokenRow> rows)
    {
        var steps = rows.Max(row => row.Response.Length);
        var logProbs = steps == 0 ? [] : TokenLogProbs.OfRows(model, [.. rows.Where(row => row.Response.Length > 0)]).cpu().contiguous().data<float>().ToArray();
        var results = new TokenScores[rows.Count];
        var scored = 0;
        for (var row = 0; row < results.Length; row++)
        {
            var length = rows[row].Response.Length;
            var own = length == 0 ? [] : logProbs.AsSpan(scored++ * steps, length).ToArray();
            if (Array.Exists(own, value => !float.IsFinite(value))) throw new InputException("the model's logits are not numbers (NaN or infinite): its weights are damaged");
            var sum = own.Sum(value => (double)value);
            var perplexity = Math.Exp(-sum / own.Length);
            results[row] = new TokenScores(own, sum, double.IsFinite(perplexity) ? perplexity : null);
        }

        return results;
    }

    private static ClassScores[] Classify(ISequenceClassifier classifier, ClassifierHead head, int? label, ClassifierTransform transform, IReadOnlyList<int[]> rows)
    {
        var logits = classifier.Logits(rows).cpu().contiguous().data<float>().ToArray();
        if (Array.Exists(logits, value => !float.IsFinite(value))) throw new InputException("the classifier's logits are not numbers (NaN or infinite): its weights are damaged");
        return [.. logits.Chunk(head.Labels.Count).Select(row => new ClassScores(row, head.Probabilities(row), label is { } at ? head.Score(row, at, transform) : null))];
    }

    private static TokenRow ReadRow(DataRow row, TextModel model)
    {
        var tokenizer = model.Tokenizer;
        if (row.Has("response_ids") || row.Has("response"))
        {
            var prompt = row.Has("prompt_ids") ? row.GetInt32s("prompt_ids") : PromptTokens.Of(model, row.GetString("prompt"), row);
            var response = row.Has("response_ids") ? row.GetInt32s("response_ids") : ResponseText.Encode(tokenizer, model.Model.Shape, row.GetString("response"));
            if (prompt.Length == 0) throw row.Invalid("prompt_ids", "it is empty; a language model needs at least one token to go on from");
            return new TokenRow(prompt, response);
        }

        if (model.Model.Shape.ReadsPromptApart) throw row.Invalid("response", "there is none; an encoder–decoder scores a response to a prompt");
        var ids = tokenizer.Encode(Text(row), addSpecialTokens: true);
        return ids.Length == 0 ? new TokenRow([], []) : new TokenRow(ids[..1], ids[1..]);
    }

    /// <summary>All that a classifier reads of a row; of a text that is too long the end is left out, and no special token.</summary>
    private static int[] ReadWhole(DataRow row, ITokenizer tokenizer, int? most)
    {
        if (row.Has("prompt_ids") || row.Has("response_ids"))
        {
            int[] prompt = row.Has("prompt_ids") ? row.GetInt32s("prompt_ids") : tokenizer.Encode(row.GetString("prompt"), addSpecialTokens: true);
            int[] ids = [.. prompt, .. row.Has("response_ids") ? row.GetInt32s("response_ids") : tokenizer.Encode(row.GetString("response"))];
            return ids.Length > most ? ids[..most.Value] : ids;
        }

        return tokenizer.EncodeInput(row.Has("response") ? row.GetString("prompt") + row.GetString("response") : Text(row), maxLength: most).Ids;
    }

    private static string Text(DataRow row) => row.Has("text")
        ? row.GetString("text")
        : throw new InputException($"{row.Location}: a row needs \"text\", or \"prompt\" and \"response\", or \"prompt_ids\" and \"response_ids\"; it has {string.Join(", ", row.Columns)}");

    private static TokenRow Cut(TokenRow row, LanguageModelShape shape, bool truncate, DataRow source)
    {
        RequireIds(row.Prompt, shape.Vocabulary, source);
        RequireIds(row.Response, shape.Vocabulary, source);
        var room = shape.Room(row.Prompt.Length);
        if (row.Response.Length <= room) return row;
        if (!truncate || room < 0) throw TooLong(source, row.Prompt.Length + row.Response.Length, shape.Limits);
        return row with { Response = row.Response[..room] };
    }

    private static InputException TooLong(DataRow row, int length, string limits) =>
        new($"{row.Location}: {length} tokens do not fit {limits}; shorten the text or use --truncate");

    private static void RequireIds(int[] ids, int vocabulary, DataRow row)
    {
        foreach (var id in ids)
        {
            if (id < 0 || id >= vocabulary) throw new InputException($"{row.Location}: there is no token {id}: the model's ids are 0 to {vocabulary - 1}");
        }
    }

    private sealed record TokenScores(float[] LogProbs, double Sum, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] double? Perplexity);

    private sealed record ClassScores(float[] Logits, float[]? Probabilities, double? Score);
}
