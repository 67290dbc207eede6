using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Rlgf.Endpoints.Tests;

/// <summary>
/// A server on this machine that speaks OpenAI's protocol, with a model that is a function: at temperature 0 its text depends on what it reads alone. A token is a word with what is before it. Half of the word Paris it
/// goes on with.
/// </summary>
internal sealed class OpenAiServer : IDisposable
{
    private static readonly string[] Words = ["good", "film", "the", "and", "is", "a", "very", "bad", "movie", "it", "was", "great"];

    private readonly HttpListener _listener = new();
    private readonly ManualResetEventSlim _closed = new();
    private int _now;
    private int _most;
    private int _number;

    public OpenAiServer()
    {
        Address = new Uri($"http://127.0.0.1:{ServerProcess.FreePort()}/v1");
        _listener.Prefixes.Add(new Uri(Address, "/").ToString());
        _listener.Start();
        _ = ServeAsync();
    }

    /// <summary>The endpoint.</summary>
    public Uri Address { get; }

    public bool HasCompletions { get; init; } = true;

    public bool HasChat { get; init; } = true;

    /// <summary>Whether a last message of the assistant's is gone on with.</summary>
    public bool ContinuesTrailingMessage { get; init; }

    /// <summary>Whether <c>continue_final_message</c> is known; a server that doesn't know it refuses it where it refuses unknown fields.</summary>
    public bool KnowsContinueFinalMessage { get; init; }

    /// <summary>Whether a field that isn't known is refused.</summary>
    public bool RefusesUnknownFields { get; init; }

    public bool KnowsStreamOptions { get; init; } = true;

    /// <summary>Whether a chat is refused <c>max_tokens</c>, as the service's newer models do.</summary>
    public bool HasNoMaxTokens { get; init; }

    public UsageFigures Usage { get; init; } = UsageFigures.WhenAsked;

    /// <summary>Whether a stream ends with <c>[DONE]</c>.</summary>
    public bool SaysDone { get; init; } = true;

    /// <summary>Whether <c>stream</c> is passed over and the answer comes whole, beginning with what was given, as llama.cpp's does.</summary>
    public bool AnswersWhole { get; init; }

    /// <summary>What becomes of <c>stop</c>.</summary>
    public StopWay Stop { get; init; }

    /// <summary>How many answers a request may have; more are refused. At 1 <c>n</c> is passed over.</summary>
    public int MostChoices { get; init; } = 1;

    /// <summary>Whether usage figures are those of one answer, as llama.cpp's are.</summary>
    public bool CountsOneChoice { get; init; }

    /// <summary>Whether all answers of a request are the same.</summary>
    public bool RepeatsChoice { get; init; }

    /// <summary>Tokens that are put around a text that is to be gone on from.</summary>
    public int TemplateTokens { get; init; }

    public string? Key { get; init; }

    /// <summary>The error that every stream of status 200 is; null for none.</summary>
    public string? ErrorInStream { get; init; }

    public string Model { get; init; } = "m";

    /// <summary>What goes wrong with a request, by its number from 1 and its body.</summary>
    public Func<int, JsonObject, Fault> FaultOf { get; set; } = (_, _) => Fault.None;

    /// <summary>What is answered to a text in place of the model's own words; null for those.</summary>
    public Func<string, string?> AnswerOf { get; set; } = _ => null;

    /// <summary>How long each word takes.</summary>
    public TimeSpan TimeForWord { get; init; }

    /// <summary>Bodies of requests so far, with the path.</summary>
    public ConcurrentQueue<(string Path, JsonObject Body)> Requests { get; } = [];

    /// <summary>Values of their header Authorization.</summary>
    public ConcurrentQueue<string?> Tokens { get; } = [];

    /// <summary>Bodies of the requests whose right answer was sent to its end.</summary>
    public ConcurrentQueue<string> Answered { get; } = [];

    /// <summary>How often what went wrong.</summary>
    public ConcurrentDictionary<Fault, int> Faults { get; } = [];

    /// <summary>Answers that were broken off since who asked had gone.</summary>
    public int Abandoned => _abandoned;

