using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Rlgf.Tests.Sources;

/// <summary>Runs tests of this program in a process of their own, whose settings the runtime reads when it starts.</summary>
internal static partial class ThisProgram
{
    /// <summary>Runs some tests of a class.</summary>
    /// <param name="settings">Environment variables, NAME=VALUE.</param>
    /// <param name="of">The class.</param>
    /// <param name="tests">Its methods.</param>
    /// <returns>How many passed, 0 where one failed or the process died; and what the process said.</returns>
    public static async Task<(int Passed, string Said)> RunAsync(string[] settings, Type of, params string[] tests)
    {
        var program = Path.Combine(AppContext.BaseDirectory, of.Assembly.GetName().Name! + (OperatingSystem.IsWindows() ? ".exe" : ""));
        var start = new ProcessStartInfo(program, tests.SelectMany(test => (string[])["-method", $"{of.FullName}.{test}"])) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var setting in settings.Select(setting => setting.Split('=', 2))) start.Environment[setting[0]] = setting[1];
        using var process = Process.Start(start)!;
        var cancelled = TestContext.Current.CancellationToken;
        var said = string.Join('\n', await Task.WhenAll(process.StandardOutput.ReadToEndAsync(cancelled), process.StandardError.ReadToEndAsync(cancelled)));
        await process.WaitForExitAsync(cancelled);
        var counts = Counts().Match(said);
        var passed = process.ExitCode == 0 && counts.Success ? int.Parse(counts.Groups[1].Value, CultureInfo.InvariantCulture) - int.Parse(counts.Groups[2].Value, CultureInfo.InvariantCulture) : 0;
        return (passed, $"exit code {process.ExitCode}\n{said}");
    }

    [GeneratedRegex(@"Total: (\d+).*Skipped: (\d+)")]
    private static partial Regex Counts();
}
