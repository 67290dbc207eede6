using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Tests.Toys;
using Rlgf.Text.Data;
using Rlgf.Training;

namespace Rlgf.Tests.Rewards;

/// <summary>Rewards and guides are other people's code: what they answer wrongly is one line that names them and the row.</summary>
public sealed class WrongAnswersTests
{
    private static readonly Dictionary<string, double> NoParts = [];

    /// <summary>What a reward answers to 8 responses of 3 tokens, and what is said of it.</summary>
    public static TheoryData<string, string> WrongRewards => new()
    {
        { "no task", "the reward 'wrong' returned no task (null) for 8 responses, the first of p.jsonl, row 3: it must return one." },
        { "throws later", "the reward 'wrong' failed on 8 responses, the first of p.jsonl, row 3: InvalidOperationException: no connection" },
        { "runs out of time", "the reward 'wrong' failed on 8 responses, the first of p.jsonl, row 3: TaskCanceledException: A task was canceled." },
        { "no list", "the reward 'wrong' returned no scores (null) for 8 responses: it must return one for each, in their order." },
        { "too few", "the reward 'wrong' returned 7 scores for 8 responses: it must return one for each, in their order." },
        { "too many", "the reward 'wrong' returned 9 scores for 8 responses: it must return one for each, in their order." },
        { "no score", "the reward 'wrong' returned no score (null) for response 3 of 8 (p.jsonl, row 5): it must return one." },
        { "not a number", "the reward 'wrong' gave NaN for response 3 of 8 (p.jsonl, row 5): a score must be a finite number." },
        { "infinite", "the reward 'wrong' gave -Infinity for response 3 of 8 (p.jsonl, row 5): a score must be a finite number." },
        { "beyond float32", "the reward 'wrong' gave 1E+300 for response 3 of 8 (p.jsonl, row 5): a score must be a finite number of float32." },
        { "short", "the reward 'wrong' gave rewards for 2 tokens to response 3 of 8 (p.jsonl, row 5), which has 3: there must be one for each." },
        { "long", "the reward 'wrong' gave rewards for 4 tokens to response 3 of 8 (p.jsonl, row 5), which has 3: there must be one for each." },
        { "dense not a number", "the reward 'wrong' gave NaN to token 2 of response 3 of 8 (p.jsonl, row 5): a reward must be a finite number." },
        { "no parts", "the reward 'wrong' gave no parts (null) for response 3 of 8 (p.jsonl, row 5): give an empty dictionary for a reward that is one thing." },
        { "other parts", "the reward 'wrong' gave the parts 'b' for response 3 of 8 (p.jsonl, row 5) and 'a' for the first: they must be the same for all." },
        { "part not a number", "the reward 'wrong' gave NaN as its part 'a' for response 3 of 8 (p.jsonl, row 5): a score must be a finite number." },
        { "throws", "the reward 'wrong' failed on 8 responses, the first of p.jsonl, row 3: InvalidOperationException: no connection" },
    };

    [Theory]
    [MemberData(nameof(WrongRewards))]
    public void A_wrong_reward_is_named_with_the_row(string kind, string message)
    {
        var setup = Setup() with { Reward = new WrongReward("wrong", kind) };
        Assert.Equal(message, Assert.Throws<InputException>(() => ToyRun.Run(setup)).Message);

        // A part of a sum is called by its own name; the judge, the evaluation and the measured gap take no other way.
        var sum = new WeightedReward([(new LengthReward("length", 3), 1), (new WrongReward("wrong", kind), 0.5)]);
        Assert.Equal(message, Assert.Throws<InputException>(() => ToyRun.Run(setup with { Reward = sum })).Message);
        Assert.Equal(message, Assert.Throws<InputException>(() => Evaluate(setup, new LengthReward("length", 3), judge: setup.Reward)).Message);
        Assert.Equal(message, Assert.Throws<InputException>(() => Evaluate(setup, setup.Reward, judge: null)).Message);
    }

