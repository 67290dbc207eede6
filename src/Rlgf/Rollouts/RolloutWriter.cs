using Rlgf.Base;
using Rlgf.Distributed;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Tokenizers;

namespace Rlgf.Rollouts;

/// <summary>What a roll-in left: where the roll-out starts.</summary>
/// <param name="Tokens">The r ids that are kept.</param>
/// <param name="Ended">Whether the response ended within them.</param>
/// <param name="LogProbs">[r]: log π_θ under the distribution that was sampled; NaN where the guide wrote.</param>
/// <param name="Choices">[r]: the tokens that could be drawn; all where the guide wrote.</param>
/// <param name="WholeGuideResponse">The guide's response before it was cut to r tokens, where the guide rolled in; null otherwise.</param>
/// <param name="Declined">Whether the guide was asked and left the row to the policy.</param>
public sealed record RollInResult(int[] Tokens, bool Ended, float[] LogProbs, TokenSet[] Choices, Written? WholeGuideResponse, bool Declined = false)
{
    /// <summary>No roll-in: r = 0.</summary>
    public static RollInResult None { get; } = new([], false, [], [], null);
}

/// <summary>Response tokens as somebody wrote them.</summary>
/// <param name="Tokens">Ids of the policy's tokenizer, end token included where it ended.</param>
/// <param name="Ended">Whether the response ended by itself.</param>
public sealed record Written(int[] Tokens, bool Ended)
{
    /// <summary>Which of several guides wrote it; null where there is one, or the policy did.</summary>
    public string? By { get; init; }
}

/// <summary>Lets policy and guide write responses, each row as its plan says.</summary>
/// <param name="writer">Writes for π_θ.</param>
/// <param name="shape">π_θ's sizes.</param>
/// <param name="tokenizer">The policy's tokenizer.</param>
/// <param name="guide">π_g; null where no plan needs one.</param>
/// <param name="sampling">How the policy samples; <see cref="SamplingSettings.MaxNewTokens"/> is H, the response limit, and the minimum counts the whole response.</param>
/// <param name="seed">The run's seed. Draws depend on it, on the iteration and on the row's number, on nothing else.</param>
/// <param name="ranks">Those that write together, each the rows of its groups; null for this process alone.</param>
public sealed class RolloutWriter(ITextWriter writer, LanguageModelShape shape, ITokenizer tokenizer, IGuide? guide, SamplingSettings sampling, ulong seed, ICommunicator? ranks = null)
{
    /// <summary>What a row's random numbers are for; part of their stream.</summary>
    private enum Draw : ulong { RollInCoin = 1, RollInLength, RollInText, RollOutText }

    private readonly int _limit = sampling.MaxNewTokens;
    private readonly ICommunicator _ranks = ranks ?? OneProcess.Alone;

    /// <summary>Asks the guide for the roll-ins of rows on another thread, and doesn't wait. What comes back is for the roll-ins of the same rows.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="iteration">From 0.</param>
    /// <param name="cancellationToken">Passed on to the guide.</param>
    /// <returns>What was asked; null where the guide has nothing to write.</returns>
    internal GuideQuestion? AskAhead(IReadOnlyList<PlannedRow> rows, int iteration, CancellationToken cancellationToken)
    {
        // A guide that works elsewhere is asked by the first rank, for all.
        if (_ranks.Rank != 0) return null;
        var requests = RollInRequests(rows, WithRollIn(rows, Actor.Guide, iteration), iteration);
        return requests.Length == 0 ? null : new(token => CheckedContinuations.OfAsync(guide!, requests, shape.Vocabulary, token), cancellationToken);
    }

    /// <summary>Step 3: with probability β a row gets the first r tokens of what the roll-in actor writes.</summary>
    /// <param name="rows">B rows.</param>
    /// <param name="iteration">From 0.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    /// <returns>B results, in the order of the rows.</returns>
    public RollInResult[] RollIn(IReadOnlyList<PlannedRow> rows, int iteration, CancellationToken cancellationToken) => RollIn(rows, iteration, null, cancellationToken);

