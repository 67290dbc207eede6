using System.Diagnostics;
using System.Runtime.InteropServices;
using Rlgf.Base;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models;

/// <summary>Functions of the libtorch that is loaded which TorchSharp has none for, by their exported names.</summary>
internal static class LibtorchExports
{
    private static readonly Lazy<nint> Library = new(() =>
    {
        // Names and calling conventions were checked on this platform only.
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return 0;

        // The file that is loaded already, by its full path: opening another copy would load a second library.
        using var process = Process.GetCurrentProcess();
        var path = process.Modules.Cast<ProcessModule>().Select(module => module.FileName).FirstOrDefault(name => name.EndsWith("/libtorch_cpu.so", StringComparison.Ordinal));
        return path is not null && NativeLibrary.TryLoad(path, out var library) ? library : 0;
    });

    /// <summary>A function's address; 0 where it isn't there. The native library must have been loaded.</summary>
    public static nint Find(string name) => Library.Value != 0 && NativeLibrary.TryGetExport(Library.Value, name, out var address) ? address : 0;
}

/// <summary>
/// Products with a weight that was brought into oneDNN's own layout once. The library's <c>linear</c> copies the weight into that layout at every call, which for few rows takes longer than the product itself.
/// </summary>
/// <remarks>
/// By libtorch's stable C interface (<c>torch/csrc/inductor/aoti_torch/c/shim.h</c>): handles there are what TorchSharp's are, addresses of tensors. Whether all functions are there and give what <c>linear</c> gives is found
/// out once, on sample products; where they don't, <see cref="IsAvailable"/> is false and nothing is ever packed.
/// </remarks>
internal static unsafe class PackedProducts
{
    private const string Variable = "RLGF_PACKED_WEIGHTS";

    // A product sums up in another order than libtorch's own; both of them err by rounding only.
    private const double MostDifference = 1e-5, MostDifferenceOfBfloat16 = 1e-2;

    private static readonly Lazy<Functions?> Loaded = new(TryLoad);
    private static readonly Lazy<bool> Wanted = new(() => IsWanted(Environment.GetEnvironmentVariable(Variable)));

    [ThreadStatic]
    private static bool _isOff;

    /// <summary>Whether float32 weights can be packed here.</summary>
    public static bool IsAvailable => Loaded.Value is not null;

    /// <summary>Whether weights are packed where they can be.</summary>
    public static bool IsOn => Wanted.Value && !_isOff;

    /// <summary>What the environment's variable says: 0 for no packing; 1, or nothing, for packing.</summary>
    /// <exception cref="InputException">It says something else.</exception>
    public static bool IsWanted(string? value) => value switch
    {
        null or "" or "1" => true,
        "0" => false,
        _ => throw new InputException($"the environment's variable {Variable} is '{value}': set it to 0, so that no weights are packed, or leave it out"),
    };

    /// <summary>Until it is disposed of, this thread multiplies as if there were no packing: for tests and measurements that compare the two ways.</summary>
    public static OffScope Off() => new(_isOff);

    /// <summary>Whether a weight can be packed: a matrix on the CPU, for products in a type that they were found right for.</summary>
    public static bool CanPack(Tensor weight, ScalarType type) => IsOn && Loaded.Value is { } functions && weight.device_type == DeviceType.CPU
        && (type == ScalarType.Float32 || (functions.HasBfloat16 && type == ScalarType.BFloat16));

    /// <summary>A weight [out, in] in oneDNN's layout: a tensor that is good for <see cref="Multiply(Tensor, Tensor, Tensor?)"/> and <c>to_dense</c> only. Belongs to the caller's scope.</summary>
    public static Tensor Pack(Tensor weight) => Pack(Loaded.Value!.Value, weight);

    /// <summary>x Wᵀ + b, without a gradient.</summary>
    /// <param name="x">[…, in], two dimensions or more.</param>
    /// <param name="packed">W, from <see cref="Pack(Tensor)"/>.</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <returns>[…, out] of x's type. Belongs to the caller's scope.</returns>
    public static Tensor Multiply(Tensor x, Tensor packed, Tensor? bias) => Multiply(Loaded.Value!.Value, x, packed, bias);

    /// <summary>libtorch's count of what was written into a tensor: operations in place count by themselves, except those of optimisers on lists of tensors, and what is written into its memory directly (<see cref="Changed"/>).</summary>
    public static long VersionOf(Tensor weight)
    {
        var version = Loaded.Value!.Value.Version(weight.Handle);
        GC.KeepAlive(weight);
        return version;
    }

    /// <summary>Counts a change of a weight that libtorch didn't count.</summary>
    public static void Changed(Tensor weight)
    {
        if (Loaded.Value is not { } functions) return;
        functions.Bump(weight.Handle);
        GC.KeepAlive(weight);
    }

