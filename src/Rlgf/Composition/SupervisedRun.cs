using Rlgf.Base;
using Rlgf.Checks;
using Rlgf.Models;
using Rlgf.Models.Families.Gpt2;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Supervised;
using Rlgf.Text.Data;
using Rlgf.Tokenizers;
using static TorchSharp.torch;

namespace Rlgf.Composition;

/// <summary>
/// Supervised training as a recipe says it: loads model and data, trains, and leaves the best model with its tokenizer in the output folder, beside all that a run keeps (<see cref="RunFolder"/>).
/// </summary>
public static class SupervisedRun
{
    /// <summary>Trains a language model.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="resume">Go on from the output folder's checkpoint; where it holds none, and no training that has ended, one begins anew.</param>
    /// <param name="log">Told after the folder's log; null for nobody.</param>
    /// <param name="cancellationToken">Stops after the step at hand and a checkpoint.</param>
    /// <exception cref="InputException">Something can't be loaded or written, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; a checkpoint was written.</exception>
    public static SupervisedResult Train(SftRecipe recipe, bool resume, IRunLog? log, CancellationToken cancellationToken)
    {
        recipe = (SftRecipe)recipe.Resolved();
        recipe.RequireDevices();
        using var claim = RunClaim.Take(recipe, resume, "rlgf sft");
        using var model = recipe.Locations.Of("model", () => Start(recipe, recipe.Model, recipe.Precision.Policy));
        var (learned, measured, notes) = Rows(recipe, model, cancellationToken);
        using var loop = SupervisedTraining.Prepare(model.Model, learned, measured, recipe.Training, recipe.Output!);
        return Run(recipe, recipe.Training, claim, loop, model.Tokenizer, [.. notes], log, cancellationToken);
    }

    /// <summary>Loads model and data as a training would, and looks for what goes wrong silently; see <see cref="SupervisedChecks"/>.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="cancellationToken">Stops between parts and rows.</param>
    /// <exception cref="InputException">Something can't be loaded.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<Finding> Check(SftRecipe recipe, CancellationToken cancellationToken = default)
    {
        recipe = (SftRecipe)recipe.Resolved();
        recipe.RequireDevices();
        using var model = recipe.Locations.Of("model", () => Start(recipe, recipe.Model, recipe.Precision.Policy));
        var (learned, measured, notes) = Rows(recipe, model, cancellationToken);
        return [.. notes.Select(note => new Finding(Severity.Warning, note)), .. SupervisedChecks.Of([.. learned.Select(row => row.Row)], [.. measured.Select(row => row.Row)])];
    }

    /// <summary>As the other, of a classifier.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="cancellationToken">Stops between parts and rows.</param>
    /// <exception cref="InputException">Something can't be loaded.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<Finding> Check(ClassifierRecipe recipe, CancellationToken cancellationToken = default)
    {
        recipe = (ClassifierRecipe)recipe.Resolved();
        recipe.RequireDevices();
        var (classifier, tokenizer) = recipe.Locations.Of("model", () => StartClassifier(recipe, recipe.Model, recipe.Labels));
        classifier.Dispose();
        var (learned, measured) = Texts(recipe, tokenizer, cancellationToken);
        return [.. OneLabel(learned, recipe) is { } one ? [new Finding(Severity.Error, one)] : (Finding[])[], .. SupervisedChecks.Of(learned, measured, recipe.Labels)];
    }

