namespace Rlgf.Lessons;

/// <summary>
/// What the guide's and the policy's last whole responses taught, and the factor g of β that follows: how often the guide is asked. Immutable and itself the state that a checkpoint keeps.
/// </summary>
/// <remarks>
/// L_g and L_π are means over the last W rows each, of prompts that held no lesson: on the others the policy has been taught the answer, and its success says nothing. The guide's is taken with one
/// lesson of full size more than was seen, so that a guide that was not measured yet is asked. g = clip(log2(L_g / L_π), 0.05, 1): twice as many lessons from the guide and it is asked in full,
/// as many as the policy finds itself and it is not. Where a guide's token has a price, both are taken per unit of cost: L_g / (price · T_g) against L_π / T_π, T being the mean tokens of the same responses. Rows are counted, not iterations: where lessons are rare, a mean that is smoothed by iteration falls to the floor by chance and stays there. Ours.
/// </remarks>
/// <param name="Guide">Lessons of the guide's last W whole responses, the newest last.</param>
/// <param name="Policy">Lessons of the policy's last W whole responses.</param>
public sealed record GuideAsking(IReadOnlyList<double> Guide, IReadOnlyList<double> Policy)
{
    /// <summary>Tokens of the guide's, in the policy's.</summary>
    public IReadOnlyList<double> GuideTokens { get; init; } = [];

    /// <summary>Tokens of the policy's.</summary>
    public IReadOnlyList<double> PolicyTokens { get; init; } = [];

    /// <summary>Nothing measured: g = 1.</summary>
    public static GuideAsking Unmeasured { get; } = new([], []);

    /// <summary>L_g, with the imagined lesson; 0 where nobody ever had a lesson.</summary>
    public double GuideMean => (Guide.Sum() + Largest) / (Guide.Count + 1);

    /// <summary>L_π; 0 where nothing was measured.</summary>
    public double PolicyMean => Policy.DefaultIfEmpty(0).Average();

    /// <summary>g: multiply the roll-in probability β by it. Between 0.05 and 1.</summary>
    /// <param name="window">W.</param>
    /// <param name="guideTokenPrice">What a token of the guide costs, in tokens of the policy; null compares responses, whatever they cost.</param>
    public double Factor(int window, double? guideTokenPrice = null)
    {
        // The policy finds nothing by itself, so nothing but the guide can teach: also where the guide has not taught anything yet.
        if (Policy.Sum() == 0) return 1;
        if (Guide.Count >= window && Guide.Sum() == 0) return LessonSettings.SmallestFactor;
        var cost = guideTokenPrice is { } price && GuideTokens.Count > 0 && PolicyTokens.Count > 0 ? price * GuideTokens.Average() / PolicyTokens.Average() : guideTokenPrice ?? 1;
        return Math.Clamp(Math.Log2(GuideMean / PolicyMean / cost), LessonSettings.SmallestFactor, 1);
    }

    /// <summary>The same after more rows.</summary>
    /// <param name="guide">Lessons of the guide's whole responses, 0 for none, and their tokens.</param>
    /// <param name="policy">Those of the policy's.</param>
    /// <param name="window">W.</param>
    public GuideAsking With(IReadOnlyCollection<(double Lesson, int Tokens)> guide, IReadOnlyCollection<(double Lesson, int Tokens)> policy, int window) =>
        new(Last(Guide, guide.Select(row => row.Lesson), window), Last(Policy, policy.Select(row => row.Lesson), window))
        {
            GuideTokens = Last(GuideTokens, guide.Select(row => (double)row.Tokens), window),
            PolicyTokens = Last(PolicyTokens, policy.Select(row => (double)row.Tokens), window),
        };

    /// <summary>The last of two lists one after the other.</summary>
    internal static double[] Last(IEnumerable<double> before, IEnumerable<double> after, int count) => [.. before.Concat(after).TakeLast(count)];

    private double Largest => Guide.Concat(Policy).DefaultIfEmpty(0).Max();
}
