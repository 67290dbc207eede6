using Rlgf.Models;
using Rlgf.Models.Generation;

namespace Rlgf.Rollouts;

/// <summary>A row, and for each of its A response tokens the tokens that could have been drawn in its place.</summary>
/// <param name="Row">Prompt and response.</param>
/// <param name="Choices">A sets.</param>
public readonly record struct SampledRow(TokenRow Row, IReadOnlyList<TokenSet> Choices)
{
    /// <summary>What processors looked at when token <paramref name="t"/> was drawn.</summary>
    /// <param name="t">Place in the response.</param>
    /// <param name="shape">The model's sizes.</param>
    public RowHistory HistoryAt(int t, LanguageModelShape shape) => RowHistory.Before(Row with { Response = Row.Response[..t] }, shape);
}
