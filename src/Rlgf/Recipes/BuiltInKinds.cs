using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Models.Loading;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Runs;
using Rlgf.Text.Data;

namespace Rlgf.Recipes;

/// <summary>The kinds of parts that come with the library.</summary>
internal static class BuiltInKinds
{
    /// <summary>Adds them, in the order in which they are listed.</summary>
    public static void AddTo(PartKinds kinds)
    {
        kinds.Guides.Add<ModelGuideSection>("model", ModelGuide);
        kinds.Guides.Add<ReferencesGuideSection>("references", (_, _) => new ReferencesGuide());
        kinds.Guides.Add<ImperfectReferencesGuideSection>("imperfect_references", (section, _) => new ImperfectReferencesGuide(section.Right, section.Alphabet));
        kinds.Rewards.Add<ClassifierRewardSection>("classifier", Classifier);
        kinds.Rewards.Add<RegexRewardSection>("regex", (section, services) => new RegexReward(services.Name, section.Pattern, section.IncludePrompt));
        kinds.Rewards.Add<LengthRewardSection>("length", (section, services) => new LengthReward(services.Name, section.TargetTokens));
        kinds.Rewards.Add<SumRewardSection>("sum", (section, services) =>
            new WeightedReward([.. section.Parts.Select((part, i) => (services.Reward(part.Reward, part.Name, FormattableString.Invariant($"parts.{i}.reward")), part.Weight))]));
        kinds.Readers.Add<FileReaderSection>("file", (section, source) =>
            TextDataset.ReadRows(source.Path, new TextDatasetOptions { Format = section.Format, ListSeparator = section.ListSeparator[0] }));
        kinds.Logs.Add<ConsoleLogSection>("console", (_, _) => new ConsoleLog(Console.Out));
        AddAlgorithms(kinds.Algorithms);
    }

    private static void AddAlgorithms(AlgorithmKinds algorithms)
    {
        foreach (var preset in Presets.All) algorithms.Add<AlgorithmSection>(preset.Name, preset.Meaning, section => preset.Make(section.SwitchIteration ?? 0));
        algorithms.Add<AlgorithmSection>(AlgorithmSection.Custom, "Phases of your own: set `first`, and `second` and `schedule` where there are two.", section => new AlgorithmSettings
        {
            Name = AlgorithmSection.Custom, First = section.First!, Second = section.Second, Schedule = section.Schedule ?? PlanSchedule.Constant,
        });
    }

    private static ClassifierReward Classifier(ClassifierRewardSection section, PartServices services)
    {
        var loaded = services.Classifier(section.Path, section.Tokenizer);
        return new ClassifierReward(services.Name, loaded.Model, loaded.Tokenizer, section.Label, section.IncludePrompt, section.Transform);
    }

    private static LocalModelGuide ModelGuide(ModelGuideSection section, PartServices services)
    {
        var model = services.Model(section.Path, section.Tokenizer);
        Func<Prompt, int[]>? ask = null;
        if (section.Chat is { } chat)
        {
            var encoder = ChatPolicy.EncoderOf(section.Tokenizer ?? section.Path, model, chat);
            model = model.EndingWith(encoder.EndOfTurn);
            ask = prompt => encoder.Encode(chat.Messages(prompt), addGenerationPrompt: true).Ids;
        }

        return new LocalModelGuide(NameOf(section.Path), model.Model, model.Tokenizer, services.Policy.Tokenizer, RecipeParts.EndingAsModel(section.Sampling ?? services.Sampling, model), ask);
    }

    /// <summary>The last two folders of a path, such as <c>assets/guide</c>: enough to know a model by.</summary>
    private static string NameOf(string path)
    {
        var folder = new DirectoryInfo(Path.GetFullPath(path));
        return folder.Parent is { Parent: not null } parent ? $"{parent.Name}/{folder.Name}" : folder.Name;
    }
}
