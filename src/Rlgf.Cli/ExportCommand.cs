using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Rlgf.App.Commands;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.LlamaCpp;
using Rlgf.Models.Conversion;
using Rlgf.Models.Loading;
using Rlgf.Runs;
using Rlgf.Text;
using static TorchSharp.torch;

namespace Rlgf.Cli;

/// <summary><c>rlgf export</c>: a model as one file for other programs, compared with its source before it gets its name.</summary>
internal static class ExportCommand
{
    private const string What =
        "Writes a language model as a GGUF file, which Ollama, llama.cpp, LM Studio and others run: an adapter merged, with tokenizer and chat template. Then the file is read back, by rlgf's own reader and by llama.cpp, and compared with its source: "
        + "tokens of 200 texts, log-probabilities and greedy continuations of 32, conversations. Only a file that is the same model within its type's bound (docs/export.md) gets its name; another is left as FILE.partial, and the command fails. "
        + "The comparison needs memory for the whole model in float32; writing needs little more than its largest tensor. Beside FILE goes a Modelfile for Ollama.";

    private static readonly (string Name, GgufFileType Type)[] Types =
    [
        ("f32", GgufFileType.F32), ("f16", GgufFileType.F16), ("bf16", GgufFileType.BF16), ("q8_0", GgufFileType.Q8_0), ("q6_k", GgufFileType.Q6_K), ("q5_k_m", GgufFileType.Q5_K_M), ("q5_1", GgufFileType.Q5_1), ("q5_0", GgufFileType.Q5_0),
        ("q4_k_m", GgufFileType.Q4_K_M), ("q4_1", GgufFileType.Q4_1), ("q4_0", GgufFileType.Q4_0),
    ];

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var folder = new Argument<string>("FOLDER") { Description = "Folder of a language model in the Hugging Face format or of a LoRA adapter in PEFT's; or the folder of a run, for the policy of its newest checkpoint." };
        var to = new Option<string>("--to") { HelpName = "FORMAT", Description = "gguf.", DefaultValueFactory = _ => "gguf" };
        RequireAmong(to, "gguf");
        var type = new Option<string>("--type")
        {
            HelpName = "TYPE",
            Description = "How numbers are stored: f32, f16, bf16; q8_0, half of f16 and hardly less exact; q6_k, q5_k_m, q4_k_m, smaller and less exact, which mix types as llama.cpp does; q5_1, q5_0, q4_1, q4_0, older ones.",
            DefaultValueFactory = _ => "q8_0",
        };
        RequireAmong(type, [.. Types.Select(known => known.Name)]);
        var output = CommonOptions.Required("--output", "FILE", "The file, whose name ends in .gguf.");
        var tokenizer = CommonOptions.Tokenizer();
        var name = new Option<string?>("--name") { HelpName = "NAME", Description = "What the file calls the model. Without it, the name of FILE." };
        var context = CommonOptions.OptionalNumber("--context-length", "The most tokens of a text, where they are to be fewer than the model's own.");
        var texts = new Option<string?>("--texts") { HelpName = "FILE", Description = $"Texts to compare log-probabilities on, one a line, at most {GgufProof.MostOwnTexts}. Without it, 32 of ordinary sentences." };
        var skip = new Option<bool>("--skip-proof") { Description = "Don't read the file back and compare: for models that are larger than this machine's memory." };
        var command = new Command("export", CommonOptions.Describe(What, "rlgf export assets/policy --type q8_0 --output policy.gguf"))
        {
            folder, to, type, output, tokenizer, name, context, texts, skip,
        };
        command.SetAction(parsed =>
        {
            var file = parsed.GetRequiredValue(output);
            if (parsed.GetValue(context) is < 2 and var tokens) throw new UsageException($"--context-length {tokens}: must be 2 or more");
            if (Directory.Exists(file)) throw new UsageException($"--output {file}: is a folder, and what is written is one file: name one in it, such as {Path.Combine(file, "model.gguf")}");
            if (!file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) throw new UsageException($"--output {file}: must end in .gguf, by which other programs know such files");
            if (Path.GetFileNameWithoutExtension(file).Length == 0 || file.Any(char.IsControl)) throw new UsageException($"--output {JsonSerializer.Serialize(file)}: is no name for a model: it needs letters before .gguf, and no control characters");
            if (string.IsNullOrWhiteSpace(parsed.GetValue(name) ?? file)) throw new UsageException("--name is empty: give what the file is to call the model, or leave it out for the name of the file");
            var given = parsed.GetRequiredValue(folder);
            if (File.Exists(given)) throw new UsageException($"{given}: is a file; give the folder of a model{(given.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? " (a GGUF file becomes one by 'rlgf convert')" : "")}");
            var source = RecipeOptions.PolicyOf(given, "export");
            var card = ModelCard.Of(source);
            var settings = new GgufExportSettings
            {
                Type = Array.Find(Types, known => string.Equals(known.Name, parsed.GetValue(type), StringComparison.OrdinalIgnoreCase)).Type,
                Name = parsed.GetValue(name) ?? Path.GetFileNameWithoutExtension(file),
                License = card.License,
                BaseModel = card.BaseModel,
                ContextLength = parsed.GetValue(context),
                TokenizerFolder = parsed.GetValue(tokenizer),
            };
            if (parsed.GetValue(skip) && parsed.GetValue(texts) is not null) throw new UsageException("--texts is for the comparison, which --skip-proof leaves out: give one of the two");
            return Run(source, file, settings, card, parsed.GetValue(skip) ? null : () => Own(parsed.GetValue(texts)), terminal);
        });
        return command;
    }

    /// <summary>One of some names, in capitals or not: llama.cpp and file names on hubs have types in capitals.</summary>
    private static void RequireAmong(Option<string> option, params string[] names)
    {
        option.CompletionSources.Add(names);
        option.Validators.Add(result =>
        {
            if (result.Tokens.FirstOrDefault(token => !names.Contains(token.Value, StringComparer.OrdinalIgnoreCase)) is { } wrong) result.AddError($"{option.Name} {wrong.Value}: must be one of {string.Join(", ", names)}");
        });
    }

    private static int Run(string source, string file, GgufExportSettings settings, ModelCard card, Func<string[]?>? proofTexts, Terminal terminal)
    {
        var modelfile = Path.ChangeExtension(file, ".Modelfile");
        Outputs.RequireModelFile(file, source);
        Outputs.RequireModelFile(modelfile, source);
        var texts = proofTexts?.Invoke();
        var template = ChatTemplateFolder.Find(TextModel.TokenizerFolderOf(settings.TokenizerFolder ?? source));
        // Under another name until it is known to be the same model.
        var partial = file + Outputs.UnfinishedEnding;
        using var taken = Outputs.Take(file);
        var written = Write(source, partial, settings, terminal);
        var isKept = false;
        try
        {
            terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{file}: {Parameters(written.Parameters)} parameters, {settings.Type}, {new FileInfo(partial).Length / 1e6:0.0} MB, {(template is null ? "no chat template" : "chat template")}, {written.Notes.Count} {(written.Notes.Count == 1 ? "warning" : "warnings")}"));
            foreach (var note in written.Notes) terminal.Error.WriteLine($"warning: {file}: {note}");
            var faults = proofTexts is null ? [] : Prove(source, partial, settings, texts, terminal);
            isKept = true;
            if (faults.Count > 0) throw new InputException($"{file}: doesn't get its name, since it is no faithful copy: {string.Join("; ", faults)}. What was written is left as {partial}, to be looked at");
            AtomicFile.Complete(partial, file);
            WriteModelfile(modelfile, OllamaModelfile.Text(Path.GetFileName(file), template, written.AddedBos, written.EndTexts, written.HasEndOfTurn, written.ContextLength, written.Sampling, card.License), terminal);
            if (proofTexts is null) terminal.Out.WriteLine($"NOT read back (--skip-proof): nothing has shown that {file} is the same model");
            return ExitCode.Ok;
        }
        finally
        {
            // What couldn't be compared, or was stopped, is not kept.
            if (!isKept) File.Delete(partial);
        }
    }

    private static GgufExported Write(string source, string partial, GgufExportSettings settings, Terminal terminal)
    {
        using var progress = new ProgressLine(terminal, "export", "%", 100);
        return GgufExport.Write(source, partial, settings, new DirectProgress<double>(share =>
        {
            terminal.Stop.ThrowIfCancellationRequested();
            progress.Report((long)(100 * share));
        }));
    }

    /// <summary>One that is there may have been changed by hand: it stays unless it says the same.</summary>
    private static void WriteModelfile(string path, string text, Terminal terminal)
    {
        var isThere = File.Exists(path);
        if (isThere && RegularFile.ReadText(path) != text)
        {
            terminal.Error.WriteLine($"warning: {path}: is there already and says something else than would be written now; it is kept. Remove it and export again for a new one");
            terminal.Out.WriteLine($"Modelfile kept as it was: {path}");
            return;
        }

        if (!isThere) AtomicFile.WriteText(path, text);
        terminal.Out.WriteLine($"Modelfile {(isThere ? "unchanged" : "written")}: ollama create {Path.GetFileNameWithoutExtension(path)} -f {path}");
    }

    private static string[]? Own(string? file)
    {
        if (file is null) return null;
        if (!File.Exists(file)) throw new InputException($"{file}: there is no such file");
        string[] texts = [.. RegularFile.ReadText(file).Split('\n').Select(line => line.TrimEnd('\r')).Where(line => line.Length > 0)];
        return texts.Length is >= 1 and <= GgufProof.MostOwnTexts ? texts : throw new InputException($"{file}: has {texts.Length} texts, one a line; from 1 to {GgufProof.MostOwnTexts} can be compared");
    }

    /// <summary>Reads the file back by all who can, and says what was measured.</summary>
    private static List<string> Prove(string source, string partial, GgufExportSettings settings, string[]? texts, Terminal terminal)
    {
        var faults = new List<string>();
        GgufProof proof;
        using (var model = TextModel.Load(source, settings.TokenizerFolder)) proof = new GgufProof(model, settings.Type, settings.TokenizerFolder, settings.ContextLength, texts);
        terminal.Stop.ThrowIfCancellationRequested();
        Tell(proof.CompareOwn(partial));
        terminal.Stop.ThrowIfCancellationRequested();
        if (GgufMetadata.Open(partial).Text("general.architecture") == "t5")
        {
            terminal.Error.WriteLine("not read back by llama.cpp: its package for .NET takes models that are a decoder alone");
            return faults;
        }

        using var loaded = LlamaCppModel.Load(partial, new LlamaCppSettings { Threads = get_num_threads(), FullPrecisionCache = true });
        Tell(proof.Compare("llama.cpp", loaded, loaded.Tokenize));
        return faults;

        void Tell(GgufComparison comparison)
        {
            terminal.Out.WriteLine(comparison.Summary);
            faults.AddRange(comparison.Faults);
        }
    }

    private static string Parameters(long count) => count >= 1_000_000 ? string.Create(CultureInfo.InvariantCulture, $"{count / 1e6:0} M") : string.Create(CultureInfo.InvariantCulture, $"{count:#,0}");
}
