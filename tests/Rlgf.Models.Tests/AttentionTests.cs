using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

public sealed class AttentionTests
{
    [Theory]
    [InlineData(3, 8, 3)]
    [InlineData(100, 64, 3)]
    [InlineData(9, 72, 1)] // three queries to a head
    [InlineData(2000, 96, 1)] // more than a thread's share, where there are several
    [InlineData(17, 12, 3)] // no multiple of eight: libtorch's way
    public void One_token_attends_to_the_cache_as_the_definition_says(long columns, long size, long keyHeads)
    {
        TorchRuntime.Load();
        using var scope = NewDisposeScope();
        using var random = new Generator(1);
        var query = randn([2, 3, 1, size], generator: random);
        // Views into a longer cache, the second row padded by two columns.
        var keys = randn([2, keyHeads, columns + 5, size], generator: random).narrow(2, 1, columns);
        var values = randn([2, keyHeads, columns + 5, size], generator: random).narrow(2, 1, columns);
        var mask = zeros(2, 1, 1, columns);
        mask[1, 0, 0, ..2] = float.NegativeInfinity;
        var ofHeads = randn([1, 3, 1, columns], generator: random);
        using var gradients = no_grad();

        // Without a mask, with one of rows, and, where heads don't share keys, with one of heads and of both, from a view too.
        Check(null, row => 0, null);
        Check(mask, row => row == 1 ? 2 : 0, null);
        if (keyHeads == 3)
        {
            Check(ofHeads, row => 0, ofHeads);
            Check(mask + ofHeads, row => row == 1 ? 2 : 0, ofHeads);
            var wider = randn([1, 3, 1, columns + 4], generator: random);
            Check(wider.narrow(3, 2, columns), row => 0, wider.narrow(3, 2, columns));
        }

        void Check(Tensor? added, Func<int, int> firstOf, Tensor? bias)
        {
            foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
            {
                var asked = query.to_type(type);
                var attended = ScaledDotProduct.AttendFromOne(asked, keys, values, added);
                Assert.Equal(type, attended.dtype);
                for (var row = 0; row < 2; row++)
                {
                    for (var head = 0; head < 3; head++)
                    {
                        var (first, keyHead) = (firstOf(row), head * keyHeads / 3);
                        var (k, v) = (keys[row, keyHead].narrow(0, first, columns - first).to(float64), values[row, keyHead].narrow(0, first, columns - first).to(float64));
                        var scores = k.mv(asked[row, head, 0].to(float64)) / Math.Sqrt(size);
                        if (bias is not null) scores += bias[0, head, 0].narrow(0, first, columns - first).to(float64);
                        var weights = scores.exp();
                        Fixture.Close((v.t().mv(weights) / weights.sum()).to(float32), attended[row, head, 0].to(float32), type == ScalarType.Float32 ? 1e-5 : 0.02);
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData(7, null)]
    [InlineData(7, 3)]
    [InlineData(300, null)] // long enough for the fused kernel
    [InlineData(300, 3)]
    public void Heads_that_share_keys_and_windows_attend_as_the_definition_says(int columns, int? window)
    {
        TorchRuntime.Load();
        using var scope = NewDisposeScope();
        using var random = new Generator(2);
        var query = randn([2, 6, columns, 8], generator: random);
        var key = randn([2, 2, columns, 8], generator: random);
        var value = randn([2, 2, columns, 8], generator: random);

        var attended = new CausalAttention(columns, [window], CPU).Attend(0, query, key, value, new Scores(window));

        for (var row = 0; row < 2; row++)
        {
            for (var head = 0; head < 6; head++) Fixture.Close(Defined(query[row, head], key[row, head / 3], value[row, head / 3], window), attended[row, head], 1e-5);
        }
    }

    [Theory]
    [InlineData(9, null, 0)]
    [InlineData(9, 3, 0)]
    [InlineData(300, null, 0)]
    [InlineData(300, 3, 0)]
    [InlineData(9, null, 3)]
    [InlineData(300, 3, 4)]
    public void A_cache_attends_as_the_definition_says_in_rows_padded_on_the_left_and_after_each_token_with_room_for_all_or_not(int columns, int? window, int lacking)
    {
        TorchRuntime.Load();
        using var scope = NewDisposeScope();
        using var random = new Generator(3);
        const int Steps = 4;
        int[] padding = [0, 2];
        var query = randn([2, 6, columns, 8], generator: random);
        var key = randn([2, 2, columns, 8], generator: random);
        var value = randn([2, 2, columns, 8], generator: random);

        using var cache = new KeyValueCache(1, columns - lacking, padding, CPU);
        var pieces = new List<Tensor>();
        for (var at = 0; at < columns; at += (int)pieces[^1].size(2))
        {
            var length = at == 0 ? columns - Steps : 1;
            cache.Begin(length);
            pieces.Add(cache.Attend(0, query.narrow(2, at, length), key.narrow(2, at, length), value.narrow(2, at, length), new Scores(window)));
            cache.End();
        }

        var attended = cat(pieces, 2);
        for (var row = 0; row < 2; row++)
        {
            for (var head = 0; head < 6; head++)
            {
                var (first, length) = (padding[row], columns - padding[row]);
                var expected = Defined(query[row, head].narrow(0, first, length), key[row, head / 3].narrow(0, first, length), value[row, head / 3].narrow(0, first, length), window);
                Fixture.Close(expected, attended[row, head].narrow(0, first, length), 1e-5);
            }
        }
    }

    /// <summary>softmax(q kᵀ / √d) v over the tokens that each sees: itself and those before it, of the window where there is one. [T, d] each.</summary>
    private static Tensor Defined(Tensor query, Tensor key, Tensor value, int? window)
    {
        var columns = (int)query.size(0);
        var sees = new bool[columns * columns];
        for (var t = 0; t < columns; t++)
        {
            for (var seen = Math.Max(0, t + 1 - (window ?? columns)); seen <= t; seen++) sees[t * columns + seen] = true;
        }

        var weights = (query.to(float64).matmul(key.to(float64).t()) / Math.Sqrt(query.size(1))).exp() * tensor(sees, [columns, columns]);
        return (weights.matmul(value.to(float64)) / weights.sum(1, keepdim: true)).to(float32);
    }
}
