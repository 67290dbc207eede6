using Rlgf.Base;
using Rlgf.Runs;

namespace Rlgf.Tests.Runs;

public sealed class CheckpointStoreTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Fact]
    public void A_whole_checkpoint_is_read_back_with_its_state()
    {
        Save(NewStore(), 2, 4);
        var newest = NewStore().Newest!;
        Assert.Equal((4, new State(4, 0.1, null)), (newest.Number, newest.State));
        Assert.Empty(newest.Notes);
        Assert.Null(new CheckpointStore<State>(_temporary.File("nothing"), CheckpointNaming.Iterations, 2, state => state.Iteration).Newest);
    }

    [Theory]
    [InlineData("state.json")]
    [InlineData("policy/weights")]
    [InlineData("optimiser")]
    [InlineData("empty")]
    public void Every_flipped_bit_is_noticed_and_the_one_before_is_offered(string file)
    {
        Save(NewStore(), 2, 4);
        var path = Path.Combine(Folder(4), file);
        var right = File.ReadAllBytes(path);
        for (var bit = 0; bit < right.Length * 8; bit++)
        {
            var wrong = right.ToArray();
            wrong[bit / 8] ^= (byte)(1 << bit % 8);
            File.WriteAllBytes(path, wrong);
            // White space between the parts of state.json says nothing.
            if (file == "state.json" && char.IsWhiteSpace((char)right[bit / 8]) && char.IsWhiteSpace((char)wrong[bit / 8])) continue;
            Assert.Equal(4, Refused(whole: 2));
        }

        File.WriteAllBytes(path, [.. right, 0]);
        Refused(whole: 2);
        File.WriteAllBytes(path, right);
        Assert.Equal(4, NewStore().Newest!.Number);
        if (file == "state.json") return;
        File.Delete(path);
        Refused(whole: 2);
    }

    [Fact]
    public void A_damaged_checkpoint_before_is_not_offered()
    {
        Save(NewStore(keep: 3), 2, 4, 6);
        File.AppendAllText(Path.Combine(Folder(6), "optimiser"), "x");
        File.Delete(Path.Combine(Folder(4), "policy", "weights"));
        Refused(whole: 2);
        Directory.Delete(Folder(2), recursive: true);
        Assert.Contains("there is no whole one before it", Assert.Throws<InputException>(() => NewStore().Newest).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_state_of_another_number_than_its_folder_s_is_refused()
    {
        Save(NewStore(), 2, 4);
        Directory.Move(Folder(4), Folder(99));
        Assert.Equal(99, Refused(whole: 2));
    }

    [Fact]
    public void Only_what_the_run_recorded_is_deleted_and_nothing_else_is_in_the_way()
    {
        var store = NewStore();
        Save(store, 2);
        // Another run's checkpoint, and what a user put there.
        Copy(Folder(2), Folder(1) + "-copied");
        Copy(Folder(2), Path.Combine(_temporary.Path, "iteration-00002-best"));
        foreach (var name in (string[])["iteration-abc", "iteration-00009", "iteration-4", "iteration-00002.mine"]) Directory.CreateDirectory(Path.Combine(_temporary.Path, name));
        Directory.CreateDirectory(Folder(1));
        File.WriteAllText(Path.Combine(Folder(1), "notes.txt"), "mine");
        Directory.CreateDirectory(Folder(4));
        Directory.CreateDirectory(Folder(6));
        File.WriteAllText(Path.Combine(Folder(6), "notes.txt"), "mine too");
        Assert.Equal(2, NewStore().Newest!.Number);
        Assert.Contains(NewStore().Newest!.Notes, note => note.Contains("iteration-00006 has no state.json", StringComparison.Ordinal));

        Save(store, 4, 6, 8);
        Assert.Equal(8, NewStore().Newest!.Number);
        Assert.Equal(
            ["iteration-00001", "iteration-00001-copied", "iteration-00002-best", "iteration-00002.mine", "iteration-00006", "iteration-00006.aside-1", "iteration-00008", "iteration-00009", "iteration-4", "iteration-abc"],
            Directory.GetDirectories(_temporary.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal("mine too", File.ReadAllText(Path.Combine(_temporary.Path, "iteration-00006.aside-1", "notes.txt")));
    }

    [Fact]
    public void A_whole_checkpoint_that_another_run_made_is_not_deleted()
    {
        var other = new CheckpointStore<State>(_temporary.File("other"), CheckpointNaming.Iterations, 2, state => state.Iteration);
        Save(other, 1);
        var store = NewStore(keep: 1);
        Save(store, 2);
        Copy(Path.Combine(_temporary.File("other"), "iteration-00001"), Folder(1));
        Save(store, 4);
        Assert.True(Directory.Exists(Folder(1)));
        Assert.False(Directory.Exists(Folder(2)));
    }

    [Fact]
    public void What_a_killed_run_left_is_removed_by_the_one_that_goes_on()
    {
        Save(NewStore(), 2, 4);
        Directory.CreateDirectory(Folder(6) + ".unfinished");
        Directory.Move(Folder(2), Folder(2) + ".deleted");
        var resumed = NewStore();
        Assert.Equal(4, resumed.Newest!.Number);
        Save(resumed, 6, 8);
        Assert.Equal(["iteration-00006", "iteration-00008"], Directory.GetDirectories(_temporary.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void One_that_a_kill_kept_from_being_deleted_is_deleted_by_the_run_that_goes_on()
    {
        Save(NewStore(keep: 3), 2, 4, 6);
        var resumed = NewStore(keep: 1);
        Assert.Equal(6, resumed.Newest!.Number);
        Save(resumed, 8);
        Assert.Equal([Folder(8)], Directory.GetDirectories(_temporary.Path));
    }

    [Fact]
    public void A_checkpoint_without_checksums_is_taken_and_it_is_said()
    {
        Directory.CreateDirectory(Folder(3));
        File.WriteAllText(Path.Combine(Folder(3), "state.json"), """{"iteration": 3, "coefficient": 0.5, "gap": null}""");
        var newest = NewStore().Newest!;
        Assert.Equal(new State(3, 0.5, null), newest.State);
        Assert.Contains("before checkpoints had checksums", Assert.Single(newest.Notes), StringComparison.Ordinal);

        // The number must agree all the same, and a key that was damaged is unknown.
        File.WriteAllText(Path.Combine(Folder(3), "state.json"), """{"iteration": 99, "coefficient": 0.5, "gap": null}""");
        Assert.Contains("state.json is that of iteration-00099", Assert.Throws<InputException>(() => NewStore().Newest).Message, StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(Folder(3), "state.json"), """{"iteration": 3, "coefficient": 0.5, "gap": null, "filet": {}}""");
        Assert.Contains("filet", Assert.Throws<InputException>(() => NewStore().Newest).Message, StringComparison.Ordinal);
    }

    private CheckpointStore<State> NewStore(int keep = 2) => new(_temporary.Path, CheckpointNaming.Iterations, keep, state => state.Iteration);

    private string Folder(int number) => Path.Combine(_temporary.Path, FormattableString.Invariant($"iteration-{number:00000}"));

    private static void Save(CheckpointStore<State> store, params int[] numbers)
    {
        foreach (var number in numbers)
        {
            store.Save(new State(number, 0.1, null), inside =>
            {
                AtomicFile.WriteText(Path.Combine(inside, "policy", "weights"), FormattableString.Invariant($"weights of {number}"));
                AtomicFile.WriteText(Path.Combine(inside, "optimiser"), "moments");
                AtomicFile.WriteText(Path.Combine(inside, "empty"), "");
            });
        }
    }

    /// <summary>Asserts that the newest is refused and which one is offered; gives the number of the one that is named.</summary>
    private int Refused(int whole)
    {
        var message = Assert.Throws<InputException>(() => NewStore().Newest).Message;
        Assert.Contains(FormattableString.Invariant($"the newest whole one is iteration-{whole:00000}"), message, StringComparison.Ordinal);
        var start = Path.Combine(_temporary.Path, "iteration-");
        Assert.StartsWith(start, message, StringComparison.Ordinal);
        return int.Parse(message.AsSpan(start.Length, 5), System.Globalization.CultureInfo.InvariantCulture);
    }

    private static void Copy(string from, string to)
    {
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }

    private sealed record State(int Iteration, double Coefficient, double? Gap);
}
