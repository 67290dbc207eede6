using Rlgf.Base;
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
public sealed record RollInResult(int[] Tokens, bool Ended, float[] LogProbs, TokenSet[] Choices, Written? WholeGuideResponse)
{
    /// <summary>No roll-in: r = 0.</summary>
    public static RollInResult None { get; } = new([], false, [], [], null);
}

/// <summary>Response tokens as somebody wrote them.</summary>
/// <param name="Tokens">Ids of the policy's tokenizer, end token included where it ended.</param>
/// <param name="Ended">Whether the response ended by itself.</param>
public sealed record Written(int[] Tokens, bool Ended);

/// <summary>Lets policy and guide write responses, as a plan says.</summary>
/// <param name="policy">π_θ.</param>
/// <param name="tokenizer">The policy's tokenizer.</param>
/// <param name="guide">π_g; null where no plan needs one.</param>
/// <param name="sampling">How the policy samples; <see cref="SamplingSettings.MaxNewTokens"/> is H, the response limit, and the minimum counts the whole response.</param>
/// <param name="seed">The run's seed. Draws depend on it, on the iteration and on the row, on nothing else.</param>
public sealed class RolloutWriter(ILanguageModel policy, ITokenizer tokenizer, IGuide? guide, SamplingSettings sampling, ulong seed)
{
    /// <summary>What a row's random numbers are for; part of their stream.</summary>
    private enum Draw : ulong { RollInCoin = 1, RollInLength, RollInText, RollOutText }

    private readonly int _limit = sampling.MaxNewTokens;

    /// <summary>Step 3: with probability β a row gets the first r tokens of what the roll-in actor writes.</summary>
    /// <param name="plan">The iteration's plan.</param>
    /// <param name="prompts">B prompts.</param>
    /// <param name="iteration">From 0.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    /// <returns>B results, in the order of the prompts.</returns>
    public RollInResult[] RollIn(RolloutPlan plan, IReadOnlyList<Prompt> prompts, int iteration, CancellationToken cancellationToken)
    {
        var results = new RollInResult[prompts.Count];
        Array.Fill(results, RollInResult.None);
        var rows = Enumerable.Range(0, prompts.Count).Where(row => Uniform(Draw.RollInCoin, iteration, row) < plan.RollInProbability).ToArray();
        if (rows.Length == 0) return results;

        var lengthDraws = Array.ConvertAll(rows, row => Uniform(Draw.RollInLength, iteration, row));
        var starts = Array.ConvertAll(rows, row => (Prompt: prompts[row], Row: new TokenRow(prompts[row].Tokens, []), Stream: Stream(Draw.RollInText, iteration, row)));
        if (plan.RollIn == Actor.Guide)
        {
            // Whole responses, also where only r tokens are kept: a guide counts tokens its own way, and what it would have reached measures the gap.
            var texts = AskGuide([.. starts], cancellationToken);
            for (var i = 0; i < rows.Length; i++)
            {
                var r = RollInLengthDraw.Length(plan.Lengths, lengthDraws[i], _limit, texts[i].Tokens.Length);
                if (r < texts[i].Tokens.Length) r = Boundary(texts[i].Tokens, r);
                results[rows[i]] = new(texts[i].Tokens[..r], texts[i].Ended && r == texts[i].Tokens.Length, Unknown(r), Anything(r), texts[i]);
            }
            return results;
        }

        var requests = rows.Select((_, i) =>
        {
            var needed = RollInLengthDraw.TokensNeeded(plan.Lengths, lengthDraws[i], _limit);
            return new GenerationRequest(starts[i].Row, starts[i].Stream, needed, IsPart: needed < _limit);
        });
        var written = TextGenerator.Generate(policy, [.. requests], sampling, seed, cancellationToken);
        for (var i = 0; i < rows.Length; i++)
        {
            var row = written[i];
            var r = RollInLengthDraw.Length(plan.Lengths, lengthDraws[i], _limit, row.Tokens.Length);
            if (plan.RollOut == Actor.Guide && !(row.Ended && r == row.Tokens.Length)) r = Boundary(row.Tokens, r);
            results[rows[i]] = new(row.Tokens[..r], row.Ended && r == row.Tokens.Length, row.SampledLogProbs[..r], [.. row.Choices.Take(r)], null);
        }
        return results;
    }

