using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Rlgf.Distributed.Mpi;

/// <summary>Another rank, to which this one says that it is alive: rank 0 to all, and all to rank 0.</summary>
internal sealed unsafe class MpiPeer(int rank)
{
    /// <summary>Of messages that say that a rank is alive, or why it isn't going on.</summary>
    private const int Tag = 7, MostBytes = 4096;

    // Native memory: MPI writes into it while nobody waits.
    private readonly nint _out = Marshal.AllocHGlobal(MostBytes), _in = Marshal.AllocHGlobal(MostBytes);
    private nint _sending, _receiving;
    private bool _isSending;
    private readonly Silence _silence = new(TimeProvider.System);
    private long _sent = Stopwatch.GetTimestamp();

    public int Rank => rank;

    public TimeSpan SinceSent => Stopwatch.GetElapsedTime(_sent);

    /// <summary>How long it has given no sign of life.</summary>
    public TimeSpan Silence => _silence.Length;

    /// <summary>What the system said of its process, and when it was asked.</summary>
    public ProcessLife Life { get; set; }

    public long AskedAt { get; set; }

    /// <summary>Whether it was told why this rank doesn't go on.</summary>
    public bool IsTold { get; set; }

    public string? Reported { get; private set; }

    public int Code { get; private set; }

    public long ReportedAt { get; private set; }

    public void Receive(MpiLibrary mpi) => _receiving = mpi.Receive(_in, MostBytes, rank, Tag);

    public void Stop(MpiLibrary mpi) => mpi.Forget(ref _receiving);

    /// <summary>Reads all that has come.</summary>
    public void Listen(MpiLibrary mpi)
    {
        // At first: what came while nobody looked ends the silence.
        var hasCome = false;
        while (HasReceived(mpi)) hasCome = true;
        if (!hasCome) _silence.Look();
    }

    private bool HasReceived(MpiLibrary mpi)
    {
        if (!mpi.IsDone(ref _receiving)) return false;
        _silence.End();
        var text = Encoding.UTF8.GetString((byte*)_in + 8, Math.Clamp(Marshal.ReadInt32(_in, 4), 0, MostBytes - 8));
        if (text.Length > 0 && Reported is null) (Code, Reported, ReportedAt) = (Marshal.ReadInt32(_in), text, Stopwatch.GetTimestamp());
        Receive(mpi);
        return true;
    }

    /// <summary>Sends, unless what was sent before hasn't left yet.</summary>
    /// <param name="mpi">MPI.</param>
    /// <param name="code">The exit code of a rank that isn't going on.</param>
    /// <param name="text">Why it isn't; empty where it is.</param>
    public bool Send(MpiLibrary mpi, int code, string text)
    {
        if (_isSending && !mpi.IsDone(ref _sending)) return false;
        var message = Message(code, text);
        Marshal.Copy(message, 0, _out, message.Length);
        (_sending, _isSending, _sent) = (mpi.Send(_out, message.Length, rank, Tag), true, Stopwatch.GetTimestamp());
        return true;
    }

    private static byte[] Message(int code, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var message = new byte[8 + Math.Min(bytes.Length, MostBytes - 8)];
        BinaryPrimitives.WriteInt32LittleEndian(message, code);
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(4), message.Length - 8);
        bytes.AsSpan(0, message.Length - 8).CopyTo(message.AsSpan(8));
        return message;
    }
}
