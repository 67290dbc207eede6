using System.Text;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Tokenizers;

namespace Rlgf.Guides;

/// <summary>A language model on this machine as guide. Its weights are its own: it never shares the policy's.</summary>
public sealed class LocalModelGuide : ILocalGuide
{
    private readonly IDecodingModel _model;
    private readonly ITokenizer _tokenizer;
    private readonly SamplingSettings _sampling;
    private readonly Func<Prompt, int[]>? _ask;

    /// <summary>Makes a guide of a model.</summary>
    /// <param name="name">Name for logs and reports.</param>
    /// <param name="model">The guide's model, frozen.</param>
    /// <param name="tokenizer">The guide's tokenizer.</param>
    /// <param name="policyTokenizer">The policy's: where the two have the same vocabulary, tokens are exchanged as they are; otherwise text.</param>
    /// <param name="sampling">
    /// How the guide samples. The maximum and minimum count the whole response, in the guide's own tokens; allow it enough that the policy's limit can be reached.
    /// </param>
    /// <param name="ask">
    /// Makes of a prompt the tokens that the model reads before its answer, such as the prompt's conversation by its own chat template; the answer is then a text of its own. Null: it goes on from the prompt.
    /// </param>
    public LocalModelGuide(string name, IDecodingModel model, ITokenizer tokenizer, ITokenizer policyTokenizer, SamplingSettings sampling, Func<Prompt, int[]>? ask = null)
    {
        (Name, _model, _tokenizer, _sampling, _ask) = (name, model, tokenizer, sampling, ask);
        UsesPolicyTokens = ask is null && HaveSameVocabulary(tokenizer, policyTokenizer);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public bool CanRollOut => true;

    /// <inheritdoc/>
    public bool UsesPolicyTokens { get; }

    /// <summary>The guide's model.</summary>
    public IDecodingModel Model => _model;

    /// <summary>Its tokenizer.</summary>
    public ITokenizer Tokenizer => _tokenizer;

    /// <summary>Whether it is asked by a conversation rather than handed a text to go on from.</summary>
    public bool IsAsked => _ask is not null;

    /// <summary>How it samples.</summary>
    public SamplingSettings Sampling => _sampling;

    /// <inheritdoc/>
    public IReadOnlyList<GuideContinuation> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
    {
        var rows = requests.Select(request =>
        {
            var row = UsesPolicyTokens
                ? new TokenRow(request.Prompt.Tokens, request.ResponseTokens)
                : new TokenRow(
                    Read(request.Prompt),
                    ResponseText.Encode(_tokenizer, _model.Shape, StandsAlone ? request.ResponseSoFar.TrimStart() : request.ResponseSoFar));
            var left = Math.Max(0, _sampling.MaxNewTokens - row.Response.Length);
            return new GenerationRequest(row, request.Stream, UsesPolicyTokens ? Math.Min(left, request.MaxTokens) : left);
        });
        IReadOnlyList<GeneratedRow> written;
        try
        {
            // The requests' streams hold the run's seed already.
            written = TextGenerator.Generate(_model, [.. rows], _sampling, seed: 0, cancellationToken);
        }
        catch (InputException fault)
        {
            throw new InputException($"the guide '{Name}': {fault.Message}", fault);
        }

        return [.. written.Select((row, i) => new GuideContinuation(
            TextOf(row.Ended ? row.Tokens.AsSpan(..^1) : row.Tokens, requests[i]), row.Ended, UsesPolicyTokens ? row.Tokens : null))];
    }

    /// <summary>What keeps a prompt and an answer of full length from fitting the model's context; null where all of them fit.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="policyTokens">The most tokens of the policy's responses, which bound the guide's where the two share their tokens.</param>
    internal string? RoomProblem(IReadOnlyList<Prompt> prompts, int policyTokens)
    {
        if (prompts.Count == 0) return null;
        var most = UsesPolicyTokens ? Math.Min(_sampling.MaxNewTokens, policyTokens) : _sampling.MaxNewTokens;
        bool IsBeyond(int prompt) => most > _model.Shape.Room(prompt);
        // A token is a byte at least, but for those that stand around the text: most prompts fit, which is seen without cutting them into tokens.
        var around = UsesPolicyTokens ? 0 : Read(prompts[0]).Length;
        foreach (var prompt in prompts)
        {
            if (!UsesPolicyTokens && !IsBeyond(around + Encoding.UTF8.GetByteCount(prompt.Text))) continue;
            var tokens = UsesPolicyTokens ? prompt.Tokens.Length : Read(prompt).Length;
            if (!IsBeyond(tokens)) continue;
            return $"a prompt{(prompt.Row is { } row ? $" ({row.Location})" : "")} has {tokens} of the guide's tokens and its answer may have {most}: more than {_model.Shape.Limits}; lower max_new_tokens of the guide's sampling, or shorten the prompt";
        }

        return null;
    }

    /// <summary>What the model reads of a prompt, where it isn't given the policy's tokens.</summary>
    private int[] Read(Prompt prompt) => _ask is null ? _tokenizer.Encode(prompt.Text, addSpecialTokens: true) : _ask(prompt);

    /// <summary>Whether what it writes is a text of its own: an encoder–decoder's, or an answer.</summary>
    private bool StandsAlone => _ask is not null || _model.Shape.ReadsPromptApart;

    /// <summary>What was written, as text that goes on from the request's.</summary>
    private string TextOf(ReadOnlySpan<int> tokens, GuideRequest request)
    {
        if (request.ResponseSoFar.Length > 0) return _tokenizer.DecodeContinuation(tokens);
        var text = StandsAlone ? _tokenizer.Decode(tokens) : _tokenizer.DecodeContinuation(tokens);
        return ResponseText.Separator(request.Prompt.Text, text, StandsAlone) + text;
    }

    /// <summary>Whether every id stands for the same token in both.</summary>
    public static bool HaveSameVocabulary(ITokenizer one, ITokenizer other) =>
        ReferenceEquals(one, other)
        || (one.VocabularySize == other.VocabularySize && one.EosId == other.EosId
            && Enumerable.Range(0, one.VocabularySize).All(id => one.TokenOf(id) == other.TokenOf(id)));
}
