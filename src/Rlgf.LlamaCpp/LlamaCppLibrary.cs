using LLama.Native;
using Rlgf.Base;

namespace Rlgf.LlamaCpp;

/// <summary>The native library: loaded once, quiet, and asked for its reasons.</summary>
internal static class LlamaCppLibrary
{
    /// <summary>The most rows that llama.cpp holds in one context (LLAMA_MAX_SEQ).</summary>
    public const int MostRows = 256;

    private static readonly Lock Gate = new();
    private static readonly List<string> Errors = [];
    private static bool _loaded;

    // Kept for as long as the process: the native side calls it.
    private static readonly NativeLogConfig.LLamaLogCallback Log = (level, message) =>
    {
        if (level != LLamaLogLevel.Error) return;
        lock (Errors) Errors.Add(message.Trim());
    };

    /// <summary>Loads it, where that hasn't been done.</summary>
    /// <exception cref="InputException">It doesn't load on this machine.</exception>
    public static void Load()
    {
        lock (Gate)
        {
            if (_loaded) return;
            try
            {
                // It writes what it does to standard error otherwise, some hundred lines a model.
                if (!NativeLibraryConfig.LLama.LibraryHasLoaded) NativeLibraryConfig.All.WithLogCallback(Log);
                NativeLogConfig.llama_log_set(Log);
            }
            catch (Exception failed) when (failed is not OutOfMemoryException)
            {
                throw new InputException($"llama.cpp's library doesn't load ({Innermost(failed).Message.Split('\n')[0].Trim()}): the program needs the package LLamaSharp.Backend.Cpu, or another backend of LLamaSharp for this system.", failed);
            }

            _loaded = true;
        }
    }

    /// <summary>Does something that may fail, and says what the library said then.</summary>
    /// <param name="attempt">What is done; what it throws is why, where the library says nothing.</param>
    /// <param name="refused">From the library's own words to the error to throw.</param>
    public static T Try<T>(Func<T> attempt, Func<string, InputException> refused)
    {
        lock (Errors) Errors.Clear();
        try
        {
            return attempt();
        }
        catch (Exception failed) when (failed is not (InputException or OutOfMemoryException))
        {
            // The first error is the cause; what follows says which callers failed with it.
            lock (Errors) throw refused(Errors.Find(error => error.Length > 0) is { } said ? Plain(said) : Innermost(failed).Message);
        }
    }

    /// <summary>Without the function's name in front: <c>llama_model_load: error loading model: …</c>.</summary>
    private static string Plain(string said)
    {
        var at = said.IndexOf(": ", StringComparison.Ordinal);
        var rest = at > 0 && !said[..at].Contains(' ', StringComparison.Ordinal) ? said[(at + 2)..] : said;
        const string Loading = "error loading model: ";
        return (rest.StartsWith(Loading, StringComparison.Ordinal) ? rest[Loading.Length..] : rest).TrimEnd('.');
    }

    private static Exception Innermost(Exception error) => error.InnerException is { } inner ? Innermost(inner) : error;
}