    /// <summary>Step 4: the roll-out actor goes on from s_r to the end. Rows that are finished already stay as they are.</summary>
    /// <param name="plan">The iteration's plan.</param>
    /// <param name="prompts">B prompts.</param>
    /// <param name="rollIns">B roll-ins of the same prompts.</param>
    /// <param name="iteration">From 0.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    /// <returns>B finished rows, in the order of the prompts.</returns>
    public Rollout[] RollOut(RolloutPlan plan, IReadOnlyList<Prompt> prompts, IReadOnlyList<RollInResult> rollIns, int iteration, CancellationToken cancellationToken)
    {
        var open = Enumerable.Range(0, prompts.Count).Where(row => !rollIns[row].Ended && rollIns[row].Tokens.Length < _limit).ToArray();
        var starts = Array.ConvertAll(open, row => (Prompt: prompts[row], Row: new TokenRow(prompts[row].Tokens, rollIns[row].Tokens), Stream: Stream(Draw.RollOutText, iteration, row)));
        var written = new (int[] Tokens, bool Ended, float[] LogProbs, TokenSet[] Choices)[prompts.Count];
        Array.Fill(written, ([], false, [], []));
        if (plan.RollOut == Actor.Guide)
        {
            var texts = AskGuide([.. starts], cancellationToken);
            for (var i = 0; i < open.Length; i++) written[open[i]] = (texts[i].Tokens, texts[i].Ended, Unknown(texts[i].Tokens.Length), Anything(texts[i].Tokens.Length));
        }
        else
        {
            var requests = starts.Select(start => new GenerationRequest(start.Row, start.Stream, _limit - start.Row.Response.Length));
            var rows = TextGenerator.Generate(policy, [.. requests], sampling, seed, cancellationToken);
            for (var i = 0; i < open.Length; i++) written[open[i]] = (rows[i].Tokens, rows[i].Ended, rows[i].SampledLogProbs, [.. rows[i].Choices]);
        }

        return [.. prompts.Select((prompt, row) =>
        {
            var (rollIn, rollOut) = (rollIns[row], written[row]);
            int[] tokens = [.. rollIn.Tokens, .. rollOut.Tokens];
            return new Rollout
            {
                Prompt = prompt,
                Tokens = tokens,
                Text = TextOf(tokens, rollIn.Ended || rollOut.Ended),
                RollInLength = rollIn.Tokens.Length,
                RollIn = plan.RollIn,
                RollOut = plan.RollOut,
                Ended = rollIn.Ended || rollOut.Ended,
                LogProbs = [.. rollIn.LogProbs, .. rollOut.LogProbs],
                Choices = [.. rollIn.Choices, .. rollOut.Choices],
                StandsAlone = policy.Shape.ReadsPromptApart,
            };
        })];
    }

    /// <summary>The text of response tokens, without the end token.</summary>
    public string TextOf(ReadOnlySpan<int> tokens, bool ended) => ResponseText.Decode(tokenizer, policy.Shape, ended ? tokens[..^1] : tokens);

    /// <summary>Asks the guide and brings what it wrote into the policy's tokens, within the response limit.</summary>
    private Written[] AskGuide((Prompt Prompt, TokenRow Row, ulong Stream)[] starts, CancellationToken cancellationToken)
    {
        if (guide is null) throw new InvalidOperationException("The plan needs a guide and there is none.");
        if (starts.Length == 0) return [];
        var requests = Array.ConvertAll(starts, start => new GuideRequest
        {
            Prompt = start.Prompt,
            ResponseSoFar = SoFar(start.Prompt.Text, TextOf(start.Row.Response, ended: false)),
            ResponseTokens = start.Row.Response,
            MaxTokens = _limit - start.Row.Response.Length,
            Stream = RandomStream.Combine(seed, start.Stream),
        });
        var continuations = CheckedContinuations.Of(guide, requests, policy.Shape.Vocabulary, cancellationToken);
        return [.. continuations.Select((continuation, i) => InPolicyTokens(continuation, requests[i]))];
    }

    /// <summary>
    /// A guide's text in the policy's tokens. The text is encoded by itself, so that no token before it changes, and cut where a character ends.
    /// </summary>
    private Written InPolicyTokens(GuideContinuation continuation, GuideRequest request)
    {
        var maxTokens = request.MaxTokens;
        if (continuation.Tokens is { } own) return own.Length <= maxTokens ? new(own, continuation.Ended) : new(own[..maxTokens], false);
        // A text of its own begins with its first word.
        var startsText = policy.Shape.ReadsPromptApart && request.ResponseTokens.Length == 0;
        var (tokens, isWhole) = TokenJoin.Continue(tokenizer, startsText ? continuation.Text.TrimStart() : continuation.Text, maxTokens, startsText);
        var ends = continuation.Ended && isWhole && tokens.Length < maxTokens && sampling.EndTokens.Count > 0;
        return ends ? new([.. tokens, sampling.EndTokens[0]], true) : new(tokens, false);
    }

    /// <summary>A response as text that goes on from its prompt, whatever the policy's own is.</summary>
    private string SoFar(string prompt, string response) => ResponseText.Separator(prompt, response, policy.Shape.ReadsPromptApart) + response;

    /// <summary>The largest length up to <paramref name="length"/> at which no character is cut: a text-level guide can't go on from half a character.</summary>
    private int Boundary(int[] tokens, int length) => guide is { UsesPolicyTokens: true } ? length : TokenJoin.KeepAtMost(tokenizer, tokens, length);

    private double Uniform(Draw draw, int iteration, int row) => RandomStream.Uniform(seed, Stream(draw, iteration, row), 0);

    private static ulong Stream(Draw draw, int iteration, int row) => RandomStream.Combine((ulong)draw, (ulong)iteration, (ulong)row);

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
}
