using System.Text;
using Rlgf.Base;
using Rlgf.Distributed;

namespace Rlgf.Training;

/// <summary>Checkpoints of a run of several ranks: the first keeps them, and what a run goes on from is sent to the others, which need not see its folder.</summary>
/// <param name="ranks">The ranks.</param>
/// <param name="own">The first rank's; null on the others.</param>
/// <param name="at">Checkpoints in another folder, into the same models and optimisers.</param>
/// <param name="learner">What has the optimisers, whose state may be shared out among the ranks.</param>
internal sealed class RankedCheckpoints(ICommunicator ranks, CheckpointFolder? own, Func<string, ICheckpointStore> at, Learner learner) : ICheckpointStore
{
    private const int MostBytes = 1 << 26;

    /// <inheritdoc/>
    public bool NeedsAll => learner.SharesState;

    /// <inheritdoc/>
    public void Save(TrainingState state)
    {
        // The others have nothing to give where nothing is written.
        if (learner.SharesState && Dealt.ByFirst(ranks, () => own!.Holds(state.Iteration), (writer, holds) => writer.Write(holds), reader => reader.ReadBoolean())) return;
        if (own is not null) own.Save(state);
        else if (learner.SharesState) learner.GiveState();
    }

    /// <inheritdoc/>
    public TrainingState? LoadNewest()
    {
        if (ranks.Size == 1) return own!.LoadNewest();
        return ranks.Rank == 0 ? Send() : Receive();
    }

    /// <inheritdoc/>
    public TrainingState GoBack(int iteration, Func<TrainingState, TrainingState> decided)
    {
        var state = own?.GoBack(iteration, decided);
        if (ranks.Size == 1) return state!;
        // It is the newest from now on, and what was decided is in its state.
        return (ranks.Rank == 0 ? Send() : Receive())!;
    }

    private TrainingState? Send()
    {
        var newest = own!.NewestPath;
        string[] files = newest is null ? [] : [.. Directory.EnumerateFiles(newest, "*", SearchOption.AllDirectories)];
        ranks.Broadcast(Dealt.Bytes(writer =>
        {
            writer.Write(newest is null ? "" : Path.GetFileName(newest));
            writer.Write(files.Length);
            foreach (var file in files)
            {
                writer.Write(Path.GetRelativePath(newest!, file).Replace('\\', '/'));
                writer.Write(new FileInfo(file).Length);
            }
        }));
        foreach (var file in files)
        {
            using var stream = RegularFile.Open(file);
            for (var left = stream.Length; left > 0; left -= MostBytes)
            {
                var part = new byte[Math.Min(left, MostBytes)];
                stream.ReadExactly(part);
                ranks.Broadcast(part);
            }
        }

        return own.LoadNewest();
    }

    private TrainingState? Receive()
    {
        using var reader = new BinaryReader(new MemoryStream(ranks.Broadcast(null)), Encoding.UTF8);
        if (reader.ReadString() is not { Length: > 0 } name) return null;
        var folder = Directory.CreateTempSubdirectory("rlgf-checkpoint-").FullName;
        try
        {
            for (var files = reader.ReadInt32(); files > 0; files--)
            {
                var path = Path.Combine(folder, name, reader.ReadString());
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                using var stream = File.Create(path);
                for (var left = reader.ReadInt64(); left > 0; left -= MostBytes) stream.Write(ranks.Broadcast(null));
            }

            return at(folder).LoadNewest();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
