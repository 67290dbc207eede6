using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Prompts;

namespace Rlgf.Recipes;

/// <summary>How a model that was taught to hold conversations is asked, by its own chat template; its answer is the response.</summary>
public sealed record ChatSection : ICheckedSection
{
    /// <summary>What stands for the prompt in <see cref="Instruction"/>.</summary>
    internal const string PromptName = "{prompt}";

    private const string SystemRole = "system", UserRole = "user";

    /// <summary>The message of the system, in place of the conversation's own where it has one; null for none but that and what the template itself puts there.</summary>
    public string? System { get; init; }

    /// <summary>The user's message; <c>{prompt}</c> in it stands for the prompt. Null: the conversation as it is, or the prompt's text as the user's message where there is none.</summary>
    public string? Instruction { get; init; }

    /// <summary>Whether a token's name in what somebody wrote (<c>&lt;|im_end|&gt;</c>) is that token, so that a user can end his turn; false: it is text.</summary>
    public bool MarkersAreTokens { get; init; }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Instruction?.Contains(PromptName, StringComparison.Ordinal) == false) yield return ("instruction", $"holds no {PromptName}, so that every prompt would get the same answer");
    }

    /// <summary>The conversation that asks for a response to a prompt.</summary>
    /// <param name="prompt">The prompt, with a conversation of its own or without.</param>
    public IReadOnlyList<ChatMessage> Messages(Prompt prompt)
    {
        IReadOnlyList<ChatMessage> messages = Instruction is { } instruction
            ? [new ChatMessage(UserRole, instruction.Replace(PromptName, prompt.Text, StringComparison.Ordinal))]
            : prompt.Messages ?? [new ChatMessage(UserRole, prompt.Text)];
        return System is not { } system ? messages
            : [new ChatMessage(SystemRole, system), .. messages.Skip(messages is [{ Role: SystemRole }, ..] ? 1 : 0)];
    }
}
