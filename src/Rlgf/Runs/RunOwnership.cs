using System.Diagnostics;
using Rlgf.Base;

namespace Rlgf.Runs;

/// <summary>
/// The right to write into a run's folder, which one process has at a time: a lock of the operating system on a file in it, so that it ends with the process, however that ends. The file
/// stays; who has it stands in another beside it, which others may read.
/// </summary>
public sealed class RunOwnership : IDisposable
{
    internal const string LockName = ".lock", OwnerName = ".owner";

    /// <summary>Those of a sweep's folder, which holds folders of runs and is none.</summary>
    private const string SweepLockName = ".sweep.lock", SweepOwnerName = ".sweep.owner";

    /// <summary>How often somebody who was a moment later looks for the name of the owner, and how long between.</summary>
    private const int Looks = 20;

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(25);

    // "Try again" of Linux and of macOS, sharing and lock violations of Windows.
    internal static readonly int[] HeldByAnother = [11, 35, unchecked((int)0x80070020), unchecked((int)0x80070021)];

    private readonly FileStream _lock;
    private readonly string _ownerPath;

    private RunOwnership(FileStream held, string ownerPath) => (_lock, _ownerPath) = (held, ownerPath);

    /// <summary>Takes a folder, which is made where there is none.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <exception cref="InputException">Another process has it; says which, where and since when. Or it can't be written to.</exception>
    public static RunOwnership Take(string folder)
    {
        Outputs.RequireRunFolder(folder);
        return Take(folder, LockName, OwnerName, "a run");
    }

    /// <summary>Takes the folder of a sweep, which holds the folders of its runs. Nobody else may begin or end runs in it then, but each run is its own process's.</summary>
    /// <param name="folder">The folder, which is made where there is none.</param>
    /// <exception cref="InputException">As of <see cref="Take(string)"/>.</exception>
    public static RunOwnership TakeSweep(string folder) => Take(folder, SweepLockName, SweepOwnerName, "a sweep");

    /// <summary>Whether a process has a run's folder now.</summary>
    /// <param name="folder">The folder, which need not exist.</param>
    public static bool IsTaken(string folder)
    {
        try
        {
            if (!File.Exists(Path.Combine(folder, LockName))) return false;
            new FileStream(Path.Combine(folder, LockName), FileMode.Open, FileAccess.ReadWrite, FileShare.None, bufferSize: 0).Dispose();
            return false;
        }
        catch (IOException failure)
        {
            return HeldByAnother.Contains(failure.HResult);
        }
        catch (UnauthorizedAccessException)
        {
            return false; // Whoever takes it has more to say.
        }
    }

    private static RunOwnership Take(string folder, string lockName, string ownerName, string what)
    {
        FileStream held;
        var ownerPath = Path.Combine(folder, ownerName);
        try
        {
            Directory.CreateDirectory(folder);
            held = new FileStream(Path.Combine(folder, lockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        }
        catch (IOException failure) when (HeldByAnother.Contains(failure.HResult))
        {
            throw new InputException($"{folder}: {Name(ownerPath)} writes into this folder; wait until it ends, or stop it: {what} has one owner", failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{folder}: the folder can't be written to: {failure.Message}", failure);
        }

        try
        {
            RunJson.WriteFile(ownerPath, new Owner(Environment.ProcessId, Environment.MachineName, DateTimeOffset.UtcNow));
            return new RunOwnership(held, ownerPath);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            File.Delete(_ownerPath);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The lock is what counts.
        }
        _lock.Dispose();
    }

    /// <summary>Who has it. The file may not be there yet, or still be that of one who was killed.</summary>
    private static string Name(string ownerPath)
    {
        for (var look = 0; look < Looks; look++)
        {
            if (Read(ownerPath) is { } owner && IsAlive(owner))
                return FormattableString.Invariant($"process {owner.Process} on {owner.Host}, since {owner.Since.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC,");
            Thread.Sleep(BetweenLooks);
        }
        return "another process";
    }

    private static Owner? Read(string path)
    {
        try
        {
            return RunJson.ReadFile<Owner>(path);
        }
        catch (Exception failure) when (failure is InputException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Whether a process is there still; of other machines nobody knows.</summary>
    private static bool IsAlive(Owner owner)
    {
        if (owner.Host != Environment.MachineName) return true;
        try
        {
            using var process = Process.GetProcessById(owner.Process);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private sealed record Owner(int Process, string Host, DateTimeOffset Since);
}
