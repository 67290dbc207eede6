using System.CommandLine;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using static TorchSharp.torch;

namespace Rlgf.Cli.Commands;

/// <summary><c>rlgf convert</c>: a model's folder with its weights stored in another type.</summary>
internal static class ConvertCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var input = CommonOptions.Required("--model", "DIR", "Folder of a language model or of a sequence classifier, in the Hugging Face format.");
        var output = CommonOptions.Required("--output", "DIR", "Folder for the result; the tokenizer's files are not copied.");
        var type = new Option<string>("--type") { HelpName = "TYPE", Description = "float32, or float16 for half the size at a loss of accuracy.", DefaultValueFactory = _ => "float16" };
        type.AcceptOnlyFromAmong("float16", "float32");
        var command = new Command("convert", CommonOptions.Describe(
            "Writes a model again with its weights stored in another type.", "rlgf convert --model runs/imdb-small/policy --output assets/policy --type float16"))
        {
            input, output, type,
        };
        command.SetAction(parsed =>
        {
            Run(parsed.GetRequiredValue(input), parsed.GetRequiredValue(output), parsed.GetValue(type) == "float16" ? ScalarType.Float16 : ScalarType.Float32, terminal);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Run(string input, string output, ScalarType type, Terminal terminal)
    {
        var isClassifier = ModelConfiguration.Read(input).IsClassifier;
        OutputFolder.Require(output);
        if (isClassifier)
        {
            using var classifier = SequenceClassifierFolder.Load(input);
            SequenceClassifierFolder.Save(classifier, output, type);
        }
        else
        {
            using var model = LanguageModelFolder.Load(input);
            LanguageModelFolder.Save(model, output, type);
        }
        terminal.Error.WriteLine($"{output}: {(isClassifier ? "classifier" : "language model")}, {new FileInfo(Path.Combine(output, "model.safetensors")).Length / 1e6:0.0} MB");
    }
}
