using System.CommandLine;
using Rlgf.App.Commands;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Runs;
using Rlgf.Serving.Engine;
using Rlgf.Serving.Http;

namespace Rlgf.Cli;

/// <summary>Commands of this program that the package <c>Rlgf</c> doesn't have: they need ASP.NET Core or llama.cpp, which a program that only tunes shouldn't.</summary>
internal static class OwnCommands
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<Func<Terminal, Command>> All { get; } = [ExportCommand.Create, ServeCommand.Create];
}

/// <summary><c>rlgf serve</c>: a model behind OpenAI's protocol.</summary>
internal static class ServeCommand
{
    private const string What =
        "Serves a language model over HTTP as OpenAI's clients expect it: /v1/models, /v1/completions, /v1/chat/completions, with the fields of vLLM that rollouts need (prompts as ids, return_token_ids, raw "
        + "log-probabilities), /tokenize, /detokenize, and adapters that come and go. Requests join the batch that is being written. The first line printed is 'listening on http://HOST:PORT'; at that address is a page to try "
        + "prompts in. Ctrl-C ends it. docs/serving.md says more.";

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var defaults = new ServerSettings();
        var model = CommonOptions.Required("--model", "DIR|RUN", "Folder of a language model with its tokenizer, in the Hugging Face format; or the folder of a run, for the policy of its newest checkpoint.");
        var tokenizer = CommonOptions.Tokenizer();
        var port = CommonOptions.Number("--port", defaults.Port, "Port to listen on; 0 takes a free one.");
        var host = new Option<string>("--host")
        {
            HelpName = "H", Description = "Address to listen on: localhost or an IP address, 0.0.0.0 for all of this machine. One that other machines reach needs --key-from.", DefaultValueFactory = _ => defaults.Host,
        };
        var name = new Option<string?>("--name") { HelpName = "NAME", Description = "What clients call the model. Without it, the name of its folder." };
        var keyFrom = new Option<string?>("--key-from") { HelpName = "VARIABLE", Description = "Environment variable with the key that clients must send (Authorization: Bearer KEY)." };
        var adapters = new Option<string?>("--adapters") { HelpName = "DIR", Description = "Folder that LoRA adapters may be loaded from (/v1/load_lora_adapter). Without it, none." };
        var batch = CommonOptions.Number("--batch-rows", defaults.Engine.BatchRows, "Rows written at once.");
        var batchTokens = CommonOptions.Number("--batch-tokens", (int)defaults.Engine.BatchTokens, "Tokens that the rows written at once may come to, the longest times their number: bounds the memory of keys and values.");
        var queue = CommonOptions.Number("--queue-rows", defaults.Engine.QueueRows, "Rows that may wait for a place; a request beyond is answered 429.");
        var rowTokens = CommonOptions.Number("--row-tokens", defaults.Engine.RowTokens, "The most tokens of a prompt and its answer together, where the model's context has room for more.");
        var body = CommonOptions.Number("--body-bytes", (int)defaults.BodyBytes, "The most bytes of a request.");
        var precision = CommonOptions.Precision();
        var device = CommonOptions.Device();
        var command = new Command("serve", CommonOptions.Describe(What, "rlgf serve --model assets/policy --port 8000"))
        {
            model, tokenizer, port, host, name, keyFrom, adapters, batch, batchTokens, queue, rowTokens, body, precision, device,
        };
        command.SetAction(async (parsed, _) =>
        {
            var settings = new ServerSettings
            {
                Host = parsed.GetRequiredValue(host),
                Port = Within("--port", parsed.GetValue(port), 0, ushort.MaxValue),
                Name = parsed.GetValue(name) is "" ? throw new UsageException("--name is empty: give a name, or leave it out") : parsed.GetValue(name),
                Key = parsed.GetValue(keyFrom) is { } variable ? Key(variable) : null,
                AdaptersFolder = parsed.GetValue(adapters),
                TokenizerFolder = parsed.GetValue(tokenizer),
                BodyBytes = Within("--body-bytes", parsed.GetValue(body), 1),
                Engine = new EngineSettings
                {
                    BatchRows = Within("--batch-rows", parsed.GetValue(batch), 1),
                    BatchTokens = Within("--batch-tokens", parsed.GetValue(batchTokens), 1),
                    QueueRows = Within("--queue-rows", parsed.GetValue(queue), 0),
                    RowTokens = Within("--row-tokens", parsed.GetValue(rowTokens), 1),
                },
            };
            terminal.Stopping = "stopping to serve, answers that are not whole are given up";
            // What can't be is said before a model is loaded.
            settings.Validate();
            var folder = RecipeOptions.PolicyOf(parsed.GetRequiredValue(model), "serve");
            using var loaded = TextModel.Load(folder, settings.TokenizerFolder, CommonOptions.DeviceOf(parsed, device), CommonOptions.PrecisionOf(parsed, precision, device));
            terminal.Tell(folder, loaded.Model.LoadingNotes);
            await using var server = await ModelServer.StartAsync(loaded, settings, terminal.Stop).ConfigureAwait(false);
            terminal.Out.WriteLine($"listening on {server.Address}");
            terminal.Out.Flush();
            await Task.Delay(Timeout.Infinite, terminal.Stop).ContinueWith(_ => { }, TaskScheduler.Default).ConfigureAwait(false);
            return ExitCode.Ok;
        });
        return command;
    }

    private static string Key(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } key
        // What can't be in a header no client can send.
        ? EnvironmentText.KeyProblem(key) is { } problem ? throw new UsageException($"--key-from {variable}: the variable holds {problem}; put the key alone into it") : key
        : throw new UsageException($"--key-from {variable}: the environment variable is not set or empty; put the key into it");

    private static int Within(string option, int value, int least, int most = int.MaxValue) => value >= least && value <= most
        ? value
        : throw new UsageException($"{option} {value}: must be {(most == int.MaxValue ? $"{least} or more" : $"from {least} to {most}")}");
}
