using System.Text.Json;
using Rlgf.Base;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Supervised;
using Rlgf.Text.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Composition;

/// <summary>
/// What a training by a recipe writes into its folder beside the model: recipe, environment and tokenizer when it begins, and <c>training.jsonl</c>, a row for each evaluation and for
/// every tenth step; at the end <c>result.json</c>.
/// </summary>
internal sealed class SupervisedLog(RunRecipe recipe, RunClaim claim, ITokenizer tokenizer, Action<SupervisedProgress>? progress) : IProgress<SupervisedProgress>
{
    private const int StepsBetweenRows = 10;

    private readonly RunFolder _folder = new(recipe.Output!);

    /// <inheritdoc/>
    public void Report(SupervisedProgress value)
    {
        if (value.IsStart) value = value with { Notes = [.. claim.Notes, .. value.Notes, .. value.Step == 0 ? Begin() : GoOn(value.Step)] };
        else if (value.HeldOut is not null || value.Step % StepsBetweenRows == 0)
        {
            var row = new Row(value.Step, double.IsNaN(value.Loss) ? null : value.Loss, value.LearningRate, value.GradientNorm, value.TokensPerSecond, value.HeldOut);
            RowFile.Append(_folder.TrainingLogPath, JsonSerializer.Serialize(row, JsonLines.WriteOptions));
        }

        if (value.Result is { } result) AtomicFile.WriteText(_folder.ResultPath, JsonSerializer.Serialize(result, JsonLines.WriteOptions));

        progress?.Invoke(value);
    }

    /// <summary>Writes what the folder says about its making, and the tokenizer: the best model will lie beside it.</summary>
    private IEnumerable<string> Begin()
    {
        claim.Keep();
        AtomicFile.WriteText(_folder.EnvironmentPath, JsonSerializer.Serialize(RunEnvironment.Capture(), JsonLines.WriteOptions));
        tokenizer.Save(_folder.Path);
        File.Delete(_folder.TrainingLogPath);
        return [];
    }

    /// <summary>Drops rows from beyond the checkpoint, which will be written again, and says which from before it are not there.</summary>
    private IEnumerable<string> GoOn(int step)
    {
        claim.Keep();
        var rows = RowFile.ReadIfExists(_folder.TrainingLogPath, line => (Line: line, Step: StepOf(line)));
        if (rows.Count > 0) RowFile.Write(_folder.TrainingLogPath, rows.Where(row => row.Step <= step).Select(row => row.Line));
        var lost = Enumerable.Range(0, step / StepsBetweenRows + 1).Select(i => i * StepsBetweenRows).Except(rows.Select(row => row.Step)).ToArray();
        return lost.Length == 0 ? [] : [FormattableString.Invariant($"{_folder.TrainingLogPath} lacks rows from before the checkpoint, the first of step {lost[0]}: what was measured then is lost, the training is not")];
    }

    private static int StepOf(string line)
    {
        using var row = JsonDocument.Parse(line);
        return row.RootElement.ValueKind == JsonValueKind.Object && row.RootElement.TryGetProperty("step", out var step) && step.TryGetInt32(out var value) ? value : throw new JsonException("'step' is missing");
    }

    private sealed record Row(int Step, double? Loss, double LearningRate, double GradientNorm, double TokensPerSecond, IReadOnlyDictionary<string, double>? HeldOut);
}
