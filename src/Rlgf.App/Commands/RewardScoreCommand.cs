using System.CommandLine;
using System.Text.Json.Serialization;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Prompts;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Text.Data;
using Rlgf.Text.Metrics;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf reward score</c>: a recipe's reward for responses that somebody else wrote.</summary>
internal static class RewardScoreCommand
{
    private const int RowsAtOnce = 64;
    private const string PromptColumn = "prompt", ResponseColumn = "response", ReferencesColumn = "references", EndedColumn = "ended", IdColumn = "id";

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var recipe = CommonOptions.Required("--recipe", "RECIPE", "The recipe, a YAML file; or the folder of a run, for the recipe that it was made by.");
        var rows = CommonOptions.Required("--rows", "FILE",
            "Rows {\"response\"} with {\"prompt\", \"references\", \"ended\", \"id\"} where they have them and all columns that the reward reads: jsonl, csv, tsv or parquet; - is JSON lines from standard input.");
        var output = new Option<string?>("--output") { HelpName = "FILE", Description = "Where rows {\"id\", \"reward\", \"parts\", \"judge\", \"problem\"} go, as JSON lines; without it, standard output." };
        var set = RecipeOptions.Set();
        var command = new Command("score", CommonOptions.Describe(
            "Gives the reward of a recipe, with its parts, and its judge's score to responses that are there already. A row's references are its \"references\" or the recipe's data.reference_column; its prompt is " +
            "\"prompt\", or the recipe's data.column. A response counts as ended unless \"ended\" is false. problem says why a row could not be scored, where the recipe has a failure_score for it.",
            "rlgf reward score --recipe recipes/quickstart/ppo.yaml --rows answers.jsonl"))
        {
            recipe, rows, output, set,
        };
        command.SetAction(parsed =>
        {
            var (source, input, target) = (parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(rows), parsed.GetValue(output) ?? "-");
            var read = (TrainRecipe)RecipeOptions.Read<TrainRecipe>(source, [.. parsed.GetValue(set)!], kinds).Resolved();
            RowOutput.Require(target, [input, RecipeOptions.FileOf(source), .. read.Inputs()]);
            RowOutput.RequireNothingUnfinished(target);
            return Run(read, RowInput.ReadAll(input, terminal), target, terminal);
        });
        return command;
    }

    private static int Run(TrainRecipe recipe, IReadOnlyList<DataRow> rows, string output, Terminal terminal)
    {
        using var parts = new RecipeParts(recipe) { Tell = terminal.Error.WriteLine, Stop = terminal.Stop };
        var policy = parts.Policy();
        var (reward, judge) = (parts.Reward(), parts.Judge());
        Response[] responses = [.. rows.Select(row => ResponseOf(row, recipe, policy))];
        using var writer = new RowOutput(output, terminal);
        using var progress = new ProgressLine(terminal, "score", "rows", responses.Length);
        foreach (var batch in responses.Chunk(RowsAtOnce))
        {
            if (terminal.Stop.IsCancellationRequested) throw writer.Stopped(responses.Length);
            var scores = CheckedScores.Of(reward, batch, terminal.Stop);
            var judged = judge is null ? null : CheckedScores.Of(judge, batch, terminal.Stop);
            for (var i = 0; i < batch.Length; i++)
            {
                var row = batch[i].Prompt.Row!;
                writer.Write(new Scored(row.Has(IdColumn) ? row[IdColumn] : null, scores[i].Return, scores[i].Parts, judged?[i].Return, scores[i].Problem ?? judged?[i].Problem));
            }

            writer.Flush();
            progress.Report(writer.Count);
        }

        writer.Complete();
        progress.Done();
        return ExitCode.Ok;
    }

    private static Response ResponseOf(DataRow row, TrainRecipe recipe, TextModel policy)
    {
        var data = recipe.Data;
        var text = row.GetString(ResponseColumn);
        var prompt = row.Has(PromptColumn) ? row.GetString(PromptColumn) : row.Has(data.Column) ? row.GetString(data.Column) : "";
        var ended = !row.Has(EndedColumn) || row.GetBoolean(EndedColumn);
        int[] tokens = ResponseText.Encode(policy.Tokenizer, policy.Model.Shape, text);
        // Lengths don't count the end token of a response that ended.
        if (ended) tokens = [.. tokens, policy.EndTokens is [var end, ..] ? end : policy.Tokenizer.EosId ?? 0];
        var column = row.Has(ReferencesColumn) ? ReferencesColumn : data.ReferenceColumn is { } own && row.Has(own) ? own : null;
        return new Response(new Prompt(prompt, policy.Tokenizer.Encode(prompt)) { References = column is null ? [] : References(row, column), Row = row }, text, tokens, ended)
        {
            StandsAlone = policy.Model.Shape.ReadsPromptApart || recipe.Model.Chat is not null || data.MessagesColumn is not null,
        };
    }

    private static string[] References(DataRow row, string column) => row[column] is null ? [] : [.. MeasuredFiles.Texts(row, column).Where(text => text.Length > 0)];

    private sealed record Scored(object? Id, double Reward, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] IReadOnlyDictionary<string, double> Parts, double? Judge, string? Problem);
}
