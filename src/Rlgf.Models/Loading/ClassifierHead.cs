using Rlgf.Base;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Loading;

/// <summary>What a classifier's outputs were trained to be: <c>problem_type</c> in its <c>config.json</c>.</summary>
public enum ProblemType
{
    /// <summary>Numbers of their own, as of a reward model.</summary>
    Regression,

    /// <summary>Logits of labels of which one is right.</summary>
    SingleLabelClassification,

    /// <summary>Logits of labels each of which may be right.</summary>
    MultiLabelClassification,
}

/// <summary>From a classifier's logits to one number.</summary>
public enum ClassifierTransform
{
    /// <summary>The output as it is: any number.</summary>
    Logit,

    /// <summary>1 / (1 + exp(−output)): between 0 and 1. For outputs that stand alone.</summary>
    Sigmoid,

    /// <summary>The probability that the label is right: softmax over labels that exclude each other, the sigmoid of one that doesn't.</summary>
    Probability,

    /// <summary>log p / (1 − p) of that probability: any number, and no less steep where the classifier is sure.</summary>
    LogOdds,

    /// <summary>(output − mean) / deviation, by the mean and the deviation that a reward model's folder keeps of the answers to its training prompts: 0 is an answer like most of them, 1 one deviation better.</summary>
    Normalised,
}

/// <summary>What a reward model's scores are brought to mean 0 and deviation 1 by.</summary>
/// <param name="Mean">Mean of its outputs for the answers to its training prompts.</param>
/// <param name="Deviation">Their deviation; above 0.</param>
public sealed record ScoreNormalisation(double Mean, double Deviation);

/// <summary>
/// What a classifier's logits mean, and the one place where a number is made of them: rewards, judges and the command line read classifiers by it.
/// </summary>
/// <remarks>
/// A classifier of one output is a regression unless it says that labels don't exclude each other, as transformers trains it: reward models have one output and are trained on its differences
/// (Ouyang et al. 2022, arXiv 2203.02155, equation 1). A softmax over one output would be 1 whatever it read.
/// </remarks>
/// <param name="Labels">Names of the C outputs.</param>
/// <param name="Type">What they were trained to be.</param>
/// <param name="Normalisation">What the folder keeps of a reward model's scores; null where it keeps nothing. Libraries that don't know it read the outputs as they are.</param>
public sealed record ClassifierHead(IReadOnlyList<string> Labels, ProblemType Type, ScoreNormalisation? Normalisation = null)
{
    private const string Key = "problem_type";

    /// <summary>Where <c>config.json</c> has the normalisation: an object with <c>mean</c> and <c>deviation</c>.</summary>
    internal const string NormalisationKey = "score_normalisation";

    /// <summary>What is taken where nothing is asked for: the probability of a label, or the output of a regression, normalised where the folder says by what and as it is elsewhere.</summary>
    public ClassifierTransform DefaultTransform => Normalisation is not null ? ClassifierTransform.Normalised : Type == ProblemType.Regression ? ClassifierTransform.Logit : ClassifierTransform.Probability;

    /// <summary>The head of a classifier in memory.</summary>
    /// <exception cref="InputException">Its configuration has a problem type that doesn't exist.</exception>
    public static ClassifierHead Of(ISequenceClassifier classifier) => Of(new ModelConfiguration(classifier.Configuration, "the classifier's configuration"), classifier.Labels);

    /// <summary>The head of a classifier in a folder; null where its configuration does not say how many labels there are.</summary>
    /// <exception cref="InputException">The configuration can't be read, or has a problem type that doesn't exist.</exception>
    public static ClassifierHead? Read(string folder)
    {
        var configuration = FolderConfiguration.Read(folder);
        return configuration.Labels() is { } labels ? Of(configuration, labels) : null;
    }

    /// <summary>The index of a label.</summary>
    /// <param name="label">Its name; null for the only one.</param>
    /// <exception cref="InputException">There is no such label, or there are several and none was named.</exception>
    public int IndexOf(string? label) => LabelProblem(label) is { } problem ? throw new InputException(problem) : label is null ? 0 : Labels.ToList().IndexOf(label);

    /// <summary>Why a label can't be read from this head, in one line; null if it can.</summary>
    /// <param name="label">Its name; null for the only one.</param>
    public string? LabelProblem(string? label)
    {
        if (label is null) return Labels.Count == 1 ? null : $"the classifier has the labels {string.Join(", ", Labels)}: name one of them";
        return Labels.Contains(label, StringComparer.Ordinal) ? null : $"the classifier has no label '{label}': it has {string.Join(", ", Labels)}";
    }

