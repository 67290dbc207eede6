using System.CommandLine;
using System.IO.Enumeration;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Models.Inspection;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf families</c>: the families of models that can be read, and how far that was checked.</summary>
internal static class FamiliesCommand
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var name = new Argument<string?>("NAME") { Description = "The family with this model_type, name or published model, with its notes; or those that begin so.", Arity = ArgumentArity.ZeroOrOne };
        var json = new Option<bool>("--json") { Description = "Write a JSON array instead of text." };
        var command = new Command("families", CommonOptions.Describe(
            "Lists the families of models that can be loaded: model_type in config.json, how far the language model and the classifier (reward, judge) were checked, and published models of the family. " +
            "trained: numbers, gradients and optimiser's steps are those of transformers on a tiny model of the family; checked: the numbers are; same code: the checked code of another family on a trunk that was checked; " +
            "composed: equal to the checked model at the place that the format names. Published models marked * were run here with their own weights; the others have the format, and were not loaded.",
            "rlgf families gemma3"))
        {
            name, json,
        };
        command.SetAction(parsed =>
        {
            var families = parsed.GetValue(name) is { } only ? Named(only) : [.. SupportedFamily.All];
            if (parsed.GetValue(json)) terminal.Out.WriteLine(JsonSerializer.Serialize(families, Json));
            else if (families.Count == 1) WriteOne(terminal.Out, families[0]);
            else WriteAll(terminal.Out, families);
            return ExitCode.Ok;
        });
        return command;
    }

    private static List<SupportedFamily> Named(string name)
    {
        bool Is(string other) => string.Equals(other, name, StringComparison.OrdinalIgnoreCase);
        bool Begins(string other) => other.StartsWith(name, StringComparison.OrdinalIgnoreCase);
        List<SupportedFamily> Where(Func<string, bool> fits) => [.. SupportedFamily.All.Where(family => family.ModelTypes.Concat(family.Name.Split(", ")).Any(fits))];
        if (name.Trim().Length == 0) throw new UsageException("families: NAME is empty; give a model_type, a family's name, or the name of a published model");
        if (Where(Is) is { Count: > 0 } exact) return exact;
        // google/gemma-3-1b-it is google/gemma-3-1b-* rather than google/gemma-*.
        var published = SupportedFamily.All.SelectMany(family => family.Models.Where(model => FileSystemName.MatchesSimpleExpression(model.Name, name)).Select(model => (Family: family, Of: model.Name)));
        if (published.OrderByDescending(found => found.Of.Length).Select(found => found.Family).FirstOrDefault() is { } one) return [one];
        if (Where(Begins) is { Count: > 0 } begun) return begun;
        var known = SupportedFamily.All.SelectMany(family => family.ModelTypes.Concat(family.Name.Split(", "))).ToList();
        throw new InputException($"families: there is no family '{name}'{(Spelling.Nearest(name, known) is { } nearest ? $"; the nearest is '{nearest}'" : "; rlgf families lists them")}");
    }

    private static void WriteAll(TextWriter output, IReadOnlyList<SupportedFamily> families)
    {
        List<string[]> lines = [["family", "model_type", "language model", "classifier", "published"]];
        lines.AddRange(families.Select(family => new[]
        {
            family.Name, string.Join(", ", family.ModelTypes), SupportedFamily.WordsOf(family.LanguageModel), SupportedFamily.WordsOf(family.Classifier), string.Join(", ", family.Models.Take(1).Select(Published)) + (family.Models.Count > 1 ? ", …" : ""),
        }));
        var widths = Enumerable.Range(0, 4).Select(column => lines.Max(line => line[column].Length) + 2).ToList();
        foreach (var line in lines) output.WriteLine(string.Concat(line.Select((cell, column) => column < widths.Count ? cell.PadRight(widths[column]) : cell)).TrimEnd());
        output.WriteLine("* was run here with its own weights; rlgf families NAME says more of one.");
    }

    private static void WriteOne(TextWriter output, SupportedFamily family)
    {
        void Line(string title, string text) => output.WriteLine($"{title,-16}{text}".TrimEnd());
        Line("family", family.Name);
        Line("model_type", string.Join(", ", family.ModelTypes));
        Line("language model", SupportedFamily.WordsOf(family.LanguageModel));
        Line("classifier", SupportedFamily.WordsOf(family.Classifier));
        foreach (var model in family.Models) Line("published", Published(model));
        if (family.Notes.Length > 0) Line("notes", family.Notes);
    }

    private static string Published(PublishedModel model) => $"{model.Name} ({model.Sizes}){(model.WasRun ? " *" : "")}";
}
