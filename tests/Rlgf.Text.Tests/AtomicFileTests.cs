using Rlgf.Text;

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
}
