using Rlgf.Guides;
using Rlgf.LlamaCpp;
using Rlgf.Recipes;

namespace Rlgf.Cli;

/// <summary>The guides of this program that the library leaves to packages of their own, with what they depend on.</summary>
internal static class PackagedGuides
{
    /// <summary>Adds them.</summary>
    public static void AddTo(KindTable<GuideSection, PartServices, IGuide> guides) => guides.AddGguf();
}
