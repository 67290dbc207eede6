using Rlgf.Base;
using Rlgf.Checks;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Runs;
using Rlgf.Statistics;
using Rlgf.Supervised;
using Rlgf.Tokenizers;

namespace Rlgf.Composition;

/// <summary>A held-out pair with the scores that the reward gives to its answers.</summary>
/// <param name="Row">Where it is from.</param>
/// <param name="Prompt">What is asked last.</param>
/// <param name="Chosen">The preferred answer.</param>
/// <param name="Rejected">The other.</param>
/// <param name="ChosenScore">Its score, normalised, as the reward <c>kind: classifier</c> gives it.</param>
/// <param name="RejectedScore">That of the other.</param>
public sealed record ScoredPair(string Row, string Prompt, string Chosen, string Rejected, double ChosenScore, double RejectedScore);

/// <summary>What an ensemble is worth on the held-out pairs, each way of taking its members together.</summary>
/// <param name="Members">Each member's accuracy.</param>
/// <param name="Mean">Accuracy of the mean score.</param>
/// <param name="Minimum">Accuracy of the least score.</param>
/// <param name="MeanMinusDeviation">Accuracy of the mean less one deviation.</param>
/// <param name="DeviationWhereRight">Mean deviation of the members' scores, over both answers, of pairs that the mean score has right; NaN of none.</param>
/// <param name="DeviationWhereWrong">As <paramref name="DeviationWhereRight"/>, of pairs that it has wrong: higher where the members know what they don't know.</param>
public sealed record EnsembleAssessment(IReadOnlyList<Interval> Members, Interval Mean, Interval Minimum, Interval MeanMinusDeviation, double DeviationWhereRight, double DeviationWhereWrong);

/// <summary>Training of reward models as a recipe says it; like <see cref="SupervisedRun"/>, with what was measured at the end.</summary>
public static class RewardModelRun
{
    /// <summary>The one output, as <c>config.json</c> names it.</summary>
    private const string Label = "reward";

    /// <summary>The file with what an ensemble is worth, in the folder of its members.</summary>
    private const string EnsembleFile = "ensemble.json";

    /// <summary>Trains one reward model and measures it; its folder then holds the best with its tokenizer, what its scores are normalised by, <c>assessment.json</c> and the held-out pairs with their scores.</summary>
    /// <param name="recipe">The recipe, of one member.</param>
    /// <param name="resume">Go on from the output folder's checkpoint; where it holds none, and no training that has ended, one begins anew.</param>
    /// <param name="log">Told after the folder's log; null for nobody.</param>
    /// <param name="cancellationToken">Stops after the step at hand and a checkpoint.</param>
    /// <returns>How the training ended, and what was measured on the best model.</returns>
    /// <exception cref="InputException">Something can't be loaded or written, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; a checkpoint was written.</exception>
    public static (SupervisedResult Result, RewardModelAssessment Assessment) Train(RewardModelRecipe recipe, bool resume, IRunLog? log, CancellationToken cancellationToken)
    {
        recipe = (RewardModelRecipe)recipe.Resolved();
        if (recipe.Members != 1) throw new ArgumentException("Train each of the members.", nameof(recipe));
        recipe.RequireDevices();
        using var claim = RunClaim.Take(recipe, resume, "rlgf reward train");
        RewardPairs pairs;
        SupervisedResult result;
        var (classifier, tokenizer) = Start(recipe);
        using (classifier)
        {
            pairs = RewardPairs.Read(recipe, tokenizer, classifier.ContextLength, cancellationToken);
            using var loop = RewardModelTraining.Prepare(classifier, pairs.Learned, pairs.Measured, Settings(recipe), recipe.Training, recipe.Output!);
            result = SupervisedRun.Run(recipe, recipe.Training, claim, loop, tokenizer, [.. pairs.Notes], log, cancellationToken);
        }

        return (result, Assess(recipe, pairs, cancellationToken));
    }

    /// <summary>Loads model and data as a training would, and looks for what goes wrong silently.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="cancellationToken">Stops between parts and rows.</param>
    /// <exception cref="InputException">Something can't be loaded.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<Finding> Check(RewardModelRecipe recipe, CancellationToken cancellationToken = default)
    {
        recipe = (RewardModelRecipe)recipe.Resolved();
        recipe.RequireDevices();
        var (classifier, tokenizer) = Start(recipe);
        using (classifier)
        {
            var pairs = RewardPairs.Read(recipe, tokenizer, classifier.ContextLength, cancellationToken);
            return [.. pairs.Notes.Select(note => new Finding(Severity.Warning, note)), .. SupervisedChecks.Of(pairs.Learned, pairs.Measured)];
        }
    }

