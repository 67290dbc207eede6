using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Rewards;
using Rlgf.Statistics;
using Rlgf.Supervised;

namespace Rlgf.Tests.Supervised;

public sealed class RewardModelTrainingTests
{
    private static readonly SupervisedSettings Settings = new() { Epochs = 4, RowsPerStep = 16, LearningRate = 0.01, WarmUpSteps = 5, EvaluateEvery = 10, CheckpointEvery = 10, Seed = 3 };

    [Fact]
    public void It_learns_which_of_two_answers_goes_up_and_the_folder_scores_alike()
    {
        using var folder = new TemporaryFolder();
        using var model = Model();
        var result = RewardModelTraining.Run(model, Pairs(600, 1), Pairs(100, 2), new() { CenterRewardsCoefficient = 0.01 }, Settings with { Epochs = 6 }, folder.Path);
        Assert.InRange(result.BestHeldOut["accuracy"], 0.97, 1);
        using var best = SequenceClassifierFolder.Load(folder.Path);
        var (chosen, rejected) = Scores(best, Pairs(100, 2));
        Assert.Equal(result.BestHeldOut["loss"], RewardModelTraining.Metrics(chosen, rejected, new double[100], 0.01)["loss"], 1e-5);
        // The prompt tells nothing, so that what centring leaves are scores on both sides of 0.
        Assert.InRange(chosen.Concat(rejected).Average(), -1, 1);
        Assert.Equal(ProblemType.Regression, ClassifierHead.Of(best).Type);
    }

    [Fact]
    public void A_training_that_was_stopped_and_resumed_gives_the_same_weights_bit_for_bit()
    {
        using var throughFolder = new TemporaryFolder();
        using var stoppedFolder = new TemporaryFolder();
        using var through = Model();
        using var stopped = Model();
        using var other = Model(seed: 9);
        RewardModelTraining.Run(through, Pairs(100, 1), Pairs(20, 2), new(), Settings, throughFolder.Path);
        using var stop = new CancellationTokenSource();
        var log = new Told(record => { if (record.Step == 13) stop.Cancel(); });
        Assert.Throws<OperationCanceledException>(() => RewardModelTraining.Run(stopped, Pairs(100, 1), Pairs(20, 2), new(), Settings, stoppedFolder.Path, log: log, cancellation: stop.Token));
        RewardModelTraining.Run(other, Pairs(100, 1), Pairs(20, 2), new(), Settings, stoppedFolder.Path, resume: true);
        Assert.Equal(TinyModels.Weights(through.Module), TinyModels.Weights(other.Module));
    }

    [Fact]
    public void Parts_of_a_step_have_the_gradient_of_the_whole()
    {
        using var wholeFolder = new TemporaryFolder();
        using var partsFolder = new TemporaryFolder();
        using var whole = Model();
        using var parts = Model();
        var once = Settings with { MaxSteps = 3, WarmUpSteps = 0 };
        var margins = Pairs(48, 1).Select((pair, i) => pair with { Margin = i % 3 }).ToArray();
        RewardModelTraining.Run(whole, margins, margins, new() { CenterRewardsCoefficient = 0.1 }, once, wholeFolder.Path);
        RewardModelTraining.Run(parts, margins, margins, new() { CenterRewardsCoefficient = 0.1 }, once with { RowsPerMicroBatch = 5 }, partsFolder.Path);
        foreach (var (one, other) in TinyModels.Weights(whole.Module).Zip(TinyModels.Weights(parts.Module)))
            for (var i = 0; i < one.Length; i++) Assert.Equal(one[i], other[i], 1e-4);
    }

    [Fact]
    public void What_can_not_be_learned_from_is_refused()
    {
        using var folder = new TemporaryFolder();
        using var model = Model();
        using var two = SequenceClassifierFolder.FromLanguageModel(TinyModels.LanguageModel(), ["a", "b"], null, 1);
        Assert.Contains("an answer without a token", Refused(model, new([1], [])), StringComparison.Ordinal);
        Assert.Contains("has 40 tokens", Refused(model, new([1], new int[40])), StringComparison.Ordinal);
        Assert.Contains("the margin NaN", Refused(model, new([1], [2], double.NaN)), StringComparison.Ordinal);
        Assert.Contains("has 2 labels", Refused(two, new([1], [2])), StringComparison.Ordinal);

        string Refused(ISequenceClassifier classifier, PairOfAnswers pair) => Assert.Throws<InputException>(() => RewardModelTraining.Run(classifier, [pair], [new([1], [2])], new(), Settings, folder.Path)).Message;
    }

