using Rlgf.Base;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Data;

/// <summary>What happens to a whole text that is longer than a prompt may be.</summary>
public enum LongPrompts
{
    /// <summary>An error that names the row.</summary>
    Error,

    /// <summary>Its end is kept, from a character's beginning.</summary>
    KeepEnd,

    /// <summary>The row is left out.</summary>
    Skip,
}

/// <summary>How prompts are cut from texts.</summary>
public sealed record PromptSettings
{
    /// <summary>The prompt is this many of the text's first tokens and the rest is its reference; null takes the whole text as the prompt.</summary>
    public int? Tokens { get; init; }

    /// <summary>Rows whose text has fewer tokens than this are left out; with <see cref="Tokens"/> those that are shorter than the prompt are left out anyway.</summary>
    public int MinTextTokens { get; init; } = 1;

    /// <summary>For whole texts: the most tokens of a prompt; null for no limit.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>What happens to whole texts that have more.</summary>
    public LongPrompts TooLong { get; init; }
}

/// <summary>A text, cut in two.</summary>
/// <param name="PromptIds">The prompt's tokens, with those that the tokenizer puts around every text.</param>
/// <param name="Prompt">The prompt as the text has it.</param>
/// <param name="RestIds">The tokens after the prompt; empty where the whole text is the prompt.</param>
/// <param name="Rest">The text after the prompt.</param>
public sealed record CutPrompt(int[] PromptIds, string Prompt, int[] RestIds, string Rest);

/// <summary>Cuts prompts by tokens, never inside a character.</summary>
public static class PromptCutter
{
    /// <summary>Cuts a row's text.</summary>
    /// <param name="tokenizer">The policy's tokenizer.</param>
    /// <param name="row">The row.</param>
    /// <param name="column">The column that holds the text.</param>
    /// <param name="settings">How to cut.</param>
    /// <returns>The parts, or null where the settings leave the row out.</returns>
    /// <exception cref="InputException">The column is missing or no text, or the text is too long.</exception>
    public static CutPrompt? Cut(ITokenizer tokenizer, DataRow row, string column, PromptSettings settings)
    {
        var text = row.GetString(column);
        var tokens = tokenizer.EncodeWithOffsets(text);
        var ids = tokens.Ids;
        if (ids.Length < Math.Max(settings.MinTextTokens, settings.Tokens ?? 0))
        {
            return null;
        }

        if (settings.Tokens is { } wanted)
        {
            var cut = TokenJoin.KeepAtMost(tokenizer, ids, wanted);
            if (cut == 0)
            {
                return null;
            }

            var at = tokens.Offsets[cut - 1].End;
            return new CutPrompt(tokenizer.AddSpecialTokens(ids.AsSpan(0, cut)), text[..at], ids[cut..], text[at..]);
        }

        var whole = tokenizer.AddSpecialTokens(ids);
        if (settings.MaxTokens is not { } most || whole.Length <= most)
        {
            return new CutPrompt(whole, text, [], "");
        }

        return settings.TooLong switch
        {
            LongPrompts.Skip => null,
            LongPrompts.KeepEnd => KeepEnd(tokenizer, text, tokens, Math.Max(0, most - (whole.Length - ids.Length))),
            _ => throw row.Invalid(column, $"{whole.Length} tokens where a prompt may have {most}; raise the limit, or choose to keep the end or to skip such rows"),
        };
    }

    private static CutPrompt KeepEnd(ITokenizer tokenizer, string text, TokenizedText tokens, int most)
    {
        var start = tokens.Ids.Length - most;
        while (start < tokens.Ids.Length && !tokenizer.EndsOnCharacter(tokens.Ids.AsSpan(0, start)))
        {
            start++;
        }

        var at = start < tokens.Ids.Length ? tokens.Offsets[start].Start : text.Length;
        return new CutPrompt(tokenizer.AddSpecialTokens(tokens.Ids.AsSpan(start)), text[at..], [], "");
    }
}