    /// <summary>Measures what trained members are worth together, and writes it beside them.</summary>
    /// <param name="recipe">The recipe of the ensemble.</param>
    /// <param name="cancellationToken">Stops between members.</param>
    /// <exception cref="InputException">A member's scores can't be read.</exception>
    public static EnsembleAssessment AssessEnsemble(RewardModelRecipe recipe, CancellationToken cancellationToken = default)
    {
        var members = recipe.OfMembers().Select(member =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            return RowFile.Read(new RunFolder(member.Output!).PairScoresPath, RunJson.Parse<ScoredPair>);
        }).ToArray();
        if (members.Any(member => member.Count != members[0].Count)) throw new InputException($"{recipe.Output}: its members have scored different pairs; train them on the same data");
        var pairs = Enumerable.Range(0, members[0].Count).Select(pair => (Chosen: members.Select(member => member[pair].ChosenScore).ToArray(), Rejected: members.Select(member => member[pair].RejectedScore).ToArray())).ToArray();
        var assessment = new EnsembleAssessment(
            [.. members.Select(member => Share(member.Select(pair => pair.ChosenScore > pair.RejectedScore)))],
            By(EnsembleScore.Mean), By(EnsembleScore.Minimum), By(EnsembleScore.MeanMinusDeviations), Deviation(isRight: true), Deviation(isRight: false));
        RunJson.WriteFile(Path.Combine(((RewardModelRecipe)recipe.Resolved()).Output!, EnsembleFile), assessment);
        return assessment;

        Interval By(EnsembleScore score) => Share(pairs.Select(pair => IsRight(pair, score)));
        static bool IsRight((double[] Chosen, double[] Rejected) pair, EnsembleScore score) => EnsembleReward.Combined(pair.Chosen, score, 1) > EnsembleReward.Combined(pair.Rejected, score, 1);
        double Deviation(bool isRight) =>
            pairs.Where(pair => IsRight(pair, EnsembleScore.Mean) == isRight).Select(pair => (Spread.Deviation(pair.Chosen) + Spread.Deviation(pair.Rejected)) / 2).DefaultIfEmpty(double.NaN).Average();
    }

    /// <summary>Loads the folder as a reward does, finds what its scores are normalised by, measures, and writes all of it.</summary>
    private static RewardModelAssessment Assess(RewardModelRecipe recipe, RewardPairs pairs, CancellationToken cancellationToken)
    {
        var folder = new RunFolder(recipe.Output!);
        using var trained = TextClassifier.Load(folder.Path, device: DeviceName.Of(recipe.Device));
        var rowsPerBatch = 2 * (recipe.Training.RowsPerMicroBatch > 0 ? recipe.Training.RowsPerMicroBatch : recipe.Training.RowsPerStep);
        double[] Scores(IReadOnlyList<PairOfAnswers> of) => RewardModelTraining.Scores(trained.Model, [.. of.Select(pair => pair.Chosen), .. of.Select(pair => pair.Rejected)], rowsPerBatch, cancellationToken);
        var normalisation = RewardModelAssessment.NormalisationOf(Scores(pairs.Learned));
        SequenceClassifierFolder.SaveNormalisation(folder.Path, normalisation);
        var scores = Scores(pairs.Measured);
        var count = pairs.Measured.Count;
        var assessment = RewardModelAssessment.Of([.. pairs.MeasuredPairs.Select((pair, i) => new PairScore(scores[i], scores[count + i], pairs.Tokens(pair.Chosen), pairs.Tokens(pair.Rejected)))], normalisation);
        var head = ClassifierHead.Of(trained.Model) with { Normalisation = normalisation };
        double Normalised(double score) => head.Score([(float)score], 0, ClassifierTransform.Normalised);
        RowFile.Write(folder.PairScoresPath, pairs.MeasuredPairs.Select((pair, i) => RunJson.ToLine(
            new ScoredPair(pair.Row.Location, pair.Prompt[^1].Content, pair.Chosen.Content, pair.Rejected.Content, Normalised(scores[i]), Normalised(scores[count + i])))));
        RunJson.WriteFile(folder.AssessmentPath, assessment);
        return assessment;
    }

    private static (Models.ISequenceClassifier Classifier, ITokenizer Tokenizer) Start(RewardModelRecipe recipe) =>
        recipe.Locations.Of("model", () => SupervisedRun.StartClassifier(recipe, recipe.Model, [Label], padsWithEnd: true));

    private static RewardModelSettings Settings(RewardModelRecipe recipe) => new() { CenterRewardsCoefficient = recipe.CenterRewardsCoefficient, MergeAdapter = recipe.MergeAdapter };

    private static Interval Share(IEnumerable<bool> hits)
    {
        bool[] all = [.. hits];
        return Interval.OfShare(all.Count(hit => hit), all.Length);
    }
}
