using Rlgf.Base;
using Rlgf.Runs;

namespace Rlgf.Tests.Runs;

public sealed class RunOwnershipTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Fact]
    public void A_folder_has_one_owner_at_a_time()
    {
        var folder = _temporary.File("run");
        using (RunOwnership.Take(folder))
        {
            var message = Assert.Throws<InputException>(() => RunOwnership.Take(folder)).Message;
            Assert.Matches($"process {Environment.ProcessId} on {Environment.MachineName}, since 20[0-9-]+ [0-9:]+ UTC,", message);
            using var another = RunOwnership.Take(_temporary.File("other"));
        }

        using var later = RunOwnership.Take(folder);
        Assert.Throws<InputException>(() => RunOwnership.Take(folder));
    }

    [Fact]
    public async Task Of_many_that_want_a_fresh_folder_at_once_one_gets_it()
    {
        for (var round = 0; round < 20; round++)
        {
            var folder = _temporary.File($"run{round}");
            using var start = new Barrier(8);
            var owners = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    start.SignalAndWait();
                    try
                    {
                        return RunOwnership.Take(folder);
                    }
                    catch (InputException)
                    {
                        return null;
                    }
                },
                default, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
            Assert.Single(owners, owner => owner is not null);
            foreach (var owner in owners) owner?.Dispose();
        }
    }

    [Fact]
    public void What_a_killed_owner_left_is_taken_over()
    {
        var folder = _temporary.File("run");
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, ".lock"), "");
        File.WriteAllText(Path.Combine(folder, ".owner"), """{"process": 1, "host": "elsewhere", "since": "2020-01-02T03:04:05+00:00"}""");
        using var owner = RunOwnership.Take(folder);
        Assert.Contains(Environment.MachineName, Assert.Throws<InputException>(() => RunOwnership.Take(folder)).Message, StringComparison.Ordinal);
    }
}
