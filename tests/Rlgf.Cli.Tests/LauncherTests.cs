using System.Diagnostics;

namespace Rlgf.Cli.Tests;

/// <summary>The script at the root of the repository, with a `dotnet` that only pretends.</summary>
public sealed class LauncherTests
{
    [Fact]
    public async Task The_build_is_quiet_where_it_succeeds_and_shown_where_it_fails()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("a script for a shell");
        using var scratch = new Scratch();
        foreach (var folder in new[] { "src/Rlgf.Cli/bin/Release/net10.0", "build", "path" }) Directory.CreateDirectory(scratch[folder]);
        foreach (var file in new[] { "Directory.Build.props", "global.json" }) scratch.Write(file, "");
        File.Copy(Path.Combine(Repository.Root, "rlgf"), scratch["rlgf"]);
        Executable(scratch.Write("path/dotnet", "#!/bin/sh", "case $1 in", "build) echo Build noise; echo more noise >&2; [ ! -f fails ] || exit 1; touch src/Rlgf.Cli/bin/Release/net10.0/Rlgf.Cli.dll;;", "*) shift; echo ran \"$@\";;", "esac"));
        scratch.Write("src/a.cs", "");

        scratch.Write("fails", "");
        var failed = await Run(scratch, "--help");
        Assert.Equal((1, ""), (failed.Code, failed.Output));
        Assert.Contains("Build noise", failed.Error, StringComparison.Ordinal);
        Assert.Contains("error: the build failed", failed.Error, StringComparison.Ordinal);

        File.Delete(scratch["fails"]);
        Assert.Equal((0, "ran --help x y\n", ""), await Run(scratch, "--help", "x y"));
        Assert.Equal((0, "ran --version\n", ""), await Run(scratch, "--version"));
        Assert.Empty(Directory.EnumerateFiles(scratch["path"], "tmp*"));
    }

    private static async Task<(int Code, string Output, string Error)> Run(Scratch scratch, params string[] arguments)
    {
        var start = new ProcessStartInfo("/bin/sh", [scratch["rlgf"], .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = scratch["path"] + ":" + Environment.GetEnvironmentVariable("PATH");
        start.Environment["TMPDIR"] = scratch["path"];
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await error);
    }

    private static void Executable(string path)
    {
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
