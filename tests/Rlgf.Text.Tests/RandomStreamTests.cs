using Rlgf.Base;

namespace Rlgf.Text.Tests;

public sealed class RandomStreamTests
{
    [Fact]
    public void Mix_gives_the_published_SplitMix64_sequence_of_seed_1234567()
    {
        ulong[] published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821];
        for (var i = 0; i < published.Length; i++)
        {
            Assert.Equal(published[i], RandomStream.Mix(1234567 + ((ulong)(i + 1) * RandomStream.GoldenGamma)));
        }
    }

    [Fact]
    public void Draws_never_change_between_versions() =>
        // From the definition written down a second time, in Python.
        Assert.Equal([8603668389902784980, 8432477913844837733, 12650693026673559415], new ulong[] { 0, 1, 2 }.Select(counter => RandomStream.Bits(7, 3, counter)));

    [Fact]
    public void Combine_depends_on_order_and_on_count()
    {
        var seen = new HashSet<ulong>
        {
            RandomStream.Combine(), RandomStream.Combine(0), RandomStream.Combine(0, 0), RandomStream.Combine(1), RandomStream.Combine(0, 1),
            RandomStream.Combine(1, 0), RandomStream.Combine(1, 1), RandomStream.Combine(1, 1, 0),
        };
        Assert.Equal(8, seen.Count);
    }

    [Fact]
    public void Uniform_numbers_over_rows_and_over_positions_have_the_mean_and_the_variance_of_the_uniform_distribution()
    {
        const int Rows = 400;
        const int Positions = 100;
        double sum = 0, squares = 0, neighbours = 0;
        for (ulong row = 0; row < Rows; row++)
        {
            for (ulong position = 0; position < Positions; position++)
            {
                var u = RandomStream.Uniform(7, row, position);
                Assert.InRange(u, 0, 1 - (1.0 / (1UL << 53)));
                sum += u;
                squares += u * u;
                neighbours += (u - 0.5) * (RandomStream.Uniform(7, row + 1, position) - 0.5);
            }
        }

        const double N = Rows * Positions;
        // Five standard errors: sqrt(1/12)/200, sqrt(4/45)/200 and (1/12)/200.
        Assert.Equal(0.5, sum / N, 0.0073);
        Assert.Equal(1.0 / 3, squares / N, 0.0075);
        Assert.Equal(0, neighbours / N, 0.0021);
    }

    [Fact]
    public void A_stream_goes_on_from_a_stored_position()
    {
        var whole = new RandomStream(3, 5);
        var first = Enumerable.Range(0, 10).Select(_ => whole.NextDouble()).ToArray();
        var resumed = new RandomStream(3, 5, 4);
        Assert.Equal(first[4..], Enumerable.Range(0, 6).Select(_ => resumed.NextDouble()));
        Assert.Equal(whole.Position, resumed.Position);
        Assert.Equal(first[9], RandomStream.Uniform(3, 5, 9));
    }

    [Fact]
    public void Every_order_of_three_items_is_equally_likely()
    {
        var counts = new Dictionary<string, int>();
        var stream = new RandomStream(11);
        for (var i = 0; i < 6000; i++)
        {
            char[] items = ['a', 'b', 'c'];
            stream.Shuffle<char>(items);
            var order = new string(items);
            counts[order] = counts.GetValueOrDefault(order) + 1;
        }

        Assert.Equal(6, counts.Count);
        // Five standard deviations of a binomial with 6000 trials and probability 1/6.
        Assert.All(counts.Values, count => Assert.InRange(count, 1000 - 145, 1000 + 145));
    }
}
