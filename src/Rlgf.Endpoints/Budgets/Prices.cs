namespace Rlgf.Endpoints.Budgets;

/// <summary>What tokens cost.</summary>
/// <param name="Input">A million tokens that the endpoint reads.</param>
/// <param name="Output">A million tokens that it writes.</param>
/// <param name="Currency">In what, such as USD.</param>
internal sealed record Prices(double Input, double Output, string Currency)
{
    private const double Unit = 1e6;

    /// <summary>What tokens cost.</summary>
    public double Of(long promptTokens, long completionTokens) => (promptTokens * Input + completionTokens * Output) / Unit;
}

/// <summary>What may be spent; null is without limit.</summary>
/// <param name="Tokens">Tokens, read and written together.</param>
/// <param name="Requests">Answers that were bought.</param>
/// <param name="Cost">An amount, in the prices' currency.</param>
internal sealed record Limits(long? Tokens = null, long? Requests = null, double? Cost = null)
{
    /// <summary>Whether there is any.</summary>
    public bool Any => Tokens is not null || Requests is not null || Cost is not null;
}
