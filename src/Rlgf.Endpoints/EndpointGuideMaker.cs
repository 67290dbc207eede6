using System.Net;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Endpoints.Asking;
using Rlgf.Endpoints.Budgets;
using Rlgf.Endpoints.Caching;
using Rlgf.Endpoints.Probing;
using Rlgf.Endpoints.Protocol;
using Rlgf.Recipes;
using Rlgf.Remote;
using Rlgf.Rewards;
using Rlgf.Text;
using Rlgf.Tokenizers;

namespace Rlgf.Endpoints;

/// <summary>Makes a guide of its section: looks at what can be wrong, and finds out what the endpoint can do, before the run begins.</summary>
internal sealed class EndpointGuideMaker(EndpointGuideSection section, PartServices services)
{
    private readonly KindCounts _faults = new();

    /// <summary>The guide, which nobody has asked yet.</summary>
    public EndpointGuide Make() => new(
        section.Model,
        section.WhenSpent == WithoutAnswer.ContinueWithout || section.WhenUnanswered == WithoutAnswer.ContinueWithout || section.UncleanAnswers == UncleanAnswers.Refuse,
        Parts);

    /// <summary>Makes its parts.</summary>
    /// <exception cref="InputException">They can't be made; names file, line and key.</exception>
    private EndpointGuideParts Parts()
    {
        var settings = Settings();
        var hasMessages = section.Chat is not null || services.Prompts.Any(prompt => prompt.Messages is not null);
        var template = section.ChatTemplate is { } folder ? services.Of("chat_template", () => ChatTemplateFolder.Load(folder)) : null;
        var cost = section.Budget?.CostLimit;
        var prices = section.Budget?.Prices is { } stated ? new Prices(stated.Input, stated.Output, cost?.Currency ?? "") : null;
        var ledger = new Ledger(new Limits(section.Budget?.Tokens, section.Budget?.Requests, cost?.Amount), prices);
        var tokenizer = section.Budget?.Tokenizer is { } counter ? services.Of("budget.tokenizer", () => TokenizerFolder.Load(counter)) : services.Tokenizer;
        // Without a file of the user's the run keeps one, so that nothing is bought twice: what was answered for an iteration that a stop cut off is in no checkpoint.
        var cache = (section.Cache ?? (services.RunFolder is { } run ? Path.Combine(run, EndpointGuideSection.OwnCache) : null)) is { } file ? services.Of("cache", () => AnswerCache.Open(file, mustExist: section.Replay == CacheReplay.Only)) : null;
        PaidAnswers? answers = null;
        var client = new CompletionClient(settings, _faults.Add, (question, text) => answers?.Waste(question, text));
        try
        {
            answers = new PaidAnswers(
                (settings.Address.ToString(), section.Model), section.Replay == CacheReplay.Only ? null : client.AskAsync, cache, ledger, text => tokenizer.Encode(text, addSpecialTokens: true).Length, section.InFlight);
            // A server that is down or slow is waited for, which is said; and who doesn't want to wait needn't.
            client.Repeated = line => services.Tell($"guide '{section.Model}': {line}");
            var found = OwnCode.Wait(() => FindOutAsync(settings, client, cache, answers, canBeText: !hasMessages || template is not null));
            (client.Repeated, client.AsksUsage) = (null, found.AsksUsage);
            (answers.MostChoices, answers.CountsAllChoices) = (found.MostChoices, found.CountsAllChoices);
            // What it was found not to have is no fault of the run's.
            foreach (var status in EndpointProbe.Unknown) _faults.Forget(CompletionClient.KindOf(status));
            return new EndpointGuideParts
            {
                Address = settings.Address.ToString(),
                Form = new QuestionForm { Model = section.Model, Mode = ModeOf(found), Prefill = found.Prefill, KeepsLastBlank = found.KeepsLastBlank, Chat = section.Chat, Template = template, Decoding = DecodingOf(found) },
                Answers = answers,
                Ledger = ledger,
                Faults = _faults,
                Currency = prices?.Currency,
                RollOutProblem = $"{settings.Address} goes on from no text: it was asked to go on from half a word, and began a text of its own",
                WhenSpent = section.WhenSpent,
                WhenUnanswered = section.WhenUnanswered,
                WhenUnclean = section.UncleanAnswers,
                Owned = [client, .. cache is null ? Array.Empty<IDisposable>() : [cache]],
            };
        }
        catch
        {
            client.Dispose();
            cache?.Dispose();
            answers?.Dispose();
            throw;
        }
    }

