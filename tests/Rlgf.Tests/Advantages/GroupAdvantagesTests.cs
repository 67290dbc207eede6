using Rlgf.Advantages;
using Rlgf.Base;
using static TorchSharp.torch;

namespace Rlgf.Tests.Advantages;

public class GroupAdvantagesTests
{
    [Theory]
    [InlineData("unbiased_eps_1e-4", GroupScaling.GroupDeviation, true, 1e-4)]
    [InlineData("biased_eps_1e-4", GroupScaling.GroupDeviation, false, 1e-4)]
    [InlineData("unbiased_eps_1e-8", GroupScaling.GroupDeviation, true, 1e-8)]
    [InlineData("no_scaling", GroupScaling.None, true, 1e-4)]
    [InlineData("batch_std_unbiased_eps_1e-4", GroupScaling.BatchDeviation, true, 1e-4)]
    public void Golden_advantages_of_grpo_are_met(string name, GroupScaling scaling, bool unbiased, double epsilon)
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Cases("rl/group_advantages.json"))
        {
            var rewards = golden.Tensor("rewards");
            var actual = GroupAdvantages.Grpo(rewards.flatten(), Groups(rewards.shape), scaling, unbiased, epsilon);
            Golden.AssertClose(golden.GetProperty("grpo").GetProperty(name), actual.reshape(rewards.shape), name);
        }
    }

    [Fact]
    public void Golden_advantages_of_rloo_are_met()
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Cases("rl/group_advantages.json"))
        {
            var rewards = golden.Tensor("rewards");
            Golden.AssertClose(golden.GetProperty("rloo"), GroupAdvantages.Rloo(rewards.flatten(), Groups(rewards.shape)).reshape(rewards.shape), "rloo");
        }
    }

    [Fact]
    public void The_order_of_rows_and_the_names_of_groups_do_not_matter()
    {
        using var scope = NewDisposeScope();
        // Group 7: 1, 3 (mean 2, n − 1 deviation √2); group −1: 10, 20, 60 (mean 30).
        var rewards = tensor(new[] { 10.0, 1.0, 20.0, 3.0, 60.0 });
        int[] groups = [-1, 7, -1, 7, -1];
        Golden.AssertClose(tensor(new[] { -20.0, -1.0, -10.0, 1.0, 30.0 }), GroupAdvantages.Grpo(rewards, groups, GroupScaling.None), "distance");
        // The others' means: 40, 3, 35, 1, 15.
        Golden.AssertClose(tensor(new[] { -30.0, -2.0, -15.0, 2.0, 45.0 }), GroupAdvantages.Rloo(rewards, groups), "rloo");
    }

    [Fact]
    public void A_group_without_spread_gives_exactly_zero_although_its_mean_rounds()
    {
        using var scope = NewDisposeScope();
        var rewards = tensor(new[] { 0.1, 0.1, 0.1 });
        Assert.Equal([0.0, 0.0, 0.0], GroupAdvantages.Grpo(rewards, [0, 0, 0], epsilon: 0).data<double>().ToArray());
        Assert.Equal([0.0], GroupAdvantages.Grpo(tensor(new[] { 0.5 }), [0]).data<double>().ToArray());
    }

    [Fact]
    public void Sums_that_differ_by_their_rounding_alone_are_equal_for_every_estimator()
    {
        using var scope = NewDisposeScope();
        // The same three rewards in another order: 0.6000000000000001 and 0.6; and a float32's last place.
        foreach (var rewards in new[] { new[] { 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1, 0.6 }, [0.7, (double)0.7f, 0.7], [0.1, 0.1, 0.1] })
        {
            Assert.Equal([0.0, 0.0, 0.0], GroupAdvantages.Grpo(tensor(rewards), [0, 0, 0], epsilon: 0).data<double>().ToArray());
            Assert.Equal([0.0, 0.0, 0.0], GroupAdvantages.Rloo(tensor(rewards), [0, 0, 0]).data<double>().ToArray());
        }
        Assert.NotEqual([0.0, 0.0], GroupAdvantages.Rloo(tensor(new[] { 0.7, 0.70001 }), [0, 0]).data<double>().ToArray());
    }

    [Fact]
    public void Rloo_refuses_a_group_of_one()
    {
        using var scope = NewDisposeScope();
        var message = Assert.Throws<InputException>(() => GroupAdvantages.Rloo(tensor(new[] { 1.0, 2.0, 3.0 }), [0, 0, 5])).Message;
        Assert.Contains("group 5", message);
    }

    [Fact]
    public void Every_token_of_a_response_gets_its_advantage()
    {
        using var scope = NewDisposeScope();
        var actual = GroupAdvantages.OverTokens(tensor(new[] { 2.0, -1.0, 5.0 }), tensor(new long[] { 3, 1, 0 }), 3);
        Golden.AssertClose(tensor(new[,] { { 2.0, 2.0, 2.0 }, { -1.0, 0.0, 0.0 }, { 0.0, 0.0, 0.0 } }), actual, "tokens");
    }

    private static int[] Groups(long[] shape) => [.. Enumerable.Range(0, (int)(shape[0] * shape[1])).Select(i => i / (int)shape[1])];
}