    /// <summary>Why a transform doesn't fit this head, in one line; null if it does.</summary>
    public string? TransformProblem(ClassifierTransform transform) => (Type, transform) switch
    {
        (ProblemType.SingleLabelClassification, ClassifierTransform.Sigmoid) =>
            $"the sigmoid of one of the {Labels.Count} labels, which exclude each other, is no probability: use probability (softmax), log_odds or logit",
        (ProblemType.Regression, ClassifierTransform.Probability or ClassifierTransform.LogOdds) =>
            $"the classifier has {(Labels.Count == 1 ? "one output, which is" : "outputs that are")} no probability: use logit, or sigmoid for a number between 0 and 1",
        (_, ClassifierTransform.Normalised) when Normalisation is null => "nothing is kept that its output could be normalised by: use logit, or normalise: true of the whole reward",
        _ => null,
    };

    /// <summary>The score of one row.</summary>
    /// <param name="logits">[C].</param>
    /// <param name="label">Index of the label.</param>
    /// <param name="transform">What to make of it; one that fits.</param>
    /// <exception cref="InputException">The transform doesn't fit.</exception>
    public double Score(ReadOnlySpan<float> logits, int label, ClassifierTransform transform)
    {
        if (TransformProblem(transform) is { } problem) throw new InputException(problem);
        // The probability of a label and its log odds, whatever the head, are functions of one number: how far it is ahead of the rest.
        return transform switch
        {
            ClassifierTransform.Logit => logits[label],
            ClassifierTransform.Normalised => (logits[label] - Normalisation!.Mean) / Normalisation.Deviation,
            ClassifierTransform.LogOdds => LogOdds(logits, label),
            _ => Sigmoid(LogOdds(logits, label)),
        };
    }

    /// <summary>[C]: the probabilities of all labels; null where the outputs are none.</summary>
    /// <param name="logits">[C].</param>
    public float[]? Probabilities(ReadOnlySpan<float> logits)
    {
        if (Type == ProblemType.Regression) return null;
        var probabilities = new float[logits.Length];
        for (var label = 0; label < logits.Length; label++) probabilities[label] = (float)Score(logits, label, ClassifierTransform.Probability);
        return probabilities;
    }

    private static ClassifierHead Of(ModelConfiguration configuration, IReadOnlyList<string> labels) => new(labels, configuration.Text(Key) switch
    {
        "regression" => ProblemType.Regression,
        "multi_label_classification" => ProblemType.MultiLabelClassification,
        null or "single_label_classification" => labels.Count == 1 ? ProblemType.Regression : ProblemType.SingleLabelClassification,
        var other => throw configuration.Fault(Key, $"is '{other}': it is regression, single_label_classification or multi_label_classification"),
    }, NormalisationOf(configuration, labels));

    private static ScoreNormalisation? NormalisationOf(ModelConfiguration configuration, IReadOnlyList<string> labels)
    {
        if (configuration.Section(NormalisationKey) is not { } section) return null;
        if (labels.Count != 1) throw configuration.Fault(NormalisationKey, $"is for the one output of a reward model, and there are {labels.Count} labels: remove it");
        var mean = section.Number("mean") ?? throw section.Fault("mean", "is missing");
        return double.IsFinite(mean) ? new(mean, section.Positive("deviation")) : throw section.Fault("mean", "is no finite number");
    }

    /// <summary>The logit itself where an output stands alone; x_label − log Σ_other exp(x) where labels exclude each other, so that its sigmoid is the softmax.</summary>
    private double LogOdds(ReadOnlySpan<float> logits, int label)
    {
        if (Type != ProblemType.SingleLabelClassification) return logits[label];
        var most = double.NegativeInfinity;
        for (var i = 0; i < logits.Length; i++)
            if (i != label) most = Math.Max(most, logits[i]);
        var sum = 0.0;
        for (var i = 0; i < logits.Length; i++)
            if (i != label) sum += Math.Exp(logits[i] - most);
        return logits[label] - most - Math.Log(sum);
    }

    private static double Sigmoid(double x) => x >= 0 ? 1 / (1 + Math.Exp(-x)) : Math.Exp(x) / (1 + Math.Exp(x));
}
