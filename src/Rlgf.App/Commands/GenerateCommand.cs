using System.CommandLine;
using System.Text.Json;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Text;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf generate</c>: continues prompts.</summary>
internal static class GenerateCommand
{
    /// <summary>Rows that are handed to the engine at once: some batches, so that it can put rows of like length together.</summary>
    private const int BatchesAtOnce = 4;

    private const string What =
        "Continues prompts with a language model. Rows come out in the order of the prompts. response_ids hold the end token where the model ended the text; " +
        "log_probs are natural logarithms under the model itself, before temperature, top-k and top-p, so that 'rlgf score' gives the same. An empty prompt is the model's begin token. With --messages a response ends at the chat template's end of turn too. A stop text stays in the response. What the model's generation_config.json (or, without one, config.json) forces or forbids applies: forced_bos_token_id (of an encoder-decoder), forced_eos_token_id, bad_words_ids, suppress_tokens, begin_suppress_tokens, sequence_bias, min_length, and, where no option says otherwise, min_new_tokens, no_repeat_ngram_size and repetition_penalty. How tokens are drawn is for the options to say; what the file has about that, and whatever else isn't used, is named in one warning.";

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var model = CommonOptions.Required("--model", "DIR", "Folder of a language model with its tokenizer, in the Hugging Face format.");
        var tokenizer = CommonOptions.Tokenizer();
        var prompts = new Option<string?>("--prompts") { HelpName = "FILE", Description = "Rows {\"prompt\"}: jsonl, csv, tsv or parquet; - is JSON lines from standard input." };
        var prompt = new Option<string[]>("--prompt") { HelpName = "TEXT", Description = "A prompt itself, in place of --prompts; may be given several times." };
        var messages = new Option<string?>("--messages")
        {
            HelpName = "FILE",
            Description = "In place of --prompts: rows {\"messages\"} (jsonl or parquet; - is JSON lines from standard input), each a list of {\"role\", \"content\"}, which the model reads by its own chat template. An answer at the end is gone on with.",
        };
        var markers = new Option<bool>("--markers-are-tokens") { Description = "With --messages: a token's name in a message (<|im_end|>) is that token, so that a user can end his turn. Without it, it is text." };
        var output = new Option<string?>("--output")
        {
            HelpName = "FILE", Description = "Where rows {\"prompt\" or \"messages\", \"response\", \"response_ids\", \"log_probs\"} go, as JSON lines; - is standard output, where those of --prompt go by default.",
        };
        var drawing = new DrawingOptions();
        var stop = new Option<string[]>("--stop") { HelpName = "TEXT", Description = "A response ends once it holds this text; may be given several times.", AllowMultipleArgumentsPerToken = true };
        var seed = CommonOptions.Number("--seed", 0UL, "Seed of the random numbers. What a row gets depends on the seed and the row's number only.");
        var precision = CommonOptions.Precision();
        var device = CommonOptions.Device();
        var batch = CommonOptions.Number("--batch-rows", 64, "Rows written at once: bounds the memory, changes no text.");
        var command = new Command("generate", CommonOptions.Describe(
            What,
            "rlgf generate --model assets/policy --prompt \"I watched this film\" --max-new-tokens 32 --top-p 0.95 --seed 1"));
        foreach (var option in (Option[])[model, tokenizer, prompts, prompt, messages, markers, output, .. drawing.All, stop, seed, batch, precision, device]) command.Add(option);
        command.SetAction(parsed =>
        {
            var settings = drawing.Read(parsed, parsed.GetValue(batch));
            var given = GivenOptions(parsed);
            var rows = Source(parsed.GetValue(prompts), parsed.GetValue(prompt) ?? [], parsed.GetValue(messages), terminal);
            if (parsed.GetValue(markers) && parsed.GetValue(messages) is null) throw new UsageException("--markers-are-tokens is for --messages");
            var target = parsed.GetValue(output) ?? DefaultOutput(given);
            RowOutput.Require(target, new[] { parsed.GetValue(prompts), parsed.GetValue(messages) }.OfType<string>());
            bool? chat = parsed.GetValue(messages) is null ? null : parsed.GetValue(markers);
            return Run(parsed.GetRequiredValue(model), parsed.GetValue(tokenizer), new(CommonOptions.DeviceOf(parsed, device), CommonOptions.PrecisionOf(parsed, precision, device)), rows, chat, target, settings, given,
                fitsMaximum: !drawing.SaysMaximum(parsed), parsed.GetValue(seed), parsed.GetValue(stop) ?? [], terminal);
        });
        return command;
    }

    /// <summary>The names of the options that the user gave.</summary>
    private static HashSet<string> GivenOptions(ParseResult parsed)
    {
        var given = parsed.CommandResult.Command.Options.Where(option => parsed.GetResult(option) is { Implicit: false }).Select(option => option.Name).ToHashSet(StringComparer.Ordinal);
        // Beams too are an answer to whether tokens are drawn.
        if (given.Contains("--beams")) given.Add("--greedy");
        return given;
    }

    private static string DefaultOutput(HashSet<string> given) => given.Contains("--prompt") ? "-"
        : throw new UsageException($"option '--output' is required with {(given.Contains("--messages") ? "--messages" : "--prompts")}; see 'rlgf generate --help'");

    /// <summary>The prompts' rows, to be read once the model is there.</summary>
    private static Func<IReadOnlyList<DataRow>> Source(string? path, string[] prompts, string? messages, Terminal terminal)
    {
        if (new[] { path is not null, prompts.Length > 0, messages is not null }.Count(isGiven => isGiven) != 1)
            throw new UsageException("give --prompts FILE, --prompt TEXT or --messages FILE, one of the three; see 'rlgf generate --help'");
        if (messages is not null)
        {
            if (messages != "-" && !Path.Exists(messages)) throw new InputException($"{messages}: there is no such file");
            return () => RowInput.ReadAll(messages, terminal);
        }

        if (path is null) return () => [.. JsonLines.Read(new StringReader(string.Join('\n', prompts.Select(text => JsonSerializer.Serialize(new { prompt = text })))), "--prompt")];
        if (path != "-" && !Path.Exists(path)) throw new InputException($"{path}: there is no such file; a prompt itself is given by --prompt");
        return () => RowInput.ReadAll(path, terminal);
    }

    private static int Run(string folder, string? tokenizer, ModelPlacement placement, Func<IReadOnlyList<DataRow>> source, bool? chat, string output, SamplingSettings asked, HashSet<string> given, bool fitsMaximum, ulong seed, string[] stopTexts, Terminal terminal)
    {
        using var loaded = TextModel.Load(folder, tokenizer, placement.Device, placement.Precision);
        terminal.Tell(folder, loaded.Model.LoadingNotes);
        var encoder = chat is { } markersAreTokens ? new ConversationEncoder(ChatTemplateFolder.Load(TextModel.TokenizerFolderOf(tokenizer ?? folder)), loaded.Tokenizer, markersAreTokens: markersAreTokens) : null;
        var model = loaded.EndingWith(encoder?.EndOfTurn);
        var settings = model.Defaults.ApplyTo(asked, model.EndTokens, given);
        if (model.Defaults.Warning(given) is { } unused) terminal.Error.WriteLine($"warning: {unused}");
        var stop = stopTexts.Length > 0 ? new StopTexts(stopTexts, model.Tokenizer) : null;
        settings.Validate(model.Model.Shape.Vocabulary);
        var rows = source();
        var prompts = new Given[rows.Count];
        var requests = new GenerationRequest[rows.Count];
        for (var i = 0; i < rows.Count; i++)
        {
            var ids = encoder is null ? OfText(model, rows[i], out prompts[i]) : OfMessages(encoder, rows[i], out prompts[i]);
            var room = Room(ids.Length, model.Model.Shape, asked, fitsMaximum, rows[i]);
            requests[i] = new GenerationRequest(new TokenRow(ids, []), Stream: (ulong)i, MaxNewTokens: Math.Min(room, settings.MaxNewTokens));
        }

        using var writer = new RowOutput(output, terminal);
        using var progress = new ProgressLine(terminal, "generate", "rows", requests.Length);
        var tokens = 0L;
        foreach (var chunk in requests.Chunk(Math.Min(settings.BatchRows, Math.Max(1, requests.Length)) * BatchesAtOnce))
        {
            IReadOnlyList<GeneratedRow> written;
            try
            {
                written = TextGenerator.Generate(model.Model, chunk, settings, seed, stop, terminal.Stop);
            }
            catch (OperationCanceledException)
            {
                throw writer.Stopped(requests.Length);
            }

            foreach (var row in written)
            {
                var text = ResponseText.Decode(model.Tokenizer, model.Model.Shape, row.Tokens);
                var (prompt, messages) = prompts[writer.Count];
                writer.Write(new Row(prompt, messages, text, row.Tokens, row.RawLogProbs));
                tokens += row.Tokens.Length;
            }

            writer.Flush();
            progress.Report(writer.Count, FormattableString.Invariant($"{tokens:#,0} tokens"));
        }

        writer.Complete();
        progress.Done();
        return ExitCode.Ok;
    }

    private static int[] OfText(TextModel model, DataRow row, out Given given)
    {
        given = new(row.GetString("prompt"), null);
        return PromptTokens.Of(model, given.Prompt!, row);
    }

    private static int[] OfMessages(ConversationEncoder encoder, DataRow row, out Given given)
    {
        var messages = ConversationReader.Read(row, "messages");
        given = new(null, [.. messages.Select(message => new MessageRecord(message.Role, message.Content))]);
        try
        {
            return encoder.EncodePrompt(messages).Ids;
        }
        catch (InputException refused)
        {
            throw new InputException($"{row.Location}: {refused.Message}", refused);
        }
    }

    /// <summary>How many tokens the model has room for after a prompt.</summary>
    private static int Room(int prompt, LanguageModelShape shape, SamplingSettings settings, bool fitsMaximum, DataRow row)
    {
        var room = shape.Room(prompt);
        if (room < 1)
        {
            throw new InputException($"{row.Location}: the prompt of {prompt} tokens leaves no room in {shape.Limits}; shorten it");
        }

        var wanted = fitsMaximum ? settings.MinNewTokens : settings.MaxNewTokens;
        return room >= wanted
            ? room
            : throw new InputException($"{row.Location}: the prompt of {prompt} tokens and {wanted} new ones do not fit {shape.Limits}; shorten the prompt or write at most {room}");
    }

    /// <summary>What a row gave: a text or a conversation.</summary>
    private readonly record struct Given(string? Prompt, IReadOnlyList<MessageRecord>? Messages);

    private sealed record Row(string? Prompt, IReadOnlyList<MessageRecord>? Messages, string Response, int[] ResponseIds, float[] LogProbs);
}
