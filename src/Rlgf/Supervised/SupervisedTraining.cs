using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Text.Conversations;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Supervised;

/// <summary>A row to learn, and which tokens of its response are learned.</summary>
/// <param name="Row">The row.</param>
/// <param name="IsTaught">For each token of the response whether the loss falls on it; null for all.</param>
internal readonly record struct TaughtRow(TokenRow Row, bool[]? IsTaught = null)
{
    /// <summary>Number of tokens that are learned.</summary>
    public int Count => IsTaught is { } taught ? taught.Count(one => one) : Row.Response.Length;

    /// <summary>Places of the tokens of the response that are learned.</summary>
    public IEnumerable<int> Places
    {
        get
        {
            var taught = IsTaught;
            return Enumerable.Range(0, Row.Response.Length).Where(t => taught?[t] != false);
        }
    }

    /// <summary>A row of a conversation: from its first learned token on it is the response, of which the rest is learned as the conversation says.</summary>
    /// <returns>Null where nothing is learned: the first token of all has nothing that it could be predicted from.</returns>
    public static TaughtRow? Of(TaughtConversation conversation)
    {
        var (first, last) = (Array.IndexOf(conversation.IsTaught, true, Math.Min(1, conversation.Ids.Length)), Array.LastIndexOf(conversation.IsTaught, true));
        return first < 0 ? null : new(new TokenRow(conversation.Ids[..first], conversation.Ids[first..(last + 1)]), conversation.IsTaught[first..(last + 1)]);
    }
}

