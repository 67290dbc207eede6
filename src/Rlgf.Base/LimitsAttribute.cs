namespace Rlgf.Base;

/// <summary>The range of a number in settings; recipes are held to it.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
public sealed class LimitsAttribute : Attribute
{
    /// <summary>The least value allowed.</summary>
    public double AtLeast { get; set; } = double.NegativeInfinity;

    /// <summary>The greatest value allowed.</summary>
    public double AtMost { get; set; } = double.PositiveInfinity;

    /// <summary>The value must be greater than this.</summary>
    public double Above { get; set; } = double.NegativeInfinity;

    /// <summary>What a value must be, or null where it is that.</summary>
    public string? Broken(double value) =>
        value < AtLeast ? Invariant($"at least {AtLeast}")
        : value > AtMost ? Invariant($"at most {AtMost}")
        : value <= Above && !double.IsNegativeInfinity(Above) ? Invariant($"above {Above}")
        : null;

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
