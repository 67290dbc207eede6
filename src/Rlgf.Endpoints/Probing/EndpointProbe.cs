using System.Net;
using Rlgf.ChatTemplates;
using Rlgf.Endpoints.Asking;
using Rlgf.Endpoints.Protocol;

namespace Rlgf.Endpoints.Probing;

/// <summary>
/// Finds out what an endpoint can do before anything is paid for: it is asked to go on from half a word. Nothing in an answer says whether a text was gone on with or a new turn begun, so that the count of what was read
/// decides where there is one: a beginning of k words costs k times the tokens of one if it is gone on with, and more if a turn is closed and another opened behind it. Else the answer must be the rest of the word.
/// </summary>
/// <param name="model">The model's name.</param>
/// <param name="ask">Asks the endpoint.</param>
/// <param name="asksUsage">Told whether to ask for usage figures.</param>
internal sealed class EndpointProbe(string model, Func<Question, CancellationToken, Task<Completion>> ask, Action<bool> asksUsage)
{
    private const string HalfWord = "The capital of France is Par", Rest = "is";
    private const string Sentence = HalfWord + Rest + ".";

    /// <summary>More tokens than this for one letter, a token that begins the text included, are a template's.</summary>
    private const int MostForOneLetter = 2;

    private static readonly Decoding Greedy = new() { MaxTokens = 4, SendsSeed = false };
    private static readonly Decoding One = Greedy with { MaxTokens = 1 };

    /// <summary>Numbers of answers that are asked for in one request, until one is given: servers have a most, which is often the number of rows that they compute at once.</summary>
    private static readonly int[] Choices = [8, 4, 2];

    private bool _asksUsage = true;
    private bool _isModelKnown;
    private string _limitField = Decoding.MaxTokensField;

    /// <summary>What it last refused with where it was taken to know a path or a field not; null for nothing. Who asked in another way than it likes learns from it what that is.</summary>
    public string? LastRefusal { get; private set; }

    /// <summary>Whether it goes on from texts.</summary>
    /// <param name="mustGoOn">Whether it has to be seen that it does; else it is enough that it answers.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>What was found; null where it has no raw completions.</returns>
    /// <exception cref="EndpointRefusal">It refused for another reason than that.</exception>
    public async Task<Capabilities?> CompletionsAsync(bool mustGoOn, CancellationToken cancellationToken)
    {
        if (await TryAsync(Question.OfText(model, HalfWord, Greedy, 0), cancellationToken).ConfigureAwait(false) is not { } answer) return null;
        var goesOn = answer.Choices[0].Text.StartsWith(Rest, StringComparison.Ordinal);
        if (!goesOn && mustGoOn && answer.Usage is not null)
        {
            // A model may not know the word; a letter alone costs a token where nothing is put around it.
            var letter = await TryAsync(Question.OfText(model, "a", One, 0), cancellationToken).ConfigureAwait(false);
            goesOn = letter?.Usage is { PromptTokens: <= MostForOneLetter };
        }

        return goesOn || !mustGoOn ? await WithFieldsAsync(
            new Capabilities { Completes = true, Counts = answer.Usage is not null }, answer.Choices[0].Text, (decoding, isShort) => Question.OfText(model, isShort ? "a" : HalfWord, decoding, 1), cancellationToken).ConfigureAwait(false) : null;
    }

