using Rlgf.Base;
using Rlgf.Distributed;
using Rlgf.Models;
using Rlgf.Models.Tensors;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>The next-token loss on rows that each optimiser step draws: coefficient · Σ w · (−log π_θ) / Σ tokens, π_θ being the model itself, at temperature 1 and over the whole vocabulary.</summary>
/// <param name="setup">The run.</param>
/// <param name="coefficient">The weight in this iteration.</param>
/// <param name="rows">How many rows there are to draw from.</param>
/// <param name="row">The row at a place; the random number chooses where a place has several.</param>
/// <param name="iteration">From 0. Draws depend on it and on the step alone, so that a run that goes on draws the same rows.</param>
internal sealed class SupervisedLoss(TrainingSetup setup, double coefficient, int rows, Func<int, double, TokenRow> row, int iteration) : IAuxiliaryLoss
{
    private const ulong Draws = 0x73757065; // "supe"

    private readonly SupervisedLossSettings _settings = setup.Supervised!;

    /// <summary>The loss of an iteration; null where it has no weight, or nobody wrote anything to learn.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="texts">The data's texts; null where the guide's answers are learned.</param>
    /// <param name="rollouts">The iteration's rows.</param>
    /// <param name="iteration">From 0.</param>
    public static SupervisedLoss? Of(TrainingSetup setup, SupervisedTexts? texts, IReadOnlyList<Rollout> rollouts, int iteration)
    {
        if (setup.Supervised?.CoefficientAt(iteration, setup.Iterations) is not (> 0 and var coefficient)) return null;
        if (texts is not null) return new(setup, coefficient, texts.Count, texts.Row, iteration);
        TokenRow[] answers = [.. from rollout in rollouts where rollout.WholeGuideResponse is not null select new TokenRow(rollout.Prompt.Tokens, rollout.WholeGuideResponse!.Tokens)];
        return answers.Length == 0 ? null : new(setup, coefficient, answers.Length, (place, _) => answers[place], iteration);
    }

    /// <inheritdoc/>
    public string Name => "supervised";

    /// <inheritdoc/>
    public bool IsDealt => true;

    /// <inheritdoc/>
    public Tensor? Accumulate(int step)
    {
        var random = new RandomStream(setup.Seed, RandomStream.Combine(Draws, (ulong)iteration, (ulong)step));
        var places = Enumerable.Range(0, rows).ToArray();
        random.Shuffle<int>(places);
        TokenRow[] drawn = [.. places.Take(_settings.RowsPerStep).Select(place => row(place, random.NextDouble())).Where(one => one.Response.Length > 0)];
        var tokens = drawn.Sum(one => (long)one.Response.Length);
        Tensor? loss = null;
        foreach (var part in setup.Update.InMicroBatches(Dealt.Places(setup.Ranks, [.. Enumerable.Range(0, drawn.Length)]).Select(place => drawn[place]).ToArray(), one => one.Prompt.Length + one.Response.Length))
        {
            var more = Accumulate(part, tokens);
            loss = loss is null ? more : loss.Add(more);
        }
        return loss;
    }

    private Tensor Accumulate(TokenRow[] part, long tokens)
    {
        using var scope = NewDisposeScope();
        // Beyond a row's length log-probabilities are 0.
        var mean = (-Weighted(TokenLogProbs.OfRows(setup.Policy, part, setup.Update.PositionsPerPart))).sum().Divide(tokens);
        using var weighted = mean.Multiply(coefficient);
        weighted.Backward();
        // In 64 bits, as parts are summed.
        return mean.detach().to(ScalarType.Float64).MoveToOuterDisposeScope();
    }

    private Tensor Weighted(Tensor logProbs)
    {
        if (_settings.TokenWeight == SupervisedTokenWeight.One) return logProbs;
        var p = logProbs.detach().exp();
        return _settings.TokenWeight switch
        {
            SupervisedTokenWeight.Probability => logProbs * p,
            SupervisedTokenWeight.Phi => logProbs * p * (-p).Add(1),
            _ => throw new InputException($"the token weight {_settings.TokenWeight} is unknown: use {string.Join(", ", Enum.GetNames<SupervisedTokenWeight>())}."),
        };
    }
}

/// <summary>The texts that a supervised loss on the data teaches: of each training prompt that has any.</summary>
/// <param name="setup">The run.</param>
internal sealed class SupervisedTexts(TrainingSetup setup)
{
    private readonly TokenRow[][] _rows =
        [.. from prompt in setup.Prompts let texts = TextsOf(prompt, setup.Supervised!) where texts.Count > 0 select texts.Select(text => Encoded(setup, prompt, text)).ToArray()];

    /// <summary>Prompts that have a text.</summary>
    public int Count => _rows.Length;

    /// <summary>A prompt with one of its texts.</summary>
    /// <param name="place">Of the prompt.</param>
    /// <param name="draw">In [0, 1): which of its texts.</param>
    public TokenRow Row(int place, double draw) => _rows[place][(int)(draw * _rows[place].Length)];

    /// <summary>The texts of a prompt; none where its data has none.</summary>
    public static IReadOnlyList<string> TextsOf(Prompt prompt, SupervisedLossSettings settings) =>
        settings.Column is null ? prompt.References : RowTexts.OrNone(prompt, settings.Column, "'supervised'");

    /// <summary>A text as a whole response, end token included. It may be longer than responses of training: cut off, it would teach to open and not to end.</summary>
    /// <exception cref="InputException">The model has no room for it; names the prompt.</exception>
    internal static TokenRow Encoded(TrainingSetup setup, Prompt prompt, string text)
    {
        var shape = setup.Policy.Shape;
        // A text of its own begins with its first word.
        var ids = ResponseText.Encode(setup.Tokenizer, shape, shape.ReadsPromptApart || prompt.Messages is not null ? text.TrimStart() : text);
        int[] response = [.. ids, .. setup.Sampling.EndTokens.Take(1)];
        return response.Length <= shape.Room(prompt.Tokens.Length) ? new(prompt.Tokens, response) : throw new InputException(
            $"{OwnCode.Place(prompt)}: the prompt has {prompt.Tokens.Length} tokens and its text for the supervised loss {response.Length}: more than {shape.Limits}; shorten it, or leave it out by data.filter");
    }
}
