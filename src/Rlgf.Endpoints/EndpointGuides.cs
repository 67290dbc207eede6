using Microsoft.Extensions.AI;
using Rlgf.Guides;
using Rlgf.Recipes;

namespace Rlgf.Endpoints;

/// <summary>The guides that this package adds.</summary>
public static class EndpointGuides
{
    /// <summary>Adds the guide <c>kind: openai</c> to a program's: <c>builder.Guides.AddOpenAi()</c>. The command line has it by itself.</summary>
    /// <param name="guides">The kinds of guides.</param>
    public static void AddOpenAi(this KindTable<GuideSection, PartServices, IGuide> guides)
    {
        ArgumentNullException.ThrowIfNull(guides);
        guides.Add<EndpointGuideSection>("openai", (section, services) => services.Own(new EndpointGuideMaker(section, services).Make()));
    }

    /// <summary>A guide of any chat client: <c>builder.Guides.Add&lt;Mine&gt;("mine", (_, _) =&gt; client.AsGuide("mine"))</c>.</summary>
    /// <param name="client">The client; it stays the caller's.</param>
    /// <param name="name">Name for logs and reports; the model's in the cache.</param>
    /// <param name="settings">How it is asked; null for the defaults.</param>
    public static EndpointGuide AsGuide(this IChatClient client, string name, ChatClientSettings? settings = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        settings ??= new ChatClientSettings();
        return new EndpointGuide(name, mayDecline: false, () => settings.Parts(client, name));
    }
}
