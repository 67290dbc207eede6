using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Models.Conversion;
using Rlgf.Models.Loading;
using Rlgf.Runs;
using Rlgf.Tokenizers;
using static TorchSharp.torch;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf convert</c>: a model, from a folder or a GGUF file, as a folder with its weights stored in a chosen type, an adapter merged into its base.</summary>
internal static class ConvertCommand
{
    /// <summary>Files of weights: a folder so called would be taken for one.</summary>
    private static readonly string[] FileEndings = [".gguf", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx"];

    /// <summary>More in one file than any disk takes.</summary>
    private const long MostMegabytes = 1_000_000_000;

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var from = new Argument<string?>("IN") { Description = "The same as --model.", Arity = ArgumentArity.ZeroOrOne };
        var to = new Argument<string?>("OUT") { Description = "The same as --output.", Arity = ArgumentArity.ZeroOrOne };
        var input = new Option<string?>("--model") { HelpName = "PATH", Description = "Folder of a language model or of a sequence classifier in the Hugging Face format, of a LoRA adapter in PEFT's, or a GGUF file." };
        var output = new Option<string?>("--output") { HelpName = "DIR", Description = "Folder for the result, the tokenizer's files included." };
        var type = new Option<string>("--type") { HelpName = "TYPE", Description = "float32, or float16 or bfloat16 for half the size at a loss of accuracy.", DefaultValueFactory = _ => "float16" };
        type.AcceptOnlyFromAmong("float16", "bfloat16", "float32");
        var shard = CommonOptions.Number("--shard-size", 5000L, "The most megabytes of weights in one file.");
        var command = new Command("convert", CommonOptions.Describe(
            "Writes a model again with its weights stored in another type, an adapter added to the weights that it is for, or a GGUF file as a folder in the Hugging Face format. Of GGUF, Llama (with other families that call themselves " +
            "so, such as SmolLM2), Qwen 2 and 3, Gemma, Granite, OLMo 2 and StableLM models are converted, stored as F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K or Q8_K; a model that is split into parts is given by any of them. The result has what the file says about tokenizer and chat template; a key of it that would change the model and isn't known is refused by name.",
            "rlgf convert model.Q4_K_M.gguf model --type bfloat16"))
        {
            from, to, input, output, type, shard,
        };
        command.SetAction(parsed =>
        {
            var stored = parsed.GetValue(type) switch { "float32" => ScalarType.Float32, "bfloat16" => ScalarType.BFloat16, _ => ScalarType.Float16 };
            var megabytes = parsed.GetValue(shard);
            if (megabytes is < 1 or > MostMegabytes) throw new UsageException($"--shard-size is {megabytes}: it must be from 1 to {MostMegabytes}; see 'rlgf convert --help'");
            Run(OneOf(parsed, from, input), OneOf(parsed, to, output), stored, megabytes * 1_000_000, terminal);
            return ExitCode.Ok;
        });
        return command;
    }

    private static string OneOf(ParseResult parsed, Argument<string?> argument, Option<string?> option) => (parsed.GetValue(argument), parsed.GetValue(option)) switch
    {
        ({ } value, null) => value,
        (null, { } value) => value,
        _ => throw new UsageException($"give {argument.Name} or {option.Name}, one of the two; see 'rlgf convert --help'"),
    };

    private static void Run(string input, string output, ScalarType type, long shardBytes, Terminal terminal)
    {
        if (Array.Find(FileEndings, ending => output.EndsWith(ending, StringComparison.OrdinalIgnoreCase)) is { } file && !Directory.Exists(output))
            throw new UsageException($"'{output}' is the name of a {file} file, and what is written is a folder in the Hugging Face format, with its weights as .safetensors inside; name a folder; see 'rlgf convert --help'");
        if (!Directory.Exists(input) && input.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
        {
            RunGguf(input, output, type, shardBytes, terminal);
            return;
        }

        var isClassifier = FolderConfiguration.Read(input).IsClassifier;
        Outputs.RequireFolder(output, input);
        if (isClassifier)
        {
            using var classifier = SequenceClassifierFolder.Load(input);
            terminal.Stop.ThrowIfCancellationRequested();
            terminal.Tell(input, classifier.LoadingNotes);
            SequenceClassifierFolder.Save(classifier, output, type, shardBytes, mergeAdapter: true);
        }
        else
        {
            using var model = LanguageModelFolder.Load(input);
            terminal.Stop.ThrowIfCancellationRequested();
            terminal.Tell(input, model.LoadingNotes);
            LanguageModelFolder.Save(model, output, type, shardBytes, mergeAdapter: true);
        }

        TokenizerFolder.Copy(TextModel.TokenizerFolderOf(input), output);
        Report(isClassifier ? "classifier" : "language model", output, terminal);
    }

    private static void RunGguf(string input, string output, ScalarType type, long shardBytes, Terminal terminal)
    {
        if (!File.Exists(input)) throw new InputException($"{input}: there is no such file.");
        Outputs.RequireFolder(output, input);
        IReadOnlyList<string> notes;
        using (var progress = new ProgressLine(terminal, "convert", "%", 100))
        {
            notes = GgufConversion.Convert(input, output, type, shardBytes, new DirectProgress<double>(share =>
            {
                terminal.Stop.ThrowIfCancellationRequested();
                progress.Report((long)(100 * share));
            }));
        }

        foreach (var note in notes) terminal.Error.WriteLine($"warning: {input}: {note}");
        Report("language model", output, terminal);
    }

    private static void Report(string what, string output, Terminal terminal)
    {
        var bytes = Directory.EnumerateFiles(output, "model*.safetensors").Sum(file => new FileInfo(file).Length);
        terminal.Error.WriteLine(FormattableString.Invariant($"{output}: {what}, {bytes / 1e6:0.0} MB"));
    }
}
