namespace Rlgf.Evaluation;

/// <summary>How far values lie apart.</summary>
public static class Spread
{
    /// <summary>Standard deviation of a sample (n − 1); NaN of fewer than two values.</summary>
    public static double Deviation(IReadOnlyCollection<double> values)
    {
        if (values.Count < 2) return double.NaN;
        var mean = values.Average();
        return Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1));
    }
}