    [Fact]
    public void A_function_that_fails_is_named_with_its_own_row()
    {
        var reward = new FunctionReward("mine", response => response.Prompt.Row!.Location.EndsWith('5') ? throw new FormatException("what is this?") : 1);
        Assert.Equal("the reward 'mine' failed on p.jsonl, row 5: FormatException: what is this?", Assert.Throws<InputException>(() => ToyRun.Run(Setup() with { Reward = reward })).Message);
        var guide = new FunctionGuide("mine", request => request.Prompt.Row!.Location.EndsWith('5') ? throw new FormatException("what is this?") : new("0", false));
        Assert.Equal("the guide 'mine' failed on p.jsonl, row 5: FormatException: what is this?", Assert.Throws<InputException>(() => ToyRun.Run(Setup(guide))).Message);
    }

    /// <summary>What a guide answers to 8 requests, and what is said of it.</summary>
    public static TheoryData<string, string> WrongGuides => new()
    {
        { "no task", "the guide 'wrong' returned no task (null) for 8 requests, the first of p.jsonl, row 3: it must return one." },
        { "throws later", "the guide 'wrong' failed on 8 requests, the first of p.jsonl, row 3: InvalidOperationException: no connection" },
        { "no list", "the guide 'wrong' returned no continuations (null) for 8 requests: it must return one for each, in their order." },
        { "too few", "the guide 'wrong' returned 7 continuations for 8 requests: it must return one for each, in their order." },
        { "too many", "the guide 'wrong' returned 9 continuations for 8 requests: it must return one for each, in their order." },
        { "no answer", "the guide 'wrong' returned no continuation (null) for request 3 of 8 (p.jsonl, row 5): it must return one, of an empty text where it has nothing to say." },
        { "no text", "the guide 'wrong' returned no text (null) for request 3 of 8 (p.jsonl, row 5): it must return one, empty where it has nothing to say." },
        { "no such token", "the guide 'wrong' returned token 3 for request 3 of 8 (p.jsonl, row 5): the policy's ids are 0 to 2." },
        { "negative token", "the guide 'wrong' returned token -1 for request 3 of 8 (p.jsonl, row 5): the policy's ids are 0 to 2." },
        { "ended without a token", "the guide 'wrong' returned no token for request 3 of 8 (p.jsonl, row 5) and says that the response ended: the end token belongs to its tokens." },
        { "throws", "the guide 'wrong' failed on 8 requests, the first of p.jsonl, row 3: InvalidOperationException: no connection" },
    };

    [Theory]
    [MemberData(nameof(WrongGuides))]
    public void A_wrong_guide_is_named_with_the_row(string kind, string message)
    {
        var setup = Setup(new WrongGuide(kind));
        Assert.Equal(message, Assert.Throws<InputException>(() => ToyRun.Run(setup)).Message);
        var evaluator = Evaluator(setup, new LengthReward("length", 3), judge: null);
        Assert.Equal(message, Assert.Throws<InputException>(() => evaluator.Evaluate(setup.Guide!, CancellationToken.None)).Message);
    }

    [Fact]
    public void A_stop_is_no_failure_of_theirs()
    {
        using var cancellation = new CancellationTokenSource();
        var log = new MemoryLog();
        var setup = Setup() with { Reward = new FunctionReward("mine", _ => { cancellation.Cancel(); throw new OperationCanceledException(cancellation.Token); }) };
        using var training = new GuidedTraining(setup, new TrainingSchedule(), log);
        Assert.Throws<OperationCanceledException>(() => training.Run(null, resume: false, cancellation.Token));
    }

    private static void Evaluate(TrainingSetup setup, IReward reward, IReward? judge) => Evaluator(setup, reward, judge).Evaluate(0, setup.Policy, CancellationToken.None);

    private static Evaluator Evaluator(TrainingSetup setup, IReward reward, IReward? judge) => new()
    {
        Prompts = [.. setup.Prompts.OrderBy(prompt => prompt.Row!.Location.Length).ThenBy(prompt => prompt.Row!.Location, StringComparer.Ordinal)], Sampling = setup.Sampling, Reward = reward, Judge = judge, Reference = setup.Reference, Tokenizer = setup.Tokenizer,
    };

