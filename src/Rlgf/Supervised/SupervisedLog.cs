using System.Text.Json;
using Rlgf.Base;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Text.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Supervised;

/// <summary>
/// What a training by a recipe writes into its folder beside the model: recipe, environment and tokenizer when it begins, and <c>training.jsonl</c>, a row for each evaluation and for
/// every tenth step.
/// </summary>
internal sealed class SupervisedLog(RunRecipe recipe, ITokenizer tokenizer, Action<SupervisedProgress>? progress) : IProgress<SupervisedProgress>
{
    private const string Name = "training.jsonl";
    private const int StepsBetweenRows = 10;

    private readonly RunFolder _folder = new(recipe.Output!);

    private string LogPath => Path.Combine(_folder.Path, Name);

    /// <inheritdoc/>
    public void Report(SupervisedProgress value)
    {
        if (value.IsStart) value = value with { Notes = [.. value.Notes, .. value.Step == 0 ? Begin() : GoOn(value.Step)] };
        else if (value.HeldOut is not null || value.Step % StepsBetweenRows == 0)
        {
            var row = new Row(value.Step, double.IsNaN(value.Loss) ? null : value.Loss, value.LearningRate, value.GradientNorm, value.TokensPerSecond, value.HeldOut);
            RowFile.Append(LogPath, JsonSerializer.Serialize(row, JsonLines.WriteOptions));
        }

        progress?.Invoke(value);
    }

    /// <summary>Writes what the folder says about its making, and the tokenizer: the best model will lie beside it.</summary>
    private IEnumerable<string> Begin()
    {
        AtomicFile.WriteText(_folder.RecipePath, RecipeOfRun.Write(recipe, _folder.Path));
        AtomicFile.WriteText(_folder.EnvironmentPath, JsonSerializer.Serialize(RunEnvironment.Capture(), JsonLines.WriteOptions));
        tokenizer.Save(_folder.Path);
        File.Delete(LogPath);
        return [];
    }

    /// <summary>Drops rows from beyond the checkpoint, which will be written again, and says which from before it are not there.</summary>
    private IEnumerable<string> GoOn(int step)
    {
        var rows = RowFile.ReadIfExists(LogPath, line => (Line: line, Step: StepOf(line)));
        if (rows.Count > 0) RowFile.Write(LogPath, rows.Where(row => row.Step <= step).Select(row => row.Line));
        var lost = Enumerable.Range(0, step / StepsBetweenRows + 1).Select(i => i * StepsBetweenRows).Except(rows.Select(row => row.Step)).ToArray();
        return lost.Length == 0 ? [] : [FormattableString.Invariant($"{LogPath} lacks rows from before the checkpoint, the first of step {lost[0]}: what was measured then is lost, the training is not")];
    }

    private static int StepOf(string line)
    {
        using var row = JsonDocument.Parse(line);
        return row.RootElement.ValueKind == JsonValueKind.Object && row.RootElement.TryGetProperty("step", out var step) && step.TryGetInt32(out var value) ? value : throw new JsonException("'step' is missing");
    }

    private sealed record Row(int Step, double? Loss, double LearningRate, double GradientNorm, double TokensPerSecond, IReadOnlyDictionary<string, double>? HeldOut);
}
