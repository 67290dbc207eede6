using Rlgf.Endpoints.Probing;
using Rlgf.Endpoints.Protocol;
using Rlgf.Remote;

namespace Rlgf.Endpoints.Tests;

/// <summary>What is found out about servers of several kinds, and what a plan that needs more is told.</summary>
public sealed class ProbeTests
{
    [Theory]
    [InlineData(UsageFigures.WhenAsked, true, false)]
    [InlineData(UsageFigures.Always, true, true)]
    [InlineData(UsageFigures.Always, false, true)]
    [InlineData(UsageFigures.Never, true, false)]
    public async Task Raw_completions_go_on_from_half_a_word(UsageFigures usage, bool knowsStreamOptions, bool refusesFields)
    {
        using var server = new OpenAiServer { Usage = usage, KnowsStreamOptions = knowsStreamOptions, RefusesUnknownFields = refusesFields };
        using var client = Client(server);
        var found = await Probe(client).CompletionsAsync(mustGoOn: true, CancellationToken.None);
        Assert.Equal(new Capabilities { Completes = true, TakesSeed = true, SeedDecides = true, Stops = true, Counts = usage != UsageFigures.Never, AsksUsage = knowsStreamOptions }, found);
    }

    [Theory]
    [InlineData(true, false, false, UsageFigures.WhenAsked, false, nameof(PrefillForm.TrailingMessage))] // Ollama's way; what it doesn't know it passes over.
    [InlineData(false, true, false, UsageFigures.WhenAsked, false, nameof(PrefillForm.ContinueFinalMessage))] // vLLM's way.
    [InlineData(true, true, false, UsageFigures.Always, false, nameof(PrefillForm.ContinueFinalMessage))] // llama.cpp knows both.
    [InlineData(true, false, true, UsageFigures.Always, false, nameof(PrefillForm.TrailingMessage))]
    [InlineData(false, false, true, UsageFigures.Always, false, nameof(PrefillForm.None))] // transformers serve opens a new turn.
    [InlineData(false, false, false, UsageFigures.Never, false, nameof(PrefillForm.None))]
    [InlineData(true, false, false, UsageFigures.Never, false, nameof(PrefillForm.TrailingMessage))] // By the text alone.
    [InlineData(true, false, false, UsageFigures.Never, true, nameof(PrefillForm.TrailingMessage))] // A whole answer begins with what was given.
    public async Task Going_on_with_the_beginning_of_an_answer_is_told_from_a_new_turn(bool trailing, bool field, bool refusesFields, UsageFigures usage, bool whole, string form)
    {
        using var server = new OpenAiServer
        {
            HasCompletions = false, ContinuesTrailingMessage = trailing, KnowsContinueFinalMessage = field, RefusesUnknownFields = refusesFields, Usage = usage, AnswersWhole = whole,
        };
        using var client = Client(server);
        Assert.Null(await Probe(client).CompletionsAsync(mustGoOn: true, CancellationToken.None));
        var found = await Probe(client).ChatAsync(CancellationToken.None);
        var expected = Enum.Parse<PrefillForm>(form);
        // A server that goes on with a last message and passes over what it doesn't know goes on whatever it is told.
        Assert.Equal(expected == PrefillForm.TrailingMessage && !refusesFields ? PrefillForm.ContinueFinalMessage : expected, found!.Prefill);
    }