    /// <summary>Eight prompts, rows 3 to 10 of a file, whose responses have 3 tokens; all have a roll-in where there is a guide.</summary>
    private static TrainingSetup Setup(IGuide? guide = null)
    {
        var setup = ToyRun.Setup(new TabularModel(3, 3, null), guide is null ? Presets.Ppo() : Presets.PpoPlusPlus(beta: 1), guide, _ => 0, iterations: 1);
        Prompt[] prompts = [.. Enumerable.Range(3, 8).Select(row => new Prompt("", []) { Row = DataRow.Create("p.jsonl", row, ("text", "")) })];
        // The order that the run takes them in is undone, so that row 3 is asked first.
        var order = new ShuffledOrder(8, setup.Seed);
        var shuffled = new Prompt[8];
        for (var row = 0; row < 8; row++) shuffled[order.RowAt(row)] = prompts[row];
        return setup with { Prompts = shuffled, RowsPerIteration = 8 };
    }

    private sealed class WrongReward(string name, string kind) : IReward
    {
        public string Name => name;

        public Task<IReadOnlyList<RewardScore>> ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken) => kind switch
        {
            "no task" => null!,
            "throws later" => Later<IReadOnlyList<RewardScore>>(new InvalidOperationException("no connection")),
            "runs out of time" => Later<IReadOnlyList<RewardScore>>(new TaskCanceledException()),
            _ => Task.FromResult<IReadOnlyList<RewardScore>>(Score(responses)),
        };

        private List<RewardScore> Score(IReadOnlyList<Response> responses)
        {
            if (kind == "no list") return null!;
            if (kind == "throws") throw new InvalidOperationException("no connection");
            var named = kind is "other parts" or "part not a number";
            var scores = responses.Select(_ => new RewardScore(1, named ? new Dictionary<string, double> { ["a"] = 1 } : NoParts)).ToList();
            var third = responses.ToList().FindIndex(response => response.Prompt.Row!.Location.EndsWith('5'));
            scores[third] = kind switch
            {
                "no score" => null!,
                "not a number" => new(double.NaN),
                "infinite" => new(double.NegativeInfinity),
                "beyond float32" => new(1e300),
                "short" => new(1, NoParts, new float[2]),
                "long" => new(1, NoParts, new float[4]),
                "dense not a number" => new(1, NoParts, [0, float.NaN, 0]),
                "no parts" => new(1, null!),
                "other parts" => new(1, new Dictionary<string, double> { ["b"] = 1 }),
                "part not a number" => new(1, new Dictionary<string, double> { ["a"] = double.NaN }),
                _ => scores[third],
            };
            return kind switch { "too few" => scores[..^1], "too many" => [.. scores, new(0)], _ => scores };
        }
    }

    private static async Task<T> Later<T>(Exception exception)
    {
        await Task.Yield();
        throw exception;
    }

    private sealed class WrongGuide(string kind) : IGuide
    {
        public string Name => "wrong";

        public bool CanRollOut => true;

        public Task<IReadOnlyList<GuideContinuation?>> ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) => kind switch
        {
            "no task" => null!,
            "throws later" => Later<IReadOnlyList<GuideContinuation?>>(new InvalidOperationException("no connection")),
            _ => Task.FromResult<IReadOnlyList<GuideContinuation?>>(Continue(requests)),
        };

        private List<GuideContinuation?> Continue(IReadOnlyList<GuideRequest> requests)
        {
            if (kind == "no list") return null!;
            if (kind == "throws") throw new InvalidOperationException("no connection");
            var answers = requests.Select(_ => (GuideContinuation?)new GuideContinuation("01", false)).ToList();
            var third = requests.ToList().FindIndex(request => request.Prompt.Row!.Location.EndsWith('5'));
            answers[third] = kind switch
            {
                "no answer" => null!,
                "no text" => new(null!, true),
                "no such token" => new("03", false, [0, 3]),
                "negative token" => new("", false, [0, -1]),
                "ended without a token" => new("", true, []),
                _ => answers[third],
            };
            return kind switch { "too few" => answers[..^1], "too many" => [.. answers, new("", false)], _ => answers };
        }
    }
}
