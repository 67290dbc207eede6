using System.Diagnostics;
using System.Globalization;

namespace Rlgf.Tests.Shared;

/// <summary>Signals for processes that tests start, by the <c>kill</c> command.</summary>
internal static class Signals
{
    /// <summary>Sends a signal (<c>INT</c>, <c>TERM</c>, …). Where tests run in the background of a shell, interrupts are ignored and stay so in what is started; termination, which is handled in the same way, goes in their place.</summary>
    public static void Send(string signal, int process)
    {
        var ignored = signal == "INT" && File.Exists("/proc/self/status")
            && File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) is { } mask
            && (ulong.Parse(mask[7..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & 2) != 0;
        using var kill = Process.Start("kill", [$"-{(ignored ? "TERM" : signal)}", process.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }
}