    /// <summary>Whether it answers conversations, and goes on with the beginning of an answer.</summary>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>What was found; null where it has no chat completions.</returns>
    /// <exception cref="EndpointRefusal">It refused for another reason than that.</exception>
    public async Task<Capabilities?> ChatAsync(CancellationToken cancellationToken)
    {
        if (await TryAsync(Chat("", PrefillForm.None, Greedy), cancellationToken).ConfigureAwait(false) is not { } plain)
        {
            _limitField = Decoding.MaxCompletionTokensField;
            if (await TryAsync(Chat("", PrefillForm.None, Greedy), cancellationToken).ConfigureAwait(false) is not { } other) return null;
            plain = other;
        }

        var found = new Capabilities { Chats = true, Counts = plain.Usage is not null, LimitField = _limitField };
        foreach (var form in (PrefillForm[])[PrefillForm.ContinueFinalMessage, PrefillForm.TrailingMessage])
        {
            var (goesOn, oneWord) = await GoesOnAsync(plain.Usage, form, cancellationToken).ConfigureAwait(false);
            if (!goesOn) continue;
            found = found with { Prefill = form, KeepsLastBlank = await KeepsLastBlankAsync(oneWord, form, cancellationToken).ConfigureAwait(false) };
            break;
        }

        return await WithFieldsAsync(found, plain.Choices[0].Text, (decoding, _) => Chat("", PrefillForm.None, decoding), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whether a beginning is gone on with, and what one word as a beginning costs, where that is counted.</summary>
    private async Task<(bool GoesOn, Usage? OneWord)> GoesOnAsync(Usage? plain, PrefillForm form, CancellationToken cancellationToken)
    {
        // What it can't be told it refuses.
        if (await TryAsync(Chat(HalfWord, form, Greedy), cancellationToken).ConfigureAwait(false) is not { } answer) return (false, null);
        if (plain is { } without
            && (await TryAsync(Chat("a", form, One), cancellationToken).ConfigureAwait(false))?.Usage is { } one
            && (await TryAsync(Chat("a a", form, One), cancellationToken).ConfigureAwait(false))?.Usage is { } two
            && two.PromptTokens > one.PromptTokens)
        {
            return (one.PromptTokens - without.PromptTokens == two.PromptTokens - one.PromptTokens, one);
        }

        var text = answer.Choices[0].Text;
        return (text.StartsWith(Rest, StringComparison.Ordinal) || (!answer.IsStreamed && text.StartsWith(Sentence[..^1], StringComparison.Ordinal)), null);
    }

    /// <summary>Whether a blank at the end is read: it then costs a token.</summary>
    private async Task<bool> KeepsLastBlankAsync(Usage? oneWord, PrefillForm form, CancellationToken cancellationToken) =>
        oneWord is { } without && (await TryAsync(Chat("a ", form, One), cancellationToken).ConfigureAwait(false))?.Usage is { } with && with.PromptTokens > without.PromptTokens;

    /// <summary>What becomes of the fields <c>seed</c>, <c>stop</c> and <c>n</c>.</summary>
    /// <param name="found">What was found before.</param>
    /// <param name="greedy">The likeliest answer to the question that isn't short.</param>
    /// <param name="question">Asks something, or something short.</param>
    /// <param name="cancellationToken">Stops it.</param>
    private async Task<Capabilities> WithFieldsAsync(Capabilities found, string greedy, Func<Decoding, bool, Question> question, CancellationToken cancellationToken)
    {
        found = await WithSeedAsync(found with { AsksUsage = _asksUsage }, decoding => question(decoding, true), cancellationToken).ConfigureAwait(false);
        found = found with { Stops = await StopsAsync(greedy, decoding => question(decoding, false), cancellationToken).ConfigureAwait(false) };
        return await WithChoicesAsync(found, decoding => question(decoding, true), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whether a seed is taken, and decides: an answer of the same seed with more tokens goes on from that with fewer.</summary>
    private async Task<Capabilities> WithSeedAsync(Capabilities found, Func<Decoding, Question> question, CancellationToken cancellationToken)
    {
        var sampling = new Decoding { MaxTokens = 6, Temperature = 1 };
        if (await TryAsync(question(sampling), cancellationToken).ConfigureAwait(false) is not { } first) return found;
        var second = await TryAsync(question(sampling with { MaxTokens = 7 }), cancellationToken).ConfigureAwait(false);
        return found with { TakesSeed = true, SeedDecides = second?.Choices[0].Text.StartsWith(first.Choices[0].Text, StringComparison.Ordinal) };
    }

    /// <summary>Whether the likeliest answer is shorter where it is told to end at a character within it; null where it is too short to tell.</summary>
    private async Task<bool?> StopsAsync(string greedy, Func<Decoding, Question> question, CancellationToken cancellationToken)
    {
        // The first character that stands there for the first time, and isn't the answer's first: with it in the answer or without, an answer that ends there is shorter.
        var at = Enumerable.Range(1, Math.Max(greedy.Length - 2, 0)).FirstOrDefault(i => char.IsAsciiLetterOrDigit(greedy[i]) && greedy.IndexOf(greedy[i], StringComparison.Ordinal) == i);
        if (at == 0) return null;
        var answer = await TryAsync(question(Greedy with { Stop = [greedy[at].ToString()] }).Dispensable(), cancellationToken).ConfigureAwait(false);
        return answer is not null && answer.Choices[0].Text.Length < greedy.Length;
    }

    /// <summary>How many answers one request gets. Answers that are all the same are one: the seed may have been that of all.</summary>
    private async Task<Capabilities> WithChoicesAsync(Capabilities found, Func<Decoding, Question> question, CancellationToken cancellationToken)
    {
        var sampling = Greedy with { Temperature = 1, SendsSeed = found.TakesSeed };
        foreach (var choices in Choices)
        {
            if (await TryAsync(question(sampling).Times(choices).Dispensable(), cancellationToken).ConfigureAwait(false) is not { } answer) continue;
            if (answer.Choices.Count < choices || answer.Choices.Select(choice => choice.Text).Distinct().Count() == 1) break;
            return found with { MostChoices = choices, CountsAllChoices = answer.Usage is { } usage && usage.CompletionTokens > sampling.MaxTokens };
        }

        return found;
    }

    private Question Chat(string prefill, PrefillForm form, Decoding decoding) =>
        Question.OfChat(model, [new ChatMessage("user", $"Write this sentence and nothing else: {Sentence}")], prefill, form, decoding with { LimitField = _limitField }, 1);

    /// <summary>Asks; null where the endpoint has no such path or field.</summary>
    private async Task<Completion?> TryAsync(Question question, CancellationToken cancellationToken)
    {
        try
        {
            return await AskAsync(question, cancellationToken).ConfigureAwait(false);
        }
        catch (BudgetSpentException) when (question.Retries is not null)
        {
            // A small budget is for the run.
            return null;
        }
    }

    private async Task<Completion?> AskAsync(Question question, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await ask(question, cancellationToken).ConfigureAwait(false);
            _isModelKnown = true;
            return answer;
        }
        catch (EndpointRefusal refusal) when (IsUnknown(refusal) || question.Retries is not null)
        {
            LastRefusal = refusal.Message;
            if (!_asksUsage || refusal.Status is not (HttpStatusCode.BadRequest or HttpStatusCode.UnprocessableEntity)) return null;
        }

        try
        {
            // Some know no stream_options, and may know all else.
            asksUsage(false);
            var answer = await ask(question, cancellationToken).ConfigureAwait(false);
            (_asksUsage, _isModelKnown) = (false, true);
            return answer;
        }
        catch (EndpointRefusal refusal) when (IsUnknown(refusal) || question.Retries is not null)
        {
            asksUsage(true);
            return null;
        }
    }

    /// <summary>What servers answer to a path or a field that they don't know.</summary>
    public static IReadOnlyList<HttpStatusCode> Unknown { get; } =
        [HttpStatusCode.NotFound, HttpStatusCode.MethodNotAllowed, HttpStatusCode.BadRequest, HttpStatusCode.UnprocessableEntity, HttpStatusCode.NotImplemented];

    /// <remarks>Where the model has answered already, a refusal that names it is about what it can't do.</remarks>
    private bool IsUnknown(EndpointRefusal refusal) => (_isModelKnown || !IsAboutModel(refusal)) && refusal.Status is { } status && Unknown.Contains(status);

    /// <summary>Whether a refusal is about the model's name.</summary>
    /// <remarks>That a model is for chats alone is about the path, and no wrong name.</remarks>
    public static bool IsAboutModel(EndpointRefusal refusal) => !refusal.Message.Contains("/completions", StringComparison.OrdinalIgnoreCase)
        && refusal.Status is HttpStatusCode.NotFound or HttpStatusCode.BadRequest && !refusal.Message.Contains("parameter", StringComparison.OrdinalIgnoreCase) && (refusal.Message.Contains("model", StringComparison.OrdinalIgnoreCase) || refusal.Message.Contains("pinned", StringComparison.OrdinalIgnoreCase));
}
