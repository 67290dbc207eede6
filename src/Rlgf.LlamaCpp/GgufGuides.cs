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
        var ends = model.EndTokens;
        Func<Prompt, int[]>? ask = null;
        if (section.Chat is { } chat)
        {
            var template = model.Template ?? throw services.Refusal("chat", $"{section.Path} has no chat template; leave chat out, and the model goes on from the prompt's text");
            var encoder = ChatPolicy.EncoderOf(template, model.Tokenizer, chat);
            if (encoder.EndOfTurn is { } end) ends = [end, .. ends.Where(id => id != end)];
            ask = prompt => encoder.Encode(chat.Messages(prompt), addGenerationPrompt: true).Ids;
        }

        var sampling = section.Sampling ?? services.Sampling;
        if (sampling.EndTokens.Count == 0) sampling = sampling with { EndTokens = ends };
        // What is written doesn't depend on how many rows are written at once.
        if (sampling.BatchRows > LlamaCppLibrary.MostRows) sampling = sampling with { BatchRows = LlamaCppLibrary.MostRows };
        return new LocalModelGuide(Path.GetFileName(section.Path), model.Model, model.Tokenizer, services.Policy.Tokenizer, sampling, ask);
    }
}