    private EndpointSettings Settings()
    {
        var written = services.Of("endpoint", () => EnvironmentText.Expand(section.Endpoint, "the endpoint's address"));
        if (!Uri.TryCreate(written.TrimEnd('/') + "/", UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https")) throw services.Refusal("endpoint", "is no address such as http://localhost:8000/v1");
        if (address.UserInfo.Length > 0 || address.Query.Length > 0 || address.Fragment.Length > 0) throw services.Refusal("endpoint", "holds more than an address; a key belongs into a variable of the environment, see api_key");
        if (PatientHttp.EncryptionProblem(address, section.AllowHttp, "prompts, answers and the key") is { } unsafely) throw services.Refusal("endpoint", unsafely);
        return new EndpointSettings
        {
            Address = address,
            Token = section.ApiKey is { } key && section.Replay != CacheReplay.Only ? services.Of("api_key", () => EnvironmentText.RequireKey(EnvironmentText.VariableOf(key)!, "the key")) : null,
            Timeout = TimeSpan.FromSeconds(section.TimeoutSeconds),
            Retries = section.Retries,
            FirstWait = TimeSpan.FromSeconds(section.RetryWaitSeconds),
            InFlight = section.InFlight,
        };
    }

    /// <summary>What the endpoint can do: as the cache knows it, or as it turns out.</summary>
    private async Task<Capabilities> FindOutAsync(EndpointSettings settings, CompletionClient client, AnswerCache? cache, PaidAnswers answers, bool canBeText)
    {
        // The number is that of what is found out: what a program found that asked less is asked again.
        var question = $"capabilities 2 of {section.Model} for {section.Mode}{(canBeText ? " of text" : "")}";
        if (cache?.Find(settings.Address.ToString(), question, 0) is { } known && Remembered(known.Text) is var remembered)
        {
            return section.Replay == CacheReplay.Only ? remembered : await LocatedAsync(settings, async () =>
            {
                await client.RequireThereAsync(services.Stop).ConfigureAwait(false);
                return remembered;
            }).ConfigureAwait(false);
        }

        if (section.Replay == CacheReplay.Only) throw services.Refusal("cache", $"{section.Cache}: holds nothing of '{section.Model}' at {settings.Address}; with replay: only it must hold the whole run");
        services.Tell($"guide '{section.Model}': asking {settings.Address} what it can do");
        var found = await ProbeAsync(settings, client, answers, canBeText).ConfigureAwait(false);
        cache?.Add(new CachedAnswer { Endpoint = settings.Address.ToString(), Model = section.Model, Question = question, Sample = 0, Text = JsonSerializer.Serialize(found), Finish = Choice.Stop, PromptTokens = 0, CompletionTokens = 0 });
        return found;
    }

    /// <exception cref="InputException">The cache was changed by another.</exception>
    private Capabilities Remembered(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<Capabilities>(text) ?? throw new JsonException("null where a value is needed");
        }
        catch (JsonException failure)
        {
            throw services.Refusal("cache", $"the cache is damaged: what it holds of {section.Endpoint} is {JsonFault.Words(failure)}; copy it again, or delete it and pay for its answers again");
        }
    }

    private Task<Capabilities> ProbeAsync(EndpointSettings settings, CompletionClient client, PaidAnswers answers, bool canBeText) => LocatedAsync(settings, async () =>
    {
        var probe = new EndpointProbe(section.Model, answers.ProbeAsync, asks => client.AsksUsage = asks);
        if (section.Mode is EndpointMode.Completion or EndpointMode.Auto && canBeText
            && await probe.CompletionsAsync(mustGoOn: section.Mode == EndpointMode.Auto, services.Stop).ConfigureAwait(false) is { } completions) return completions;
        if (section.Mode == EndpointMode.Completion)
            throw services.Refusal("mode", canBeText ? $"{settings.Address} has no raw completions; use mode: auto ({probe.LastRefusal})" : "raw completions go on from a text, and the prompts are conversations; name the folder with the model's chat_template, or use mode: auto");
        var chat = await probe.ChatAsync(services.Stop).ConfigureAwait(false) ?? throw (section.Mode == EndpointMode.Auto
            ? services.Refusal("endpoint", $"{settings.Address} has {(canBeText ? "neither completions nor" : "no")} chat completions there; it usually ends in /v1 ({probe.LastRefusal})")
            : services.Refusal("mode", $"{settings.Address} has no chat completions there; use mode: auto ({probe.LastRefusal})"));
        return section.Mode == EndpointMode.ChatWithPrefill && chat.Prefill == PrefillForm.None
            ? throw services.Refusal("mode", $"{settings.Address} goes on with no beginning of an answer; use mode: chat_without_prefill, which can roll in only")
            : chat;
    });

    /// <summary>Asks; what goes wrong is said with the key that it is about.</summary>
    private async Task<T> LocatedAsync<T>(EndpointSettings settings, Func<Task<T>> ask)
    {
        try
        {
            return await ask().ConfigureAwait(false);
        }
        catch (EndpointRefusal refusal)
        {
            var key = refusal.Status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden ? "api_key" : EndpointProbe.IsAboutModel(refusal) ? "model" : "endpoint";
            throw services.Refusal(key, $"{settings.Address}: {refusal.Message}");
        }
        catch (BudgetSpentException)
        {
            throw services.Refusal("budget", "is too small to find out what the endpoint can do");
        }
    }

    private EndpointMode ModeOf(Capabilities found) => section.Mode != EndpointMode.Auto ? section.Mode
        : found.Completes ? EndpointMode.Completion
        : found.Prefill != PrefillForm.None ? EndpointMode.ChatWithPrefill
        : EndpointMode.ChatWithoutPrefill;

    private Decoding DecodingOf(Capabilities found) => new()
    {
        MaxTokens = section.Sampling.MaxTokens ?? 0,
        Temperature = section.Sampling.Temperature,
        TopP = section.Sampling.TopP,
        Stop = section.Sampling.Stop,
        SendsSeed = found.TakesSeed,
        SendsStop = found.Stops == true,
        LimitField = found.LimitField,
    };
}
