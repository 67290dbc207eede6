using Rlgf.Models;

namespace Rlgf.Prompts;

/// <summary>A finished response, as rewards take it.</summary>
/// <param name="Prompt">The prompt, with its references and its data row.</param>
/// <param name="Text">The response as text.</param>
/// <param name="Tokens">The response in the policy's tokens, end token included where it ended.</param>
/// <param name="Ended">Whether it ended by itself; false if it was cut at the limit.</param>
public sealed record Response(Prompt Prompt, string Text, int[] Tokens, bool Ended)
{
    /// <summary>Whether the response is a text of its own, as an encoder–decoder's and an answer in a conversation are, rather than one that goes on from the prompt.</summary>
    public bool StandsAlone { get => field || Prompt.Messages is not null; init; }

    /// <summary>Prompt and response as one text.</summary>
    public string Whole => ResponseText.Join(Prompt.Text, Text, StandsAlone);
}
