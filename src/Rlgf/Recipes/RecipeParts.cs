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

    private ILanguageModel? _policy;

    /// <summary>Loads the policy with its tokenizer. If it has an adapter, what is loaded afterwards on the same base shares it.</summary>
    /// <param name="section">Where it is, and the adapter to train.</param>
    /// <param name="seed">Decides the beginning of a new adapter.</param>
    /// <exception cref="InputException">A file is missing or malformed, the tokenizer does not fit the model, or it has no such maps for an adapter.</exception>
    public TextModel Policy(ModelSection section, ulong seed)
    {
        var policy = Own(TextModel.Load(section.Path, section.Tokenizer));
        if (section.Lora is { } lora) LoraAdapters.Attach(policy.Model, lora, section.Path, seed);
        _policy = policy.Model;
        return policy;
    }

    /// <summary>Reads prompts, in the file's order.</summary>
    /// <param name="section">Where they come from and how they are cut.</param>
    /// <param name="tokenizer">The policy's tokenizer.</param>
    /// <param name="heldOut">Whether to read the held-out file rather than the one to train on.</param>
    /// <param name="most">The most prompts, spread evenly over the file; null for all.</param>
    /// <param name="chat">How the policy is asked; null where it goes on from texts.</param>
    /// <exception cref="InputException">The file can't be read, or no row of it gives a prompt.</exception>
    public static IReadOnlyList<Prompt> Prompts(DataSection section, ITokenizer tokenizer, bool heldOut, int? most = null, ChatPolicy? chat = null)
    {
        var path = heldOut ? section.EvaluationPath! : section.Path;
        var data = TextDataset.Open(path, section.ReadOptions(heldOut));
        var prompts = new List<Prompt>();
        foreach (var row in data.Rows)
        {
            if ((section.MessagesColumn is { } messages ? OfMessages(section, chat!, row, messages) : OfText(section, tokenizer, chat, row)) is { } prompt) prompts.Add(prompt);
        }

        return prompts.Count > 0
            ? TextDataset.Spread(prompts, most ?? prompts.Count)
            : throw new InputException($"{path}: none of {data.Count} rows gives a prompt: all are shorter than the recipe's data section asks; lower prompt_tokens or min_text_tokens");
    }

    /// <summary>Makes a reward.</summary>
    /// <param name="section">What it is.</param>
    /// <param name="name">Name for logs and reports.</param>
    /// <param name="precision">What classifiers compute with.</param>
    /// <exception cref="InputException">A classifier can't be loaded or has no such label.</exception>
    public IReward Reward(RewardSection section, string name, Precision precision = Precision.Float32)
    {
        switch (section)
        {
            case ClassifierRewardSection classifier:
                var loaded = Own(TextClassifier.Load(classifier.Path, classifier.Tokenizer, precision: precision, sharing: _policy));
                return new ClassifierReward(name, loaded.Model, loaded.Tokenizer, classifier.Label, classifier.IncludePrompt, classifier.Transform);
            case RegexRewardSection regex:
                return new RegexReward(name, regex.Pattern, regex.IncludePrompt);
            case LengthRewardSection length:
                return new LengthReward(name, length.TargetTokens);
            case SumRewardSection sum:
                return new WeightedReward([.. sum.Parts.Select(part => (Reward(part.Reward, part.Name, precision), part.Weight))]);
            default:
                throw new ArgumentException($"There is no reward of the kind {section.GetType().Name}.", nameof(section));
        }
    }

    /// <summary>Makes a guide.</summary>
    /// <param name="section">What it is.</param>
    /// <param name="policy">The policy: its tokenizer decides whether tokens or text are exchanged.</param>
    /// <param name="sampling">How the policy samples, for a guide that has no settings of its own.</param>
    /// <param name="precision">What a model computes with.</param>
    /// <exception cref="InputException">The guide's model can't be loaded.</exception>
    public IGuide Guide(GuideSection section, TextModel policy, SamplingSettings sampling, Precision precision = Precision.Float32)
    {
        switch (section)
        {
            case ModelGuideSection guide:
                var model = Own(TextModel.Load(guide.Path, guide.Tokenizer, precision: precision, sharing: _policy));
                Func<Prompt, int[]>? ask = null;
                if (guide.Chat is { } chat)
                {
                    var encoder = ChatPolicy.EncoderOf(guide.Tokenizer ?? guide.Path, model, chat);
                    model = model.EndingWith(encoder.EndOfTurn);
                    ask = prompt => encoder.Encode(chat.Messages(prompt), addGenerationPrompt: true).Ids;
                }

                return new LocalModelGuide(NameOf(guide.Path), model.Model, model.Tokenizer, policy.Tokenizer, EndingAsModel(guide.Sampling ?? sampling, model), ask);
            case ReferencesGuideSection:
                return new ReferencesGuide();
            default:
                throw new ArgumentException($"There is no guide of the kind {section.GetType().Name}.", nameof(section));
        }
    }

    /// <summary>Settings with the model's own end tokens, where a recipe names none.</summary>
    public static SamplingSettings EndingAsModel(SamplingSettings settings, TextModel model) => settings.EndTokens.Count > 0 ? settings : settings with { EndTokens = model.EndTokens };

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
            _ => row.GetStrings(column),
        };
        return [.. texts.Where(text => text.Length > 0)];
    }

    /// <summary>The last two folders of a path, such as <c>assets/guide</c>: enough to know a model by.</summary>
    private static string NameOf(string path)
    {
        var folder = new DirectoryInfo(Path.GetFullPath(path));
        return folder.Parent is { Parent: not null } parent ? $"{parent.Name}/{folder.Name}" : folder.Name;
    }

    private T Own<T>(T loaded) where T : IDisposable
    {
        _loaded.Add(loaded);
        return loaded;
    }
}
