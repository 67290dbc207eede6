using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Tests.Runs;
using Rlgf.Tests.Toys;
using Rlgf.Text.Data;

namespace Rlgf.Tests.Rewards;

/// <summary>All references of a prompt reach whoever needs them, and a prompt is known by the data row it came from.</summary>
public sealed class ReferencesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void All_references_of_a_row_are_read_and_a_row_is_known_by_its_file_and_number()
    {
        var file = Path.Combine(_folder.Path, "p.jsonl");
        File.WriteAllLines(file, ["""{"text":"12","answers":["3","","45"]}""", """{"text":"12","answers":"6"}""", """{"text":"12","answers":null}""", """{"text":"12","answers":[]}"""]);

        var prompts = RecipeParts.Prompts(new DataSection { Path = file, ReferenceColumn = "answers" }, new DigitTokenizer(10, null), heldOut: false);

        Assert.Equal([["3", "45"], ["6"], [], []], prompts.Select(prompt => prompt.References));
        Assert.Equal(["p.jsonl:1", "p.jsonl:2", "p.jsonl:3", "p.jsonl:4"], prompts.Select(prompt => prompt.Id));
        Assert.Equal("12", new Prompt("12", [1, 2]).Id);
        Assert.Equal("mine", new Prompt("12", [1, 2]) { Id = "mine", Row = prompts[0].Row }.Id);
    }

    [Fact]
    public void A_reward_sees_the_references_in_training_and_in_evaluations()
    {
        var seen = new List<Response>();
        var reward = new FunctionReward("mine", response =>
        {
            seen.Add(response);
            return response.Prompt.References.Contains(response.Text) ? 1 : 0;
        });
        var prompt = new Prompt("", []) { References = ["01", "10"], Row = DataRow.Create("p.jsonl", 7, ("text", "")) };
        var setup = ToyRun.Setup(new TabularModel(vocabulary: 2, horizon: 2, end: null), Presets.Ppo(), null, _ => 0, iterations: 1) with { Reward = reward, Prompts = [prompt] };
        var evaluator = new Rlgf.Evaluation.Evaluator
        {
            Prompts = [.. Enumerable.Repeat(prompt, 40)], Sampling = setup.Sampling, Reward = reward, Reference = setup.Reference, Tokenizer = setup.Tokenizer,
        };

        var trained = ToyRun.Run(setup);
        var evaluated = evaluator.Evaluate(0, setup.Reference, CancellationToken.None);

        Assert.Equal(64 + 40, seen.Count);
        Assert.All(seen, response => Assert.Same(prompt, response.Prompt));
        Assert.Equal(seen.Take(64).Count(response => response.Text is "01" or "10") / 64.0, trained[0].Metrics["reward/mean"], 12);
        Assert.Equal(seen.Skip(64).Count(response => response.Text is "01" or "10") / 40.0, evaluated.Metrics["reward/mean"], 12);
    }

    [Fact]
    public void A_guide_of_references_draws_one_of_them_for_each_response()
    {
        var prompt = new Prompt("", []) { References = ["a", "b", "c"] };
        GuideRequest[] requests = [.. Enumerable.Range(0, 900).Select(i => new GuideRequest { Prompt = prompt, ResponseSoFar = "", ResponseTokens = [], MaxTokens = 4, Stream = (ulong)i })];

        var texts = new ReferencesGuide().Continue(requests, CancellationToken.None).Select(answer => answer.Text).ToArray();

        // 300 each, standard deviation √(900 · 1/3 · 2/3) = 14.1.
        Assert.All(texts.CountBy(text => text), drawn => Assert.InRange(drawn.Value, 240, 360));
        Assert.Equal(3, texts.Distinct().Count());
        Assert.Equal(texts, new ReferencesGuide().Continue(requests, CancellationToken.None).Select(answer => answer.Text));
    }
}
