using Rlgf.Endpoints;
using Rlgf.Recipes;

namespace Rlgf.App;

/// <summary>The kinds of parts that the command line has by itself: those of the library, and those that are asked over the network.</summary>
internal static class AppKinds
{
    /// <summary>A list of its own, which a program may add to.</summary>
    public static PartKinds New()
    {
        var kinds = new PartKinds();
        kinds.Guides.AddOpenAi();
        return kinds;
    }
}
