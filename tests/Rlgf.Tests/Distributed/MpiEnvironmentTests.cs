using Rlgf.Base;
using Rlgf.Distributed.Mpi;

namespace Rlgf.Tests.Distributed;

/// <summary>What starters of MPI programs say is found without loading anything.</summary>
public sealed class MpiEnvironmentTests
{
    [Theory]
    [InlineData(1, "")]
    [InlineData(4, "OMPI_COMM_WORLD_SIZE=4")]
    [InlineData(3, "PMI_SIZE=3")]
    [InlineData(2, "SLURM_STEP_NUM_TASKS=2 SLURM_NTASKS=2")]
    [InlineData(1, "SLURM_NTASKS=8")] // A batch script's one process.
    [InlineData(1, "OMPI_COMM_WORLD_SIZE=1")]
    public void The_number_of_processes_is_what_their_starter_says(int processes, string environment) => Assert.Equal(processes, MpiEnvironment.ProcessesStarted(Of(environment)));

    [Theory]
    [InlineData("", 10)]
    [InlineData("RLGF_RANK_TIMEOUT=2.5", 2.5)]
    public void A_rank_is_lost_after_a_time_that_can_be_set(string environment, double seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), MpiEnvironment.Timeout(Of(environment)));

    [Theory]
    [InlineData("", 120)]
    [InlineData("RLGF_START_TIMEOUT=600", 600)]
    public void All_have_come_after_a_time_that_can_be_set(string environment, double seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), MpiEnvironment.StartTimeout(Of(environment)));

    [Theory]
    [InlineData("soon")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("1e9")]
    public void What_is_no_time_is_refused(string text)
    {
        Assert.Contains($"RLGF_RANK_TIMEOUT is '{text}'", Assert.Throws<InputException>(() => MpiEnvironment.Timeout(Of($"RLGF_RANK_TIMEOUT={text}"))).Message, StringComparison.Ordinal);
        Assert.Contains($"RLGF_START_TIMEOUT is '{text}'", Assert.Throws<InputException>(() => MpiEnvironment.StartTimeout(Of($"RLGF_START_TIMEOUT={text}"))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, "PMI_SIZE=2", 0)]
    [InlineData(false, "OMPI_COMM_WORLD_SIZE=2", 1)]
    [InlineData(true, "OMPI_COMM_WORLD_SIZE=2", 1)]
    [InlineData(true, "OMPI_COMM_WORLD_SIZE=2 OMPI_MCA_oob_tcp_keepalive_time=5 OMPI_MCA_odls_base_sigkill_timeout=10", 0)]
    public void Settings_of_mpirun_that_let_a_run_end_badly_are_said(bool severalHosts, string environment, int notes) => Assert.Equal(notes, MpiEnvironment.Notes(severalHosts, Of(environment)).Count());

    private static Func<string, string?> Of(string environment) =>
        environment.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]).GetValueOrDefault;
}
