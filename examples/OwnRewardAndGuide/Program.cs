// The whole command line with a reward and a guide of your own: dotnet run -c Release -- train my.yaml
using Rlgf.App;
using Rlgf.Guides;
using Rlgf.Recipes;
using Rlgf.Rewards;

var builder = RlgfApp.CreateBuilder(args);
builder.Rewards.Add<Enthusiasm>("enthusiasm", (settings, services) => new FunctionReward(
    services.Name, response => response.Text.Count(c => c == '!') + (response.Text.Contains(settings.Word) ? settings.Bonus : 0)));
builder.Guides.Add<Friend>("friend", (settings, _) => new FunctionGuide("a friend", _ => new GuideContinuation(settings.Says, Ended: true)));
return await builder.Build().RunAsync();

/// <summary>Counts exclamation marks, and more for a word.</summary>
internal sealed record Enthusiasm : RewardSection
{
    /// <summary>The word.</summary>
    public required string Word { get; init; }

    /// <summary>What it is worth.</summary>
    public double Bonus { get; init; } = 1;
}

/// <summary>A friend who always says the same.</summary>
internal sealed record Friend : GuideSection
{
    /// <summary>What the friend says.</summary>
    public required string Says { get; init; }
}
