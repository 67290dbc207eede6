using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Recipes;
using static TorchSharp.torch;

namespace Rlgf.LlamaCpp;

/// <summary>The kind of guides that this package adds.</summary>
public static class GgufGuides
{
    /// <summary>Adds the guide <c>kind: gguf</c> to a program's: <c>builder.Guides.AddGguf()</c>.</summary>
    /// <param name="guides">The kinds of guides.</param>
    public static void AddGguf(this KindTable<GuideSection, PartServices, IGuide> guides) => guides.Add<GgufGuideSection>("gguf", Make);

    private static LocalModelGuide Make(GgufGuideSection section, PartServices services)
    {
        var model = services.Own(GgufTextModel.Load(section.Path, new LlamaCppSettings { Threads = section.Threads ?? get_num_threads() }));
        var sampling = section.Sampling ?? services.Sampling;
        // What is written doesn't depend on how many rows are written at once.
        if (sampling.BatchRows > LlamaCppLibrary.MostRows) sampling = sampling with { BatchRows = LlamaCppLibrary.MostRows };
        return services.ModelGuide(
            Path.GetFileName(section.Path), model.Model, model.Tokenizer, model.EndTokens, sampling, section.Chat,
            () => model.Template ?? throw services.Refusal("chat", $"{section.Path} has no chat template; leave chat out, and the model goes on from the prompt's text"));
    }
}
