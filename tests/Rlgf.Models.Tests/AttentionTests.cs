using Rlgf.Models.Blocks;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

public sealed class AttentionTests
{
    [Theory]
    [InlineData(3, 8)]
    [InlineData(100, 64)] // long enough for the other way of computing it
    public void One_token_attends_to_the_cache_as_the_definition_says(long columns, long size)
    {
        TorchRuntime.Load();
        using var scope = NewDisposeScope();
        using var random = new Generator(1);
        var query = randn([2, 3, 1, size], generator: random);
        // Views into a longer cache, the second row padded by two columns.
        var keys = randn([2, 3, columns + 5, size], generator: random).narrow(2, 0, columns);
        var values = randn([2, 3, columns + 5, size], generator: random).narrow(2, 0, columns);
        var mask = zeros(2, 1, 1, columns);
        mask[1, 0, 0, ..2] = float.NegativeInfinity;

        var attended = ScaledDotProduct.AttendFromOne(query, keys, values, mask);

        for (var row = 0; row < 2; row++)
        {
            for (var head = 0; head < 3; head++)
            {
                var first = row == 1 ? 2 : 0;
                var (k, v) = (keys[row, head].narrow(0, first, columns - first).to(float64), values[row, head].narrow(0, first, columns - first).to(float64));
                var weights = (k.mv(query[row, head, 0].to(float64)) / Math.Sqrt(size)).exp();
                Fixture.Close((v.t().mv(weights) / weights.sum()).to(float32), attended[row, head, 0], 1e-5);
            }
        }
    }
}
