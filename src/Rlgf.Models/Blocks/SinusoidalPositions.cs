using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>The positions of the original transformer (Vaswani et al. 2017, section 3.5): sines and cosines of each position at frequencies from 1 down to 1/10,000.</summary>
internal static class SinusoidalPositions
{
    private const double Base = 10_000;

    /// <summary>Fills a table [positions, D], sines in the first half of a row and cosines in the second, and has it left as it is by training.</summary>
    public static void Fill(Parameter table)
    {
        table.requires_grad = false;
        long positions = table.size(0), width = table.size(1), sines = (width + 1) / 2;
        var values = new float[positions * width];
        for (var position = 0L; position < positions; position++)
        {
            for (var column = 0L; column < width; column++)
            {
                var angle = position * Math.Pow(Base, -2.0 * (column < sines ? column : column - sines) / width);
                values[position * width + column] = (float)(column < sines ? Math.Sin(angle) : Math.Cos(angle));
            }
        }

        using var filled = tensor(values, [positions, width], device: table.device);
        using var gradients = no_grad();
        table.copy_(filled);
    }
}
