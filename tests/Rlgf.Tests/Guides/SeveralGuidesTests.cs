using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Guides;

/// <summary>Several guides as one: shares by count, the bandit's draw by hand, and that it finds who pays.</summary>
public sealed class SeveralGuidesTests
{
    private static GuideRequest Request(ulong stream, string soFar = "", string prompt = "p") => new()
    {
        Prompt = new Prompt(prompt, []), ResponseSoFar = soFar, ResponseTokens = [], MaxTokens = 8, Stream = stream,
    };

    private static FunctionGuide Says(string text, bool canRollOut = true) => new FunctionGuide(text, _ => new GuideContinuation(text, false, [.. text.Select(c => c - '0')]), canRollOut);

    [Fact]
    public async Task Requests_are_dealt_in_proportion_to_the_weights_and_by_their_streams()
    {
        var guide = new SeveralGuides([new("a", Says("0"), 3), new("b", Says("1"), 1), new("c", Says("2", canRollOut: false), 4)], GuideChoice.Weights);
        var requests = Enumerable.Range(0, 8000).Select(i => Request((ulong)i)).ToArray();
        var answers = await guide.ContinueAsync(requests, TestContext.Current.CancellationToken);
        double Share(string name) => answers.Count(answer => answer!.By == name) / 8000.0;
        // Four standard errors of a share.
        Assert.Equal(3 / 8.0, Share("a"), 4 * Math.Sqrt(3 / 8.0 * 5 / 8 / 8000));
        Assert.Equal(1 / 8.0, Share("b"), 4 * Math.Sqrt(1 / 8.0 * 7 / 8 / 8000));
        Assert.All(answers, answer => Assert.Equal(answer!.Text, answer.By switch { "a" => "0", "b" => "1", _ => "2" }));
        var backwards = await guide.ContinueAsync([.. requests.Reverse()], TestContext.Current.CancellationToken);
        Assert.Equal(answers.Select(answer => answer!.By), backwards.Reverse().Select(answer => answer!.By));

        // Who can't go on from a text is not asked to, and the others keep their proportion.
        var begun = await guide.ContinueAsync([.. requests.Select(request => request with { ResponseSoFar = "0" })], TestContext.Current.CancellationToken);
        Assert.DoesNotContain(begun, answer => answer!.By == "c");
        Assert.Equal(0.75, begun.Count(answer => answer!.By == "a") / 8000.0, 4 * Math.Sqrt(0.75 * 0.25 / 8000));
    }

    [Fact]
    public void The_bandits_draw_is_the_posterior_by_hand()
    {
        var accounts = new GuideAccounts(2);
        // Nothing known: the draw itself, at the cost of one token.
        Assert.Equal(0.5, accounts.Draw(0, "p", 0.5), 1e-12);
        accounts.Add([(0, new("a", "p", 3, 2, 10)), (0, new("a", "q", 1, 0, 20)), (1, new("b", "p", 1, -1, 40))]);
        // Rewards lie in 1 to 3. Guide 0: mean gain 1 of two rows at 15 tokens; of p one row with 2, drawn towards 1: (2 + 4 · 1) / 5 = 1.2.
        Assert.Equal(1.2 / 2 / 15, accounts.Draw(0, "p", 0), 1e-12);
        Assert.Equal(((1.2 / 2) + (0.3 / Math.Sqrt(3))) / 15, accounts.Draw(0, "p", 0.3), 1e-12);
        Assert.Equal(0.8 / 2 / 15, accounts.Draw(0, "q", 0), 1e-12);
        Assert.Equal(0.5 / 15, accounts.Draw(0, "new", 0), 1e-12);
        // Guide 1 loses: −1 of one row, the dearer the worse.
        Assert.Equal(-0.5 * 40, accounts.Draw(1, "p", 0), 1e-12);
        Assert.Equal(accounts.Draw(0, "p", 0.3), GuideAccounts.Of(2, accounts.Save()).Draw(0, "p", 0.3));
    }

    private static double Ones(string response) => response.Count(c => c == '1') / 3.0;

