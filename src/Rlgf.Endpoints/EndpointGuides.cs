using Rlgf.Guides;
using Rlgf.Recipes;

namespace Rlgf.Endpoints;

/// <summary>The kind of guides that this package adds.</summary>
public static class EndpointGuides
{
    /// <summary>Adds the guide <c>kind: openai</c> to a program's: <c>builder.Guides.AddOpenAi()</c>. The command line has it by itself.</summary>
    /// <param name="guides">The kinds of guides.</param>
    public static void AddOpenAi(this KindTable<GuideSection, PartServices, IGuide> guides)
    {
        ArgumentNullException.ThrowIfNull(guides);
        guides.Add<EndpointGuideSection>("openai", (section, services) => services.Own(new EndpointGuideMaker(section, services).Make()));
    }
}
