using System.Globalization;
using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Families.Gpt2;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Prompts;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Tokenizers;

namespace Rlgf.Tests.Guides;

/// <summary>A policy over single digits, guided by a model over pairs of digits: the two have no token in common, so they meet in text.</summary>
public sealed class OtherTokenizerTests
{
    private static readonly SamplingSettings Sampling = new() { MaxNewTokens = 7, EndTokens = [TinyGpt2.End] };

    [Fact]
    public void What_one_side_wrote_is_never_changed_by_the_other()
    {
        using var policy = TinyGpt2.Create(seed: 1);
        using var model = GuideModel();
        var tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End);
        var guide = new Recording(NewGuide(model, tokenizer));
        Assert.False(guide.UsesPolicyTokens);
        var writer = new RolloutWriter(new ModelWriter(policy), policy.Shape, tokenizer, guide, Sampling, seed: 2);
        Prompt[] prompts = [.. Enumerable.Range(0, 200).Select(i => new Prompt($"{i % 7}{i % 5}", [i % 7, i % 5]))];

        var policyFirst = new RolloutPlan(Actor.Policy, Actor.Guide, 1, RollInLengths.Limit);
        var rollIns = writer.RollIn(ToyRun.Rows(prompts, policyFirst), 0, CancellationToken.None);
        guide.Seen.Clear();
        var rows = writer.RollOut(ToyRun.Rows(prompts, policyFirst), rollIns, 0, CancellationToken.None);
        for (var row = 0; row < rows.Length; row++) Assert.Equal(rollIns[row].Tokens, rows[row].Tokens[..rows[row].RollInLength]);
        foreach (var (request, answer) in guide.Seen)
        {
            var row = rows.First(row => ReferenceEquals(row.Prompt.Tokens, request.Prompt.Tokens));
            // The guide's text follows, as far as there is room; an odd digit is half of a guide's token and a whole one of the policy's.
            Assert.Equal((request.ResponseSoFar + answer.Text)[..row.Text.Length], row.Text);
            Assert.True(row.Text.Length == Sampling.MaxNewTokens || row.Text.Length == request.ResponseSoFar.Length + answer.Text.Length);
        }

        var guideFirst = new RolloutPlan(Actor.Guide, Actor.Policy, 1, RollInLengths.Inside);
        guide.Seen.Clear();
        rollIns = writer.RollIn(ToyRun.Rows(prompts, guideFirst), 0, CancellationToken.None);
        for (var row = 0; row < rollIns.Length; row++) Assert.StartsWith(tokenizer.Decode(rollIns[row].Tokens), guide.Seen[row].Answer.Text, StringComparison.Ordinal);
        Assert.Contains(rollIns, rollIn => rollIn.Tokens.Length > 0);
    }

    [Theory]
    [InlineData("ppo_plus_plus")]
    [InlineData("aggrevated")]
    [InlineData("lols")]
    [InlineData("d2lols")]
    [InlineData("adaptive")]
    public void Every_guided_algorithm_trains_with_such_a_guide(string algorithm)
    {
        using var policy = new TabularModel(7, 3, null);
        using var model = GuideModel();
        var setup = ToyRun.Setup(policy, Presets.Named(algorithm, switchIteration: 1)!, null, text => text.Count(c => c == '1'), iterations: 3);
        setup = setup with { Guide = NewGuide(model, setup.Tokenizer), Prompts = [new Prompt("12", [1, 2])] };
        var records = ToyRun.Run(setup);
        Assert.Equal(3, records.Count);
        Assert.All(records, record => Assert.True(double.IsFinite(record.Metrics["reward/mean"])));
        Assert.True(records[^1].Metrics["tokens/guide"] > 0);
    }

    private static ILanguageModel GuideModel() => LanguageModelFolder.Create(
        new Gpt2Configuration { Vocabulary = PairTokenizer.Size, ContextLength = 32, Width = 16, Layers = 1, Heads = 2, EosId = PairTokenizer.End }.ToModelConfiguration(), seed: 5);

    private static LocalModelGuide NewGuide(ILanguageModel model, ITokenizer policy) =>
        new("pairs", model, new PairTokenizer(), policy, new SamplingSettings { MaxNewTokens = 7, EndTokens = [PairTokenizer.End] });

    /// <summary>Tokens are pairs of digits 0–6, single digits 0–6, and an end token.</summary>
    private sealed class PairTokenizer : ITokenizer
    {
        private const int Base = 7;
        public const int End = Base * Base + Base, Size = End + 1;

        public int VocabularySize => Size;
        public int? BosId => null;
        public int? EosId => End;
        public int? PadId => null;

        public int[] Encode(string text, bool addSpecialTokens = false) =>
            [.. text.Chunk(2).Select(pair => pair.Length == 2 ? (pair[0] - '0') * Base + pair[1] - '0' : Base * Base + pair[0] - '0')];

        public TokenizedText EncodeWithOffsets(string text) => throw new NotSupportedException();

        public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true) => string.Concat(ids.ToArray().Select(id => TokenOf(id)));

        public bool EndsOnCharacter(ReadOnlySpan<int> ids) => true;

        public string? TokenOf(int id) => id switch
        {
            End => "",
            >= Base * Base => (id - Base * Base).ToString(CultureInfo.InvariantCulture),
            _ => string.Create(CultureInfo.InvariantCulture, $"{id / Base}{id % Base}"),
        };

        public int? IdOf(string token) => null;

        public void Save(string folder) { }
    }

    private sealed class Recording(ILocalGuide inner) : ILocalGuide
    {
        public List<(GuideRequest Request, GuideContinuation Answer)> Seen { get; } = [];
        public string Name => inner.Name;
        public bool CanRollOut => inner.CanRollOut;
        public bool UsesPolicyTokens => inner.UsesPolicyTokens;

        public IReadOnlyList<GuideContinuation?> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
        {
            var answers = inner.Continue(requests, cancellationToken);
            Seen.AddRange(requests.Zip(answers, (request, answer) => (request, answer!)));
            return answers;
        }
    }
}
