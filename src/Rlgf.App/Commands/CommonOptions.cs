using System.CommandLine;
using System.CommandLine.Parsing;
using Rlgf.Base;
using Rlgf.Models.NumberTypes;

namespace Rlgf.App.Commands;

/// <summary>Options that several commands have, so that they are spelt and explained once.</summary>
internal static class CommonOptions
{
    /// <summary>A required text.</summary>
    public static Option<string> Required(string name, string valueName, string description) => new(name) { HelpName = valueName, Description = description, Required = true };

    /// <summary>A number with a default.</summary>
    public static Option<T> Number<T>(string name, T value, string description) where T : struct => new(name)
    {
        HelpName = typeof(T) == typeof(double) ? "F" : "N", Description = description, DefaultValueFactory = _ => value, CustomParser = result => Parse<T>(result) ?? value,
    };

    /// <summary>A whole number that may be left out.</summary>
    public static Option<int?> OptionalNumber(string name, string description) => new(name) { HelpName = "N", Description = description, CustomParser = Parse<int> };

    /// <summary>A number that may be left out.</summary>
    public static Option<double?> OptionalReal(string name, string description) => new(name) { HelpName = "F", Description = description, CustomParser = Parse<double> };

    /// <summary>The number that an option was given. The library's own reading takes a comma for a separator of thousands.</summary>
    private static T? Parse<T>(ArgumentResult result) where T : struct
    {
        var text = result.Tokens[^1].Value;
        if (WrittenNumber.Parse(text, typeof(T)) is T number) return number;
        result.AddError($"{((OptionResult)result.Parent!).IdentifierToken?.Value}: expected {WrittenNumber.Expected(typeof(T))}; found '{text}'");
        return null;
    }

    /// <summary>The file that rows are written to.</summary>
    public static Option<string> Output(string rows) => Required("--output", "FILE", $"Where rows {rows} go, as JSON lines; - is standard output.");

    /// <summary>The tokenizer, where it is not in the model's folder.</summary>
    public static Option<string?> Tokenizer() => new("--tokenizer") { HelpName = "DIR", Description = "Folder of the model's tokenizer, where it is not in the model's own." };

    /// <summary>The type that a model computes with.</summary>
    public static Option<string> Precision()
    {
        var option = new Option<string>("--precision")
        {
            HelpName = "TYPE",
            Description = "What the model computes with: float32; bfloat16, which takes half the memory and rounds more; or auto, which is bfloat16 on a GPU and where the processor has instructions for its products.",
            DefaultValueFactory = _ => "float32",
        };
        option.AcceptOnlyFromAmong("float32", "bfloat16", "auto");
        return option;
    }

    /// <summary>What was given for <see cref="Precision"/>.</summary>
    public static Precision PrecisionOf(ParseResult parsed, Option<string> option, Option<string?> device) =>
        Enum.Parse<Precision>(parsed.GetRequiredValue(option), ignoreCase: true).ResolvedOn(parsed.GetValue(device) ?? DeviceName.Default);

    /// <summary>Where it computes.</summary>
    public static Option<string?> Device()
    {
        var option = new Option<string?>("--device") { HelpName = "DEVICE", Description = "Where it computes: cpu, cuda (the first GPU), cuda:N, or auto, which is the first GPU where there is one." };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [.., var last] && DeviceName.Fault(last.Value) is { } fault) result.AddError($"--device {fault}");
        });
        return option;
    }

    /// <summary>What was given for <see cref="Device"/>; the CPU where nothing was.</summary>
    /// <exception cref="InputException">The machine has no such device.</exception>
    public static TorchSharp.torch.Device DeviceOf(ParseResult parsed, Option<string?> option)
    {
        var name = parsed.GetValue(option) ?? DeviceName.Default;
        return DeviceName.Problem(name) is { } problem ? throw new InputException($"--device {problem}") : DeviceName.Of(name);
    }

    /// <summary>Description of a command, with an example.</summary>
    public static string Describe(string what, string example) => $"{what}\n\nExample: {example}";
}
