using System.Diagnostics;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Rlgf.Base;

namespace Rlgf.Text.Tests;

public sealed partial class RegularFileTests
{
    /// <summary>Files that open something of the system's own, or of this process's, whose name no user gives.</summary>
    private static readonly string[] ReadTheSystem = ["RegularFile.cs", "StandardStream.cs", "RunEnvironment.cs", "ProcessTree.cs", "RankProcess.cs", "Checksum.cs"];

    [Fact]
    public void What_is_no_file_is_refused_by_what_it_is_without_being_opened()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no such files.");
        using var folder = new TemporaryFolder();
        var (pipe, link, socket) = (folder["pipe"], folder["link"], folder["socket"]);
        Process.Start("mkfifo", [pipe])!.WaitForExit();
        File.CreateSymbolicLink(link, pipe);
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(socket));
        (string Path, string What)[] cases = [(pipe, "a named pipe"), (link, "a named pipe"), (socket, "a socket"), ("/dev/zero", "a device"), (folder[""], "a folder")];
        foreach (var (path, what) in cases)
        {
            foreach (var open in (Action<string>[])[path => RegularFile.Open(path).Dispose(), path => RegularFile.ReadText(path), path => RegularFile.ReadBytes(path), path => MappedFile.Open(path, 1, "a file").Dispose()])
                Assert.StartsWith($"{path}: is {what}, and a file is needed", Assert.Throws<InputException>(() => open(path)).Message, StringComparison.Ordinal);
            Assert.Equal(what != "a folder", RegularFile.IsSpecial(path));
        }

        // Nobody writes to the first: a pipe of that name is waited for however often it is to be read.
        Assert.Throws<InputException>(() => RegularFile.Require(pipe, isReadOnce: true));
    }

    [Fact]
    public void A_file_is_read_and_one_that_is_not_there_is_missing()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["file"], "text");
        Assert.Equal("text", RegularFile.ReadText(folder["file"]));
        Assert.Equal("text"u8.ToArray(), RegularFile.ReadBytes(folder["file"]));
        Assert.Null(RegularFile.Problem(folder["nothing"]));
        Assert.Throws<FileNotFoundException>(() => RegularFile.Open(folder["nothing"]));
    }

    [Fact]
    public void What_a_shell_gives_as_an_open_pipe_is_read_once()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Where such names lie differs.");
        using var pipe = new System.IO.Pipes.AnonymousPipeServerStream(System.IO.Pipes.PipeDirection.Out);
        var name = $"/dev/fd/{pipe.GetClientHandleAsString()}";
        Assert.Null(RegularFile.Problem(name, isReadOnce: true));
        Assert.StartsWith("is a named pipe", RegularFile.Problem(name), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_file_is_opened_for_reading_by_the_one_rule()
    {
        var sources = Path.Combine(Repository.Root, "src");
        var places = Directory.EnumerateFiles(sources, "*.cs", SearchOption.AllDirectories)
            .Where(path => !path.Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj") && !ReadTheSystem.Contains(Path.GetFileName(path)))
            .SelectMany(path => File.ReadLines(path).Index().Where(line => OpensForReading().IsMatch(line.Item)).Select(line => $"{Path.GetRelativePath(sources, path)}:{line.Index + 1}")).ToArray();
        Assert.Equal("", string.Join('\n', places));
    }

    [GeneratedRegex(@"\bFile\.(OpenRead|OpenText|OpenHandle|ReadAll\w+|ReadLines\w*)\(|FileMode\.Open, FileAccess\.Read\b|new StreamReader\(\w*[Pp]ath\b")]
    private static partial Regex OpensForReading();

    private sealed class TemporaryFolder : IDisposable
    {
        private readonly string _path = Directory.CreateTempSubdirectory("rlgf-test-").FullName;

        public string this[string name] => Path.Combine(_path, name);

        public void Dispose() => Directory.Delete(_path, recursive: true);
    }
}
