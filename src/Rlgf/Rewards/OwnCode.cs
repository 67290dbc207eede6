using System.Runtime.InteropServices;
using Rlgf.Base;
using Rlgf.Prompts;

namespace Rlgf.Rewards;

/// <summary>Rewards and guides are code that somebody else may have written: what goes wrong in it is said in one line with its name and the row.</summary>
internal static class OwnCode
{
    private const int CharactersOfPrompt = 40;

    /// <summary>Runs it.</summary>
    /// <param name="who">Its kind and name, as a sentence begins.</param>
    /// <param name="onWhat">What it was given.</param>
    /// <param name="code">What is run.</param>
    /// <param name="cancellationToken">A stop that was asked for is no failure; a time that ran out inside is one.</param>
    /// <exception cref="InputException">It failed otherwise than by a line of its own.</exception>
    public static T Run<T>(string who, string onWhat, Func<T> code, CancellationToken cancellationToken)
    {
        try
        {
            return code();
        }
        catch (Exception exception) when (IsItsOwn(Cause(exception)) && !(Cause(exception) is OperationCanceledException && cancellationToken.IsCancellationRequested))
        {
            var cause = Cause(exception);
            throw new InputException($"{who} failed on {onWhat}: {cause.GetType().Name}: {cause.Message.AsSpan().Trim().ToString().Split('\n', 2)[0].TrimEnd()}", exception);
        }
    }

    /// <summary>Where a text came from: its data row, or its prompt's beginning.</summary>
    public static string Place(Prompt prompt) => prompt.Row?.Location
        ?? $"the prompt '{(prompt.Text.Length <= CharactersOfPrompt ? prompt.Text : prompt.Text[..CharactersOfPrompt] + "…")}'";

    // What the process ran out of, and what the tensor library reports, is no fault of the code that was called.
    private static bool IsItsOwn(Exception exception) => exception is not (InputException or OutOfMemoryException or ExternalException);

    private static Exception Cause(Exception exception) => exception is AggregateException { InnerExceptions: [var first, ..] } ? Cause(first) : exception;
}
