using System.Text.RegularExpressions;
using Rlgf.Algorithms;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Models.Loading;
using Rlgf.Runs;
using Rlgf.Supervised;
using Rlgf.Tests.Distributed;
using Rlgf.Tests.Supervised;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Runs;

public sealed partial class MetricsDocumentTests
{
    [Fact]
    public void Every_metric_is_in_the_document_and_the_document_names_no_other()
    {
        var policy = new TabularModel(vocabulary: 3, horizon: 3, end: null);
        var algorithm = Presets.AdaptiveV1() with { First = Presets.R3(0.5).First, Gate = Presets.Ghpo().Gate, Lessons = new() { ScalesGuide = false } };
        var setup = ToyRun.Setup(policy, algorithm, ToyRun.Guide(3, null, _ => [0.2, 0.3, 0.5]), response => response.StartsWith('2') ? 1 : 0, iterations: 1);
        // All that only some runs have.
        setup = setup with
        {
            NormaliseReward = true,
            Guide = new SeveralGuides([new("NAME", new LimitedGuide(new FunctionGuide("sometimes", _ => null, mayDecline: true), 5))], GuideChoice.Weights),
            Kl = new KlSettings { Coefficient = 0.1, Placement = KlPlacement.Loss },
            Update = setup.Update with { ValueClipRange = 0.1, TargetKl = 1 },
            Supervised = new() { Source = SupervisedSource.Guide },
            GuideWorth = new(),
        };
        var record = Assert.Single(ToyRun.Run(setup));
        var row = new EvaluationRow("p", "a b c", 3, true, 1, new Dictionary<string, double> { ["NAME"] = 1 }, 1, 1, -1, 1) { Group = "VALUE" };
        var compared = Assert.Single(ToyRun.Run(ToyRun.Setup(policy, Presets.Grpo(4), null, _ => 1, iterations: 1)));
        var dealt = ThreadRanks.Run(2, ranks => Assert.Single(ToyRun.Run(ToyRun.Setup(new TabularModel(vocabulary: 3, horizon: 3, end: null), Presets.Grpo(4), null, _ => 1, iterations: 1) with { Ranks = ranks })))[0];
        var written = record.Metrics.Keys.Concat(compared.Metrics.Keys).Concat(dealt.Metrics.Keys).Concat(Evaluator.Means([row]).Keys).Concat(Supervised()).ToHashSet();

        var sections = File.ReadAllText(Path.Combine(Repository.Root, "docs", "metrics.md")).Split("\n## ").Where(section => section.StartsWith("Metrics of", StringComparison.Ordinal) && !section.StartsWith("Metrics of texts", StringComparison.Ordinal));
        var documented = sections.SelectMany(section => section.Split('\n')).Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .SelectMany(line => Name().Matches(line.Split('|')[1]).Select(match => match.Groups[1].Value)).ToHashSet();

        Assert.Empty(written.Except(documented));
        Assert.Empty(documented.Except(written));
    }

    /// <summary>Metrics of a step of supervised training, and of the held-out examples of a language model and of a classifier.</summary>
    private static string[] Supervised()
    {
        List<StepRecord> records = [];
        var log = new Told(records.Add, records.Add);
        var settings = new SupervisedSettings { MaxSteps = 1 };
        using var model = TinyModels.LanguageModel();
        var rows = SupervisedTraining.Pack(TinyModels.Texts(20, 1), TinyModels.Eos, 12);
        using (var folder = new TemporaryFolder()) SupervisedTraining.Run(model, rows, rows, settings, folder.Path, log: log);
        using var classifier = SequenceClassifierFolder.FromLanguageModel(model, ["odd", "even"], padId: null, seed: 1);
        LabelledText[] texts = [new([1, 2], 0), new([3], 1)];
        using (var folder = new TemporaryFolder()) ClassifierTraining.Run(classifier, texts, texts, null, settings, folder.Path, log: log);
        return [.. records.SelectMany(record => record.Metrics.Keys)];
    }

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Name();
}
