using Rlgf.Prompts;
using Rlgf.Text.Data;

namespace Rlgf.Tests.Rewards;

/// <summary>Responses to prompts of data rows.</summary>
internal static class Rows
{
    /// <summary>A response to the row of a number.</summary>
    public static Response Of(int number, string text, string[]? references = null, params (string Column, object? Value)[] columns) =>
        new(new Prompt($"prompt {number}", [1]) { References = references ?? [], Row = DataRow.Create("data.jsonl", number, columns) }, text, [1, 2], Ended: true);
}