    /// <summary>The rows to learn from, those to measure on, and what was left out.</summary>
    private static (IReadOnlyList<TaughtRow> Learned, IReadOnlyList<TaughtRow> Measured, IReadOnlyList<string> Notes) Rows(SftRecipe recipe, TextModel model, CancellationToken cancellationToken)
    {
        var shape = model.Model.Shape;
        var block = recipe.BlockTokens ?? shape.ContextLength;
        if (block > shape.ContextLength) throw recipe.Refusal("block_tokens", $"{block} is more than {shape.Limits}");
        if (shape.ReadsPromptApart && recipe.Data.PromptColumn is null)
            throw recipe.Refusal("data.prompt_column", "it is missing: an encoder–decoder learns responses to prompts, not texts alone");
        var (training, heldOut) = recipe.Locations.Of("data", () => Read(recipe.Data, recipe.Kinds, cancellationToken));
        if (ConversationRows.Are(recipe.Data, training))
        {
            var conversations = new ConversationRows(recipe, model);
            List<string> notes = [];
            IReadOnlyList<TaughtRow> Of(IReadOnlyList<DataRow> rows, string path) => conversations.Encode(Until(rows, cancellationToken), rows.Count, path, notes);
            var (taught, held) = recipe.Locations.Of("data", () => (Of(training, recipe.Data.Path), Of(heldOut, recipe.Data.EvaluationPath ?? recipe.Data.Path)));
            return (taught, held, notes);
        }

        var separator = model.TaughtEnd
            ?? throw recipe.Refusal("model", "neither the model nor its tokenizer has an end token, which separates texts and ends responses; name one as eos_token in tokenizer_config.json");
        IReadOnlyList<TokenRow> Encoded(IReadOnlyList<DataRow> rows) => recipe.Data.PromptColumn is { } prompt
            ? [.. Until(rows, cancellationToken).Select(row => Pair(row, prompt, recipe.Data.Column, model.Tokenizer, separator, shape))]
            : SupervisedTraining.Pack(Until(rows, cancellationToken).Select(row => model.Tokenizer.Encode(row.GetString(recipe.Data.Column))), separator, block);
        var (learned, measured) = recipe.Locations.Of("data", () => (Encoded(training), Encoded(heldOut)));
        if (learned.Count == 0 || measured.Count == 0)
            throw recipe.Refusal("block_tokens", $"{recipe.Data.Path}: the {(learned.Count == 0 ? "training" : "held-out")} texts are too short for one block of {block} tokens; lower block_tokens, or use more rows");
        return ([.. learned.Select(row => new TaughtRow(row))], [.. measured.Select(row => new TaughtRow(row))], []);
    }

    /// <summary>Trains a classifier.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="resume">Go on from the output folder's checkpoint; where it holds none, and no training that has ended, one begins anew.</param>
    /// <param name="log">Told after the folder's log; null for nobody.</param>
    /// <param name="cancellationToken">Stops after the step at hand and a checkpoint.</param>
    /// <exception cref="InputException">Something can't be loaded or written, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; a checkpoint was written.</exception>
    public static SupervisedResult Train(ClassifierRecipe recipe, bool resume, IRunLog? log, CancellationToken cancellationToken)
    {
        recipe = (ClassifierRecipe)recipe.Resolved();
        recipe.RequireDevices();
        using var claim = RunClaim.Take(recipe, resume, "rlgf classifier train");
        var (classifier, tokenizer) = recipe.Locations.Of("model", () => StartClassifier(recipe, recipe.Model, recipe.Labels));
        using (classifier)
        {
            var window = recipe.Window is { } part ? new TextWindow(part.MinTokens, part.MaxTokens) : null;
            var (learned, measured) = Texts(recipe, tokenizer, cancellationToken);
            using var loop = ClassifierTraining.Prepare(classifier, learned, measured, window, recipe.Training, recipe.Output!, tokenizer);
            return Run(recipe, recipe.Training, claim, loop, tokenizer, OneLabel(learned, recipe) is { } note ? [note] : [], log, cancellationToken);
        }
    }

    /// <summary>Trains in the folder that was claimed: the same for every kind.</summary>
    internal static SupervisedResult Run(
        RunRecipe recipe, SupervisedSettings settings, RunClaim claim, SupervisedLoop loop, ITokenizer tokenizer, string[] notes, IRunLog? log, CancellationToken cancellationToken)
    {
        var folder = new RunFolder(recipe.Output!);
        var done = claim.IsResumed ? loop.StepsDone : null;
        if (done is not null && loop.Shortened is { } problem) throw recipe.Refusal(settings.MaxSteps == loop.Steps ? "training.max_steps" : "training.epochs", problem);
        // Before the log is cut to the checkpoint.
        if (done is { } steps) notes = [.. claim.Notes, .. loop.Notes, .. folder.MissingSteps(steps, loop.IsMeasured), .. notes];
        else notes = [.. claim.Notes, .. notes];
        using var logs = claim.Open(new RunDescription(recipe.Name, recipe.Kinds.Of(recipe.GetType())!.NameOf(recipe), recipe.Seed, IsSupervised: true), done ?? 0, FolderRunLog.ResumeSteps, log);
        // What it says is true again when the training has ended.
        if (done != loop.Steps) File.Delete(folder.ResultPath);
        if (done is null) tokenizer.Save(folder.Path);
        var all = new RunLogs(logs.All);
        all.Started(new RunStart(done ?? 0, loop.Steps, done is not null, notes));
        var result = loop.Run(claim.IsResumed, all, cancellationToken);
        RunJson.WriteFile(folder.ResultPath, result);
        return result;
    }

