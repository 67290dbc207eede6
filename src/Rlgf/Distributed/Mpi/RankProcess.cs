using System.Globalization;
using System.Text;

namespace Rlgf.Distributed.Mpi;

/// <summary>What the system says of a process.</summary>
internal enum ProcessLife
{
    /// <summary>It is on another machine, or the system says nothing of others' processes.</summary>
    Unknown,

    /// <summary>It has ended.</summary>
    Gone,

    /// <summary>It is suspended.</summary>
    Suspended,

    /// <summary>It computes, or would if it got a processor.</summary>
    Working,

    /// <summary>It waits for something.</summary>
    Waiting,
}

/// <summary>
/// The process of a rank. What gives no sign of life may have no processor, be suspended, or have ended; where its process is on this machine the system knows which.
/// </summary>
/// <param name="Host">Name of its machine.</param>
/// <param name="Machine">The machine's start and the processes' namespace there: numbers of processes mean the same only where both are the same. Empty where the system doesn't say.</param>
/// <param name="Id">Its number.</param>
/// <param name="Started">When it was started, in the system's ticks: a number may be given to another process.</param>
internal sealed record RankProcess(string Host, string Machine, int Id, long Started)
{
    /// <summary>Fields of <c>/proc/ID/stat</c> behind the name: state, ticks in user and in system mode, and the start (proc(5)).</summary>
    private const int State = 0, UserTicks = 11, SystemTicks = 12, Start = 19;

    private long _ticks = -1;

    /// <summary>This process.</summary>
    public static RankProcess Own()
    {
        var (id, host) = (Environment.ProcessId, Environment.MachineName);
        var space = OperatingSystem.IsLinux() ? new FileInfo("/proc/self/ns/pid").LinkTarget : null;
        return space is not null && Read("/proc/sys/kernel/random/boot_id") is { } boot && Fields(Of(id, "stat")) is { } fields
            ? new(host, $"{boot.Trim()} {space}", id, Number(fields, Start))
            : new(host, "", id, 0);
    }

    /// <summary>What the system says of it now.</summary>
    /// <param name="from">The process that asks.</param>
    public ProcessLife Life(RankProcess from)
    {
        if (Machine.Length == 0 || (Machine, Host) != (from.Machine, from.Host)) return ProcessLife.Unknown;
        if (Fields(Of(Id, "stat")) is not { } fields || Number(fields, Start) != Started || fields[State] is "Z" or "X") return ProcessLife.Gone;
        if (fields[State] is "T" or "t") return ProcessLife.Suspended;
        var (before, now) = (_ticks, Number(fields, UserTicks) + Number(fields, SystemTicks));
        _ticks = now;
        return now > before || HasThreadThatWouldRun() ? ProcessLife.Working : ProcessLife.Waiting;
    }

    /// <summary>For another rank to read.</summary>
    public byte[] ToBytes() => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Host}\n{Machine}\n{Id}\n{Started}"));

    /// <summary>Reads what <see cref="ToBytes"/> wrote.</summary>
    public static RankProcess FromBytes(byte[] bytes)
    {
        var parts = Encoding.UTF8.GetString(bytes).Split('\n');
        return new(parts[0], parts[1], int.Parse(parts[2], CultureInfo.InvariantCulture), long.Parse(parts[3], CultureInfo.InvariantCulture));
    }

    private bool HasThreadThatWouldRun()
    {
        try
        {
            return Directory.EnumerateDirectories(Of(Id, "task")).Any(thread => Fields(Path.Combine(thread, "stat")) is [("R" or "D"), ..]);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string Of(int id, string name) => string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/{name}");

    /// <summary>What stands behind the name, which may have blanks and brackets of its own.</summary>
    private static string[]? Fields(string path) => Read(path) is { } text ? text[(text.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries) : null;

    private static long Number(string[] fields, int at) => long.Parse(fields[at], CultureInfo.InvariantCulture);

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
