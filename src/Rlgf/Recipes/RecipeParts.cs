using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Text.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Recipes;

/// <summary>From the sections of a recipe to the objects they describe. Owns the models that it loads.</summary>
public sealed class RecipeParts : IDisposable
{
    private readonly List<IDisposable> _loaded = [];
    private readonly Dictionary<(Type Type, string Folder, string? Tokenizer, string Device, Precision Precision), object> _once = [];
    private readonly TrainRecipe _recipe;
    private TextModel? _policy;
    private ChatPolicy? _chat;

    /// <summary>Loads nothing yet.</summary>
    /// <param name="recipe">The recipe, resolved.</param>
    public RecipeParts(TrainRecipe recipe) => _recipe = recipe;

    internal TrainRecipe Recipe => _recipe;

    /// <summary>The folder of the run that the parts are of, which this process has for itself; null where none is begun.</summary>
    internal string? RunFolder { get; init; }

    /// <summary>Where each part computes.</summary>
    /// <exception cref="InputException">A device isn't there; names file, line and key.</exception>
    internal RunPlacement Placement => field ??= RunPlacement.Of(_recipe);

    /// <summary>Told in lines of what takes time; null for nobody.</summary>
    public Action<string>? Tell { get; init; }

    /// <summary>Stops between parts, and while a part waits for somebody.</summary>
    public CancellationToken Stop { get; init; }

    internal ILanguageModel? LoadedPolicyOrNone => _policy?.Model;

    internal TextModel LoadedPolicy => _policy ?? throw new InvalidOperationException("The policy is loaded before parts that ask for it.");

    internal IReadOnlyList<Prompt> TrainingPrompts => field ??= Prompts(heldOut: false);

    /// <summary>Loads the policy with its tokenizer. If it has an adapter, what is loaded afterwards on the same base shares it.</summary>
    /// <exception cref="InputException">A file is missing or malformed, the tokenizer does not fit the model, or it has no such maps for an adapter; names file, line and key.</exception>
    public TextModel Policy() => _policy ??= _recipe.Locations.Of("model", () =>
    {
        var section = _recipe.Model;
        var policy = Own(TextModel.Load(section.Path, section.Tokenizer, Placement.Policy.Device, Placement.Policy.Precision));
        if (section.Lora is { } lora) LoraAdapters.Attach(policy.Model, lora, section.Path, _recipe.Seed);
        BaseType.RequireTrained(policy.Model);
        _chat = ChatPolicy.Of(section, _recipe.Data, policy);
        return policy.EndingWith(_chat?.Encoder.EndOfTurn);
    });

    /// <summary>Reads prompts, in the file's order.</summary>
    /// <param name="heldOut">Whether to read the held-out file rather than the one to train on.</param>
    /// <param name="most">The most prompts, spread evenly over the file; null for all.</param>
    /// <exception cref="InputException">The file can't be read, or no row of it gives a prompt; names file, line and key.</exception>
    public IReadOnlyList<Prompt> Prompts(bool heldOut, int? most = null) => _recipe.Locations.Of("data", () => Prompts(_recipe.Data, Policy().Tokenizer, heldOut, most, _chat, _recipe.Kinds, Stop));

    /// <summary>Reads prompts, in the file's order.</summary>
    /// <param name="section">Where they come from and how they are cut.</param>
    /// <param name="tokenizer">The policy's tokenizer.</param>
    /// <param name="heldOut">Whether to read the held-out file rather than the one to train on.</param>
    /// <param name="most">The most prompts, spread evenly over the file; null for all.</param>
    /// <param name="chat">How the policy is asked; null where it goes on from texts.</param>
    /// <param name="kinds">The kinds among which the section's reader was chosen; null for the built-in ones.</param>
    /// <param name="cancellationToken">Stops between rows.</param>
    /// <exception cref="InputException">The file can't be read, or no row of it gives a prompt.</exception>
    public static IReadOnlyList<Prompt> Prompts(
        DataSection section, ITokenizer tokenizer, bool heldOut, int? most = null, ChatPolicy? chat = null, PartKinds? kinds = null, CancellationToken cancellationToken = default)
    {
        var path = heldOut ? section.EvaluationPath! : section.Path;
        var data = TextDataset.Open(path, section.ReadOptions(heldOut) with { Reader = (kinds ?? PartKinds.BuiltIn).Reader(section.Reader, heldOut) });
        var prompts = new List<Prompt>();
        foreach (var row in data.Rows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if ((section.MessagesColumn is { } messages ? OfMessages(section, chat!, row, messages) : OfText(section, tokenizer, chat, row)) is { } prompt) prompts.Add(prompt);
        }

        return prompts.Count > 0
            ? TextDataset.Spread(prompts, most ?? prompts.Count)
            : throw new InputException($"{path}: none of {data.Count} rows gives a prompt: all are shorter than the recipe's data section asks; lower prompt_tokens or min_text_tokens");
    }

