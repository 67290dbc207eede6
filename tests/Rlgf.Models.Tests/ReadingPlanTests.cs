using Rlgf.Models.Families;
using Rlgf.Models.Families.Decoders;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Rows of like length in a pass each, and prompts that several rows have read once: the same numbers for less work.</summary>
public sealed class ReadingPlanTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, bool> Models()
    {
        var data = new TheoryData<string, bool>();
        foreach (var name in Fixture.Of("causal_lm")) foreach (var adapter in (bool[])[false, true]) data.Add(name, adapter);
        return data;
    }

    public void Dispose() => _scope.Dispose();

    /// <summary>32 rows with 4 prompts, of 7 to 20 tokens, whose responses have 0 to 11: against all in one padded pass, of which nothing is shared.</summary>
    [Theory, MemberData(nameof(Models))]
    public void States_and_gradients_are_those_of_one_pass(string name, bool adapter)
    {
        using var model = Load(name, adapter ? 0 : null);
        var rows = Groups(prompts: [20, 7, 20, 13]);
        var plan = ((CausalLanguageModel)model).Plan(rows);
        var module = (DecoderModule)model.Module;
        Assert.Equal(!module.OnlyAttends || module.Windows.Any(window => window < 30), plan.Shared.Count == 0);

        using (no_grad()) Compare(model.ResponseStates(rows), InOnePass(model, rows), rows);

        CompareGradients(model, rows);
    }

    /// <summary>Long and short rows: the short ones aren't read to the length of the long ones, and come back where they were.</summary>
    [Theory]
    [InlineData("llama")]
    [InlineData("gpt2")]
    [InlineData("mistral")]
    public void Rows_of_like_length_are_read_together(string name)
    {
        using var model = Load(name, null);
        using var gradients = no_grad();
        var random = new Random(2);
        TokenRow[] rows = [.. Enumerable.Range(0, 40).Select(i => new TokenRow(Draw(random, i % 2 == 0 ? 5 : 60), Draw(random, 1 + (i % 7))))];
        var read = 0L;
        ((DecoderModule)model.Module).LayerInput = x => read += x.size(0);
        var states = model.ResponseStates(rows);
        var layers = ((DecoderModule)model.Module).Layers;
        // 20 rows of up to 66 tokens and 20 of up to 11, in passes of whole eights of rows and columns: the one that both meet in is as long as the long ones.
        Assert.Equal((24 * 72) + (16 * 16), read / layers);
        Compare(states, InOnePass(model, rows), rows);
    }

    /// <summary>Gradients of long and short rows, with activations kept and computed again: against those of one pass.</summary>
    [Theory]
    [InlineData("llama", false)]
    [InlineData("llama", true)]
    [InlineData("gpt2", true)]
    [InlineData("mistral", false)]
    public void Gradients_of_several_passes_are_those_of_one(string name, bool recompute)
    {
        using var model = Load(name, null);
        model.RecomputesActivations = recompute;
        var random = new Random(2);
        TokenRow[] rows = [.. Enumerable.Range(0, 24).Select(i => new TokenRow(Draw(random, i % 3 == 0 ? 5 : 60), Draw(random, 1 + (i % 7))))];
        Assert.True(((CausalLanguageModel)model).Plan(rows) is { Whole.Count: > 1, Shared.Count: 0 });
        CompareGradients(model, rows);
    }

    /// <summary>Where activations are computed again prompts are read once a row, and where an adapter leaves out other numbers in each row all are read in one pass, as its draws are those of the rows then.</summary>
    [Fact]
    public void Prompts_are_not_shared_where_that_would_change_something()
    {
        var rows = Groups(prompts: [20, 7, 20, 13]);
        using var model = Load("llama", 0.4);
        Assert.True(((CausalLanguageModel)model).Plan(rows) is { Whole.Count: 1, Shared.Count: 0 });
        using (no_grad()) Assert.NotEmpty(((CausalLanguageModel)model).Plan(rows).Shared);

        using var another = Load("llama", null);
        Assert.NotEmpty(((CausalLanguageModel)another).Plan(rows).Shared);
        another.RecomputesActivations = true;
        Assert.Empty(((CausalLanguageModel)another).Plan(rows).Shared);
    }

    /// <summary>Rows so few and short that reading a prompt by itself costs more than reading it twice.</summary>
    [Fact]
    public void Little_is_read_in_one_pass()
    {
        TokenRow[] rows = [new([5, 6, 7], [8, 9]), new([5, 6, 7], [9]), new([4], [10, 11])];
        Assert.Equal([[0, 1, 2]], ReadingPlan.Of(rows, 128, CPU, inParts: true, sharing: true).Whole);
    }

    /// <summary>The cheapest of all divisions, found by trying each.</summary>
    [Fact]
    public void No_division_into_passes_costs_less()
    {
        var random = new Random(3);
        for (var trial = 0; trial < 50; trial++)
        {
            int[] lengths = [.. Enumerable.Range(0, random.Next(1, 60)).Select(_ => random.Next(1, 200))];
            var cost = random.Next(0, 600);
            var found = new LengthBuckets(1000, cost).Of([.. Enumerable.Range(0, lengths.Length)], row => lengths[row]);
            Assert.Equal(Enumerable.Range(0, lengths.Length), found.Passes.SelectMany(pass => pass).Order());
            Assert.Equal(found.Passes.Sum(pass => cost + (pass.Length * Rounded(pass.Max(row => lengths[row])))), found.Cost);

            var sorted = lengths.OrderDescending().ToArray();
            var cuts = (sorted.Length - 1) / 8;
            var least = Enumerable.Range(0, 1 << cuts).Min(chosen =>
            {
                int[] ends = [.. Enumerable.Range(1, cuts).Where(cut => (chosen >> (cut - 1) & 1) == 1).Select(cut => cut * 8), sorted.Length];
                return ends.Zip(ends.Prepend(0), (end, begin) => cost + ((end - begin) * Rounded(sorted[begin]))).Sum();
            });
            Assert.Equal(least, found.Cost);
        }

        static int Rounded(int length) => (length + 7) / 8 * 8;
    }

    private static ILanguageModel Load(string name, double? dropout)
    {
        var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        if (dropout is { } share)
        {
            LoraAdapters.Attach(model, new LoraSettings { Rank = 2, Dropout = share }, Fixture.PathOf(name), seed: 1);
            using var gradients = no_grad();
            using var random = new Generator(2);
            foreach (var parameter in model.Module.parameters().Where(parameter => parameter.requires_grad)) parameter.normal_(0, 0.1, random);
        }

        return model;
    }

    private static TokenRow[] Groups(int[] prompts)
    {
        var random = new Random(1);
        int[][] tokens = [.. prompts.Select(length => Draw(random, length))];
        // Not one group after the other, and equal prompts that aren't one array.
        return [.. Enumerable.Range(0, 8 * prompts.Length).Select(row => new TokenRow([.. tokens[row % prompts.Length]], Draw(random, row % 12)))];
    }

    private static int[] Draw(Random random, int length) => [.. Enumerable.Range(0, length).Select(_ => random.Next(3, 300))];

    private static Tensor InOnePass(ILanguageModel model, TokenRow[] rows) => ((CausalLanguageModel)model).Read(rows, new([[.. Enumerable.Range(0, rows.Length)]], []));

    private static Tensor Loss(ILanguageModel model, TokenRow[] rows, Tensor states)
    {
        Tensor? sum = null;
        for (var row = 0; row < rows.Length; row++)
        {
            if (rows[row].Response.Length == 0) continue;
            var own = model.Logits(states[row].narrow(0, 0, rows[row].Response.Length)).log_softmax(-1);
            var loss = own.gather(1, tensor(Array.ConvertAll(rows[row].Response, id => (long)id)).unsqueeze(1)).sum();
            sum = sum is null ? loss : sum + loss;
        }

        return sum!;
    }

    private static void CompareGradients(ILanguageModel model, TokenRow[] rows)
    {
        Loss(model, rows, model.ResponseStates(rows)).Backward();
        var planned = Gradients(model);
        Loss(model, rows, InOnePass(model, rows)).Backward();
        var expected = Gradients(model);
        Assert.NotEmpty(expected);
        Assert.Equal(expected.Keys, planned.Keys);
        foreach (var (parameter, gradient) in expected) Fixture.Close(gradient, planned[parameter], 2e-5 * (1 + gradient.abs().max().item<float>()));
    }

    private static Dictionary<string, Tensor> Gradients(ILanguageModel model)
    {
        var gradients = model.Module.named_parameters().Where(named => named.parameter.grad is not null).ToDictionary(named => named.name, named => named.parameter.grad!.clone(), StringComparer.Ordinal);
        model.Module.zero_grad();
        return gradients;
    }

    private static void Compare(Tensor states, Tensor expected, TokenRow[] rows)
    {
        Assert.Equal(expected.shape, states.shape);
        for (var row = 0; row < rows.Length; row++)
        {
            var length = rows[row].Response.Length;
            if (length > 0) Fixture.Close(expected[row].narrow(0, 0, length), states[row].narrow(0, 0, length), 2e-5 * (1 + expected[row].abs().max().item<float>()));
        }
    }
}