    /// <summary>The same, with what the guide was asked ahead for these rows; null where it is asked now.</summary>
    internal RollInResult[] RollIn(IReadOnlyList<PlannedRow> rows, int iteration, GuideQuestion? asked, CancellationToken cancellationToken)
    {
        var results = new RollInResult[rows.Count];
        Array.Fill(results, RollInResult.None);
        var byGuide = WithRollIn(rows, Actor.Guide, iteration);
        // Whole responses, also where only r tokens are kept: a guide counts tokens its own way, and what it would have reached measures the gap.
        var texts = Answers(RollInRequests(rows, byGuide, iteration), [.. Texts(rows, byGuide).Select(row => rows[row].Group)], asked, cancellationToken);
        var places = Texts(rows, byGuide).Select((row, place) => (rows[row].RollInNumber, place)).ToDictionary();
        foreach (var row in byGuide)
        {
            results[row] = texts[places[rows[row].RollInNumber]] is { } text
                ? GuideRollIn(text, rows[row].Plan, Uniform(Draw.RollInLength, iteration, rows[row]))
                : RollInResult.None with { Declined = true };
        }

        var byPolicy = WithRollIn(rows, Actor.Policy, iteration);
        var draws = Array.ConvertAll(byPolicy, row => Uniform(Draw.RollInLength, iteration, rows[row]));
        var written = CheckedRows.Of(writer, [.. byPolicy.Select((row, i) =>
        {
            var needed = RollInLengthDraw.TokensNeeded(rows[row].Plan.Lengths, draws[i], _limit);
            return new GenerationRequest(new TokenRow(rows[row].Prompt.Tokens, []), Stream(Draw.RollInText, iteration, rows[row]), needed, IsPart: needed < _limit);
        })], sampling, seed, _ranks, Array.ConvertAll(byPolicy, row => rows[row].Group), cancellationToken);
        for (var i = 0; i < byPolicy.Length; i++)
        {
            var (row, plan) = (written[i], rows[byPolicy[i]].Plan);
            var r = RollInLengthDraw.Length(plan.Lengths, draws[i], _limit, row.Tokens.Length);
            if (plan.RollOut == Actor.Guide && !(row.Ended && r == row.Tokens.Length)) r = Boundary(row.Tokens, r);
            results[byPolicy[i]] = new(row.Tokens[..r], row.Ended && r == row.Tokens.Length, row.SampledLogProbs[..r], [.. row.Choices.Take(r)], null);
        }
        return results;
    }

    /// <summary>Step 4: the roll-out actor goes on from s_r to the end. Rows that are finished already stay as they are, and what the guide leaves unanswered the policy finishes.</summary>
    /// <param name="rows">B rows.</param>
    /// <param name="rollIns">B roll-ins of the same rows.</param>
    /// <param name="iteration">From 0.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    /// <returns>B finished rows, in the order of the rows.</returns>
    public Rollout[] RollOut(IReadOnlyList<PlannedRow> rows, IReadOnlyList<RollInResult> rollIns, int iteration, CancellationToken cancellationToken)
    {
        var open = Enumerable.Range(0, rows.Count).Where(row => !rollIns[row].Ended && rollIns[row].Tokens.Length < _limit).ToArray();
        var written = new Part[rows.Count];
        Array.Fill(written, new Part([], false, [], []));
        var declined = rollIns.Select(rollIn => rollIn.Declined).ToArray();

        var byGuide = open.Where(row => rows[row].Plan.RollOut == Actor.Guide && !declined[row]).ToArray();
        var texts = Answers(Array.ConvertAll(byGuide, row => Request(rows[row], rollIns[row].Tokens, Draw.RollOutText, iteration)), Array.ConvertAll(byGuide, row => rows[row].Group), null, cancellationToken);
        for (var i = 0; i < byGuide.Length; i++)
        {
            if (texts[i] is { } text) written[byGuide[i]] = new(text.Tokens, text.Ended, Unknown(text.Tokens.Length), Anything(text.Tokens.Length), text.By);
            else declined[byGuide[i]] = true;
        }

        var byPolicy = open.Where(row => rows[row].Plan.RollOut == Actor.Policy || declined[row]).ToArray();
        var generated = CheckedRows.Of(writer, [.. byPolicy.Select(row => new GenerationRequest(
            new TokenRow(rows[row].Prompt.Tokens, rollIns[row].Tokens), Stream(Draw.RollOutText, iteration, rows[row]), _limit - rollIns[row].Tokens.Length))], sampling, seed, _ranks, Array.ConvertAll(byPolicy, row => rows[row].Group), cancellationToken);
        for (var i = 0; i < byPolicy.Length; i++) written[byPolicy[i]] = new(generated[i].Tokens, generated[i].Ended, generated[i].SampledLogProbs, [.. generated[i].Choices]);

        return [.. rows.Select((row, i) => Finished(row, rollIns[i], written[i], declined[i]))];
    }