    /// <summary>The reward.</summary>
    /// <exception cref="InputException">It can't be made; names file, line and key.</exception>
    public IReward Reward() => _recipe.Locations.Of("reward", () => Reward(_recipe.Reward, new PartServices(this, "reward", "reward", Placement.Rewards)));

    /// <summary>The judge; null for none.</summary>
    /// <exception cref="InputException">It can't be made; names file, line and key.</exception>
    public IReward? Judge() => _recipe.Judge is not { } judge ? null : _recipe.Locations.Of("judge", () => Reward(judge, new PartServices(this, "judge", "judge", Placement.Judge)));

    /// <summary>The guide; null for none.</summary>
    /// <exception cref="InputException">It can't be made; names file, line and key.</exception>
    public IGuide? Guide() => _recipe.Guide is not { } section ? null : _recipe.Locations.Of("guide", () =>
    {
        var guide = Guide(section, new PartServices(this, "guide", "guide", Placement.Guide));
        return _recipe.Data.MessagesColumn is null || guide is not LocalModelGuide { IsAsked: false, UsesPolicyTokens: false } ? guide
            : throw new InputException($"the guide '{guide.Name}' has another vocabulary than the policy and would go on from a conversation's last message alone; say chat: {{}} to give it the messages by its own template");
    });

    /// <summary>Settings with the model's own end tokens, where a recipe names none.</summary>
    public static SamplingSettings EndingAsModel(SamplingSettings settings, IReadOnlyList<int> endTokens) => settings.EndTokens.Count > 0 ? settings : settings with { EndTokens = endTokens };

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var loaded in _loaded) loaded.Dispose();
        _loaded.Clear();
    }

    private static Prompt? OfText(DataSection section, ITokenizer tokenizer, ChatPolicy? chat, DataRow row)
    {
        if (PromptCutter.Cut(tokenizer, row, section.Column, section.PromptSettings) is not { } cut) return null;
        var prompt = new Prompt(cut.Prompt, cut.PromptIds) { References = References(section, row, cut.Rest), Row = row };
        return chat?.Ask(prompt) ?? prompt;
    }

    private static Prompt? OfMessages(DataSection section, ChatPolicy chat, DataRow row, string column)
    {
        var (prompt, answer) = chat.Read(row, column);
        if (prompt.Tokens.Length > section.MaxPromptTokens)
        {
            if (section.TooLong == LongPrompts.Skip) return null;
            throw row.Invalid(column, $"{prompt.Tokens.Length} tokens where a prompt may have {section.MaxPromptTokens}; raise data.max_prompt_tokens, or skip such rows (data.too_long)");
        }

        return prompt with { References = References(section, row, answer ?? "") };
    }

    /// <summary>The references: a column of their own, or what follows the prompt.</summary>
    private static string[] References(DataSection section, DataRow row, string rest)
    {
        IReadOnlyList<string> texts = section.ReferenceColumn is not { } column ? [rest] : row[column] switch
        {
            null => [],
            string text => [text],
            IReadOnlyList<object?> => row.GetStrings(column),
            _ => throw row.Expected(column, "a text or a list of texts"),
        };
        return [.. texts.Where(text => text.Length > 0)];
    }

    internal IReward Reward(RewardSection section, PartServices services) => Made(() => _recipe.Kinds.Rewards.Make(section, services));

    internal IGuide Guide(GuideSection section, PartServices services) => Made(() => _recipe.Kinds.Guides.Make(section, services));

    private T Made<T>(Func<T> make)
    {
        Stop.ThrowIfCancellationRequested();
        return make();
    }

    internal T Once<T>((Type, string, string?, string, Precision) what, Func<T> load)
        where T : IDisposable
    {
        if (!_once.TryGetValue(what, out var loaded)) _once[what] = loaded = Own(Made(load));
        return (T)loaded;
    }

    internal T Own<T>(T loaded)
        where T : IDisposable
    {
        _loaded.Add(loaded);
        return loaded;
    }
}
