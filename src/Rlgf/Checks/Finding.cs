namespace Rlgf.Checks;

/// <summary>How bad a finding is.</summary>
public enum Severity
{
    /// <summary>Suspicious, but there are reasons to want it.</summary>
    Warning,

    /// <summary>The run would not be what it claims to be.</summary>
    Error,
}

/// <summary>Something about a run that goes wrong silently.</summary>
/// <param name="Severity">How bad it is.</param>
/// <param name="Message">One line: what, why it matters, what to do.</param>
/// <param name="Key">The recipe's key that it is about, such as <c>kl.coefficient</c>; null where it is about none.</param>
public sealed record Finding(Severity Severity, string Message, string? Key = null);
