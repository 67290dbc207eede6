using Rlgf.Base;
using Rlgf.Lessons;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;

namespace Rlgf.Tests.Lessons;

/// <summary>What is remembered, and how often the guide is asked next, on tables of rewards that were worked by hand.</summary>
public sealed class LessonStateTests
{
    private static readonly LessonSettings Settings = new() { Window = 8, Capacity = 10 };

    [Fact]
    public void A_table_of_rewards_by_hand()
    {
        // The policy alone: 0, 0, 0.4, 0, so that V = 0.1. The guide answered prompts d and e whole, worth 1 and 0; of the first the row kept one token and ended at 0.7.
        ScoredRow[] rows = [Own("a", [1], 0), Own("b", [2], 0), Own("c", [3], 0.4), Own("d", [4], 0), Mixed("d", [5, 6], [5, 7, 8], 0.7), Mixed("e", [9, 9], [9, 1], 0)];
        GuideAnswer[] answers = [new(rows[4].Rollout, 1), new(rows[5].Rollout, 0)];
        var state = LessonState.New.After(Settings, rows, answers, null, samples => [.. samples.Select(sample => -(double)sample.Row.Response.Length)]);

        // Lessons: c 0.4 − 0.1, d's mixed row 0.7 − 0.1, d's whole answer 1 − 0.1.
        Assert.Equal([("c", 0.4, -1.0), ("d", 0.7, -2), ("d", 1, -3)], state.Memory.Rows.Select(row => (row.PromptId, row.Reward, row.ReferenceLogProb)));
        Assert.Equal([3], state.Memory.Rows[0].Row.Response);
        Assert.Equal([5, 7, 8], state.Memory.Rows[2].Row.Response);
        Assert.All(state.Memory.Rows[2].Choices, set => Assert.True(set.IsAll));
        Assert.Equal(0.3, state.Memory.Rows[0].Size(state.PolicyMean), 1e-12);
        Assert.Equal(0.9, state.Memory.Rows[2].Size(state.PolicyMean), 1e-12);

        // L_g = (0.9 + 0 + 0.9) / 3, L_π = 0.3 / 4: eight times as many.
        Assert.Equal([0.9, 0], state.Asking.Guide.Select(x => Math.Round(x, 12)));
        Assert.Equal([0, 0, 0.3, 0], state.Asking.Policy.Select(x => Math.Round(x, 12)));
        Assert.Equal(1, state.Guidance.Factor);
        // Prompts that hold a lesson are asked for at the floor.
        Assert.Equal(0.05, state.Guidance.Of(new Prompt("d", [])));
        Assert.Equal(1, state.Guidance.Of(new Prompt("e", [])));

        // s over all eight rewards of anybody: 0, 0, 0.4, 0, 0.7, 0, 1, 0, whose mean is 0.2625; sample variance (1.65 − 8 · 0.2625²) / 7.
        Assert.Equal(Math.Sqrt((1.65 - 8 * 0.2625 * 0.2625) / 7), state.Spread, 1e-12);

        // Another iteration: rows of c and d say nothing about who teaches more, since they were taught; those of a do. The windows keep eight.
        var later = state.After(Settings, [Own("c", [3], 0.4), Own("a", [1], 1)], [], null, samples => [.. samples.Select(_ => -1.0)]);
        Assert.Equal([0, 0, 0.3, 0, 1 - 0.3], later.Asking.Policy.Select(x => Math.Round(x, 12)));
        Assert.Equal(0.3, later.PolicyMean, 1e-12);
        // c's row was there already and is the newest now but for a's.
        Assert.Equal(["d", "d", "c", "a"], later.Memory.Rows.Select(row => row.PromptId));
    }

    [Fact]
    public void Equal_rewards_hold_no_lesson_and_a_level_of_a_rounding_error_is_none()
    {
        ScoredRow[] equal = [Own("a", [1], 0), Own("b", [2], 0)];
        var state = LessonState.New.After(Settings with { Baseline = LessonBaseline.Critic }, equal, [], _ => -0.0003, _ => throw new InvalidOperationException("nothing to remember"));
        Assert.Empty(state.Memory.Rows);
        Assert.Equal(1, state.Guidance.Factor);

        // One success gives the rewards a spread; a level of −0.0003 under the others' 0 is still no lesson.
        state = state.After(Settings with { Baseline = LessonBaseline.Critic }, [Own("c", [3], 1), .. equal], [], _ => -0.0003, samples => [.. samples.Select(_ => 0.0)]);
        Assert.Equal("c", Assert.Single(state.Memory.Rows).PromptId);
    }

    [Fact]
    public void The_prompts_own_mean_is_the_level_where_it_is_asked_for()
    {
        var settings = Settings with { Baseline = LessonBaseline.Prompt };
        // Each against the others to its prompt: 1 against 0, and 0.4 against 0.2.
        var state = LessonState.New.After(settings, [Own("a", [1], 1), Own("a", [2], 0), Own("b", [3], 0.2), Own("b", [4], 0.4)], [], null, samples => [.. samples.Select(_ => 0.0)]);
        Assert.Equal([1, 0.2], state.Memory.Rows.Select(row => Math.Round(row.Size(row.Level), 12)));
        // Drawn again, a has 1 and 1: what is remembered of it is no better than that any more.
        state = state.After(settings, [Own("a", [1], 1), Own("a", [5], 1)], [], null, samples => [.. samples.Select(_ => 0.0)]);
        Assert.Equal(0, state.Memory.Rows.Single(row => row.PromptId == "a").Size(state.Memory.Rows.Single(row => row.PromptId == "a").Level));
    }

