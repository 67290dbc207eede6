namespace Rlgf.Rewards;

/// <summary>The rewards that a reward is made of.</summary>
internal static class RewardParts
{
    /// <summary>Those that score by themselves: of a sum its parts, of an ensemble its members, of a transformed reward the one whose scores are transformed.</summary>
    public static IEnumerable<IReward> Of(IReward reward) => reward switch
    {
        WeightedReward sum => sum.Parts.SelectMany(part => Of(part.Reward)),
        EnsembleReward ensemble => ensemble.Members.SelectMany(Of),
        TransformedReward transformed => Of(transformed.Reward),
        _ => [reward],
    };
}
