using System.Runtime.InteropServices;
using System.Text;
using Rlgf.Base;

namespace Rlgf.Distributed.Mpi;

/// <summary>
/// The functions of MPI's C interface (MPI 3.1) that are used here, of Open MPI 4 and 5, or of MPICH 3.2 and later and its relatives, which share a binary interface. Handles are addresses in the one and numbers
/// in the other; both go through the calls as machine words. To be called from one thread.
/// </summary>
/// <remarks>MPI.NET 1.4 would be the package for it; it binds to Microsoft's MPI alone (<c>msmpi.dll</c>, with that one's numbers for handles).</remarks>
internal sealed unsafe class MpiLibrary
{
    private const int RtldNow = 2, RtldGlobal = 0x100, Funneled = 1, MostText = 8192;

    private readonly nint _library, _world, _bytes, _floats, _ignoredStatus, _errorsReturn;
    private readonly Dictionary<string, nint> _functions = [];

    private MpiLibrary(nint library, string name)
    {
        _library = library;
        Version = VersionOf(library);
        var isOpen = NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out _);
        string[] likeMpich = ["MPICH", "MVAPICH", "Intel"];
        if (!isOpen && !likeMpich.Any(name => Version.Contains(name, StringComparison.OrdinalIgnoreCase)))
            throw new InputException($"{name} is '{Version}', which is neither Open MPI nor MPICH or one of its relatives: install Open MPI (Debian: openmpi-bin), or start one process without mpirun");

