using MathNet.Numerics.Distributions;

namespace Rlgf.Statistics;

/// <summary>The slope of a straight line through points, by least squares.</summary>
public static class LinearTrend
{
    /// <summary>The slope with Student's interval: b = Sxy / Sxx, standard error s / √Sxx with s² = Σ (y − ŷ)² / (n − 2). Draper and Smith, Applied Regression Analysis, section 1.4.</summary>
    /// <param name="points">Independent points.</param>
    /// <param name="confidence">0.95 for a 95 % interval.</param>
    /// <returns>The slope; null of fewer than three points, or where all have the same x.</returns>
    public static Interval? Of(IReadOnlyCollection<(double X, double Y)> points, double confidence = 0.95)
    {
        Interval.RequireConfidence(confidence);
        if (points.Count < 3) return null;
        var (meanX, meanY) = (points.Average(point => point.X), points.Average(point => point.Y));
        var sxx = points.Sum(point => (point.X - meanX) * (point.X - meanX));
        if (sxx == 0) return null;
        var slope = points.Sum(point => (point.X - meanX) * (point.Y - meanY)) / sxx;
        var squares = points.Sum(point => Math.Pow(point.Y - meanY - (slope * (point.X - meanX)), 2));
        var half = StudentT.InvCDF(0, 1, points.Count - 2, (1 + confidence) / 2) * Math.Sqrt(squares / (points.Count - 2) / sxx);
        return new(slope, slope - half, slope + half, points.Count);
    }
}