    /// <summary>The texts to learn from and those to measure on.</summary>
    private static (LabelledText[] Learned, LabelledText[] Measured) Texts(ClassifierRecipe recipe, ITokenizer tokenizer, CancellationToken cancellationToken)
    {
        var (training, heldOut) = recipe.Locations.Of("data", () => Read(recipe.Data, recipe.Kinds, cancellationToken));
        LabelledText[] Labelled(IReadOnlyList<DataRow> rows) => [.. Until(rows, cancellationToken).Select(row => new LabelledText(TokensOf(row, recipe.Data.Column, tokenizer), LabelOf(row, recipe)))];
        return recipe.Locations.Of("data", () => (Labelled(training), Labelled(heldOut)));
    }

    /// <summary>The classifier that a training begins with, on a model's trunk, with its adapter where the recipe names one.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="model">What it starts from.</param>
    /// <param name="labels">Names of its outputs.</param>
    /// <param name="padsWithEnd">Whether the end token, where the tokenizer has no other for padding, is the one that is passed over at the end of a row.</param>
    internal static (ISequenceClassifier Classifier, ITokenizer Tokenizer) StartClassifier(RunRecipe recipe, StartSection model, IReadOnlyList<string> labels, bool padsWithEnd = false)
    {
        var folder = model as FolderStartSection;
        ISequenceClassifier classifier;
        ITokenizer tokenizer;
        if (folder is not null && SequenceClassifierFolder.IsEncoder(folder.Path))
        {
            tokenizer = TextClassifier.LoadTokenizer(folder.Path, folder.Tokenizer);
            classifier = SequenceClassifierFolder.FromEncoder(folder.Path, labels, recipe.Seed, DeviceName.Of(recipe.Device));
        }
        else
        {
            using var start = Start(model, recipe.Seed, DeviceName.Of(recipe.Device));
            tokenizer = start.Tokenizer;
            // A padding token that is the end token would make a final end token count as padding.
            var pad = padsWithEnd ? tokenizer.PadId ?? tokenizer.EosId : tokenizer.PadId is { } id && id != tokenizer.EosId ? id : (int?)null;
            // What is frozen is shared: the classifier of an adapter needs no second trunk.
            if (folder?.Lora is not null) LoraAdapters.Freeze(start.Model.Module);
            classifier = SequenceClassifierFolder.FromLanguageModel(start.Model, labels, pad, recipe.Seed);
        }

        if (folder?.Lora is { } lora) LoraAdapters.Attach(classifier, lora, folder.Path, recipe.Seed);
        return (classifier, tokenizer);
    }