    /// <summary>The most requests that were here at once.</summary>
    public int MostAtOnce => _most;

    /// <summary>Tokens that were read and written, by its own count.</summary>
    public long TokensServed => _tokensServed;

    private int _abandoned;
    private long _tokensServed;

    public void Dispose()
    {
        _closed.Set();
        _listener.Close();
    }

    /// <summary>What the model writes after a text, and whether it ends by itself.</summary>
    public (string[] Tokens, bool Ends) Write(string text, int most, double temperature, long seed)
    {
        if (AnswerOf(text) is { } own) return ([own], true);
        var state = 14695981039346656037UL;
        foreach (var character in text.TrimEnd()) state = (state ^ character) * 1099511628211UL;
        if (temperature > 0) state ^= (ulong)seed * 0x9E3779B97F4A7C15UL;
        List<string> tokens = text.EndsWith("Par", StringComparison.Ordinal) ? ["is"] : [];
        var length = 3 + (int)(state % 7);
        while (tokens.Count < length)
        {
            state = state * 6364136223846793005UL + 1442695040888963407UL;
            tokens.Add((tokens.Count == 0 && text.EndsWith(' ') ? "" : " ") + Words[(state >> 33) % (ulong)Words.Length]);
        }

        return ([.. tokens.Take(most)], length <= most);
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception ended) when (ended is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }

