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
        catch (Exception exception) when (IsFailure(exception, cancellationToken))
        {
            throw Failure(who, onWhat, exception);
        }
    }

    /// <summary>As <see cref="Run"/>, of what answers later.</summary>
    /// <param name="who">Its kind and name, as a sentence begins.</param>
    /// <param name="onWhat">What it was given.</param>
    /// <param name="code">What is run.</param>
    /// <param name="cancellationToken">A stop that was asked for is no failure; a time that ran out inside is one.</param>
    /// <exception cref="InputException">It failed otherwise than by a line of its own.</exception>
    public static async Task<T> RunAsync<T>(string who, string onWhat, Func<Task<T>> code, CancellationToken cancellationToken)
    {
        try
        {
            var answer = code() ?? throw new InputException($"{who} returned no task (null) for {onWhat}: it must return one.");
            return await answer.ConfigureAwait(false);
        }
        catch (Exception exception) when (IsFailure(exception, cancellationToken))
        {
            throw Failure(who, onWhat, exception);
        }
    }

    /// <summary>Waits for an answer on this thread: what computes with tensors stays on one thread. A caller's context, such as a window's, is not there meanwhile, or waiting for it would never end.</summary>
    public static T Wait<T>(Func<Task<T>> code)
    {
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            return code().GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    /// <summary>Where a text came from: its data row, or its prompt's beginning.</summary>
    public static string Place(Prompt prompt) => prompt.Row?.Location
        ?? $"the prompt '{(prompt.Text.Length <= CharactersOfPrompt ? prompt.Text : prompt.Text[..CharactersOfPrompt] + "…")}'";

    private static bool IsFailure(Exception exception, CancellationToken cancellationToken) =>
        IsItsOwn(Cause(exception)) && !(Cause(exception) is OperationCanceledException && cancellationToken.IsCancellationRequested);

    private static InputException Failure(string who, string onWhat, Exception exception)
    {
        var cause = Cause(exception);
        return new InputException($"{who} failed on {onWhat}: {cause.GetType().Name}: {cause.Message.AsSpan().Trim().ToString().Split('\n', 2)[0].TrimEnd()}", exception);
    }

    // What the process ran out of, and what the tensor library reports, is no fault of the code that was called.
    private static bool IsItsOwn(Exception exception) => exception is not (InputException or OutOfMemoryException or ExternalException);

    private static Exception Cause(Exception exception) => exception is AggregateException { InnerExceptions: [var first, ..] } ? Cause(first) : exception;
}
