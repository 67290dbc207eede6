using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Tokenizers;

namespace Rlgf.Recipes;

/// <summary>What the code that makes a guide or a reward is given besides its settings.</summary>
public sealed class PartServices
{
    private readonly RecipeParts _parts;
    private readonly string _key;

    internal PartServices(RecipeParts parts, string name, string key, ModelPlacement placement) => (_parts, Name, _key, Placement) = (parts, name, key, placement);

    /// <summary>The part's name for logs and reports: <c>reward</c>, <c>judge</c>, <c>guide</c>, or that of a part of a sum.</summary>
    public string Name { get; }

    /// <summary>Where its models are to compute and with what; <see cref="Model"/> and <see cref="Classifier"/> put them there.</summary>
    public ModelPlacement Placement { get; }

    /// <summary>What its models are to compute with.</summary>
    public Precision Precision => Placement.Precision;

    /// <summary>The policy as it is loaded, before training. It changes with training: its tokenizer and its shape are what a part may use.</summary>
    public TextModel Policy => _parts.LoadedPolicy;

    /// <summary>The policy's tokenizer.</summary>
    public ITokenizer Tokenizer => Policy.Tokenizer;

    /// <summary>How the policy samples.</summary>
    public SamplingSettings Sampling => _parts.Recipe.Generation;

    /// <summary>Seed of the run.</summary>
    public ulong Seed => _parts.Recipe.Seed;

    /// <summary>The folder of the run that the part is of, for files of its own, which this process has for itself; null where no run begins or goes on, as in a check.</summary>
    public string? RunFolder => _parts.RunFolder;

    /// <summary>Asks for a stop while parts are made and look around, before the run begins: what waits then for somebody obeys it at once.</summary>
    public CancellationToken Stop => _parts.Stop;

    /// <summary>Says in a line what takes time before the run begins; nobody may be listening.</summary>
    /// <param name="line">The line.</param>
    public void Tell(string line) => _parts.Tell?.Invoke(line);

    /// <summary>The prompts that the policy is trained on, read when first asked for.</summary>
    public IReadOnlyList<Prompt> Prompts => _parts.TrainingPrompts;

    /// <summary>Loads a language model with its tokenizer. Asked for again, by whatever part, it is the same; it lives as long as the run, and shares memory with a policy that is an adapter on the same base.</summary>
    /// <param name="folder">Its folder.</param>
    /// <param name="tokenizer">The tokenizer's folder; null for the model's.</param>
    /// <exception cref="InputException">It can't be loaded.</exception>
    public TextModel Model(string folder, string? tokenizer = null) =>
        _parts.Once((typeof(TextModel), folder, tokenizer, Placement.Device.ToString(), Precision), () => TextModel.Load(folder, tokenizer, Placement.Device, Precision, sharing: _parts.LoadedPolicyOrNone));

    /// <summary>Loads a classifier with its tokenizer; as <see cref="Model"/>.</summary>
    /// <param name="folder">Its folder.</param>
    /// <param name="tokenizer">The tokenizer's folder; null for the classifier's.</param>
    /// <exception cref="InputException">It can't be loaded.</exception>
    public TextClassifier Classifier(string folder, string? tokenizer = null) =>
        _parts.Once((typeof(TextClassifier), folder, tokenizer, Placement.Device.ToString(), Precision), () => TextClassifier.Load(folder, tokenizer, Placement.Device, Precision, sharing: _parts.LoadedPolicyOrNone));

    /// <summary>Loads an encoder with its tokenizer; as <see cref="Model"/>, in float32.</summary>
    /// <param name="folder">Its folder.</param>
    /// <exception cref="InputException">It can't be loaded.</exception>
    public TextEncoder Encoder(string folder) => _parts.Once((typeof(TextEncoder), folder, null, Placement.Device.ToString(), Precision.Float32), () => TextEncoder.Load(folder, device: Placement.Device));

    /// <summary>Makes a reward that this part is made of.</summary>
    /// <param name="section">Its section within this part's.</param>
    /// <param name="name">Its name.</param>
    /// <param name="key">Its key within this part's section, such as <c>parts.0.reward</c>, for messages.</param>
    /// <exception cref="InputException">It can't be made.</exception>
    public IReward Reward(RewardSection section, string name, string key) => _parts.Reward(section, new PartServices(_parts, name, $"{_key}.{key}", Placement));

    /// <summary>Makes a guide that this part is made of.</summary>
    /// <param name="section">Its section within this part's.</param>
    /// <param name="key">Its key within this part's section, for messages.</param>
    /// <exception cref="InputException">It can't be made.</exception>
    public IGuide Guide(GuideSection section, string key) => _parts.Guide(section, new PartServices(_parts, Name, $"{_key}.{key}", Placement));

    /// <summary>A guide of a model on this machine.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="endTokens">Ids that end its texts, where its sampling names none.</param>
    /// <param name="sampling">How it samples; null: as the policy does.</param>
    /// <param name="chat">How it is asked by a chat template; null: it goes on from the prompt.</param>
    /// <param name="template">Loads the template, where it is asked by one.</param>
    /// <exception cref="InputException">The template can't be used.</exception>
    public LocalModelGuide ModelGuide(
        string name, IDecodingModel model, ITokenizer tokenizer, IReadOnlyList<int> endTokens, SamplingSettings? sampling, ChatSection? chat, Func<ChatTemplate> template)
    {
        Func<Prompt, int[]>? ask = null;
        if (chat is not null)
        {
            var encoder = ChatPolicy.EncoderOf(template(), tokenizer, chat);
            if (encoder.EndOfTurn is { } end) endTokens = [end, .. endTokens.Where(id => id != end)];
            ask = prompt => encoder.Encode(chat.Messages(prompt), addGenerationPrompt: true).Ids;
        }

        return new(name, model, tokenizer, Policy.Tokenizer, RecipeParts.EndingAsModel(sampling ?? Sampling, endTokens), ask);
    }

    /// <summary>Something that lives as long as the run and is disposed with it.</summary>
    public T Own<T>(T part)
        where T : IDisposable => _parts.Own(part);

    /// <summary>A refusal of what a key of the part's section says, to throw: with its file and line.</summary>
    /// <param name="key">The key, such as <c>url</c>.</param>
    /// <param name="problem">What is wrong and what to do.</param>
    public InputException Refusal(string key, string problem) => _parts.Recipe.Refusal($"{_key}.{key}", problem);

    /// <summary>Does what a key of the part's section asks for; what goes wrong is said with the key's file and line.</summary>
    /// <param name="key">The key, such as <c>url</c>.</param>
    /// <param name="act">Does it.</param>
    /// <exception cref="InputException">What <paramref name="act"/> throws, with the place.</exception>
    public T Of<T>(string key, Func<T> act) => _parts.Recipe.Locations.Of($"{_key}.{key}", act);
}
