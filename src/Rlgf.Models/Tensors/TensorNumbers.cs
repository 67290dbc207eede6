using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tensors;

/// <summary>
/// Operations of tensors with numbers. TorchSharp makes a native scalar of a number (<c>x * 2.0</c>, and the 1 within <c>x + y</c>), takes its address and forgets it: a collection that
/// another thread begins may free it before native code has read it, and the operation computes with whatever lies there by then. Here each scalar lives until the operation is done.
/// </summary>
/// <remarks>
/// New results are of the shape and device of <c>x</c> (or what it broadcasts to with <c>y</c>), differentiable, and belong to the current dispose scope. A number doesn't change the type of a tensor
/// of floats; an integer (<see cref="long"/>) doesn't change one of integers either. A test finds operators and methods of TorchSharp's that would make a scalar themselves, and names this file.
/// </remarks>
public static class TensorNumbers
{
    // Rooted, so never finalised.
    private static readonly Scalar One = 1.ToScalar();

    /// <summary>x + y.</summary>
    public static Tensor Add(this Tensor x, Tensor y) => x.add(y, One);

    /// <inheritdoc cref="Add(Tensor, Tensor)"/>
    public static Tensor Add(this Tensor x, double y)
    {
        using var number = y.ToScalar();
        return x.add(number, One);
    }

    /// <inheritdoc cref="Add(Tensor, Tensor)"/>
    public static Tensor Add(this Tensor x, long y)
    {
        using var number = y.ToScalar();
        return x.add(number, One);
    }

    /// <summary>x ← x + y.</summary>
    /// <returns><paramref name="x"/>.</returns>
    public static Tensor AddInPlace(this Tensor x, Tensor y) => x.add_(y, One);

    /// <inheritdoc cref="AddInPlace(Tensor, Tensor)"/>
    public static Tensor AddInPlace(this Tensor x, double y)
    {
        using var number = y.ToScalar();
        return x.add_(number, One);
    }

    /// <summary>x ← x + y · z.</summary>
    /// <returns><paramref name="x"/>.</returns>
    public static Tensor AddProductInPlace(this Tensor x, Tensor y, Tensor z) => x.addcmul_(y, z, One);

    /// <summary>x − y.</summary>
    public static Tensor Subtract(this Tensor x, double y)
    {
        using var number = y.ToScalar();
        return x.sub(number);
    }

    /// <inheritdoc cref="Subtract(Tensor, double)"/>
    public static Tensor Subtract(this Tensor x, long y)
    {
        using var number = y.ToScalar();
        return x.sub(number);
    }

    /// <summary>x · y.</summary>
    public static Tensor Multiply(this Tensor x, double y)
    {
        using var number = y.ToScalar();
        return x.mul(number);
    }

    /// <summary>x ← x · y.</summary>
    /// <returns><paramref name="x"/>.</returns>
    public static Tensor MultiplyInPlace(this Tensor x, double y)
    {
        using var number = y.ToScalar();
        return x.mul_(number);
    }

    /// <summary>x / y.</summary>
    public static Tensor Divide(this Tensor x, double y)
    {
        using var number = y.ToScalar();
        return x.div(number);
    }

    /// <summary>x².</summary>
    public static Tensor Square(this Tensor x)
    {
        using var number = 2.ToScalar();
        return x.pow(number);
    }

    /// <summary>x between two numbers; those outside become the nearer one.</summary>
    public static Tensor Clamp(this Tensor x, double least, double most)
    {
        using Scalar low = least.ToScalar(), high = most.ToScalar();
        return x.clamp(low, high);
    }

    /// <summary>x, or the number where that is larger.</summary>
    public static Tensor ClampMin(this Tensor x, double least)
    {
        using var number = least.ToScalar();
        return x.clamp_min(number);
    }

    /// <inheritdoc cref="ClampMin(Tensor, double)"/>
    public static Tensor ClampMin(this Tensor x, long least)
    {
        using var number = least.ToScalar();
        return x.clamp_min(number);
    }

    /// <summary>x, or the number where that is smaller.</summary>
    public static Tensor ClampMax(this Tensor x, long most)
    {
        using var number = most.ToScalar();
        return x.clamp_max(number);
    }

    /// <summary>x &lt; y, bool.</summary>
    public static Tensor IsBelow(this Tensor x, double y)
    {
        using var number = y.ToScalar();
        return x.lt(number);
    }

    /// <summary>x ≥ y, bool.</summary>
    public static Tensor IsAtLeast(this Tensor x, double y)
    {
        using var number = y.ToScalar();
        return x.ge(number);
    }

    /// <summary>x ← the number, everywhere.</summary>
    /// <returns><paramref name="x"/>.</returns>
    public static Tensor Fill(this Tensor x, double value)
    {
        using var number = value.ToScalar();
        return x.fill_(number);
    }

    /// <summary>x, with the number where the mask (bool, of x's shape or broadcast to it) is true; no gradient flows there.</summary>
    public static Tensor MaskedFill(this Tensor x, Tensor mask, double value)
    {
        using var number = value.ToScalar();
        return x.masked_fill(mask, number);
    }

    /// <summary>x, with the number at some indices (int64) of a dimension; no gradient flows there.</summary>
    public static Tensor IndexFill(this Tensor x, long dimension, Tensor indices, double value)
    {
        using var number = value.ToScalar();
        return x.index_fill(dimension, indices, number);
    }

    /// <summary>x ← the number at some indices (int64) of a dimension.</summary>
    /// <returns><paramref name="x"/>.</returns>
    public static Tensor IndexFillInPlace(this Tensor x, long dimension, Tensor indices, double value)
    {
        using var number = value.ToScalar();
        return x.index_fill_(dimension, indices, number);
    }

    /// <summary>x with slices of another tensor added at some indices (int64) of a dimension.</summary>
    public static Tensor IndexAdd(this Tensor x, long dimension, Tensor indices, Tensor source) => x.index_add(dimension, indices, source, One);

    /// <summary>A new tensor of one number.</summary>
    /// <param name="shape">Its shape.</param>
    /// <param name="value">The number.</param>
    /// <param name="device">Where.</param>
    /// <returns>[shape] float32.</returns>
    public static Tensor Filled(long[] shape, double value, Device device)
    {
        using var number = value.ToScalar();
        return full(shape, number, dtype: float32, device: device);
    }

    /// <summary>0, 1, … below a limit.</summary>
    /// <returns>[limit] int64.</returns>
    public static Tensor Range(long limit, Device device) => Range(0, limit, 1, device);

    /// <summary>From one number up to below another in steps.</summary>
    /// <returns>[⌈(limit − first) / step⌉] int64.</returns>
    public static Tensor Range(long first, long limit, long step, Device device)
    {
        using Scalar from = first.ToScalar(), to = limit.ToScalar(), by = step.ToScalar();
        return arange(from, to, by, dtype: int64, device: device);
    }
}
