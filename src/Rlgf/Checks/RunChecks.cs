using System.Globalization;
using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Statistics;
using Rlgf.Text.Conversations;
using Rlgf.Tokenizers;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Checks;

/// <summary>
/// Looks at a run before it begins for what would not stop it but spoil it: mistakes that published code and configurations were found to have. Each function is one question;
/// it gives null where all is well.
/// </summary>
public static class RunChecks
{
    /// <summary>What tokens that are made for padding are called.</summary>
    private static readonly string[] PaddingTokens = ["<pad>", "[PAD]", "<|pad|>", "<PAD>", "<|padding|>", "<|finetune_right_pad_id|>"];

    /// <summary>All checks that need no generated text. What makes a run impossible comes first.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="judge">The score for evaluation that training must not see; null for none.</param>
    /// <param name="heldOut">The prompts that evaluations ask; null for none.</param>
    /// <param name="guideIsEvaluated">Whether the guide answers them too.</param>
    public static IReadOnlyList<Finding> Before(TrainingSetup setup, IReward? judge = null, IReadOnlyList<Prompt>? heldOut = null, bool guideIsEvaluated = false) =>
    [
        .. ((Finding?[])
        [
            Impossible(setup),
            At("guide", GuideIsPolicy(setup)),
            ReferenceIsPolicy(setup),
            At("kl.coefficient", NoKlPenalty(setup.Kl, setup.Algorithm)),
            At("kl.estimator", BiasedPenalty(setup.Kl)),
            At("update.critic_learning_rate", SettingsOfNoCritic(setup)),
            At("generation.max_new_tokens", NoRoomForRollIns(setup)),
            At("generation.end_tokens", NoEndToken(setup)),
            At("guide", GuideHasNoEnd(setup)),
            At("algorithm", PhaseThatNeverRuns(setup.Algorithm, setup.Iterations)),
            .. GuidanceChecks.Before(setup),
            At("algorithm.roll_in_probability", GapThatIsNeverMeasured(setup.Algorithm)),
            At("guide", GuideWritesLess(setup)),
            At("guide", setup.Phases.Any(phase => phase.NeedsGuide) ? setup.Guides.Select(guide => RowChecks.RowsThatTheGuideCanNotAnswer(setup.Prompts, guide)).FirstOrDefault(finding => finding is not null) : null),
            At("guide", guideIsEvaluated ? setup.Guides.Select(guide => RowChecks.RowsThatTheGuideCanNotAnswer(heldOut ?? [], guide, RowChecks.HeldOut)).FirstOrDefault(finding => finding is not null) : null),
            // Where no text can be read at all, that was said as what makes the run impossible.
            Impossible(setup) is null ? At("supervised", RowChecks.SupervisedTextsMissing(setup)) : null,
            .. RowsThatCanNotBeScored("reward", setup.Reward, setup.Prompts, heldOut ?? []),
            .. RowsThatCanNotBeScored("judge", judge, setup.Prompts, heldOut ?? []),
            At("model", PaddingIsEnd(setup)),
            At("data", TemplateInPrompt(setup)),
            At("judge", JudgeIsReward(setup.Reward, judge)),
        ]).OfType<Finding>(),
    ];

    /// <summary>Rows that a reward can't score, of both files; what stops the one to learn from may be the same in the other, which is then not looked at.</summary>
    /// <param name="key">The recipe's key of the reward.</param>
    /// <param name="reward">The reward; null for none.</param>
    /// <param name="prompts">Prompts to learn from.</param>
    /// <param name="heldOut">Prompts that evaluations ask.</param>
    public static IEnumerable<Finding> RowsThatCanNotBeScored(string key, IReward? reward, IReadOnlyList<Prompt> prompts, IReadOnlyList<Prompt> heldOut)
    {
        if (reward is null) yield break;
        var first = At(key, RowChecks.RowsThatCanNotBeScored(prompts, reward));
        if (first is not null) yield return first;
        if (first is not { Severity: Severity.Error } && At(key, RowChecks.RowsThatCanNotBeScored(heldOut, reward, RowChecks.HeldOut)) is { } held) yield return held;
    }