        // MPICH's numbers belong to its binary interface; Open MPI's handles are the addresses of its variables.
        nint Handle(string variable, int number) => isOpen ? NativeLibrary.GetExport(library, variable) : number;
        (_world, _bytes, _floats) = (Handle("ompi_mpi_comm_world", 0x44000000), Handle("ompi_mpi_byte", 0x4c00010d), Handle("ompi_mpi_float", 0x4c00040a));
        _ignoredStatus = isOpen ? 0 : 1;
        IsOpen = isOpen;
        _errorsReturn = Handle("ompi_mpi_errors_return", 0x54000001);
    }

    /// <summary>Which library it is.</summary>
    public string Version { get; }

    /// <summary>Whether it is Open MPI.</summary>
    public bool IsOpen { get; }

    /// <summary>Loads the library. Its own parts are loaded later and look for its symbols among those of the process.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static MpiLibrary Load()
    {
        // By the names of the binary interfaces: without development packages there are no others.
        string[] names = OperatingSystem.IsMacOS() ? ["libmpi.40.dylib", "libmpi.12.dylib", "libmpi.dylib"] : ["libmpi.so.40", "libmpi.so.12", "libmpich.so.12", "libmpi.so"];
        if (Environment.GetEnvironmentVariable("PMI_SIZE") is not null && Environment.GetEnvironmentVariable("OMPI_COMM_WORLD_SIZE") is null) names = [.. names.Skip(1), names[0]];
        foreach (var name in names)
        {
            var library = OpenGlobally(name);
            if (library != 0) return new(library, name);
        }

        throw new InputException($"this process was started by MPI (mpirun or srun), and there is no MPI library: none of {string.Join(", ", names)} can be loaded; install Open MPI (Debian: openmpi-bin), or start one process without mpirun");
    }

    /// <summary>Begins MPI for this thread.</summary>
    public void Begin()
    {
        // Signals are this program's own: Open MPI would print a stack trace where .NET makes an exception of a signal.
        _ = SetEnvironment("OMPI_MCA_opal_signal", "", 0);
        int level;
        var begin = (delegate* unmanaged<int*, byte***, int, int*, int>)Function("MPI_Init_thread");
        Require(begin(null, null, Funneled, &level), "MPI_Init_thread");
        if (level < Funneled) throw new InputException($"{Version} was built without threads (MPI_THREAD_FUNNELED): use another, such as Debian's openmpi-bin");
        Require(((delegate* unmanaged<nint, nint, int>)Function("MPI_Comm_set_errhandler"))(_world, _errorsReturn), "MPI_Comm_set_errhandler");
    }

    /// <summary>This process's number.</summary>
    public int Rank => Number("MPI_Comm_rank");

    /// <summary>How many processes there are.</summary>
    public int Size => Number("MPI_Comm_size");

    /// <summary>Ends MPI in order: every rank comes here.</summary>
    public void End() => Require(((delegate* unmanaged<int>)Function("MPI_Finalize"))(), "MPI_Finalize");

    /// <summary>Ends all ranks at once.</summary>
    /// <param name="code">What mpirun returns.</param>
    public void Abort(int code) => _ = ((delegate* unmanaged<nint, int, int>)Function("MPI_Abort"))(_world, code);

    /// <summary>Begins to gather <paramref name="count"/> bytes of each rank at all.</summary>
    public nint GatherAll(nint own, nint all, int count)
    {
        nint request = 0;
        Require(((delegate* unmanaged<nint, int, nint, nint, int, nint, nint, nint*, int>)Function("MPI_Iallgather"))(own, count, _bytes, all, count, _bytes, _world, &request), "MPI_Iallgather");
        return request;
    }

    /// <summary>Begins to gather bytes of each rank at all, of each as many as it has.</summary>
    public nint GatherAll(nint own, int count, nint all, int* counts, int* places)
    {
        nint request = 0;
        Require(((delegate* unmanaged<nint, int, nint, nint, int*, int*, nint, nint, nint*, int>)Function("MPI_Iallgatherv"))(own, count, _bytes, all, counts, places, _bytes, _world, &request), "MPI_Iallgatherv");
        return request;
    }

    /// <summary>Begins to give rank k the k-th part of what this rank has.</summary>
    public nint Exchange(nint own, nint received, int floatsOfPart)
    {
        nint request = 0;
        Require(((delegate* unmanaged<nint, int, nint, nint, int, nint, nint, nint*, int>)Function("MPI_Ialltoall"))(own, floatsOfPart, _floats, received, floatsOfPart, _floats, _world, &request), "MPI_Ialltoall");
        return request;
    }

    /// <summary>Begins to give all ranks what rank 0 has.</summary>
    public nint Broadcast(nint bytes, int count)
    {
        nint request = 0;
        Require(((delegate* unmanaged<nint, int, nint, int, nint, nint*, int>)Function("MPI_Ibcast"))(bytes, count, _bytes, 0, _world, &request), "MPI_Ibcast");
        return request;
    }

    /// <summary>Begins to send a message.</summary>
    public nint Send(nint bytes, int count, int rank, int tag) => Message("MPI_Isend", bytes, count, rank, tag);

    /// <summary>Begins to receive a message of at most so many bytes.</summary>
    public nint Receive(nint bytes, int count, int rank, int tag) => Message("MPI_Irecv", bytes, count, rank, tag);

    /// <summary>Whether something that was begun is done.</summary>
    /// <param name="request">What was begun.</param>
    public bool IsDone(ref nint request)
    {
        int done;
        fixed (nint* place = &request) Require(((delegate* unmanaged<nint*, int*, nint, int>)Function("MPI_Test"))(place, &done, _ignoredStatus), "MPI_Test");
        return done != 0;
    }

    /// <summary>Gives up something that was begun.</summary>
    /// <param name="request">What was begun.</param>
    public void Forget(ref nint request)
    {
        fixed (nint* place = &request)
        {
            Require(((delegate* unmanaged<nint*, int>)Function("MPI_Cancel"))(place), "MPI_Cancel");
            Require(((delegate* unmanaged<nint*, int>)Function("MPI_Request_free"))(place), "MPI_Request_free");
        }
    }

    private nint Message(string name, nint bytes, int count, int rank, int tag)
    {
        nint request = 0;
        Require(((delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int>)Function(name))(bytes, count, _bytes, rank, tag, _world, &request), name);
        return request;
    }

    private int Number(string name)
    {
        int number;
        Require(((delegate* unmanaged<nint, int*, int>)Function(name))(_world, &number), name);
        return number;
    }

    private void Require(int code, string name)
    {
        if (code == 0) return;
        var text = stackalloc byte[MostText];
        int length;
        _ = ((delegate* unmanaged<int, byte*, int*, int>)Function("MPI_Error_string"))(code, text, &length);
        throw new InputException($"MPI failed: {name}: {Encoding.UTF8.GetString(text, length).ReplaceLineEndings(" ")}");
    }

    private nint Function(string name)
    {
        if (!_functions.TryGetValue(name, out var address)) _functions[name] = address = NativeLibrary.GetExport(_library, name);
        return address;
    }

    private static string VersionOf(nint library)
    {
        var text = stackalloc byte[MostText];
        int length;
        if (!NativeLibrary.TryGetExport(library, "MPI_Get_library_version", out var function)) return "an MPI older than 3.0";
        _ = ((delegate* unmanaged<byte*, int*, int>)function)(text, &length);
        return Encoding.UTF8.GetString(text, length).Split('\n', ',')[0].Trim().ReplaceLineEndings(" ");
    }

    private static nint OpenGlobally(string name)
    {
        if (!OperatingSystem.IsLinux()) return NativeLibrary.TryLoad(name, out var library) ? library : 0;
        try
        {
            return DlOpen(name, RtldNow | RtldGlobal);
        }
        catch (EntryPointNotFoundException)
        {
            // Before glibc 2.34 it was in a library of its own.
            return DlOpenOfItsOwnLibrary(name, RtldNow | RtldGlobal);
        }
    }

    [DllImport("libc", EntryPoint = "dlopen", ExactSpelling = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint DlOpen([MarshalAs(UnmanagedType.LPUTF8Str)] string file, int mode);

    [DllImport("libdl.so.2", EntryPoint = "dlopen", ExactSpelling = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint DlOpenOfItsOwnLibrary([MarshalAs(UnmanagedType.LPUTF8Str)] string file, int mode);

    [DllImport("libc", EntryPoint = "setenv", ExactSpelling = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetEnvironment([MarshalAs(UnmanagedType.LPUTF8Str)] string name, [MarshalAs(UnmanagedType.LPUTF8Str)] string value, int overwrite);
}