    private Rollout Finished(PlannedRow row, RollInResult rollIn, Part rollOut, bool declined)
    {
        int[] tokens = [.. rollIn.Tokens, .. rollOut.Tokens];
        var ended = rollIn.Ended || rollOut.Ended;
        return new Rollout
        {
            Prompt = row.Prompt,
            Tokens = tokens,
            Text = TextOf(tokens, ended),
            RollInLength = declined ? 0 : rollIn.Tokens.Length,
            Plan = declined ? row.Plan.ByPolicyAlone() : row.Plan,
            Group = row.Group,
            Ended = ended,
            LogProbs = [.. rollIn.LogProbs, .. rollOut.LogProbs],
            Choices = [.. rollIn.Choices, .. rollOut.Choices],
            StandsAlone = shape.ReadsPromptApart,
            WholeGuideResponse = rollIn.WholeGuideResponse,
            GuideDeclined = declined,
            GuidedBy = rollIn.WholeGuideResponse?.By ?? rollOut.By,
        };
    }

    private RollInResult GuideRollIn(Written text, RolloutPlan plan, double draw)
    {
        var r = plan.CutsByShare
            ? RollInLengthDraw.OfShare(plan.Share, text.Tokens.Length - (text.Ended ? 1 : 0))
            : plan.Lengths == RollInLengths.Whole ? text.Tokens.Length : RollInLengthDraw.Length(plan.Lengths, draw, _limit, text.Tokens.Length);
        if (r < text.Tokens.Length) r = Boundary(text.Tokens, r);
        return new(text.Tokens[..r], text.Ended && r == text.Tokens.Length, Unknown(r), Anything(r), text);
    }

    /// <summary>Places of the rows that have a roll-in by an actor.</summary>
    private int[] WithRollIn(IReadOnlyList<PlannedRow> rows, Actor actor, int iteration) =>
        [.. Enumerable.Range(0, rows.Count).Where(row => rows[row].Plan is var plan && plan.RollIn == actor && !(plan.CutsByShare && plan.Share == 0)
            && Uniform(Draw.RollInCoin, iteration, rows[row]) < plan.RollInProbability)];

    /// <summary>Of rows that the guide begins, those that it is asked for: one for all that have the same text of it.</summary>
    private static IEnumerable<int> Texts(IReadOnlyList<PlannedRow> rows, int[] byGuide) => byGuide.DistinctBy(row => rows[row].RollInNumber);

    private GuideRequest[] RollInRequests(IReadOnlyList<PlannedRow> rows, int[] byGuide, int iteration) =>
        [.. Texts(rows, byGuide).Select(row => Request(rows[row], [], Draw.RollInText, iteration))];

    /// <summary>The text of response tokens, without the end token.</summary>
    public string TextOf(ReadOnlySpan<int> tokens, bool ended) => ResponseText.Decode(tokenizer, shape, ended ? tokens[..^1] : tokens);