            _ = Task.Factory.StartNew(() => Answer(context), TaskCreationOptions.LongRunning);
        }
    }

    private void Answer(HttpListenerContext context)
    {
        try
        {
            lock (_listener) _most = Math.Max(_most, ++_now);
            Handle(context);
        }
        catch (Exception gone) when (gone is HttpListenerException or ObjectDisposedException or IOException or InvalidOperationException)
        {
            Interlocked.Increment(ref _abandoned);
        }
        catch (Exception wrong)
        {
            // A test that waits for an answer would wait for ever.
            Send(context, 400, wrong.ToString());
        }
        finally
        {
            lock (_listener) _now--;
        }
    }

    private void Handle(HttpListenerContext context)
    {
        var path = context.Request.Url!.AbsolutePath;
        Tokens.Enqueue(context.Request.Headers["Authorization"]);
        if (Key is not null && context.Request.Headers["Authorization"] != $"Bearer {Key}")
        {
            Send(context, 401, $$$"""{"error": {"message": "Incorrect API key provided: {{{context.Request.Headers["Authorization"]}}}", "type": "authentication_error"}}""");
            return;
        }

        if (path == "/v1/models")
        {
            Send(context, 200, """{"data": []}""");
            return;
        }

        using var reader = new StreamReader(context.Request.InputStream, Encoding.UTF8);
        var body = JsonNode.Parse(reader.ReadToEnd())!.AsObject();
        Requests.Enqueue((path, body));
        if (!(path == "/v1/completions" && HasCompletions) && !(path == "/v1/chat/completions" && HasChat))
        {
            Send(context, 404, """{"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}}""");
            return;
        }

        if (ErrorInStream is { } error)
        {
            context.Response.ContentType = "text/event-stream";
            context.Response.OutputStream.Write(Encoding.UTF8.GetBytes($"data: {error}\n\n"));
            context.Response.Close();
            return;
        }

        if ((string?)body["model"] != Model)
        {
            Send(context, 404, new JsonObject { ["error"] = new JsonObject { ["message"] = $"The model `{body["model"]}` does not exist." } }.ToJsonString());
            return;
        }

        if (HasNoMaxTokens && path.EndsWith("/chat/completions", StringComparison.Ordinal) && body.ContainsKey("max_tokens"))
        {
            Send(context, 400, """{"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."}}""");
            return;
        }

        if (Stop == StopWay.Refused && body.ContainsKey("stop"))
        {
            Send(context, 400, """{"error": {"message": "This model does not support 'stop'."}}""");
            return;
        }

        if (MostChoices > 1 && (int?)body["n"] > MostChoices)
        {
            Send(context, 400, new JsonObject { ["error"] = new JsonObject { ["message"] = $"Field 'n': Value must be between 1 <= value <= {MostChoices}" } }.ToJsonString());
            return;
        }

        string[] unknown = [.. KnowsContinueFinalMessage ? Array.Empty<string>() : ["continue_final_message", "add_generation_prompt"], .. KnowsStreamOptions ? Array.Empty<string>() : ["stream_options"]];
        if (RefusesUnknownFields && unknown.FirstOrDefault(body.ContainsKey) is { } field)
        {
            Send(context, 422, new JsonObject { ["detail"] = $"Unexpected fields in the request: {{'{field}'}}" }.ToJsonString());
            return;
        }

        var fault = FaultOf(Interlocked.Increment(ref _number), body);
        Faults.AddOrUpdate(fault, 1, (_, count) => count + 1);
        Answer(context, path.EndsWith("/chat/completions", StringComparison.Ordinal), body, fault);
    }

    private void Answer(HttpListenerContext context, bool isChat, JsonObject body, Fault fault)
    {
        var (status, said) = fault switch
        {
            Fault.TooManyRequests => (429, """{"error": {"message": "slowly"}}"""),
            Fault.ServerError => (500, "Internal Server Error"),
            Fault.Unavailable => (503, """{"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}"""),
            _ => (0, ""),
        };
        if (status > 0)
        {
            if (status == 429) context.Response.Headers["Retry-After"] = "0";
            Send(context, status, said);
            return;
        }

        if (fault == Fault.Hangs)
        {
            _closed.Wait(TimeSpan.FromSeconds(60));
            context.Response.Abort();
            return;
        }

        var (text, given, promptTokens) = Read(body, isChat);
        var most = (int)(body["max_tokens"] ?? body["max_completion_tokens"])!;
        var (seed, count) = ((long?)body["seed"] ?? Random.Shared.Next(), MostChoices > 1 ? (int?)body["n"] ?? 1 : 1);
        var choices = Enumerable.Range(0, count).Select(choice => Stopped(Write(text, most, (double?)body["temperature"] ?? 1, RepeatsChoice ? seed : seed + choice), body)).ToArray();
        if (fault == Fault.TooManyTokens) choices[0] = ([.. choices[0].Tokens, .. Enumerable.Repeat(" more", most)], false);
        var (tokens, ends) = choices[0];
        var written = CountsOneChoice ? tokens.Length : choices.Sum(choice => choice.Tokens.Length);
        var usage = new JsonObject { ["prompt_tokens"] = promptTokens, ["completion_tokens"] = written, ["total_tokens"] = promptTokens + written };
        Interlocked.Add(ref _tokensServed, promptTokens + choices.Sum(choice => choice.Tokens.Length));
        if (AnswersWhole) SendWhole(context, isChat, given + string.Concat(tokens), ends, usage);
        else Stream(context, isChat, choices, Usage == UsageFigures.Always || (Usage == UsageFigures.WhenAsked && body["stream_options"] is not null) ? usage : null, fault);
        if (fault == Fault.None) Answered.Enqueue(body.ToJsonString());
    }

    /// <summary>An answer that ends where it is told to.</summary>
    private (string[] Tokens, bool Ends) Stopped((string[] Tokens, bool Ends) answer, JsonObject body)
    {
        if (Stop is not (StopWay.Cut or StopWay.Kept) || body["stop"] is not JsonArray stops) return answer;
        var text = string.Concat(answer.Tokens);
        var at = stops.Select(stop => text.IndexOf((string)stop!, StringComparison.Ordinal)).Where(place => place >= 0).DefaultIfEmpty(-1).Min();
        if (at < 0) return answer;
        List<string> kept = [];
        for (var length = 0; length < (Stop == StopWay.Kept ? at + 1 : at); length += answer.Tokens[kept.Count - 1].Length) kept.Add(answer.Tokens[kept.Count]);
        if (Stop == StopWay.Cut && kept.Count > 0) kept[^1] = kept[^1][..(kept[^1].Length - (kept.Sum(token => token.Length) - at))];
        return ([.. kept], true);
    }

    /// <summary>What the model reads, what of it was given as the beginning of its turn, and how many tokens it is.</summary>
    private (string Text, string Given, int Tokens) Read(JsonObject body, bool isChat)
    {
        if (!isChat) return ((string)body["prompt"]!, "", TemplateTokens + CountOf((string)body["prompt"]!));
        var messages = body["messages"]!.AsArray().Select(message => (Role: (string)message!["role"]!, Content: (string)message["content"]!)).ToArray();
        var continues = messages[^1].Role == "assistant" && (ContinuesTrailingMessage || (KnowsContinueFinalMessage && (bool?)body["continue_final_message"] == true));
        var text = new StringBuilder();
        foreach (var (role, content) in messages) text.Append('<').Append(role).Append("> ").Append(content).Append(" <end> ");
        if (continues) text.Length -= " <end> ".Length;
        else text.Append("<assistant> ");
        return (text.ToString(), continues ? messages[^1].Content : "", CountOf(text.ToString()));
    }

    private static int CountOf(string text) => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length;

    private void Stream(HttpListenerContext context, bool isChat, (string[] Tokens, bool Ends)[] choices, JsonObject? usage, Fault fault)
    {
        var (tokens, ends) = choices[0];
        context.Response.ContentType = "text/event-stream";
        context.Response.SendChunked = true;
        for (var i = 0; i < tokens.Length; i++)
        {
            if (fault == Fault.Cut && i == tokens.Length / 2)
            {
                context.Response.OutputStream.Flush();
                context.Response.Abort();
                return;
            }

            if (TimeForWord > TimeSpan.Zero) Thread.Sleep(TimeForWord);
            Event(context, fault == Fault.InvalidJson ? "{\"choices\": [{\"te" : Part(isChat, fault == Fault.EmptyChoice ? null : tokens[i], null));
            if (fault == Fault.TwoChoices) Event(context, Part(isChat, tokens[i], null, index: 1));
        }

        if (fault == Fault.EmptyChoice) Event(context, """{"choices": [{}]}""");
        else Event(context, Part(isChat, isChat ? null : "", ends ? "stop" : "length"));
        for (var choice = 1; choice < choices.Length; choice++)
        {
            foreach (var token in choices[choice].Tokens) Event(context, Part(isChat, token, null, choice));
            Event(context, Part(isChat, isChat ? null : "", choices[choice].Ends ? "stop" : "length", choice));
        }

        if (fault == Fault.TwoChoices) Event(context, Part(isChat, "", "length", index: 1));
        if (usage is not null) Event(context, new JsonObject { ["choices"] = new JsonArray(), ["usage"] = usage.DeepClone() }.ToJsonString());
        if (SaysDone) Event(context, "[DONE]");
        context.Response.Close();
    }

    private static string Part(bool isChat, string? text, string? finish, int index = 0)
    {
        var choice = new JsonObject { ["index"] = index };
        if (isChat) choice["delta"] = text is null ? new JsonObject() : new JsonObject { ["content"] = text };
        else choice["text"] = text;
        if (finish is not null) choice["finish_reason"] = finish;
        return new JsonObject { ["choices"] = new JsonArray(choice) }.ToJsonString();
    }

    private static void Event(HttpListenerContext context, string data)
    {
        context.Response.OutputStream.Write(Encoding.UTF8.GetBytes($"data: {data}\n\n"));
        context.Response.OutputStream.Flush();
    }

    private static void SendWhole(HttpListenerContext context, bool isChat, string text, bool ends, JsonObject usage)
    {
        var choice = new JsonObject { ["index"] = 0, ["finish_reason"] = ends ? "stop" : "length" };
        if (isChat) choice["message"] = new JsonObject { ["role"] = "assistant", ["content"] = text };
        else choice["text"] = text;
        Send(context, 200, new JsonObject { ["choices"] = new JsonArray(choice), ["usage"] = usage }.ToJsonString());
    }

    private static void Send(HttpListenerContext context, int status, string body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = body.StartsWith('{') ? "application/json; charset=utf-8" : "text/plain";
        context.Response.OutputStream.Write(Encoding.UTF8.GetBytes(body));
        context.Response.Close();
    }
}