    [Fact]
    public void The_assessment_by_hand()
    {
        // Right, right, wrong, tie; the chosen one longer, shorter, longer, of the same length; of like length are the second (9 of 10) and the fourth.
        PairScore[] pairs = [new(2, 0, 10, 4), new(1, 0, 9, 10), new(-1, 1, 8, 2), new(0, 0, 5, 5)];
        var assessment = RewardModelAssessment.Of(pairs, null);
        Assert.Equal((0.5, 4), (assessment.Accuracy.Mean, assessment.Accuracy.Count));
        Assert.Equal((2 / 3.0, 3), (assessment.LongerIsChosen.Mean, assessment.LongerIsChosen.Count));
        Assert.Equal((0.5, 2), (assessment.LengthMatchedAccuracy.Mean, assessment.LengthMatchedAccuracy.Count));
        // Differences 2, 1, −2, 0 and 6, −1, 6, 0: means 1/4 and 11/4; Σ = −1 − 4 · 11/16, 9 − 1/4, 73 − 121/4.
        Assert.Equal((-1 - (11 / 4.0)) / Math.Sqrt((9 - 0.25) * (73 - (121 / 4.0))), assessment.LengthCorrelationWithinPairs, 1e-12);
        // Probabilities σ(2) = 0.881, σ(1) = 0.731, σ(2), 0.5 in bins of 0.05: the first and third share one, one of two right.
        var sigma2 = 1 / (1 + Math.Exp(-2));
        var sigma1 = 1 / (1 + Math.Exp(-1));
        Assert.Equal((Math.Abs(1 - (2 * sigma2)) + Math.Abs(1 - sigma1) + 0) / 4, assessment.Calibration.Error, 1e-12);
        Assert.Equal(10, assessment.Calibration.Bins.Count);
        Assert.Equal(2, Assert.Single(assessment.Calibration.Bins, bin => bin.AtLeast <= sigma2 && sigma2 < bin.AtMost).Pairs);
        Assert.Equal(new ScoreNormalisation(2, Math.Sqrt(2)), RewardModelAssessment.NormalisationOf([1, 3]));
        Assert.Equal(new ScoreNormalisation(5, 1), RewardModelAssessment.NormalisationOf([5, 5, 5]));
    }

    [Theory]
    // Wilson's interval of 95 % as R's prop.test(…, correct = FALSE) prints it.
    [InlineData(8, 10, 0.4901625, 0.9433178)]
    [InlineData(0, 10, 0, 0.2775328)]
    [InlineData(10, 10, 0.7224672, 1)]
    [InlineData(84, 137, 0.5296, 0.6906)]
    public void A_share_has_wilsons_interval(int hits, int count, double low, double high)
    {
        var interval = Interval.OfShare(hits, count);
        Assert.Equal((double)hits / count, interval.Mean);
        Assert.Equal(low, interval.Low, 1e-3);
        Assert.Equal(high, interval.High, 1e-3);
        // It holds the shares p whose distance from the measured one is within z deviations of p: its ends are those at exactly z.
        foreach (var end in new[] { interval.Low, interval.High }.Where(end => end is > 0 and < 1))
            Assert.Equal(1.959964, Math.Abs(interval.Mean - end) / Math.Sqrt(end * (1 - end) / count), 1e-5);
    }

    [Fact]
    public void An_ensemble_by_hand()
    {
        double[] scores = [1, 2, 6];
        Assert.Equal(3, EnsembleReward.Combined(scores, EnsembleScore.Mean, 0));
        Assert.Equal(1, EnsembleReward.Combined(scores, EnsembleScore.Minimum, 0));
        Assert.Equal(3 - (2 * Math.Sqrt((4 + 1 + 9) / 2.0)), EnsembleReward.Combined(scores, EnsembleScore.MeanMinusDeviations, 2), 1e-12);
    }

    private static ISequenceClassifier Model(ulong seed = 1)
    {
        using var start = TinyModels.LanguageModel();
        return SequenceClassifierFolder.FromLanguageModel(start, ["reward"], TinyModels.Eos, seed);
    }

    /// <summary>The preferred answer counts up and the other one down, after the same prompt.</summary>
    private static PairOfAnswers[] Pairs(int count, ulong seed) => [.. TinyModels.Texts(count, seed).Select((text, i) =>
        new PairOfAnswers([i % 10, i % 7, .. text], [i % 10, i % 7, .. text.Reverse()]))];

    private static (double[] Chosen, double[] Rejected) Scores(ISequenceClassifier model, PairOfAnswers[] pairs) =>
        (RewardModelTraining.Scores(model, [.. pairs.Select(pair => pair.Chosen)]), RewardModelTraining.Scores(model, [.. pairs.Select(pair => pair.Rejected)]));
}
