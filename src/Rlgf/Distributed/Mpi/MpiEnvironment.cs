using System.Globalization;
using Rlgf.Base;

namespace Rlgf.Distributed.Mpi;

/// <summary>What starters of MPI programs say to their processes: how it is found out, without configuration and without loading anything, that there are several.</summary>
internal static class MpiEnvironment
{
    /// <summary>Seconds without a sign of life after which a rank counts as lost.</summary>
    public const string TimeoutVariable = "RLGF_RANK_TIMEOUT";

    /// <summary>Seconds that a rank waits at the start for all others to come.</summary>
    public const string StartTimeoutVariable = "RLGF_START_TIMEOUT";

    private const double DefaultTimeout = 10, DefaultStartTimeout = 120;

    // By Open MPI's mpirun; by MPICH's, and srun with PMI; by srun: in a batch script, whose one process is no rank, there is only SLURM_NTASKS.
    private static readonly string[] Sizes = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"], Ranks = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"];

    /// <summary>How many processes were started together; 1 where nobody says so.</summary>
    /// <param name="variable">The environment; null for this process's own.</param>
    public static int ProcessesStarted(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        return Sizes.Select(variable).Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : 1).Max();
    }

    /// <summary>Which of them this one is, before MPI is begun; 0 where nobody says so.</summary>
    /// <param name="variable">The environment; null for this process's own.</param>
    public static int RankStarted(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        return Ranks.Select(variable).Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var rank) ? rank : 0).Max();
    }

    /// <summary>After how long without a sign of life a rank counts as lost.</summary>
    /// <exception cref="InputException">The environment says something that is no time.</exception>
    public static TimeSpan Timeout(Func<string, string?>? variable = null) => Seconds(TimeoutVariable, DefaultTimeout, variable);

    /// <summary>How long a rank waits at the start for all others to come.</summary>
    /// <exception cref="InputException">The environment says something that is no time.</exception>
    public static TimeSpan StartTimeout(Func<string, string?>? variable = null) => Seconds(StartTimeoutVariable, DefaultStartTimeout, variable);

    private static TimeSpan Seconds(string name, double otherwise, Func<string, string?>? variable)
    {
        if ((variable ?? Environment.GetEnvironmentVariable)(name) is not { Length: > 0 } text) return TimeSpan.FromSeconds(otherwise);
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 2 and <= 86400
            ? TimeSpan.FromSeconds(seconds)
            : throw new InputException($"{name} is '{text}': it must be a number of seconds from 2 to 86400");
    }

    /// <summary>What of mpirun's own settings lets a run end badly, one line each: mpirun reads them before its processes begin, so that they can only be looked at here.</summary>
    /// <param name="severalHosts">Whether the ranks are on several machines.</param>
    /// <param name="variable">The environment; null for this process's own.</param>
    public static IEnumerable<string> Notes(bool severalHosts, Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        if (variable("OMPI_COMM_WORLD_SIZE") is null) yield break;
        if (severalHosts && variable("OMPI_MCA_oob_tcp_keepalive_time") is null)
            yield return "mpirun notices a machine that was cut off after minutes only, and waits for it when the run has ended: give it --mca oob_tcp_keepalive_time 5 --mca oob_tcp_keepalive_intvl 2 --mca oob_tcp_keepalive_probes 3 (docs/clusters.md)";
        // Where machines can be cut off, the same pauses would come before the end of what is left.
        if (!severalHosts && variable("OMPI_MCA_odls_base_sigkill_timeout") is null)
            yield return "mpirun kills its processes two seconds after Ctrl-C or SIGTERM, which may be too soon to save: give it --mca odls_base_sigkill_timeout 10, or stop it by kill -USR1 (docs/clusters.md)";
    }
}
