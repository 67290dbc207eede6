using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Models.Hub;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf fetch</c>: a model from a hub.</summary>
internal static class FetchCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var model = new Argument<string>("MODEL") { Description = "ORGANISATION/NAME." };
        var revision = new Option<string>("--revision") { HelpName = "NAME", Description = "Branch, tag or commit.", DefaultValueFactory = _ => "main" };
        var include = new Option<string[]>("--include")
        {
            HelpName = "PATTERN", AllowMultipleArgumentsPerToken = true,
            Description = "Which files, with * and ?; several may be given. By default what a model needs: configuration, tokenizer, and weights as safetensors or, where there are none, in PyTorch's format.",
        };
        var endpoint = new Option<string?>("--endpoint") { HelpName = "URL", Description = $"Address of a server that answers as the Hugging Face hub does. [default: HF_ENDPOINT, or {HubSettings.DefaultEndpoint}]" };
        var command = new Command("fetch", CommonOptions.Describe(
            "Fetches a model from a hub and writes its folder's path to standard output. It goes into the cache that the ecosystem's other tools use (HF_HUB_CACHE, HF_HOME), and what they have fetched is found there. " +
            "A fetch that was stopped goes on where it was; lengths and sums are checked. A token for private or gated models is taken from HF_TOKEN.",
            "rlgf score --model \"$(rlgf fetch HuggingFaceTB/SmolLM2-135M-Instruct)\" --input rows.jsonl --output scores.jsonl"))
        {
            model, revision, include, endpoint,
        };
        command.SetAction(parsed =>
        {
            Run(new HubModel(parsed.GetRequiredValue(model), parsed.GetRequiredValue(revision)), parsed.GetValue(include) ?? [], HubSettings.FromEnvironment(parsed.GetValue(endpoint)), terminal);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Run(HubModel model, string[] include, HubSettings settings, Terminal terminal)
    {
        const double megabyte = 1e6;
        ProgressLine? line = null;
        try
        {
            var folder = HubFetch.Run(
                model, include, settings,
                begun => line = new ProgressLine(terminal, "fetch", "MB", Math.Max(1, (long)(begun.Total / megabyte)), (long)(begun.Bytes / megabyte)),
                new DirectProgress<FetchProgress>(now => line?.Report((long)(now.Bytes / megabyte), now.File)),
                terminal.Stop);
            line?.Dispose();
            terminal.Out.WriteLine(folder);
        }
        catch (OperationCanceledException)
        {
            line?.Dispose();
            throw new StoppedException($"stopped; what has come is kept in {settings.CacheFolder}, and the same command goes on from there");
        }
        finally
        {
            line?.Dispose();
        }
    }
}