    [Theory]
    [InlineData(StopWay.Cut, true)]
    [InlineData(StopWay.Kept, true)]
    [InlineData(StopWay.Ignored, false)]
    [InlineData(StopWay.Refused, false)]
    public async Task A_text_to_stop_at_is_sent_only_where_answers_end_there(StopWay way, bool stops)
    {
        using var server = new OpenAiServer { Stop = way };
        using var client = Client(server);
        Assert.Equal(stops, (await Probe(client).CompletionsAsync(mustGoOn: true, CancellationToken.None))!.Stops);
        Assert.Equal(stops, (await Probe(client).ChatAsync(CancellationToken.None))!.Stops);

        // What the run makes of the answers is the same: they are cut here where they aren't there.
        using var scratch = new Scratch();
        using var plain = new OpenAiServer { Stop = StopWay.Ignored };
        Assert.Equal(0, TestRun.Train(scratch, server, "guide.sampling.stop=[film,very]").Code);
        Assert.Equal(0, TestRun.Train(scratch, plain, "guide.sampling.stop=[film,very]", $"output={scratch["plain"]}").Code);
        Assert.Equal(TestRun.Numbers(scratch, "plain"), TestRun.Numbers(scratch, "run"));
        Assert.Equal(stops, server.Answered.Any(body => body.Contains("\"stop\":[\"film\"", StringComparison.Ordinal)));
        Assert.DoesNotContain(plain.Answered, body => body.Contains("\"film\"", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1, false, false, 1, false)] // Passes n over.
    [InlineData(4, true, false, 4, false)] // llama.cpp of four slots: counts one answer.
    [InlineData(64, false, false, 8, true)]
    [InlineData(64, false, true, 1, false)] // Answers of one seed that are all the same are of no use.
    public async Task Several_answers_to_a_request_are_asked_for_as_far_as_they_are_given(int most, bool countsOne, bool repeats, int found, bool countsAll)
    {
        using var server = new OpenAiServer { MostChoices = most, CountsOneChoice = countsOne, RepeatsChoice = repeats };
        using var client = Client(server);
        var completions = await Probe(client).CompletionsAsync(mustGoOn: true, CancellationToken.None);
        Assert.Equal((found, countsAll), (completions!.MostChoices, completions.CountsAllChoices));
        var chat = await Probe(client).ChatAsync(CancellationToken.None);
        Assert.Equal((found, countsAll), (chat!.MostChoices, chat.CountsAllChoices));
    }

    [Fact]
    public async Task What_a_server_cannot_do_for_once_is_not_insisted_on()
    {
        // It falls over whenever several answers are asked for.
        using var server = new OpenAiServer { MostChoices = 64, FaultOf = (_, body) => body.ContainsKey("n") ? Fault.ServerError : Fault.None };
        using var client = new CompletionClient(new EndpointSettings { Address = new Uri(server.Address + "/"), Retries = 8, FirstWait = TimeSpan.FromMilliseconds(1) }, _ => { }, (_, _) => { });
        Assert.Equal(1, (await Probe(client).CompletionsAsync(mustGoOn: true, CancellationToken.None))!.MostChoices);
        // For each of three numbers of answers: once, and twice again.
        Assert.Equal(9, server.Faults[Fault.ServerError]);
    }

    [Fact]
    public async Task Another_name_of_the_limit_is_found()
    {
        using var server = new OpenAiServer { HasCompletions = false, HasNoMaxTokens = true };
        using var client = Client(server);
        Assert.Equal("max_completion_tokens", (await Probe(client).ChatAsync(CancellationToken.None))!.LimitField);
        using var scratch = new Scratch();
        var result = TestRun.Train(scratch, server);
        Assert.True(result.Code == 0, result.Error);
    }

    [Fact]
    public async Task A_chat_behind_the_path_of_completions_is_found_out_by_the_count_of_tokens()
    {
        // It answers the text as a question would be answered, with a template's tokens around it.
        using var server = new OpenAiServer { Usage = UsageFigures.Always, AnswerOf = _ => "The capital is Paris.", TemplateTokens = 9 };
        using var client = Client(server);
        Assert.Null(await Probe(client).CompletionsAsync(mustGoOn: true, CancellationToken.None));
        using var plain = new OpenAiServer { Usage = UsageFigures.Always, AnswerOf = _ => " no word that fits" };
        using var other = Client(plain);
        Assert.True((await Probe(other).CompletionsAsync(mustGoOn: true, CancellationToken.None))!.Completes);
    }

    [Fact]
    public void A_plan_in_which_the_guide_finishes_is_refused_with_the_reason()
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer { HasCompletions = false };
        var line = TestRun.Train(scratch, server, "algorithm.name=aggrevated").OneErrorLine();
        Assert.Contains("lets the guide finish responses, and this one can only begin them", line, StringComparison.Ordinal);
        Assert.Contains($"{server.Address}/ goes on from no text: it was asked to go on from half a word, and began a text of its own", line, StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch["run/checkpoints"]));
    }

    [Fact]
    public void A_guide_that_goes_on_from_texts_finishes_responses()
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer();
        var result = TestRun.Train(scratch, server, "algorithm.name=aggrevated");
        Assert.True(result.Code == 0, result.Error);
        // Most of what it is given are no beginnings of the data's texts: the policy went on from those.
        Assert.InRange(server.Requests.Count(request => !Array.Exists(TestRun.Texts, text => text.StartsWith((string)request.Body["prompt"]!, StringComparison.Ordinal))), 8, int.MaxValue);
    }

    private static CompletionClient Client(OpenAiServer server) =>
        new(new EndpointSettings { Address = new Uri(server.Address + "/"), Retries = 0, Timeout = TimeSpan.FromSeconds(20) }, _ => { }, (_, _) => { });

    private static EndpointProbe Probe(CompletionClient client) => new("m", client.AskAsync, asks => client.AsksUsage = asks);
}