    /// <summary>What the run itself refuses to begin with, as a finding with its key.</summary>
    public static Finding? Impossible(TrainingSetup setup)
    {
        try
        {
            return TrainingChecks.Problems(setup).Select(found => At(found.Key, Error(found.Problem))).FirstOrDefault();
        }
        catch (InputException unread)
        {
            // Nothing but the column of the supervised loss is read there.
            return At("supervised.column", Error(unread.Message));
        }
    }

    /// <summary>A guide with the policy's weights changes with training, so that guided algorithms quietly become something else.</summary>
    public static Finding? GuideIsPolicy(TrainingSetup setup) => setup.Guides.OfType<LocalModelGuide>().FirstOrDefault(guide => guide.Model is ILanguageModel model && ShareWeights(model.Module, setup.Policy.Module)) is { } guide
        ? Error($"the guide '{guide.Name}' is the policy itself: it would change with every update; load it as a model of its own, even from the same folder")
        : null;

    /// <summary>A reference with the policy's weights makes every KL zero.</summary>
    public static Finding? ReferenceIsPolicy(TrainingSetup setup) => ShareWeights(setup.Reference.Module, setup.Policy.Module)
        ? Error("the reference is the policy itself: the KL to it is always 0; load it as a model of its own")
        : null;

    /// <summary>Settings under which the KL penalty does nothing. Of an algorithm that has none by itself that is no mistake.</summary>
    public static Finding? NoKlPenalty(KlSettings kl, AlgorithmSettings algorithm) => kl switch
    {
        { Coefficient: <= 0, Target: not null } => Error("the KL coefficient is adaptive and begins at 0, where it stays: it is only ever multiplied; begin above 0, such as 0.05"),
        { Coefficient: 0 } when algorithm.KlCoefficient == 0 => null,
        { Coefficient: 0 } => Warning("the KL coefficient is 0: nothing keeps the policy near its start, and rewards get exploited; 0.05 is usual"),
        { Coefficient: < 0 } => Error(Invariant($"the KL coefficient is {kl.Coefficient}: a negative one rewards drifting away; use one above 0")),
        { Placement: KlPlacement.Loss, Estimator: KlEstimator.K1 } =>
            Error("the KL is a term of the loss with the estimator k1, whose expected gradient is 0, so it does nothing; use k2 or k3, or put the KL into the reward"),
        _ => null,
    };

    /// <summary>A penalty in the reward whose expected gradient is not that of the KL.</summary>
    public static Finding? BiasedPenalty(KlSettings kl) => kl is { Placement: KlPlacement.Reward, Estimator: KlEstimator.K2 or KlEstimator.K3, Coefficient: > 0 }
        ? Warning($"the KL is in the reward by the estimator {kl.Estimator.ToString()!.ToLowerInvariant()}, of which the expected gradient is not that of the KL: it holds the policy back in another way than it says; use k1 there, or kl.placement: loss")
        : null;

    /// <summary>Settings of the critics' update where there is no critic.</summary>
    public static Finding? SettingsOfNoCritic(TrainingSetup setup) =>
        setup.Update.UnusedWithoutCritic(setup.Algorithm).FirstOrDefault() is { Key: { } key, Problem: { } problem } ? Warning($"{key}: {problem}") : null;

    /// <summary>Responses so short that there is never a roll-in, or always nothing after it.</summary>
    public static Finding? NoRoomForRollIns(TrainingSetup setup) => setup.Sampling.MaxNewTokens < 2 && setup.Phases.Any(phase => phase.RollInProbability > 0)
        ? Error($"responses of {setup.Sampling.MaxNewTokens} token have no room for a roll-in and a roll-out: one of the two losses falls on nothing; allow at least 2")
        : null;

    /// <summary>No token that ends a response, where responses may be of different lengths.</summary>
    public static Finding? NoEndToken(TrainingSetup setup)
    {
        var (most, least) = (setup.Sampling.MaxNewTokens, setup.Sampling.MinNewTokens);
        if (setup.Sampling.EndTokens.Count > 0 || least >= most) return null;
        const string Remedy = "name one as eos_token_id in the model's generation_config.json, or as generation.end_tokens in the recipe";
        if (RewardParts.Of(setup.Reward).Any(part => part is LengthReward))
            return Error($"no token ends a response: neither the model nor its tokenizer names one, so that all have {most} tokens and a reward of their length can change nothing; {Remedy}");
        return Warning($"no token ends a response: neither the model nor its tokenizer names one, so that every response is cut at max_new_tokens, {most}{(least > 0 ? $", and min_new_tokens {least} is without effect" : "")}; {Remedy}");
    }