/// <summary>Supervised training of a language model: the mean negative log-likelihood of response tokens.</summary>
public static class SupervisedTraining
{
    /// <summary>Joins texts into one stream, each followed by a separator, and cuts it into blocks of equal length; what doesn't fill the last block is left out.</summary>
    /// <param name="texts">Token ids of each text.</param>
    /// <param name="separator">Id between two texts, the EOS token.</param>
    /// <param name="blockLength">Tokens of a block, at least 2; all but its first are predicted.</param>
    /// <returns>Rows whose prompt is the block's first token and whose response is the rest.</returns>
    public static IReadOnlyList<TokenRow> Pack(IEnumerable<int[]> texts, int separator, int blockLength)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockLength, 2);
        var blocks = new List<TokenRow>();
        var block = new List<int>(blockLength);
        foreach (var text in texts)
        {
            foreach (var id in (IEnumerable<int>)[.. text, separator])
            {
                block.Add(id);
                if (block.Count < blockLength) continue;
                blocks.Add(new TokenRow([block[0]], [.. block.Skip(1)]));
                block.Clear();
            }
        }

        return blocks;
    }

    /// <summary>Trains a model. The folder then holds the one with the lowest held-out loss; the model itself ends with the weights of the last step.</summary>
    /// <param name="model">The model, trained in place.</param>
    /// <param name="training">Rows to learn, from <see cref="Pack"/> or prompts with their responses. The loss falls on response tokens only.</param>
    /// <param name="heldOut">Rows to evaluate on.</param>
    /// <param name="settings">How to train.</param>
    /// <param name="folder">Where the best model and the checkpoints go.</param>
    /// <param name="resume">Go on from the folder's newest checkpoint.</param>
    /// <param name="log">Told of steps and of what is measured; <see cref="RunLogs"/> are several; null for nobody.</param>
    /// <param name="cancellation">Stops after the step at hand and a checkpoint.</param>
    /// <exception cref="InputException">Impossible settings or data, a checkpoint that doesn't fit, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; a checkpoint was written.</exception>
    public static SupervisedResult Run(
        ILanguageModel model,
        IReadOnlyList<TokenRow> training,
        IReadOnlyList<TokenRow> heldOut,
        SupervisedSettings settings,
        string folder,
        bool resume = false,
        IRunLog? log = null,
        CancellationToken cancellation = default)
    {
        using var loop = Prepare(model, [.. training.Select(row => new TaughtRow(row))], [.. heldOut.Select(row => new TaughtRow(row))], settings, folder);
        return loop.Run(resume, log ?? RunLogs.None, cancellation);
    }

    /// <summary>A training that has not begun; as <see cref="Run"/>.</summary>
    internal static SupervisedLoop Prepare(ILanguageModel model, IReadOnlyList<TaughtRow> training, IReadOnlyList<TaughtRow> heldOut, SupervisedSettings settings, string folder)
    {
        if (heldOut.Count == 0) throw new InputException("there is no held-out example: the best model is chosen by the held-out loss.");
        if (settings.RecomputeActivations) model.RecomputesActivations = true;
        return new(new Task(model, training, heldOut, settings), settings, folder);
    }

    /// <summary>Mean negative log-likelihood of the response tokens of all rows, in nats a token.</summary>
    public static double MeanLoss(ILanguageModel model, IReadOnlyList<TokenRow> rows, int rowsPerBatch = 32, CancellationToken cancellation = default) =>
        MeanLoss(model, [.. rows.Select(row => new TaughtRow(row))], rowsPerBatch, cancellation);

    /// <summary>The same of the tokens that are learned.</summary>
    internal static double MeanLoss(ILanguageModel model, IReadOnlyList<TaughtRow> rows, int rowsPerBatch = 32, CancellationToken cancellation = default)
    {
        using var gradients = no_grad();
        double sum = 0;
        foreach (var batch in rows.OrderBy(row => row.Row.Prompt.Length + row.Row.Response.Length).Chunk(rowsPerBatch))
        {
            cancellation.ThrowIfCancellationRequested();
            using var loss = LossSum(model, batch, positionsPerPart: null);
            sum += loss.item<float>();
        }

        return sum / Math.Max(1, rows.Sum(row => (long)row.Count));
    }

    /// <summary>Sum over rows and learned tokens of −log π(token | what is before it): [] float32.</summary>
    private static Tensor LossSum(ILanguageModel model, TaughtRow[] rows, int? positionsPerPart)
    {
        using var scope = NewDisposeScope();
        var states = model.ResponseStates(Array.ConvertAll(rows, row => row.Row));
        long length = states.size(1);
        states = states.reshape(-1, states.size(2));
        if (rows.Any(row => row.Count < length))
        {
            // Logits are the dearest part of a small model: only where there is a token to predict.
            var places = rows.SelectMany((row, b) => row.Places.Select(t => b * length + t)).ToArray();
            states = states.index_select(0, tensor(places, device: states.device));
        }

        var targets = tensor(rows.SelectMany(row => row.Places.Select(t => (long)row.Row.Response[t])).ToArray(), device: states.device);
        var atOnce = LogitsInParts.PositionsAtOnce(targets.size(0), model.Shape.Vocabulary, positionsPerPart);
        // Where all are taken at once, their sum is one operation.
        if (atOnce >= targets.size(0)) return nn.functional.cross_entropy(model.Logits(states), targets, reduction: nn.Reduction.Sum).MoveToOuterDisposeScope();
        return (-LogitsInParts.OfWholeVocabulary(states, targets, atOnce, (_, hidden) => model.Logits(hidden)).sum()).MoveToOuterDisposeScope();
    }

    private sealed class Task(ILanguageModel model, IReadOnlyList<TaughtRow> training, IReadOnlyList<TaughtRow> heldOut, SupervisedSettings settings) : ISupervisedTask
    {
        public nn.Module Module => model.Module;

        public int Examples => training.Count;

        public int Length(int example) => training[example].Row.Prompt.Length + training[example].Row.Response.Length;

        public int Terms(int example) => training[example].Count;

        public Tensor LossSum(ReadOnlySpan<int> examples, StepBatch step)
        {
            var rows = new TaughtRow[examples.Length];
            for (var b = 0; b < rows.Length; b++) rows[b] = training[examples[b]];
            return SupervisedTraining.LossSum(model, rows, settings.PositionsPerPart);
        }

        public IReadOnlyDictionary<string, double> Evaluate()
        {
            var loss = MeanLoss(model, heldOut, settings.RowsPerMicroBatch > 0 ? settings.RowsPerMicroBatch : settings.RowsPerStep);
            return new Dictionary<string, double> { ["loss"] = loss, ["perplexity"] = Math.Exp(loss) };
        }

        public void Save(string folder) => LanguageModelFolder.Save(model, folder);

        public void Load(string folder) => LanguageModelFolder.LoadWeights(model, folder);
    }
}
