using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Supervised;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Supervised;

public sealed class ClassifierTrainingTests
{
    private static readonly SupervisedSettings Settings = new() { Epochs = 4, RowsPerStep = 16, LearningRate = 0.01, WarmUpSteps = 5, EvaluateEvery = 10, CheckpointEvery = 10, Seed = 3 };
    private static readonly TextWindow Window = new(4, 8);

    [Fact]
    public void It_learns_which_way_the_numbers_go_from_windows()
    {
        using var folder = new TemporaryFolder();
        using var classifier = Classifier();
        var before = ClassifierTraining.Evaluate(classifier, Texts(200, 2), Window);
        Assert.Equal(Math.Log(2), before["loss"], 0.1);
        var result = ClassifierTraining.Run(classifier, Texts(800, 1), Texts(200, 2), Window, Settings, folder.Path);
        Assert.InRange(result.BestHeldOut["accuracy"], 0.97, 1);
        Assert.InRange(result.BestHeldOut["calibration_error"], 0, 0.05);
        using var best = SequenceClassifierFolder.Load(folder.Path);
        Assert.Equal(["down", "up"], best.Labels);
        Assert.Equal(result.BestHeldOut["loss"], ClassifierTraining.Evaluate(best, Texts(200, 2), Window, seed: Settings.Seed)["loss"], 1e-6);
    }

    [Fact]
    public void A_training_that_was_stopped_and_resumed_gives_the_same_weights_bit_for_bit()
    {
        using var throughFolder = new TemporaryFolder();
        using var stoppedFolder = new TemporaryFolder();
        using var through = Classifier();
        using var stopped = Classifier();
        using var other = Classifier(seed: 9);
        ClassifierTraining.Run(through, Texts(200, 1), Texts(50, 2), Window, Settings, throughFolder.Path);
        using var stop = new CancellationTokenSource();
        var log = new Told(record => { if (record.Step == 17) stop.Cancel(); });
        Assert.Throws<OperationCanceledException>(() =>
            ClassifierTraining.Run(stopped, Texts(200, 1), Texts(50, 2), Window, Settings, stoppedFolder.Path, log: log, cancellation: stop.Token));
        ClassifierTraining.Run(other, Texts(200, 1), Texts(50, 2), Window, Settings, stoppedFolder.Path, resume: true);
        Assert.Equal(TinyModels.Weights(through.Module), TinyModels.Weights(other.Module));
    }

    [Fact]
    public void Special_tokens_stand_around_each_part_that_is_read()
    {
        using var folder = new TemporaryFolder();
        using var classifier = new Recording(Classifier());
        var tokenizer = TokenizerFolder.Load(Path.Combine(AppContext.BaseDirectory, "fixtures", "tokenizers", "t5"));
        int end = Assert.Single(tokenizer.AddSpecialTokens([]));
        LabelledText[] texts = [.. Texts(40, 1).Select(text => text with { Tokens = [.. text.Tokens.Select(token => token % 8 + 2)] })];
        ClassifierTraining.Run(classifier, texts, texts, Window, Settings with { Epochs = 1 }, folder.Path, tokenizer);
        Assert.NotEmpty(classifier.Read);
        Assert.All(classifier.Read, row =>
        {
            Assert.Equal(end, row[^1]);
            Assert.InRange(row.Length, 4 + 1, 8 + 1);
            Assert.DoesNotContain(end, row[..^1]);
        });
        Assert.Contains("it needs 1 to 31", Assert.Throws<InputException>(() => ClassifierTraining.Run(classifier, texts, texts, new(4, 32), Settings, folder.Path, tokenizer)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Labels_and_windows_that_cannot_be_are_refused()
    {
        using var folder = new TemporaryFolder();
        using var classifier = Classifier();
        Assert.Contains("has the label 2", Refused([new([1], 2)], Window), StringComparison.Ordinal);
        Assert.Contains("holds no token", Refused([new([], 1)], Window), StringComparison.Ordinal);
        Assert.Contains("window of 4 to 33", Refused([new([1], 1)], new(4, 33)), StringComparison.Ordinal);

        string Refused(LabelledText[] texts, TextWindow window) =>
            Assert.Throws<InputException>(() => ClassifierTraining.Run(classifier, texts, texts, window, Settings, folder.Path)).Message;
    }

    private static ISequenceClassifier Classifier(ulong seed = 1)
    {
        using var model = TinyModels.LanguageModel(seed);
        return SequenceClassifierFolder.FromLanguageModel(model, ["down", "up"], padId: null, seed);
    }

    /// <summary>Keeps what the classifier was given.</summary>
    private sealed class Recording(ISequenceClassifier inner) : ISequenceClassifier
    {
        public List<int[]> Read { get; } = [];

        public IReadOnlyList<string> Labels => inner.Labels;

        public int ContextLength => inner.ContextLength;

        public nn.Module Module => inner.Module;

        public JsonObject Configuration => inner.Configuration;

        public Tensor Logits(IReadOnlyList<int[]> rows, IReadOnlyList<int[]>? segments = null)
        {
            Read.AddRange(rows);
            return inner.Logits(rows, segments);
        }

        public void Initialise(ulong seed) => inner.Initialise(seed);

        public void Dispose() => inner.Dispose();
    }

    /// <summary>Runs of numbers that go up (label 1) or down (label 0) by one, modulo 10.</summary>
    private static LabelledText[] Texts(int count, ulong seed)
    {
        var random = new RandomStream(seed);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            var first = random.NextInt32(10);
            var up = random.NextInt32(2);
            return new LabelledText([.. Enumerable.Range(0, 12).Select(t => (first + (up == 1 ? t : 120 - t)) % 10)], up);
        })];
    }
}