    /// <summary>A guide that never ends a response, where the policy does.</summary>
    public static Finding? GuideHasNoEnd(TrainingSetup setup) =>
        setup.Guides.OfType<LocalModelGuide>().FirstOrDefault(guide => guide.Sampling is { EndTokens.Count: 0 } sampling && sampling.MinNewTokens < sampling.MaxNewTokens) is { } guide
        && setup.Sampling.EndTokens.Count > 0 && setup.Phases.Any(phase => phase.NeedsGuide)
            ? Warning($"no token ends what the guide '{guide.Name}' writes: neither it nor its tokenizer names one, so that its responses are cut at the limit; name one as eos_token_id in its generation_config.json, or as guide.sampling.end_tokens in the recipe")
            : null;

    /// <summary>A schedule that always chooses the same of its two phases.</summary>
    public static Finding? PhaseThatNeverRuns(AlgorithmSettings algorithm, int iterations) => algorithm.Schedule switch
    {
        PlanSchedule.Switch when algorithm.SwitchIteration >= iterations =>
            Warning($"'{algorithm.Name}' switches at iteration {algorithm.SwitchIteration} of {iterations}: its second phase never runs; switch earlier"),
        PlanSchedule.Switch when algorithm.SwitchIteration <= 0 => Warning($"'{algorithm.Name}' switches at iteration {algorithm.SwitchIteration}: its first phase never runs; switch later"),
        PlanSchedule.Coin when algorithm.FirstProbability is <= 0 or >= 1 =>
            Warning(Invariant($"'{algorithm.Name}' takes its first phase with probability {algorithm.FirstProbability}: only one of its phases ever runs; use one between 0 and 1")),
        _ => null,
    };

    /// <summary>A gap between guide and policy that needs responses which the policy writes alone, where there are none.</summary>
    public static Finding? GapThatIsNeverMeasured(AlgorithmSettings algorithm) => algorithm.ComparesAnswers && algorithm.Phases.All(phase => phase.RollInProbability >= 1)
        ? Error($"'{algorithm.Name}' compares guide and policy, but every response has a roll-in, so that the policy is never seen alone; use a roll-in probability below 1")
        : null;

    /// <summary>A guide that may write fewer tokens than the policy, so that its responses end where the policy's would go on.</summary>
    public static Finding? GuideWritesLess(TrainingSetup setup)
    {
        return setup.Phases.Any(phase => phase.NeedsGuide) ? setup.Guides.OfType<LocalModelGuide>().Select(guide => WritesLess(setup, guide)).FirstOrDefault(finding => finding is not null) : null;
    }

    private static Finding? WritesLess(TrainingSetup setup, LocalModelGuide guide)
    {
        var (most, least) = (setup.Sampling.MaxNewTokens, setup.Sampling.MinNewTokens);
        if (guide.Sampling.MaxNewTokens < most)
            return Error($"the guide '{guide.Name}' may write {guide.Sampling.MaxNewTokens} tokens and the policy {most}: the guide's responses would be cut short; let it write at least {most}");
        if (guide.Sampling.MinNewTokens < least)
            return Warning($"the guide '{guide.Name}' may end after {guide.Sampling.MinNewTokens} tokens and the policy after {least}: the two are compared on unlike responses; use the same minimum");
        // Whether they fit the guide's context is asked of every training (TrainingChecks).
        return null;
    }