    /// <summary>The language model that a training begins with, with its adapter where the recipe names one.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="start">What it starts from.</param>
    /// <param name="precision">Type of the base under an adapter; null for float32.</param>
    internal static TextModel Start(RunRecipe recipe, StartSection start, PolicyPrecision? precision)
    {
        var model = Start(start, recipe.Seed, DeviceName.Of(recipe.Device), precision == PolicyPrecision.Bfloat16Base ? Precision.Bfloat16 : Precision.Float32);
        try
        {
            if (start is FolderStartSection { Lora: { } lora } folder) LoraAdapters.Attach(model.Model, lora, folder.Path, recipe.Seed);
            BaseType.RequireTrained(model.Model);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static TextModel Start(StartSection section, ulong seed, Device device, Precision precision = Precision.Float32)
    {
        switch (section)
        {
            case FolderStartSection folder:
                return TextModel.Load(folder.Path, folder.Tokenizer, device, precision);
            case Gpt2StartSection gpt2:
                var tokenizer = TokenizerFolder.Load(gpt2.Tokenizer);
                var configuration = new Gpt2Configuration
                {
                    Vocabulary = tokenizer.VocabularySize,
                    ContextLength = gpt2.Context,
                    Width = gpt2.Width,
                    Layers = gpt2.Layers,
                    Heads = gpt2.Heads,
                    BosId = tokenizer.BosId,
                    EosId = tokenizer.EosId,
                    PadId = tokenizer.PadId,
                };
                return new TextModel(gpt2.Tokenizer, LanguageModelFolder.Create(configuration.ToModelConfiguration(), seed, device), tokenizer, tokenizer.EosId is { } end ? [end] : []);
            default:
                throw new ArgumentException($"There is no start of the kind {section.GetType().Name}.", nameof(section));
        }
    }

    private static (IReadOnlyList<DataRow> Training, IReadOnlyList<DataRow> HeldOut) Read(TextsSection data, PartKinds kinds, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        string[] columns = [data.MessagesColumn ?? data.Column, .. new[] { data.PromptColumn, data.LabelColumn }.OfType<string>()];
        var options = new TextDatasetOptions { Replacements = data.Replace.ToReplacements(), Filter = data.Filter, Columns = columns };
        var rows = TextDataset.Open(data.Path, options with { Reader = kinds.Reader(data.Reader, heldOut: false), Limit = data.Limit, Sample = data.Sample, SampleSeed = data.SampleSeed }).Rows;
        if (data.EvaluationPath is { } path) return (rows, TextDataset.Spread(TextDataset.Open(path, options with { Reader = kinds.Reader(data.Reader, heldOut: true) }).Rows, data.HeldOutRows));
        return HeldOut.Divide(rows, data.HeldOutRows, data.Path, "rows");
    }

    /// <summary>Rows until it is stopped.</summary>
    private static IEnumerable<DataRow> Until(IReadOnlyList<DataRow> rows, CancellationToken cancellationToken) => rows.TakeWhile(_ =>
    {
        cancellationToken.ThrowIfCancellationRequested();
        return true;
    });

    private static TokenRow Pair(DataRow row, string promptColumn, string column, ITokenizer tokenizer, int end, LanguageModelShape shape)
    {
        var prompt = tokenizer.Encode(row.GetString(promptColumn), addSpecialTokens: true);
        int[] response = [.. ResponseText.Encode(tokenizer, shape, row.GetString(column)), end];
        if (prompt.Length == 0) throw row.Invalid(promptColumn, "it is empty; a language model needs at least one token to go on from");
        return response.Length <= shape.Room(prompt.Length) ? new TokenRow(prompt, response) : throw TooLong(row, promptColumn, column, prompt.Length, response.Length, shape);
    }

    /// <summary>A row that doesn't fit, with a filter that would leave it out: on the prompt where that alone is too long, else on the response, by this row's characters a token.</summary>
    private static InputException TooLong(DataRow row, string promptColumn, string column, int prompt, int response, LanguageModelShape shape)
    {
        var room = shape.Room(prompt);
        // Of a decoder's context half is left to the response.
        var (what, filtered, tokens, most) = room < 1
            ? ($"the prompt has {prompt} tokens", promptColumn, prompt, shape.Encoder?.ContextLength ?? shape.ContextLength / 2)
            : ($"prompt and response have {prompt} + {response} tokens", column, response, room);
        var characters = (long)row.GetString(filtered).Length * most / tokens;
        return new InputException($"{row.Location}: {what}, which do not fit {shape.Limits}; filter such rows out, here with length({filtered}) < {Math.Max(1, characters)}");
    }

    private static int[] TokensOf(DataRow row, string column, ITokenizer tokenizer)
    {
        var ids = tokenizer.Encode(row.GetString(column));
        return ids.Length > 0 ? ids : throw row.Invalid(column, "it is empty; filter such rows out");
    }

    /// <summary>Says that all rows to learn from have one label, where they have: nothing can be learned from them but that label.</summary>
    private static string? OneLabel(LabelledText[] rows, ClassifierRecipe recipe)
    {
        if (rows.Length == 0 || Array.Exists(rows, row => row.Label != rows[0].Label)) return null;
        var remedy = recipe.Data.Limit is { } limit ? $"data.limit takes the first rows of a file that may be sorted; draw them with data.sample: {limit}" : "look at data.filter and data.label_column";
        return $"all {rows.Length} rows to learn from have the label '{recipe.Labels[rows[0].Label]}', so that the classifier can learn nothing else; {remedy}";
    }

    private static int LabelOf(DataRow row, ClassifierRecipe recipe)
    {
        var column = recipe.Data.LabelColumn!;
        var label = row[column] is string name && recipe.Labels.Contains(name) ? recipe.Labels.ToList().IndexOf(name) : row.GetInt64(column);
        return label >= 0 && label < recipe.Labels.Count
            ? (int)label
            : throw row.Invalid(column, $"the label {label} is none of the recipe's {recipe.Labels.Count}, {string.Join(", ", recipe.Labels)}, counted from 0");
    }
}
