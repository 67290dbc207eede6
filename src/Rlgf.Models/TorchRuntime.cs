using System.Runtime.InteropServices;
using System.Text;
using Rlgf.Base;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models;

/// <summary>The native half of the tensor library: whether it loads, how many threads it uses and how it multiplies matrices.</summary>
public static class TorchRuntime
{
    private static readonly Lock Gate = new();
    private static RuntimeFacts? _facts;
    private static bool _tuned;

    /// <summary>
    /// Sets the process up for training: memory that the native heap has freed stays with the process, threads that wait for one another spin briefly, and float32 products go the faster way where that is
    /// as exact. For a program that does nothing else, as the command line is one, before it loads a model; the library never does it by itself, since all three are settings of the whole process.
    /// </summary>
    public static void TuneProcess()
    {
        lock (Gate)
        {
            if (_tuned) return;
            _tuned = true;
            NativeHeap.TryKeepMemory();
            OpenMpThreads.TrySpinBriefly();
            if (_facts is not null) _facts = _facts with { FastFloat32Products = FastFloat32Products.TryEnable() };
        }
    }

    /// <summary>Loads the native library once; later calls only set the number of threads, where one is given. Nothing else of the process is changed.</summary>
    /// <param name="threads">Threads of one operation; null leaves what the library chose (one per physical core).</param>
    /// <exception cref="InputException">The native library doesn't load; the message says what to do.</exception>
    public static RuntimeFacts Load(int? threads = null)
    {
        if (threads is < 1) throw new InputException($"the number of threads is {threads}: give a positive number.");
        lock (Gate)
        {
            if (_facts is null)
            {
                LoadNative();
                _facts = new RuntimeFacts(torch.__version__, get_num_threads(), _tuned && FastFloat32Products.TryEnable(), PackedProducts.IsOn && PackedProducts.IsAvailable);
            }

            if (threads is { } count && count != _facts.Threads)
            {
                set_num_threads(count);
                _facts = _facts with { Threads = count };
            }

            return _facts;
        }
    }

    private static void LoadNative()
    {
        try
        {
            using var one = ones(1, device: CPU);
        }
        catch (Exception failure)
        {
            // TorchSharp's message is a page long and blames the project file whatever the reason; its first line is enough.
            var cause = failure;
            while (cause is TypeInitializationException { InnerException: { } inner }) cause = inner;
            throw new InputException(
                $"the native tensor library (libtorch) doesn't load on {RuntimeInformation.RuntimeIdentifier}: {cause.Message.Split('\n')[0].TrimEnd()} " +
                "Build this project with its own build files on this machine (dotnet build), which fetch and fix the library for Linux x64, Windows x64 and macOS arm64.",
                failure);
        }
    }
}

/// <summary>How the native library runs here.</summary>
/// <param name="LibtorchVersion">Version of the library that was loaded.</param>
/// <param name="Threads">Threads of one operation.</param>
/// <param name="FastFloat32Products">Whether float32 products go the faster way, see <see cref="Models.FastFloat32Products"/>.</param>
/// <param name="PackedWeights">Whether weights that write are packed for it once rather than at every product, see <see cref="PackedProducts"/>.</param>
public sealed record RuntimeFacts(string LibtorchVersion, int Threads, bool FastFloat32Products, bool PackedWeights);

/// <summary>
/// Sets libtorch's <c>float32_matmul_precision</c> to <c>medium</c>, which sends float32 products to oneDNN instead of MKL. On processors that MKL doesn't favour (AMD) that is
/// 1.3 to 2 times faster at the accuracy of float32.
/// </summary>
/// <remarks>
/// The setting allows rounding to bfloat16, and on processors with matrix units for it the library does round. So the error of a product is measured before and after, and the setting
/// is taken back where it costs accuracy. TorchSharp has no function for it, but libtorch exports the one that it would call.
/// </remarks>
internal static class FastFloat32Products
{
    private const string GlobalContext = "_ZN2at13globalContextEv";
    private const string SetPrecision = "_ZN2at7Context25setFloat32MatmulPrecisionERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE";

    // oneDNN adds up in another order than MKL, which costs a factor of 2 to 3; rounding the factors to bfloat16 costs one of several thousand, to TF32 several hundred.
    private const double MostErrorGrowth = 10;

    private static readonly Lock Suspensions = new();

    private static nint _context;
    private static nint _set;
    private static bool _enabled;
    private static int _suspended;

    /// <summary>Whether the setting is there, was made and keeps float32's accuracy. Elsewhere nothing changes.</summary>
    public static bool TryEnable()
    {
        if (LibtorchExports.Find(GlobalContext) is not (not 0 and var context) || LibtorchExports.Find(SetPrecision) is not (not 0 and var set)) return false;

        (_context, _set) = (context, set);
        var before = ProductError();
        Set("medium");
        _enabled = ProductError() <= MostErrorGrowth * before;
        if (!_enabled) Set("highest");
        return _enabled;
    }

    /// <summary>
    /// Goes back to MKL until it is disposed of: for many products so small that finding oneDNN's kernel takes longer than multiplying. One-token attention at GPT-2's size is six times slower without this.
    /// </summary>
    /// <remarks>
    /// The setting is the process's: the kernels read it from libtorch's one context when they come to a product (the fused attention's within its loop), so that none can be told by its own thread or by its arguments. Another
    /// thread's products meanwhile are right too, but slower and rounded in another order. A lock between the two would let nothing else multiply while text is written. So whoever compares two trainings bit for bit lets
    /// nothing else of the process write meanwhile, as the tests do.
    /// </remarks>
    public static Suspension Suspend()
    {
        if (!_enabled) return new Suspension(false);
        lock (Suspensions)
        {
            if (_suspended++ == 0) Set("highest");
        }

        return new Suspension(true);
    }

    /// <summary>Ends a <see cref="Suspend"/>.</summary>
    public readonly ref struct Suspension(bool resume)
    {
        /// <summary>Goes the faster way again, where there is one.</summary>
        public void Dispose()
        {
            if (!resume) return;
            // The last of several ends it: who writes beside another has the same products to his end.
            lock (Suspensions)
            {
                if (--_suspended == 0) Set("medium");
            }
        }
    }

    /// <summary>The largest error of a 256 × 256 × 256 float32 product against float64, inputs in [−1, 1).</summary>
    internal static double ProductError()
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        using var random = new Generator(1);
        var left = rand(256, 256, device: CPU, generator: random).Multiply(2).Subtract(1);
        var right = rand(256, 256, device: CPU, generator: random).Multiply(2).Subtract(1);
        var exact = left.to(float64).matmul(right.to(float64));
        return (left.matmul(right).to(float64) - exact).abs().max().item<double>();
    }

    private static unsafe void Set(string precision)
    {
        // A std::string of libstdc++ as it stands in memory: pointer, length, then 16 bytes for short texts, to which the pointer leads.
        var text = stackalloc byte[32];
        var length = Encoding.ASCII.GetBytes(precision, new Span<byte>(text + 16, 15));
        text[16 + length] = 0;
        *(byte**)text = text + 16;
        *(nuint*)(text + 8) = (nuint)length;
        var instance = ((delegate* unmanaged<nint>)_context)();
        ((delegate* unmanaged<nint, byte*, void>)_set)(instance, text);
    }
}