    [Fact]
    public void The_only_response_to_a_prompt_is_not_compared_with_itself()
    {
        var settings = Settings with { Baseline = LessonBaseline.Prompt };
        // V is the policy's mean on all prompts, 0.25, where there is no other response to the same one.
        var state = LessonState.New.After(settings, [Own("a", [1], 1), Own("b", [2], 0), Own("c", [3], 0), Own("d", [4], 0)], [], null, samples => [.. samples.Select(_ => 0.0)]);
        Assert.Equal([0.75, 0, 0, 0], state.Asking.Policy);
        Assert.Equal("a", Assert.Single(state.Memory.Rows).PromptId);
    }

    [Fact]
    public void The_memory_keeps_the_newest_and_each_response_once()
    {
        var memory = LessonMemory.Empty.With([Row("a", 1), Row("b", 2), Row("a", 1, reward: 0.5), Row("c", 3)], 3);
        Assert.Equal([("b", 1.0), ("a", 0.5), ("c", 1)], memory.Rows.Select(row => (row.PromptId, row.Reward)));
        memory = memory.With([Row("d", 4)], 3);
        Assert.Equal(["a", "c", "d"], memory.Rows.Select(row => row.PromptId));
        Assert.Empty(LessonMemory.Empty.With([Row("a", 1)], 0).Rows);
    }

    [Fact]
    public void Rows_are_drawn_in_proportion_to_their_lessons()
    {
        // Sizes over a level of 1: 0, 1, 3, 0, 4, where the fourth has paid its price.
        var memory = LessonMemory.Empty.With([Row("a", 1, 0.5), Row("b", 2, 2), Row("c", 3, 4), Row("d", 4, 9) with { Price = 9 }, Row("e", 5, 5)], 9);
        var times = new int[5];
        const int Draws = 20_000;
        foreach (var (place, count) in memory.Draw(Draws, 1, new RandomStream(1))) times[place] = count;
        Assert.Equal(Draws, times.Sum());
        // Four standard deviations of a count are below 0.015 of the draws.
        foreach (var (count, share) in times.Zip((double[])[0, 0.125, 0.375, 0, 0.5])) Assert.Equal(share, (double)count / Draws, share == 0 ? 0 : 0.015);
        Assert.Empty(memory.Draw(10, 100, new RandomStream(1)));
        Assert.Empty(LessonMemory.Empty.Draw(10, 0, new RandomStream(1)));
    }

    [Fact]
    public void The_state_is_read_as_it_was_written()
    {
        var rows = new[]
        {
            Row("é", 7, 0.1) with { Choices = [TokenSet.Among([3, 7, 1])], Level = 0.1 + 0.2, Price = -1e-17 },
            Row("b", 2) with { Choices = [TokenSet.Without([5])] },
        };
        var state = new LessonState(LessonMemory.Empty.With(rows, 9), new([0.1, 1.0 / 3], [2]) { GuideTokens = [4, 5], PolicyTokens = [6] }, [1e300], [0.1], new(0.7) { Exempt = new HashSet<string> { "é", "b" }, ExemptFactor = 0.05 });
        var path = Path.GetTempFileName();
        try
        {
            using (var stream = File.Create(path)) LessonFile.Write(stream, state);
            var read = LessonFile.Read(path);
            Assert.Equal(Bytes(state), Bytes(read));
            Assert.Equal([1, 3, 7], read.Memory.Rows[0].Choices[0].Ids.Order());
            Assert.Equal(state.Guidance.Exempt.Order(StringComparer.Ordinal), read.Guidance.Exempt.Order(StringComparer.Ordinal));
            Assert.Equal([6], read.Asking.PolicyTokens);

            // As it was before tokens were counted: without their two lists, which lie before the last 49 bytes.
            var older = Bytes(state with { Asking = new(state.Asking.Guide, state.Asking.Policy) });
            older[older.AsSpan().IndexOf("lessons 2"u8) + 8] = (byte)'1';
            File.WriteAllBytes(path, [.. older[..^57], .. older[^49..]]);
            Assert.Equal(Bytes(state with { Asking = new(state.Asking.Guide, state.Asking.Policy) }), Bytes(LessonFile.Read(path)));

            File.WriteAllBytes(path, Bytes(state)[..^5]);
            Assert.Contains("damaged", Assert.Throws<InputException>(() => LessonFile.Read(path)).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }

        static byte[] Bytes(LessonState state)
        {
            using var stream = new MemoryStream();
            LessonFile.Write(stream, state);
            return stream.ToArray();
        }
    }

    private static Lesson Row(string prompt, int token, double reward = 1) => new(prompt, new TokenRow([0], [token]), [TokenSet.All], reward, 0, 0);

    private static ScoredRow Own(string prompt, int[] tokens, double reward) => Scored(prompt, tokens, 0, null, reward);

    private static ScoredRow Mixed(string prompt, int[] tokens, int[] whole, double reward) => Scored(prompt, tokens, 1, whole, reward);

    private static ScoredRow Scored(string prompt, int[] tokens, int rollIn, int[]? whole, double reward) => new(
        new Rollout
        {
            Prompt = new Prompt(prompt, [0]), Tokens = tokens, Text = "", RollInLength = rollIn, Ended = false, LogProbs = new float[tokens.Length],
            Choices = [.. tokens.Select(_ => TokenSet.All)], WholeGuideResponse = whole is null ? null : new Written(whole, false),
            Plan = new RolloutPlan(whole is null ? Actor.Policy : Actor.Guide, Actor.Policy, 0.5, RollInLengths.Limit),
        },
        new RewardScore(reward));
}