    private static Functions? TryLoad()
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        using var one = ones(1, device: CPU);
        var functions = new Functions
        {
            NewHandle = (delegate* unmanaged<nint, nint*, int>)LibtorchExports.Find("aoti_torch_new_tensor_handle"),
            Call = (delegate* unmanaged<byte*, byte*, ulong*, int>)LibtorchExports.Find("aoti_torch_call_dispatcher"),
            Linear = (delegate* unmanaged<nint, nint, nint*, byte*, double**, long, byte**, nint*, int>)LibtorchExports.Find("aoti_torch_cpu__linear_pointwise"),
            Version = (delegate* unmanaged<nint, long>)LibtorchExports.Find("_ZN2at4_ops8_version4callERKNS_6TensorE"),
            Bump = (delegate* unmanaged<nint, void>)LibtorchExports.Find("_ZN5torch8autograd4impl12bump_versionERKN2at6TensorE"),
        };
        if (functions.NewHandle == null || functions.Call == null || functions.Linear == null || functions.Version == null || functions.Bump == null) return null;
        try
        {
            var version = functions.Version(one.Handle);
            one.zero_();
            functions.Bump(one.Handle);
            if (functions.Version(one.Handle) != version + 2 || Difference(functions, ScalarType.Float32) > MostDifference) return null;
            // The instructions for bfloat16 may be missing where all else is there; its products then come from slower code, or from none.
            return functions with { HasBfloat16 = Processor.HasBfloat16Products && Difference(functions, ScalarType.BFloat16) <= MostDifferenceOfBfloat16 };
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>The largest difference between the two ways on a product of a 40 × 24 matrix with 1 and with 5 rows, as a share of the largest number.</summary>
    private static double Difference(Functions functions, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(1);
        var weight = randn([40, 24], device: CPU, generator: random).to_type(type);
        var bias = randn([40], device: CPU, generator: random).to_type(type);
        var packed = Pack(functions, weight);
        double most = 0;
        foreach (var rows in new[] { 1, 5 })
        {
            var x = randn([rows, 24], device: CPU, generator: random).to_type(type);
            var expected = nn.functional.linear(x, weight, bias).to_type(ScalarType.Float64);
            var difference = (Multiply(functions, x, packed, bias).to_type(ScalarType.Float64) - expected).abs().max() / expected.abs().max();
            var share = difference.item<double>();
            // Not a number is not right either.
            most = double.IsNaN(share) ? double.PositiveInfinity : Math.Max(most, share);
        }

        return most;
    }

    private static Tensor Pack(Functions functions, Tensor weight)
    {
        // The dispatcher takes its argument over, so it gets a handle of its own. What comes back stands in the argument's place, and is the caller's.
        nint handle;
        if (functions.NewHandle(weight.Handle, &handle) != 0) throw new InvalidOperationException($"libtorch gave no handle of a tensor.");
        GC.KeepAlive(weight);
        // The second argument is a number of rows to lay the weight out for; none fits every number.
        var stack = stackalloc ulong[2];
        (stack[0], stack[1]) = ((ulong)handle, 0);
        fixed (byte* name = "mkldnn::_reorder_linear_weight\0"u8, overload = "\0"u8)
        {
            if (functions.Call(name, overload, stack) != 0) throw new InvalidOperationException($"libtorch didn't pack a weight.");
        }

        return Tensor.UnsafeCreateTensor((nint)stack[0]);
    }

    private static Tensor Multiply(Functions functions, Tensor x, Tensor packed, Tensor? bias)
    {
        nint result, biasHandle = bias is null ? 0 : bias.Handle;
        int failed;
        fixed (byte* activation = "none\0"u8) failed = functions.Linear(x.Handle, packed.Handle, bias is null ? null : &biasHandle, activation, null, 0, null, &result);
        GC.KeepAlive(x);
        GC.KeepAlive(packed);
        GC.KeepAlive(bias);
        return failed == 0 ? Tensor.UnsafeCreateTensor(result) : throw new InvalidOperationException($"libtorch didn't multiply by a packed weight; {Variable}=0 in the environment does without them.");
    }

    /// <summary>Ends an <see cref="Off"/>.</summary>
    public readonly ref struct OffScope
    {
        private readonly bool _outer;

        /// <summary>Begins.</summary>
        public OffScope(bool outer) => (_outer, _isOff) = (outer, true);

        /// <summary>Ends.</summary>
        public void Dispose() => _isOff = _outer;
    }

    /// <summary>The functions as C has them; an error is a number other than 0.</summary>
    private readonly struct Functions
    {
        public delegate* unmanaged<nint, nint*, int> NewHandle { get; init; }

        public delegate* unmanaged<byte*, byte*, ulong*, int> Call { get; init; }

        public delegate* unmanaged<nint, nint, nint*, byte*, double**, long, byte**, nint*, int> Linear { get; init; }

        public delegate* unmanaged<nint, long> Version { get; init; }

        public delegate* unmanaged<nint, void> Bump { get; init; }

        public bool HasBfloat16 { get; init; }
    }
}
