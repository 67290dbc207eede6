using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Runs;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

/// <summary>A guide elsewhere is asked for the next iteration's roll-ins while this one updates; a local one in its turn. Both give the same numbers, and nothing is lost when one fails or stops.</summary>
public sealed class AskedAheadTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlgf").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Guides that are asked for roll-ins, and where the schedule decides whether they are.</summary>
    public static TheoryData<string> Algorithms => ["ppo_plus_plus", "lols", "d2lols", "adaptive_v1", "adaptive"];

    [Theory]
    [MemberData(nameof(Algorithms))]
    public void The_numbers_are_those_of_a_guide_that_is_asked_in_its_turn(string algorithm) =>
        Assert.Equal(Run("local" + algorithm, algorithm, new Counting(remote: false)).Weights, Run("remote" + algorithm, algorithm, new Counting(remote: true)).Weights);

    [Theory]
    [InlineData("ppo_plus_plus")]
    [InlineData("adaptive_v1")]
    public void The_next_roll_ins_are_asked_for_before_the_iteration_is_over_and_answered_after(string algorithm)
    {
        using var guide = new Counting(remote: true) { IsGated = true };
        guide.Open.Release(); // Those of the first iteration have to be waited for.
        var overlapped = 0;
        Run("ahead" + algorithm, algorithm, guide, iterations: 4, logged: iteration =>
        {
            // The update is over, and the guide, which has been asked, hasn't answered.
            if (iteration == 3) return;
            Assert.True(guide.Entered.Wait(TimeSpan.FromSeconds(30)));
            if (iteration == 0) Assert.True(guide.Entered.Wait(TimeSpan.FromSeconds(30)));
            Assert.Equal((iteration + 2, iteration + 1), (guide.Asked, guide.Answered));
            overlapped++;
            guide.Open.Release();
        });
        Assert.Equal(3, overlapped);
        Assert.Equal(4, guide.Answered);
    }

    [Fact]
    public void Where_nothing_decides_on_them_but_the_schedule_they_are_asked_for_while_the_policy_writes()
    {
        using var guide = new Counting(remote: true) { IsGated = true };
        guide.Open.Release();
        var scored = 0;
        // Its answers depend on no count: the request's numbers alone.
        Run("early", "ppo_plus_plus", new Stateless(guide), iterations: 4, scoring: () =>
        {
            // The rows of an iteration are written and to be scored, and the guide is at the next already.
            if (scored == 0) Assert.True(guide.Entered.Wait(TimeSpan.FromSeconds(30)));
            if (scored < 3) Assert.True(guide.Entered.Wait(TimeSpan.FromSeconds(30)));
            Assert.Equal((Math.Min(scored + 2, 4), scored + 1), (guide.Asked, guide.Answered));
            scored++;
            guide.Open.Release();
        });
        Assert.Equal((4, 4), (scored, guide.Answered));
    }

    [Fact]
    public void A_local_guide_is_never_asked_before_its_turn()
    {
        using var guide = new Counting(remote: false);
        Run("turn", "ppo_plus_plus", guide, iterations: 4, logged: iteration => Assert.Equal(iteration + 1, guide.Asked));
        Assert.Equal(4, guide.Asked);
    }

    [Fact]
    public void A_stop_stops_what_was_asked_ahead_and_waits_for_its_end()
    {
        using var guide = new Counting(remote: true) { IsGated = true };
        guide.Open.Release();
        using var cancellation = new CancellationTokenSource();
        var (_, finished) = Run("stop", "ppo_plus_plus", guide, cancellation: cancellation, logged: _ =>
        {
            Assert.True(guide.Entered.Wait(TimeSpan.FromSeconds(30)) && guide.Entered.Wait(TimeSpan.FromSeconds(30)));
            cancellation.Cancel();
        });
        Assert.False(finished);
        Assert.Equal((2, 1, 0), (guide.Asked, guide.Answered, guide.Active));
        Assert.Equal(["iteration-00001"], Saved("stop"));
        // It goes on where it stopped, as if nothing had been.
        guide.Open.Release(100);
        Assert.Equal(Run("whole", "ppo_plus_plus", new Counting(remote: true)).Weights, Run("stop", "ppo_plus_plus", new Counting(remote: true), resume: true).Weights);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_guide_that_fails_is_one_line_and_what_was_done_is_kept(bool remote)
    {
        var name = "failing" + remote;
        var failure = Assert.Throws<InputException>(() => Run(name, "ppo_plus_plus", new Counting(remote) { FailsAt = 4 }));
        Assert.Matches("^the guide 'counting' failed on [0-9]+ requests, the first of the prompt '[0-9]': InvalidOperationException: no connection$", failure.Message);
        Assert.Equal("iteration-00003", Saved(name)[^1]);
        Assert.Equal(Run("well" + remote, "ppo_plus_plus", new Counting(remote)).Weights, Run(name, "ppo_plus_plus", new Counting(remote), resume: true).Weights);
    }

    /// <summary>The guide counts its requests and its answers depend on the count: only a state that is restored as it was before the question that was open gives the same run.</summary>
    [Theory]
    [InlineData("ppo_plus_plus", true)]
    [InlineData("ppo_plus_plus", false)]
    [InlineData("lols", true)]
    [InlineData("adaptive", true)]
    public void A_guides_state_goes_on_with_the_run(string algorithm, bool remote)
    {
        var name = $"state{algorithm}{remote}";
        using var cancellation = new CancellationTokenSource();
        Assert.False(Run(name, algorithm, new Counting(remote), cancellation: cancellation, logged: iteration => { if (iteration == 2) cancellation.Cancel(); }).Finished);
        Assert.True(File.Exists(Path.Combine(_folder, name, "iteration-00003", "guide_state.bin")));
        Assert.Equal(Run("whole" + name, algorithm, new Counting(remote)).Weights, Run(name, algorithm, new Counting(remote), resume: true).Weights);

        File.AppendAllText(Path.Combine(_folder, name, Saved(name)[^1], "guide_state.bin"), "x");
        Assert.Contains("guide_state.bin is not what was written", Assert.Throws<InputException>(() => Run(name, algorithm, new Counting(remote), resume: true)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_evaluation_leaves_a_guides_state_as_it_was()
    {
        using var policy = TinyGpt2.Create(seed: 3);
        using var guide = new Counting(remote: true);
        var evaluator = new Rlgf.Evaluation.Evaluator
        {
            Prompts = [new("1", [1]), new("2", [2])], Sampling = new SamplingSettings { MaxNewTokens = 6, EndTokens = [TinyGpt2.End] }, Reward = new FunctionReward("ones", response => response.Text.Count(c => c == '1')),
            Reference = policy, Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End),
        };
        var (once, again) = (evaluator.Evaluate(guide, CancellationToken.None), evaluator.Evaluate(guide, CancellationToken.None));
        Assert.Equal(once.Rows.Select(row => row.Response), again.Rows.Select(row => row.Response));
        Assert.Equal((2, 0), (guide.Asked, BitConverter.ToInt32(guide.SaveState())));
    }

    [Fact]
    public void Waiting_for_a_guide_needs_nothing_of_the_callers_context()
    {
        // A window's context runs nothing while its thread waits here.
        var context = new Stuck();
        SynchronizationContext.SetSynchronizationContext(context);
        try
        {
            Run("context", "ppo_plus_plus", new Counting(remote: false), iterations: 1);
            Assert.Same(context, SynchronizationContext.Current);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }
    }

    private string[] Saved(string name) => [.. Directory.GetDirectories(Path.Combine(_folder, name)).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    private (float[] Weights, bool Finished) Run(
        string name, string algorithm, IGuide guide, int iterations = 6, bool resume = false, CancellationTokenSource? cancellation = null, Action<int>? logged = null, Action? scoring = null)
    {
        using var policy = TinyGpt2.Create(seed: 3);
        using var reference = policy.Clone();
        var scored = 0;
        var setup = new TrainingSetup
        {
            Policy = policy,
            Reference = reference,
            Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End),
            Guide = guide,
            Reward = new FunctionReward("ones", response =>
            {
                if (scored++ % 8 == 0) scoring?.Invoke();
                return response.Text.Count(c => c == '1');
            }),
            Prompts = [.. Enumerable.Range(0, 7).Select(i => new Prompt(i.ToString(System.Globalization.CultureInfo.InvariantCulture), [i]))],
            Sampling = new SamplingSettings { MaxNewTokens = 6, EndTokens = [TinyGpt2.End] },
            Algorithm = Presets.Named(algorithm, switchIteration: 1)!,
            Update = new UpdateSettings { Epochs = 1, RowsPerMinibatch = 4, LearningRate = 1e-3 },
            Iterations = iterations,
            RowsPerIteration = 8,
            Seed = 11,
        };
        using var training = new GuidedTraining(setup, new TrainingSchedule { CheckpointEvery = 0 }, new Watched(logged));
        var finished = true;
        try
        {
            training.Run(new CheckpointFolder(Path.Combine(_folder, name), setup, training.Critics, training.Learner), resume, cancellation?.Token ?? CancellationToken.None);
        }
        catch (OperationCanceledException)
        {
            finished = false;
        }

        return ([.. policy.Module.parameters().SelectMany(parameter => parameter.data<float>().ToArray())], finished);
    }

    private sealed class Watched(Action<int>? logged) : IRunLog
    {
        public void Iteration(IterationRecord record) => logged?.Invoke(record.Iteration);

        public void Evaluation(EvaluationRecord record) { }

        public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) { }
    }

    /// <summary>Posts go nowhere.</summary>
    private sealed class Stuck : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state) { }
    }

    /// <summary>Another without its state.</summary>
    private sealed class Stateless(IGuide guide) : IGuide
    {
        public string Name => guide.Name;
        public bool CanRollOut => guide.CanRollOut;
        public bool IsRemote => guide.IsRemote;
        public Task<IReadOnlyList<GuideContinuation?>> ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) => guide.ContinueAsync(requests, cancellationToken);
    }

    /// <summary>Answers later, and by the number of times that it was asked.</summary>
    private sealed class Counting(bool remote) : IStatefulGuide, IDisposable
    {
        private int _asked, _answered, _active, _count;

        public SemaphoreSlim Entered { get; } = new(0);
        public SemaphoreSlim Open { get; } = new(0);
        public bool IsGated { get; init; }
        public int? FailsAt { get; init; }
        public int Asked => Volatile.Read(ref _asked);
        public int Answered => Volatile.Read(ref _answered);
        public int Active => Volatile.Read(ref _active);
        public string Name => "counting";
        public bool CanRollOut => true;
        public bool IsRemote => remote;

        public async Task<IReadOnlyList<GuideContinuation?>> ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
        {
            var asked = Interlocked.Increment(ref _asked);
            Assert.Equal(1, Interlocked.Increment(ref _active));
            try
            {
                Entered.Release();
                if (IsGated) await Open.WaitAsync(cancellationToken);
                else await Task.Yield();
                if (asked == FailsAt) throw new InvalidOperationException("no connection\nof any kind");
                _count++;
                Interlocked.Increment(ref _answered);
                return [.. requests.Select((request, i) => new GuideContinuation($"{(_count + i) % 5}{(int)(RandomStream.Uniform(1, request.Stream, 0) * 7)}1", false))];
            }
            finally
            {
                Interlocked.Decrement(ref _active);
            }
        }

        public byte[] SaveState() => BitConverter.GetBytes(_count);

        public void RestoreState(byte[] state) => _count = BitConverter.ToInt32(state);

        public void Dispose()
        {
            Entered.Dispose();
            Open.Dispose();
        }
    }
}
