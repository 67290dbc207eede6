using Rlgf.Base;

namespace Rlgf.Text.Tests;

public sealed class AtomicFileTests
{
    [Fact]
    public void A_write_that_fails_halfway_leaves_the_old_content_and_no_temporary_file()
    {
        var folder = Directory.CreateTempSubdirectory("rlgf-test-").FullName;
        try
        {
            var path = Path.Combine(folder, "new folder", "file.txt");
            AtomicFile.WriteText(path, "old");
            Assert.Throws<IOException>(() => AtomicFile.Write(path, stream =>
            {
                stream.Write("half"u8);
                throw new IOException("disk full");
            }));
            Assert.Equal("old", File.ReadAllText(path));
            Assert.Equal([path], Directory.GetFiles(Path.GetDirectoryName(path)!));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_pipe_keeps_its_name()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no such files.");
        using var folder = new Folder();
        System.Diagnostics.Process.Start("mkfifo", [folder["pipe"]])!.WaitForExit();
        File.WriteAllText(folder["unfinished"], "new");
        Assert.Equal("it is a named pipe, and a file is needed", Assert.Throws<IOException>(() => AtomicFile.WriteText(folder["pipe"], "new")).Message);
        Assert.Throws<IOException>(() => AtomicFile.Complete(folder["unfinished"], folder["pipe"]));
        Assert.True(RegularFile.IsSpecial(folder["pipe"]));
        Assert.False(File.Exists(folder["pipe"] + AtomicFile.TemporaryEnding));
    }

    [Fact]
    public void A_path_that_leads_through_a_folder_that_is_not_there_and_out_of_it_is_the_one_that_is_read_again()
    {
        using var folder = new Folder();
        var path = Path.Combine(folder[""], "none", "..", "new");
        AtomicFolder.Write(path, inside => AtomicFile.WriteText(Path.Combine(inside, "f"), "x"));
        Assert.Equal("x", File.ReadAllText(folder["new/f"]));
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no pipes among files.");
        System.Diagnostics.Process.Start("mkfifo", [folder["pipe"]])!.WaitForExit();
        Assert.True(RegularFile.IsSpecial(Path.Combine(folder[""], "none", "..", "pipe")));
    }

    [Fact]
    public void Content_is_on_disk_before_the_name_and_the_name_before_the_folder_is_left()
    {
        var folder = Directory.CreateTempSubdirectory("rlgf-test-").FullName;
        var steps = new List<DiskStep>();
        try
        {
            DurableDisk.Watch(steps.Add);
            var path = Path.Combine(folder, "new", "file.txt");
            AtomicFile.WriteText(path, "text");
            AtomicFile.AppendText(path, "more");
            Assert.Equal(
                [
                    new(DiskAction.Create, Path.Combine(folder, "new")),
                    new(DiskAction.Sync, folder),
                    new(DiskAction.Flush, path + ".tmp"),
                    new(DiskAction.Rename, path, path + ".tmp"),
                    new(DiskAction.Sync, Path.Combine(folder, "new")),
                    new(DiskAction.Flush, path),
                ],
                steps);
            Assert.Equal("textmore", File.ReadAllText(path));
        }
        finally
        {
            DurableDisk.Watch(null);
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_folder_appears_when_what_is_in_it_is_on_disk_and_loses_its_name_before_its_files_go()
    {
        var folder = Directory.CreateTempSubdirectory("rlgf-test-").FullName;
        var steps = new List<DiskStep>();
        var path = Path.Combine(folder, "whole");
        try
        {
            DurableDisk.Watch(steps.Add);
            AtomicFolder.Write(path, inside => AtomicFile.WriteText(Path.Combine(inside, "below", "file.txt"), "text"));
            var unfinished = path + ".unfinished";
            Assert.Equal(
                [
                    new(DiskAction.Sync, Path.Combine(unfinished, "below")),
                    new(DiskAction.Sync, unfinished),
                    new(DiskAction.Rename, path, unfinished),
                    new(DiskAction.Sync, folder),
                ],
                steps[^4..]);
            Assert.Equal("text", File.ReadAllText(Path.Combine(path, "below", "file.txt")));

            Assert.Throws<IOException>(() => AtomicFolder.Write(Path.Combine(folder, "other"), inside =>
            {
                AtomicFile.WriteText(Path.Combine(inside, "file.txt"), "text");
                throw new IOException("disk full");
            }));
            Assert.Equal([path], Directory.GetFileSystemEntries(folder));

            steps.Clear();
            AtomicFolder.Delete(path);
            Assert.Contains(new DiskStep(DiskAction.Rename, path + ".deleted", path), steps);
            Assert.Empty(Directory.GetFileSystemEntries(folder));
        }
        finally
        {
            DurableDisk.Watch(null);
            Directory.Delete(folder, recursive: true);
        }
    }

    private sealed class Folder : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rlgf-test-");

        public string this[string name] => Path.Combine(_folder.FullName, name);

        public void Dispose() => _folder.Delete(recursive: true);
    }
}
