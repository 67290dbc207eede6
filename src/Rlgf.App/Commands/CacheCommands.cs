using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Endpoints.Caching;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf cache</c>: the answers of endpoints that were paid for.</summary>
internal static class CacheCommands
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal) => new("cache", "Looks after caches of a guide's answers.") { Stats(terminal), Export(terminal), Prune(terminal) };

    private static Command Stats(Terminal terminal)
    {
        var file = Cache();
        var command = new Command("stats", CommonOptions.Describe("Says how much a cache holds, model by model: answers, tokens that were read and written, from when to when.", "rlgf cache stats guide-cache.db")) { file };
        command.SetAction(parsed =>
        {
            using var cache = AnswerCache.Open(parsed.GetRequiredValue(file), mustExist: true);
            var counts = cache.Count();
            foreach (var count in counts)
            {
                terminal.Out.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{count.Model} at {count.Endpoint}: {count.Answers:#,0} answers, {count.PromptTokens:#,0} tokens read, {count.CompletionTokens:#,0} written, {count.First:yyyy-MM-dd} to {count.Last:yyyy-MM-dd}"));
            }

            if (counts.Count == 0) terminal.Out.WriteLine("no answers");
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command Export(Terminal terminal)
    {
        var file = Cache();
        var output = CommonOptions.Output("{\"endpoint\", \"model\", \"question\", \"sample\", \"text\", \"finish\", \"prompt_tokens\", \"completion_tokens\", \"written\"}");
        var command = new Command("export", CommonOptions.Describe("Writes all answers of a cache, the oldest first.", "rlgf cache export guide-cache.db --output answers.jsonl")) { file, output };
        command.SetAction(parsed =>
        {
            var (source, target) = (parsed.GetRequiredValue(file), parsed.GetRequiredValue(output));
            using var cache = AnswerCache.Open(source, mustExist: true);
            RowOutput.Require(target, source);
            using var rows = new RowOutput(target, terminal);
            foreach (var answer in cache.All())
            {
                if (terminal.Stop.IsCancellationRequested) throw rows.Stopped(rows.Count);
                rows.Write(new Row(answer.Endpoint, answer.Model, Question(source, answer), answer.Sample, answer.Text, answer.Finish, answer.PromptTokens, answer.CompletionTokens, answer.Written));
            }

            rows.Complete();
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>A calendar has no more before today.</summary>
    private const int MostDays = 700000;

    private static Command Prune(Terminal terminal)
    {
        var file = Cache();
        var days = CommonOptions.OptionalReal("--older-than-days", "Remove answers that are older.");
        var model = new Option<string?>("--model") { HelpName = "NAME", Description = "Remove answers of this model alone." };
        var all = new Option<bool>("--all") { Description = "Remove all answers." };
        var command = new Command("prune", CommonOptions.Describe("Removes answers of a cache, which will have to be paid for again, and gives their space back.", "rlgf cache prune guide-cache.db --older-than-days 90")) { file, days, model, all };
        command.SetAction(parsed =>
        {
            var (age, name) = (parsed.GetValue(days), parsed.GetValue(model));
            if (parsed.GetValue(all) == (age is not null || name is not null)) throw new UsageException("say which answers are removed: --older-than-days or --model, or else --all");
            if (age is < 0 or > MostDays) throw new UsageException(FormattableString.Invariant($"--older-than-days is a number of days, from 0 to {MostDays}"));
            using var cache = AnswerCache.Open(parsed.GetRequiredValue(file), mustExist: true);
            var removed = cache.Prune(age is { } since ? DateTime.UtcNow.AddDays(-since) : null, name);
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{removed:#,0} answers removed"));
            return ExitCode.Ok;
        });
        return command;
    }

    /// <exception cref="InputException">It is no JSON: the cache was changed by another.</exception>
    private static JsonNode Question(string source, CachedAnswer answer)
    {
        try
        {
            return JsonNode.Parse(answer.Question)!;
        }
        catch (JsonException failure)
        {
            throw new InputException(FormattableString.Invariant($"{source}: is damaged: the question of answer {answer.Number} is {JsonFault.Words(failure)}"), failure);
        }
    }

    private static Argument<string> Cache() => new("FILE") { Description = "The cache." };

    /// <summary>A row of an export.</summary>
    private sealed record Row(string Endpoint, string Model, JsonNode Question, long Sample, string Text, string Finish, long PromptTokens, long CompletionTokens, DateTime Written);
}
