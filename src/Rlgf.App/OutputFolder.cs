using Rlgf.Base;

namespace Rlgf.App;

/// <summary>The folder that long work will write to.</summary>
internal static class OutputFolder
{
    /// <summary>Makes the folder, and makes sure that it can be written to: better now than after an hour.</summary>
    /// <exception cref="InputException">It can't.</exception>
    public static void Require(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
            var probe = Path.Combine(folder, $".rlgf-{Environment.ProcessId}");
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{folder}: the folder can't be written to: {failure.Message}", failure);
        }
    }
}
