using System.Text;
using Rlgf.Models.Generation;
using Rlgf.Serving.Answers;

namespace Rlgf.Serving.Protocol;

/// <summary>Tokens with their log-probabilities as OpenAI's protocol shows them.</summary>
/// <param name="served">The model's tokenizer.</param>
/// <param name="byId">Whether tokens are named <c>token_id:7</c> in place of their texts.</param>
internal sealed class TokenNames(ServedModel served, bool byId)
{
    /// <summary>What can't be drawn has −∞, which JSON has not.</summary>
    private const float Least = -9999;

    /// <summary>As <c>/v1/completions</c> has them.</summary>
    /// <param name="first">A token that has no log-probability, since nothing stands before it; null for none.</param>
    /// <param name="tokens">The tokens after it.</param>
    /// <param name="offset">Where the first begins in the answer's text; receives where the next would begin.</param>
    public CompletionLogProbs OfCompletion(int? first, IEnumerable<WrittenToken> tokens, ref int offset)
    {
        var (names, values, tops, offsets) = (new List<string>(), new List<float?>(), new List<IReadOnlyDictionary<string, float>?>(), new List<int>());
        if (first is { } id) Add(id, null, null, ref offset);
        foreach (var token in tokens) Add(token.Id, Finite(token.RawLogProb), Top(token), ref offset);
        return new CompletionLogProbs(names, values, tops, offsets);

        void Add(int token, float? value, IReadOnlyDictionary<string, float>? top, ref int at)
        {
            names.Add(Name(token));
            values.Add(value);
            tops.Add(top);
            offsets.Add(at);
            at += served.TextOf(token).Length;
        }
    }

    /// <summary>As <c>/v1/chat/completions</c> has them.</summary>
    public ChatLogProbs OfChat(IEnumerable<WrittenToken> tokens) => new(
    [
        .. tokens.Select(token => new ChatTokenLogProb(Name(token.Id), Finite(token.RawLogProb), Bytes(token.Id), [.. token.Alternatives.Select(other => new ChatTopLogProb(Name(other.Id), Finite(other.LogProb), Bytes(other.Id)))])),
    ]);

    /// <summary>The most likely tokens, and the one that was written where it isn't among them. Different tokens may have one text (parts of characters): the more likely counts.</summary>
    private Dictionary<string, float> Top(WrittenToken token)
    {
        var top = new Dictionary<string, float>(StringComparer.Ordinal);
        foreach (var other in token.Alternatives) top.TryAdd(Name(other.Id), Finite(other.LogProb));
        top.TryAdd(Name(token.Id), Finite(token.RawLogProb));
        return top;
    }

    private string Name(int id) => byId ? $"token_id:{id}" : served.TextOf(id);

    /// <summary>The token's bytes; null where it holds only some of a character's.</summary>
    private int[]? Bytes(int id) => served.TextOf(id) is var text && text.Contains('\uFFFD') ? null : [.. Encoding.UTF8.GetBytes(text).Select(value => (int)value)];

    private static float Finite(float logProb) => Math.Max(logProb, Least);
}
