using System.Diagnostics;
using System.Globalization;
using static Rlgf.Cli.Tests.MpiRuns;

namespace Rlgf.Cli.Tests;

/// <summary>
/// Training on three hosts that are network namespaces of this machine, joined by links of a given rate. <c>RLGF_HOSTS_SCRIPT</c> names a script that makes them: <c>up N RATE</c>, <c>mpirun N ARGUMENTS…</c>, <c>cut K</c>,
/// <c>heal K</c>, <c>down</c>; the K-th host is called <c>rlgfK</c>, in a namespace of that name. Needs root.
/// </summary>
[Trait("Category", "Long")]
public sealed class HostsTests : IDisposable
{
    private const int Hosts = 3, Iterations = 8;

    // mpirun's own, so that it finds out by itself that a machine was cut off.
    private static readonly string[] Keepalive = ["--mca", "oob_tcp_keepalive_time", "5", "--mca", "oob_tcp_keepalive_intvl", "2", "--mca", "oob_tcp_keepalive_probes", "3"];

    private static readonly string? Script = Environment.GetEnvironmentVariable("RLGF_HOSTS_SCRIPT");

    private bool _isUp;

    public void Dispose()
    {
        if (_isUp) Do("bash", Script!, "down");
    }

    [Theory(Explicit = true)]
    [InlineData("1gbit")]
    [InlineData("100mbit")]
    public void Three_hosts_have_the_bits_of_three_processes(string rate)
    {
        Up(rate);
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Several(Hosts, Train(scratch, "one", Iterations)).Finish().Code);
        var (code, _, error) = OnHosts(Train(scratch, "two", Iterations)).Finish();
        Assert.True(code == ExitCode.Ok, error);
        Assert.Contains("3 processes on rlgf1, rlgf2, rlgf3", error, StringComparison.Ordinal);
        RequireSameBits(scratch, "one", "two", Iterations);
    }

    [Theory(Explicit = true)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_host_that_is_cut_off_ends_the_run_in_one_line_and_healed_it_goes_on(int host)
    {
        Up("1gbit");
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, OnHosts(Train(scratch, "one", Iterations)).Finish().Code);
        using (var run = OnHosts([.. Train(scratch, "two", Iterations)]))
        {
            run.WaitFor(() => Rows(scratch["two"]) >= 2);
            Do("bash", Script!, "cut", host.ToString(CultureInfo.InvariantCulture));
            var clock = Stopwatch.StartNew();
            var (code, _, error) = run.Finish();
            TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"cut off, ended after {clock.Elapsed.TotalSeconds:0.0} s"));
            Assert.NotEqual(ExitCode.Ok, code);
            // Twice the time, for machines that do other work.
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), error);
            Assert.Contains($"rank {host - 1} on rlgf{host} has given no sign of life for ", Assert.Single(Errors(error)), StringComparison.Ordinal);
            Assert.Contains("RLGF_RANK_TIMEOUT", error, StringComparison.Ordinal);
        }

        Do("bash", Script!, "heal", host.ToString(CultureInfo.InvariantCulture));
        var onward = OnHosts("train", scratch["two"], "--resume").Finish();
        Assert.True(onward.Code == ExitCode.Ok, onward.Error);
        RequireSameBits(scratch, "one", "two", Iterations);
    }

    [Fact(Explicit = true)]
    public void A_host_whose_link_is_slow_is_waited_for()
    {
        Up("1gbit");
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, OnHosts(Train(scratch, "one", Iterations)).Finish().Code);
        Do("tc", "-n", "rlgf3", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "2mbit", "burst", "32kb", "latency", "400ms");
        var (code, _, error) = OnHosts(Train(scratch, "two", Iterations)).Finish();
        Assert.True(code == ExitCode.Ok, error);
        RequireSameBits(scratch, "one", "two", Iterations);
    }

    private void Up(string rate)
    {
        RequireMpi();
        if (Script is null) Assert.Skip("RLGF_HOSTS_SCRIPT names no script that makes hosts");
        Do("bash", Script, "up", Hosts.ToString(CultureInfo.InvariantCulture), rate);
        _isUp = true;
    }

    private static RunningProcess OnHosts(params string[] args) =>
        RunningProcess.Of("bash", [Script!, "mpirun", Hosts.ToString(CultureInfo.InvariantCulture), .. Keepalive, "dotnet", RunningProcess.Program, .. args]);

    private static void Do(string program, params string[] args)
    {
        var (code, _, error) = RunningProcess.Of(program, args).Finish();
        Assert.True(code == 0, $"{program} {string.Join(' ', args)}: {error}");
    }
}