    [Fact]
    public void The_bandit_asks_the_guide_that_pays_and_of_equals_the_cheaper()
    {
        using var policy = new TabularModel(3, 3, null);
        // PPO++ pays for whole answers. All ones; all twos; and one 1, which the policy then goes on from.
        var guide = new SeveralGuides([new("good", Says("111")), new("bad", Says("222")), new("worse", Says("000"))], GuideChoice.Bandit);
        var setup = ToyRun.Setup(policy, Presets.PpoPlusPlus(0.5), guide, Ones, iterations: 30);
        var last = ToyRun.Run(setup)[^1].Metrics;
        var rows = last["guide/good/rows"] + last["guide/bad/rows"] + last["guide/worse/rows"];
        Assert.True(last["guide/good/rows"] > 0.8 * rows, $"{last["guide/good/rows"]} of {rows}");
        Assert.True(last["guide/good/gain"] > 0 && last["guide/bad/gain"] < 0);
        Assert.Equal(last["guide/good/rows"] * 3, last["guide/good/tokens"]);
        Assert.Contains("guide 'good': ", guide.Summary[0], StringComparison.Ordinal);

        var equals = new GuideAccounts(2);
        equals.Add([.. Enumerable.Range(0, 400).Select(i => (i % 2, new JudgedAnswer(i % 2 == 0 ? "short" : "long", "p", 1, 0.5, i % 2 == 0 ? 10 : 30)))]);
        var shorter = Enumerable.Range(-20, 41).Count(z => equals.Draw(0, "p", z / 10.0) > equals.Draw(1, "p", -z / 10.0));
        Assert.Equal(41, shorter);
    }

    [Fact]
    public async Task A_saved_state_chooses_as_the_one_that_was_saved()
    {
        static SeveralGuides New() => new([new("a", Says("0")), new("b", Says("1"))], GuideChoice.Bandit);
        var guide = New();
        guide.Judge([.. Enumerable.Range(0, 30).Select(i => new JudgedAnswer(i % 3 == 0 ? "a" : "b", $"{i % 5}", i % 4, (i % 4) - 1.5, 3 + i))], new Dictionary<string, long> { ["a"] = 700, ["b"] = 20 });
        var requests = Enumerable.Range(0, 200).Select(i => Request((ulong)i, prompt: $"{i % 7}")).ToArray();
        var expected = (await guide.ContinueAsync(requests, TestContext.Current.CancellationToken)).Select(answer => answer!.By).ToArray();
        Assert.Equal(2, expected.Distinct().Count());
        var restored = New();
        restored.RestoreState(guide.SaveState());
        Assert.Equal(expected, (await restored.ContinueAsync(requests, TestContext.Current.CancellationToken)).Select(answer => answer!.By));
        Assert.Equal(guide.Metrics, restored.Metrics);
        Assert.Contains("damaged or of other guides", Assert.Throws<InputException>(() => New().RestoreState([1, 2, 3])).Message, StringComparison.Ordinal);
        var one = new SeveralGuides([new("a", Says("0"))], GuideChoice.Bandit);
        Assert.Throws<InputException>(() => one.RestoreState(guide.SaveState()));
    }

    [Fact]
    public void Every_guide_finds_out_what_it_can_do_before_a_run_and_is_called_by_its_name_here()
    {
        var asked = new List<string>();
        var guide = new SeveralGuides([new("a", new Asked("one", asked)), new("b", new Asked("two", asked))], GuideChoice.Weights);
        Assert.True(guide.CanRollOut);
        Assert.Equal(["one", "two"], asked);
        Assert.Contains("guide 'b': 3 answers", guide.Summary);
    }

    private sealed class Asked(string name, List<string> asked) : ILocalGuide, IMeteredGuide
    {
        public string Name => name;

        public bool CanRollOut
        {
            get
            {
                asked.Add(name);
                return true;
            }
        }

        public IReadOnlyDictionary<string, double> Metrics => new Dictionary<string, double>();

        public IReadOnlyList<string> Summary => [$"guide '{name}': 3 answers"];

        public IReadOnlyList<GuideContinuation?> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) => [.. requests.Select(_ => new GuideContinuation("", true))];
    }

    [Fact]
    public void Rows_that_the_guides_finish_are_told_apart_too()
    {
        using var policy = new TabularModel(3, 3, null);
        var guide = new SeveralGuides([new("good", Says("111")), new("references", Says("222", canRollOut: false))], GuideChoice.Weights);
        var last = ToyRun.Run(ToyRun.Setup(policy, Presets.AggreVaTeD(1), guide, Ones, iterations: 2))[^1].Metrics;
        Assert.True(last["guide/good/rows"] > 0);
        Assert.Equal(0, last["guide/references/rows"]);
    }
}
