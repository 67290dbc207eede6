using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Metrics;
using Rlgf.Models.Loading;
using Rlgf.Models.Metrics;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rewards.Remote;
using Rlgf.Runs;
using Rlgf.Text;
using Rlgf.Text.Data;
using Rlgf.Text.Metrics;

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
        kinds.Guides.Add<CountdownSearchGuideSection>("countdown_search", (section, _) => new CountdownSearchGuide(section.Right));
        kinds.Guides.Add<LimitedGuideSection>("limited", (section, services) => new LimitedGuide(services.Guide(section.Guide, "guide"), section.Answers));
        kinds.Guides.Add<SeveralGuidesSection>("several", (section, services) => new SeveralGuides(
            [.. section.Guides.Select((part, i) => new GuideOption(part.Name, services.Guide(part.Guide, FormattableString.Invariant($"guides.{i}.guide")), part.Weight ?? 1))], section.Choose));
        kinds.Rewards.Add<ClassifierRewardSection>("classifier", Classifier);
        kinds.Rewards.Add<RegexRewardSection>("regex", (section, services) => new RegexReward(services.Name, section.Pattern, section.IncludePrompt));
        kinds.Rewards.Add<LengthRewardSection>("length", (section, services) => new LengthReward(services.Name, section.TargetTokens));
        kinds.Rewards.Add<SumRewardSection>("sum", (section, services) =>
            new WeightedReward([.. section.Parts.Select((part, i) => (Part(part, services.Reward(part.Reward, part.Name, FormattableString.Invariant($"parts.{i}.reward"))), part.Weight))]));
        kinds.Rewards.Add<EnsembleRewardSection>("ensemble", (section, services) => new EnsembleReward(
            services.Name, [.. section.Members.Select((member, i) => services.Reward(member, FormattableString.Invariant($"{services.Name}_{i + 1}"), FormattableString.Invariant($"members.{i}")))], section.Score, section.Deviations ?? 1));
        AddDataRewards(kinds.Rewards);
        kinds.Readers.Add<FileReaderSection>("file", (section, source) =>
            TextDataset.ReadRows(source.Path, new TextDatasetOptions { Format = section.Format, ListSeparator = section.ListSeparator[0] }));
        kinds.Logs.Add<ConsoleLogSection>("console", (_, _) => new ConsoleLog(Console.Out));
        AddAlgorithms(kinds.Algorithms);
    }

    private static void AddDataRewards(KindTable<RewardSection, PartServices, IReward> rewards)
    {
        rewards.Add<MatchRewardSection>("match", (section, services) => new MatchReward(
            services.Name,
            new MatchSettings { Column = section.Column, Pattern = section.Pattern, Boxed = section.Boxed, ColumnPattern = section.ColumnPattern, Compare = section.Compare, Tolerance = section.Tolerance },
            section.Failures));
        rewards.Add<ReasoningGymRewardSection>("reasoning_gym", (section, services) => new ReasoningGymReward(services.Name, section.Rule, section.Failures));
        rewards.Add<CoverageRewardSection>("coverage", (section, services) => new MetricReward(services.Name, Coverage(section.AllOrNothing), section.Column, section.Failures));
        rewards.Add<MetricRewardSection>("metric", (section, services) => new MetricReward(services.Name, MetricOf(section, services), section.Column, section.Failures));
        rewards.Add<ProgramRewardSection>("program", Program);
        rewards.Add<HttpRewardSection>("http", (section, services) => services.Own(new HttpReward(services.Name, section.Endpoint(services), section.BatchRows, section.Failures)));
        rewards.Add<ModelJudgeRewardSection>("model_judge", (section, services) => services.Own(new ModelJudgeReward(
            services.Name,
            section.Endpoint(services),
            new ModelJudgeSettings
            {
                Model = section.Model, Template = section.Template, System = section.System, AtLeast = section.AtLeast, AtMost = section.AtMost, MaxTokens = section.MaxTokens,
            },
            section.Failures)));
        rewards.Add<StackProgramRewardSection>("stack_program", (section, services) => new StackProgramReward(services.Name, section.Cases, section.Failures));
        rewards.Add<EndedRewardSection>("ended", (_, services) => new EndedReward(services.Name));
        rewards.Add<LengthRangeRewardSection>("length_range", (section, services) => new LengthRangeReward(services.Name, section.Unit, section.AtLeast, section.AtMost));
    }

    private static ProgramReward Program(ProgramRewardSection section, PartServices services)
    {
        if (LineProgram.Problem(section.Program) is { } problem) throw services.Refusal("program", problem);
        // A program fails on every row without its script, and a score for rows that failed would hide that.
        if (section.Script is { } file && (File.Exists(file) ? RegularFile.Problem(file) : "there is no such file") is { } fault) throw services.Refusal("script", $"{file}: {fault}");
        return services.Own(new ProgramReward(
            services.Name, section.Program, section.Script is { } script ? [script, .. section.Arguments] : section.Arguments, TimeSpan.FromSeconds(section.TimeoutSeconds), section.MemoryMib, section.Parallel,
            section.Failures));
    }

    private static IReward Part(RewardPart part, IReward reward) =>
        part is { Transform: null, ClipAtLeast: null, ClipAtMost: null } ? reward : new TransformedReward(reward, part.Transform, part.ClipAtLeast, part.ClipAtMost);

    private static TextMetric Coverage(bool allOrNothing) => TextMetric.Mean("coverage", MetricNeed.Concepts, row =>
        ConceptCoverage.Share(row.Text, row.Concepts) is { } share ? allOrNothing && share < 1 ? 0 : share : null);

    private static TextMetric MetricOf(MetricRewardSection section, PartServices services) => new MetricCatalog
    {
        Sources = new MetricSources
        {
            Stem = section.Stem,
            Frequencies = () => DocumentFrequencies.OfTexts(section.Frequencies is { } path
                ? TextDataset.ReadRows(path).Select(row => MeasuredFiles.ReferencesOf(row))
                : TrainingReferences(section, services)),
            Synonyms = section.Synonyms is { } file ? SynonymFile.Read(file) : null,
            KnownTexts = () => section.Known is { } path ? [.. TextDataset.ReadRows(path).Select(row => row.GetString("text"))] : [.. TrainingReferences(section, services).SelectMany(texts => texts)],
        },
        BertScore = section.Encoder is { } encoder
            ? () => new BertScore(services.Encoder(encoder), section.EncoderLayer, section.Idf ? [.. TrainingReferences(section, services).SelectMany(texts => texts)] : null)
            : null,
        Model = section.Model is { } model ? () => services.Model(model) : null,
        Spice = section.Spice is { } jar ? Spice(jar, section.Java ?? "java", services) : null,
    }.Make(section.Metric, _ => "set its key");

    /// <summary>A reward by SPICE's program that is there: what is missing is said before anything is trained.</summary>
    private static SpiceTool Spice(string jar, string java, PartServices services) => SpiceTool.ProblemOf(jar) is { } fault ? throw services.Refusal("spice", $"{jar}: {fault}")
        : LineProgram.Problem(java) is { } problem ? throw services.Refusal("java", $"SPICE needs Java: {problem}")
        : new SpiceTool(jar, java);

    /// <summary>What a metric counts in where no file is named: the texts of the training prompts that it compares responses with. In none at all, every n-gram would be worth nothing.</summary>
    private static IReadOnlyList<string>[] TrainingReferences(MetricRewardSection section, PartServices services)
    {
        IReadOnlyList<string>[] references = [.. services.Prompts.Select(prompt => RowTexts.OrNone(prompt, section.Column, $"the reward '{services.Name}'")).Where(texts => texts.Count > 0)];
        return references.Length > 0 ? references : throw services.Refusal("metric", $"{section.Metric} counts in the references of the training prompts, and none of them has one: name a file or a column that has");
    }

    private static void AddAlgorithms(AlgorithmKinds algorithms)
    {
        foreach (var preset in Presets.All) algorithms.Add<AlgorithmSection>(preset.Name, preset.Meaning, section => preset.Make(section.SwitchIteration ?? 0));
        algorithms.Add<AlgorithmSection>(AlgorithmSettings.Custom, "Phases of your own: set `first`, and `second` and `schedule` where there are two.", section => new AlgorithmSettings
        {
            Name = AlgorithmSettings.Custom, First = section.First!, Second = section.Second, Schedule = section.Schedule ?? PlanSchedule.Constant,
        });
    }

    private static ClassifierReward Classifier(ClassifierRewardSection section, PartServices services)
    {
        var loaded = services.Classifier(section.Path, section.Tokenizer);
        var input = section.Chat is { } chat
            ? services.Of("chat", () => ChatPolicy.InputOf(section.Tokenizer ?? section.Path, loaded.Tokenizer, chat))
            : new ClassifierInput(loaded.Tokenizer, section.IncludePrompt);
        return new ClassifierReward(services.Name, loaded.Model, input, section.Label, section.Transform);
    }

    private static LocalModelGuide ModelGuide(ModelGuideSection section, PartServices services)
    {
        var model = services.Model(section.Path, section.Tokenizer);
        return services.ModelGuide(
            NameOf(section.Path), model.Model, model.Tokenizer, model.EndTokens, section.Sampling, section.Chat, () => ChatTemplateFolder.Load(TextModel.TokenizerFolderOf(section.Tokenizer ?? section.Path)));
    }

    /// <summary>The last two folders of a path, such as <c>assets/guide</c>: enough to know a model by.</summary>
    private static string NameOf(string path)
    {
        var folder = new DirectoryInfo(Path.GetFullPath(path));
        return folder.Parent is { Parent: not null } parent ? $"{parent.Name}/{folder.Name}" : folder.Name;
    }
}