    /// <summary>
    /// Prompts that hold template tokens and are put into a template: data that somebody rendered already would get two templates, one inside the other. It may also be that people write of such tokens.
    /// </summary>
    public static Finding? TemplateInPrompt(TrainingSetup setup)
    {
        var asked = setup.Guides.OfType<LocalModelGuide>().FirstOrDefault(guide => guide.IsAsked);
        foreach (var (who, tokenizer) in new[] { ("the policy", setup.Prompts.Any(prompt => prompt.Messages is not null) ? setup.Tokenizer : null), ($"the guide '{asked?.Name}'", asked?.Tokenizer) })
        {
            if (tokenizer is null) continue;
            var held = setup.Prompts.Select(prompt => (Prompt: prompt, Marker: FirstMarker(prompt, tokenizer))).Where(found => found.Marker is not null).ToArray();
            if (held.Length == 0) continue;
            return Warning($"{held.Length} of {setup.Prompts.Count} prompts hold tokens such as {held[0].Marker} in what somebody wrote{(held[0].Prompt.Row is { } row ? $", {row.Location} first" : "")}, and {who} is asked by a chat template: " +
                "a text that a template wrote already must not get another around it; give the messages themselves (data.messages_column) or leave chat out");
        }

        return null;
    }

    /// <summary>The first token's name in a prompt; null where it holds none.</summary>
    private static string? FirstMarker(Prompt prompt, ITokenizer tokenizer)
    {
        IEnumerable<(string Text, string Role)> texts = prompt.Messages is { } messages ? messages.Select(message => (message.Content, message.Role)) : [(prompt.Text, "user")];
        return texts.SelectMany(text => ConversationEncoder.Markers(tokenizer, text.Text, text.Role).Select(found => text.Text[found.Start..found.End])).FirstOrDefault();
    }

    /// <summary>
    /// One token for padding and for the end, though the vocabulary has one made for padding. Without such a token nothing can be done about a model that is as it was published, and nothing has to be: here
    /// lengths decide what is padding.
    /// </summary>
    public static Finding? PaddingIsEnd(TrainingSetup setup) =>
        setup.Tokenizer.PadId is { } pad && (pad == setup.Tokenizer.EosId || setup.Sampling.EndTokens.Contains(pad))
        && PaddingTokens.FirstOrDefault(token => setup.Tokenizer.IdOf(token) is { } id && id != pad && !setup.Sampling.EndTokens.Contains(id)) is { } unused
            ? Warning($"padding and end are one token ({setup.Tokenizer.TokenOf(pad) ?? Invariant($"{pad}")}), so that a tool that masks by id will not see where responses end, and the vocabulary has '{unused}': write it as pad_token into tokenizer_config.json")
            : null;

    /// <summary>A judge that is the reward, or has its weights, says nothing that the reward does not say.</summary>
    public static Finding? JudgeIsReward(IReward reward, IReward? judge)
    {
        if (judge is null) return null;
        return RewardParts.Of(reward).Any(part => RewardParts.Of(judge).Any(other => AreTheSame(part, other)))
            ? Error($"the judge '{judge.Name}' is the reward '{reward.Name}', which training sees: it can't show whether the reward was exploited; judge by a classifier trained on other data, or by none")
            : null;
    }

    /// <summary>
    /// A judge that says what the reward says though it is made of something else: a copy in numbers of another type, the same classifier read by another transform, other code that computes the same.
    /// </summary>
    /// <param name="rewards">Scores of a batch of responses by the starting policy.</param>
    /// <param name="judged">The judge's scores of the same responses.</param>
    public static Finding? JudgeSaysTheSame(IReadOnlyList<RewardScore> rewards, IReadOnlyList<RewardScore> judged)
    {
        double[] judge = [.. judged.Select(score => score.Return)];
        foreach (var (name, values) in SumAndParts(rewards))
        {
            if (values.Distinct().Count() >= DistinctForSame && values.Zip(judge).All(pair => Spread.IsNone([pair.First, pair.Second])))
            {
                return Error($"the judge gives each of the first {judge.Length} responses the score that {name} gives, which training sees: "
                    + "it can't show whether the reward was exploited; judge by something else, or by nothing");
            }

            if (Math.Min(values.Distinct().Count(), judge.Distinct().Count()) >= DistinctForOrder && HaveSameOrder(values, judge))
            {
                return Warning($"the judge puts the first {judge.Length} responses into the order of {name}, or its reverse: "
                    + "it looks like the same score read in another way, and then can't show whether the reward was exploited");
            }
        }

        return null;
    }

