using System.Runtime.CompilerServices;
using System.Text;
using Rlgf.Models.Generation;
using Rlgf.Serving.Engine;

namespace Rlgf.Serving.Answers;

/// <summary>Some more of an answer.</summary>
/// <param name="Row">The answer's number in the request.</param>
/// <param name="Text">Text that is certain now.</param>
/// <param name="Tokens">The tokens since the part before; what they write may come later.</param>
internal sealed record AnswerPart(int Row, string Text, IReadOnlyList<WrittenToken> Tokens)
{
    /// <summary>The scores of the prompt's tokens but the first, where they were asked for; they come before all else.</summary>
    public IReadOnlyList<WrittenToken>? PromptScores { get; init; }

    /// <summary>Why the answer ended; null where it goes on.</summary>
    public AnswerEnd? End { get; init; }
}

/// <summary>Why an answer ended.</summary>
/// <param name="AtLimit">Whether its limit of tokens ended it.</param>
/// <param name="StopText">The text that ended it; null for none.</param>
/// <param name="StopId">The id that ended it, where it is one that the request named; null for none.</param>
internal sealed record AnswerEnd(bool AtLimit, string? StopText, int? StopId)
{
    /// <summary>OpenAI's word for it.</summary>
    public string Reason => AtLimit ? "length" : "stop";
}

/// <summary>A whole answer.</summary>
/// <param name="Text">Its text.</param>
/// <param name="Tokens">Its tokens, the end token among them.</param>
/// <param name="PromptScores">The scores of the prompt's tokens but the first, where they were asked for.</param>
/// <param name="End">Why it ended.</param>
internal sealed record WholeAnswer(string Text, IReadOnlyList<WrittenToken> Tokens, IReadOnlyList<WrittenToken>? PromptScores, AnswerEnd End);

/// <summary>Makes texts of what an engine writes.</summary>
/// <param name="served">The model's tokenizer.</param>
/// <param name="asked">How answers are wanted.</param>
internal sealed class AnswerReader(ServedModel served, AnswerAsked asked)
{
    /// <summary>The answers' parts as they come, those of different answers in any order.</summary>
    /// <param name="writing">The rows.</param>
    /// <param name="rows">How many.</param>
    /// <param name="cancellationToken">Asks for a stop.</param>
    public async IAsyncEnumerable<AnswerPart> PartsAsync(Writing writing, int rows, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var texts = Enumerable.Range(0, rows).Select(_ => new AnswerText(served.Decoder(), asked.Stops, asked.IncludesStop)).ToArray();
        var pending = Enumerable.Range(0, rows).Select(_ => new List<WrittenToken>()).ToArray();
        await foreach (var happened in writing.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            switch (happened)
            {
                case PromptScored scored:
                    yield return new AnswerPart(scored.Row, "", []) { PromptScores = scored.Scores };
                    break;
                case TokenWritten written:
                    pending[written.Row].Add(written.Token);
                    if (texts[written.Row].Append(written.Token.Id) is { Length: > 0 } text) yield return new AnswerPart(written.Row, text, Take(pending, written.Row));
                    break;
                case RowDone done:
                    var last = pending[done.Row] is [.., var token] ? token.Id : (int?)null;
                    var rest = texts[done.Row].Finish();
                    var stop = texts[done.Row].StoppedAt;
                    yield return new AnswerPart(done.Row, rest, Take(pending, done.Row))
                    {
                        End = new AnswerEnd(!done.Ended && stop is null, stop, done.Ended && stop is null && last is { } id && asked.StopIds.Contains(id) ? id : null),
                    };
                    break;
            }
        }
    }

    /// <summary>The answers when all are there.</summary>
    /// <inheritdoc cref="PartsAsync"/>
    public async Task<IReadOnlyList<WholeAnswer>> AllAsync(Writing writing, int rows, CancellationToken cancellationToken)
    {
        var texts = Enumerable.Range(0, rows).Select(_ => new StringBuilder()).ToArray();
        var tokens = Enumerable.Range(0, rows).Select(_ => new List<WrittenToken>()).ToArray();
        var scores = new IReadOnlyList<WrittenToken>?[rows];
        var ends = new AnswerEnd[rows];
        await foreach (var part in PartsAsync(writing, rows, cancellationToken).ConfigureAwait(false))
        {
            texts[part.Row].Append(part.Text);
            tokens[part.Row].AddRange(part.Tokens);
            scores[part.Row] = part.PromptScores ?? scores[part.Row];
            if (part.End is { } end) ends[part.Row] = end;
        }

        return [.. Enumerable.Range(0, rows).Select(row => new WholeAnswer(texts[row].ToString(), tokens[row], scores[row], ends[row]))];
    }

    private static List<WrittenToken> Take(List<WrittenToken>[] pending, int row)
    {
        var taken = pending[row];
        pending[row] = [];
        return taken;
    }
}
