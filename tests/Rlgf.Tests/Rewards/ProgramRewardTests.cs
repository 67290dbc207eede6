using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rewards.Remote;

namespace Rlgf.Tests.Rewards;

/// <summary>A reward that is a program of somebody's own: whatever it does costs the row that it was asked for, and no other. The programs are shell scripts.</summary>
public sealed class ProgramRewardTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rlgf-test-");

    public ProgramRewardTests() => Assert.SkipWhen(OperatingSystem.IsWindows(), "the programs are shell scripts");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Rows_are_asked_line_by_line_of_programs_that_stay()
    {
        // Answers how often it was asked, so that one program answers 1, 2, 3.
        using var reward = Reward("n=0; while read -r line; do n=$((n + 1)); echo $n; done", parallel: 1);
        Assert.Equal([1, 2, 3], await Totals(reward, "a", "b", "c"));
        Assert.Equal([4], await Totals(reward, "d"));
    }

    [Fact]
    public async Task A_row_is_told_whole()
    {
        var seen = Path.Combine(_folder.FullName, "seen");
        using var reward = Reward($"while read -r line; do printf '%s\\n' \"$line\" >> {seen}; echo 0; done");
        await Totals(reward, [Rows.Of(1, "häßlich \"x\"\n", ["r"], ("answer", 42), ("list", new[] { "a" }))]);
        Assert.Equal("""{"prompt":"prompt 1","response":"häßlich \"x\"\n","ended":true,"references":["r"],"row":{"answer":42,"list":["a"]}}""" + "\n", File.ReadAllText(seen));
    }

    [Theory]
    [InlineData("exit 3", "it ended with code 3 without an answer")]
    [InlineData("echo broken >&2; exit 1", "it ended with code 1 without an answer (it said: 'broken')")]
    [InlineData("while :; do :; done", "it took longer than the 2 seconds that it may")]
    [InlineData("sleep 60 & wait", "it took longer than the 2 seconds that it may")]
    [InlineData("while :; do printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", "it ")]
    [InlineData("echo nan", "answered 'nan', which is neither a number nor {\"score\": number}")]
    [InlineData("echo '\"1\"'", "it answered '\"1\"', which is neither a number nor {\"score\": number}")]
    [InlineData("echo 1e99", "it answered '1e99', which is neither a number nor {\"score\": number}")]
    [InlineData("echo '{\"score\": 1, \"parts\": {\"x\": 1}}'", "it answered the parts x, and the recipe names none")]
    [InlineData("echo", "answered nothing, which is neither a number nor {\"score\": number}")]
    [InlineData("printf '1\\n2\\n'", "it answered more than one line")]
    public async Task What_goes_wrong_costs_its_own_row(string bad, string said)
    {
        // On a crowded machine a shell may take its time to begin.
        var timeout = said.Contains("longer", StringComparison.Ordinal) ? 2 : 60;
        using var reward = Reward($"while read -r line; do case $line in *bad*) {bad};; *) echo 5;; esac; done", failures: new FailureRule(-1), timeout: timeout);
        var scores = await reward.ScoreAsync([Rows.Of(1, "good"), Rows.Of(2, "bad"), Rows.Of(3, "good"), Rows.Of(4, "good")], CancellationToken.None);
        Assert.Equal([5, -1, 5, 5], scores.Select(score => score.Total));
        Assert.Equal([0, 1, 0, 0], scores.Select(score => score.Parts["failed"]));
        Assert.Contains(said, scores[1].Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Too_much_memory_costs_its_own_row_whichever_process_takes_it()
    {
        // The shell starts another program, which takes 300 MB: a line of that length.
        using var reward = Reward("while read -r line; do case $line in *bad*) head -c 300000000 /dev/zero | tail -n 1 | tail -n 1;; *) echo 5;; esac; done", failures: new FailureRule(-1), timeout: 20, memory: 100);
        var scores = await reward.ScoreAsync([Rows.Of(1, "good"), Rows.Of(2, "bad"), Rows.Of(3, "good")], CancellationToken.None);
        Assert.Equal([5, -1, 5], scores.Select(score => score.Total));
        Assert.Contains("it took more than the 100 MiB that it may", scores[1].Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_answers_once_is_started_for_each_row()
    {
        using var reward = Reward("read -r line; echo 5", parallel: 1);
        Assert.Equal([5, 5, 5], await Totals(reward, "a", "b", "c"));
    }

    [Fact]
    public async Task Parts_are_those_that_are_named_and_failed_rows_have_them_too()
    {
        using var reward = Reward("while read -r line; do case $line in *bad*) exit;; *) echo '{\"score\": 2, \"parts\": {\"style\": 0.5, \"fact\": 1}}';; esac; done", failures: new FailureRule(-1, ["style", "fact"]));
        var scores = await CheckedScores.OfAsync(reward, [Rows.Of(1, "good"), Rows.Of(2, "bad")], CancellationToken.None);
        Assert.Equal(new Dictionary<string, double> { ["style"] = 0.5, ["fact"] = 1, ["failed"] = 0 }, scores[0].Parts);
        Assert.Equal(new Dictionary<string, double> { ["style"] = -1, ["fact"] = -1, ["failed"] = 1 }, scores[1].Parts);
    }

    [Fact]
    public async Task Without_a_score_for_such_rows_the_run_stops_with_the_row()
    {
        using var reward = Reward("while read -r line; do case $line in *bad*) exit 3;; *) echo 5;; esac; done");
        var refusal = await Assert.ThrowsAsync<InputException>(() => reward.ScoreAsync([Rows.Of(1, "good"), Rows.Of(2, "bad")], CancellationToken.None));
        Assert.Equal("the reward 'p': data.jsonl, row 2: the program 'sh': it ended with code 3 without an answer; to go on with a score for such rows, set failure_score", refusal.Message);
    }

    [Fact]
    public async Task A_program_that_is_not_there_stops_the_run()
    {
        using var reward = new ProgramReward("p", "no-such-program", [], TimeSpan.FromSeconds(1), 100, 1, new FailureRule(0));
        var refusal = await Assert.ThrowsAsync<InputException>(() => reward.ScoreAsync([Rows.Of(1, "a")], CancellationToken.None));
        Assert.StartsWith("the program 'no-such-program' can't be started: ", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Secrets_stay_here()
    {
        Environment.SetEnvironmentVariable("RLGF_TEST_SECRET", "7");
        using var reward = Reward("while read -r line; do echo ${RLGF_TEST_SECRET:-0}; done");
        Assert.Equal([0], await Totals(reward, "a"));
    }

    [Fact]
    public async Task A_stop_ends_the_program_and_the_wait()
    {
        using var reward = Reward("sleep 60", timeout: 60);
        using var stop = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reward.ScoreAsync([Rows.Of(1, "a")], stop.Token));
    }

    private static ProgramReward Reward(string script, FailureRule? failures = null, double timeout = 20, int memory = 1000, int parallel = 2) =>
        new("p", "sh", ["-c", script], TimeSpan.FromSeconds(timeout), memory, parallel, failures ?? new FailureRule());

    private static Task<IEnumerable<double>> Totals(IReward reward, params string[] texts) => Totals(reward, [.. texts.Select((text, i) => Rows.Of(i + 1, text))]);

    private static async Task<IEnumerable<double>> Totals(IReward reward, Response[] responses) => (await reward.ScoreAsync(responses, CancellationToken.None)).Select(score => score.Total);
}