    /// <summary>A reward that is the same for every response: no advantage, nothing to learn. Or one that is not a number.</summary>
    /// <param name="scores">Scores of a batch of responses by the starting policy, to different prompts.</param>
    public static Finding? ConstantReward(IReadOnlyList<RewardScore> scores)
    {
        if (scores.FirstOrDefault(score => !double.IsFinite(score.Return)) is { } notFinite)
            return Error(Invariant($"the reward of a response is {notFinite.Return}: it must be a finite number"));
        // The same sum on other tokens is a difference.
        if (scores.Count < 2 || scores.Any(score => score.PerToken?.Any(reward => reward != 0) == true)) return null;
        return Spread.IsNone([.. scores.Select(score => score.Return)])
            ? Warning(Invariant($"the reward is {scores[0].Return} for each of the first {scores.Count} responses: without differences there is nothing to learn from the policy's own; look at what it reads, unless it is the guide that is to find better ones"))
            : null;
    }

    /// <summary>Whether some parameter that is trained lies in the same memory in both modules: an update of one then changes both. Frozen ones may.</summary>
    public static bool ShareWeights(nn.Module one, nn.Module other)
    {
        if (ReferenceEquals(one, other)) return true;
        var addresses = one.parameters().Where(IsTrained).Select(Address).ToHashSet();
        return other.parameters().Any(parameter => IsTrained(parameter) && addresses.Contains(Address(parameter)));

        static bool IsTrained(Tensor parameter) => parameter.requires_grad && parameter.numel() > 0;
    }

    private static IntPtr Address(Tensor tensor) => tensor.storage<float>().data_ptr();

    /// <summary>Two rewards of few values agree by chance.</summary>
    private const int DistinctForSame = 3, DistinctForOrder = 8;

    private static IEnumerable<(string Name, double[] Values)> SumAndParts(IReadOnlyList<RewardScore> rewards) =>
    [
        ("the reward", [.. rewards.Select(score => score.Return)]),
        .. rewards.Count == 0 ? [] : rewards[0].Parts.Keys.Select(part => ($"the reward's part '{part}'", rewards.Select(score => score.Parts[part]).ToArray())),
    ];

    /// <summary>Whether all pairs that differ in both are ordered alike, or all of them the other way round.</summary>
    private static bool HaveSameOrder(double[] one, double[] other)
    {
        var signs = Enumerable.Range(0, one.Length)
            .SelectMany(i => Enumerable.Range(i + 1, one.Length - i - 1).Select(k => one[i].CompareTo(one[k]) * other[i].CompareTo(other[k])))
            .Where(sign => sign != 0).ToArray();
        return signs.Length > 0 && signs.All(sign => sign == signs[0]);
    }

    private static bool AreTheSame(IReward one, IReward other) => ReferenceEquals(one, other) || (one, other) switch
    {
        (ClassifierReward first, ClassifierReward second) => HaveSameWeights(first.Classifier.Module, second.Classifier.Module),
        (RegexReward first, RegexReward second) => first.Pattern == second.Pattern,
        (LengthReward first, LengthReward second) => first.TargetTokens == second.TargetTokens,
        (FunctionReward first, FunctionReward second) => first.Function == second.Function,
        _ => false,
    };

    private static bool HaveSameWeights(nn.Module one, nn.Module other)
    {
        if (ReferenceEquals(one, other)) return true;
        var first = one.named_parameters().ToDictionary(named => named.name, named => named.parameter);
        var second = other.named_parameters().ToDictionary(named => named.name, named => named.parameter);
        return first.Count > 0 && first.Count == second.Count
            && first.All(named => second.TryGetValue(named.Key, out var parameter) && parameter.shape.SequenceEqual(named.Value.shape) && SameNumbers(parameter, named.Value));
    }

    private static bool SameNumbers(Tensor one, Tensor other)
    {
        using var scope = NewDisposeScope();
        return one.eq(other).all().item<bool>();
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static Finding? At(string key, Finding? finding) => finding is null ? null : finding with { Key = finding.Key ?? key };

    private static Finding Error(string message) => new(Severity.Error, message);

    private static Finding Warning(string message) => new(Severity.Warning, message);
}
