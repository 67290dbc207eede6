using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Text.Tokenization;

namespace Rlgf.Tests.Guides;

/// <summary>Vocabularies that mark words spell the beginning of a text as if a space came before it; a response goes on from its prompt, so its spaces are its own.</summary>
public sealed class MarkedWordsTests
{
    [Fact]
    public void A_guides_text_stays_as_it_was_written_in_such_a_vocabulary()
    {
        using var policy = TinyGpt2.Create(seed: 1);
        var tokenizer = Load("llama2");
        var guide = new Writing([" is wonder", "ful, and funny"]);
        var writer = new RolloutWriter(policy, tokenizer, guide, new SamplingSettings { MaxNewTokens = 60, EndTokens = [] }, seed: 2);
        Prompt[] prompts = [new("This film", tokenizer.Encode("This film", addSpecialTokens: true))];
        var plan = new RolloutPlan(Actor.Guide, Actor.Guide, 1, RollInLengths.Limit);

        var rollIns = writer.RollIn(plan, prompts, 0, CancellationToken.None);
        Assert.Equal(" is wonder", writer.TextOf(rollIns[0].Tokens, ended: false));
        var row = writer.RollOut(plan, prompts, rollIns, 0, CancellationToken.None)[0];

        Assert.Equal(["", " is wonder"], guide.Seen.Select(request => request.ResponseSoFar));
        Assert.Equal(" is wonderful, and funny", row.Text);
        Assert.Equal("This film is wonderful, and funny", tokenizer.Decode([.. row.Prompt.Tokens, .. row.Tokens]));
        Assert.Equal(rollIns[0].Tokens, row.Tokens[..row.RollInLength]);
    }

    [Fact]
    public void An_encoder_decoders_response_is_a_text_of_its_own_and_any_others_goes_on()
    {
        var tokenizer = Load("t5");
        var goesOn = new LanguageModelShape(2000, 8, 100);
        var ofItsOwn = goesOn with { Encoder = new EncoderShape(100, 0) };
        int[] marked = tokenizer.Encode("the film");

        Assert.Equal(marked, ResponseText.Encode(tokenizer, ofItsOwn, "the film"));
        Assert.Equal("the film", ResponseText.Decode(tokenizer, ofItsOwn, marked));
        Assert.Equal(marked, ResponseText.Encode(tokenizer, goesOn, " the film"));
        Assert.Equal(" the film", ResponseText.Decode(tokenizer, goesOn, marked));
        Assert.NotEqual(marked, ResponseText.Encode(tokenizer, goesOn, "the film"));
        Assert.Equal("the film", ResponseText.Decode(tokenizer, goesOn, ResponseText.Encode(tokenizer, goesOn, "the film")));
    }

    private static ITokenizer Load(string name) => TokenizerFolder.Load(Path.Combine(AppContext.BaseDirectory, "fixtures", "tokenizers", name));

    /// <summary>Writes texts, one to a call.</summary>
    private sealed class Writing(string[] texts) : IGuide
    {
        public List<GuideRequest> Seen { get; } = [];
        public string Name => "writing";
        public bool CanRollOut => true;
        public bool UsesPolicyTokens => false;

        public IReadOnlyList<GuideContinuation> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
        {
            var text = texts[Seen.Count];
            Seen.AddRange(requests);
            return [.. requests.Select(_ => new GuideContinuation(text, false))];
        }
    }
}