    /// <summary>What the guide answers, in the policy's tokens and within the response limit; null for what it left unanswered.</summary>
    private Written?[] Answers(GuideRequest[] requests, int[] groups, GuideQuestion? asked, CancellationToken cancellationToken)
    {
        if (requests.Length == 0) return [];
        // What works elsewhere, or counts what it gave, is one for all: one budget, one cache, one order of answers.
        var continuations = Guide is { IsRemote: true } or IStatefulGuide
            ? Dealt.ByFirst(_ranks, () => asked is not null ? asked.Answers() : CheckedContinuations.Of(Guide, requests, shape.Vocabulary, cancellationToken),
                (writer, answers) => RowBytes.WriteList(writer, answers, answer => RowBytes.Write(writer, answer)), reader => RowBytes.ReadList(reader, () => RowBytes.ReadAnswer(reader)))
            : Dealt.Of(_ranks, groups, rows => CheckedContinuations.Of(Guide, [.. rows.Select(row => requests[row])], shape.Vocabulary, cancellationToken), RowBytes.Write, RowBytes.ReadAnswer);
        return [.. continuations.Select((continuation, i) => continuation is null ? null : InPolicyTokens(continuation, requests[i]) with { By = continuation.By })];
    }

    private IGuide Guide => guide ?? throw new InvalidOperationException("The plan needs a guide and there is none.");

    private GuideRequest Request(PlannedRow row, int[] soFar, Draw draw, int iteration) => new()
    {
        Prompt = row.Prompt,
        ResponseSoFar = SoFar(row.Prompt, TextOf(soFar, ended: false)),
        ResponseTokens = soFar,
        MaxTokens = _limit - soFar.Length,
        Stream = RandomStream.Combine(seed, Stream(draw, iteration, row)),
    };

    /// <summary>
    /// A guide's text in the policy's tokens. The text is encoded by itself, so that no token before it changes, and cut where a character ends.
    /// </summary>
    private Written InPolicyTokens(GuideContinuation continuation, GuideRequest request)
    {
        var maxTokens = request.MaxTokens;
        if (continuation.Tokens is { } own) return own.Length <= maxTokens ? new(own, continuation.Ended) : new(own[..maxTokens], false);
        // A text of its own begins with its first word.
        var isFirst = request.ResponseTokens.Length == 0;
        var text = isFirst && StandsAlone(request.Prompt) ? continuation.Text.TrimStart() : continuation.Text;
        var (tokens, isWhole) = TokenJoin.Continue(tokenizer, text, maxTokens, startsText: isFirst && shape.ReadsPromptApart);
        var ends = continuation.Ended && isWhole && tokens.Length < maxTokens && sampling.EndTokens.Count > 0;
        return ends ? new([.. tokens, sampling.EndTokens[0]], true) : new(tokens, false);
    }

    /// <summary>A response as text that goes on from its prompt, whatever the policy's own is.</summary>
    private string SoFar(Prompt prompt, string response) => ResponseText.Separator(prompt.Text, response, StandsAlone(prompt)) + response;

    private bool StandsAlone(Prompt prompt) => shape.ReadsPromptApart || prompt.Messages is not null;

    /// <summary>The largest length up to <paramref name="length"/> at which no character is cut: a text-level guide can't go on from half a character.</summary>
    private int Boundary(int[] tokens, int length) => guide is { UsesPolicyTokens: true } ? length : TokenJoin.KeepAtMost(tokenizer, tokens, length);

    private double Uniform(Draw draw, int iteration, PlannedRow row) => RandomStream.Uniform(seed, Stream(draw, iteration, row), 0);

    private static ulong Stream(Draw draw, int iteration, PlannedRow row) => RandomStream.Combine(
        (ulong)draw, (ulong)iteration, (ulong)(draw == Draw.RollOutText || (draw == Draw.RollInText && row.Plan.RollIn == Actor.Policy) ? row.Number : row.RollInNumber));

    private static TokenSet[] Anything(int count)
    {
        var sets = new TokenSet[count];
        Array.Fill(sets, TokenSet.All);
        return sets;
    }

    private static float[] Unknown(int count)
    {
        var values = new float[count];
        Array.Fill(values, float.NaN);
        return values;
    }

    /// <summary>What was written of a row.</summary>
    private readonly record struct Part(int[] Tokens, bool Ended, float[] LogProbs, TokenSet[] Choices, string? By = null);
}
