using Rlgf.ChatTemplates;
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

/// <summary>Vocabularies that mark words spell the beginning of a text as if a space came before it; a response goes on from its prompt, so its spaces are its own.</summary>
public sealed class MarkedWordsTests
{
    [Fact]
    public void A_guides_text_stays_as_it_was_written_in_such_a_vocabulary()
    {
        using var policy = TinyGpt2.Create(seed: 1);
        var tokenizer = Load("llama2");
        var guide = new Writing([" is wonder", "ful, and funny"]);
        var writer = new RolloutWriter(new ModelWriter(policy), policy.Shape, tokenizer, guide, new SamplingSettings { MaxNewTokens = 60, EndTokens = [] }, seed: 2);
        Prompt[] prompts = [new("This film", tokenizer.Encode("This film", addSpecialTokens: true))];
        var plan = new RolloutPlan(Actor.Guide, Actor.Guide, 1, RollInLengths.Limit);

        var rollIns = writer.RollIn(ToyRun.Rows(prompts, plan), 0, CancellationToken.None);
        Assert.Equal(" is wonder", writer.TextOf(rollIns[0].Tokens, ended: false));
        var row = writer.RollOut(ToyRun.Rows(prompts, plan), rollIns, 0, CancellationToken.None)[0];

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

    [Fact]
    public void A_space_comes_between_a_prompt_and_a_response_of_its_own_where_somebody_reads_both_as_one_text()
    {
        var tokenizer = Load("t5");
        using var policy = TinyT5.Create(tokenizer.VocabularySize, start: 0, seed: 1);
        var guide = new Writing([" is wonder", "ful, and funny"]);
        var writer = new RolloutWriter(new ModelWriter(policy), policy.Shape, tokenizer, guide, new SamplingSettings { MaxNewTokens = 60, EndTokens = [] }, seed: 2);
        Prompt[] prompts = [new("This film", tokenizer.Encode("This film", addSpecialTokens: true))];
        var plan = new RolloutPlan(Actor.Guide, Actor.Guide, 1, RollInLengths.Limit);

        var rollIns = writer.RollIn(ToyRun.Rows(prompts, plan), 0, CancellationToken.None);
        var row = writer.RollOut(ToyRun.Rows(prompts, plan), rollIns, 0, CancellationToken.None)[0];

        Assert.Equal(["", " is wonder"], guide.Seen.Select(request => request.ResponseSoFar));
        Assert.Equal("is wonderful, and funny", row.Text);
        Assert.Equal("This film is wonderful, and funny", row.Response.Whole);
        Assert.Equal("This film?", ResponseText.Join("This film", "?", standsAlone: false));
        Assert.Equal("summarise:\nthis", ResponseText.Join("summarise:\n", "this", standsAlone: true));
        Assert.Equal("this", ResponseText.Join("", "this", standsAlone: true));
    }

    [Fact]
    public void What_an_encoder_decoder_writes_for_a_policy_that_goes_on_begins_with_a_space()
    {
        var (own, policys) = (Load("t5"), Load("llama2"));
        using var model = TinyT5.Create(own.VocabularySize, start: 0, seed: 1);
        var guide = new LocalModelGuide("t5", model, own, policys, new SamplingSettings { MaxNewTokens = 8, EndTokens = [] });
        GuideRequest Request(string prompt, string soFar) =>
            new() { Prompt = new Prompt(prompt, []), ResponseSoFar = soFar, ResponseTokens = [], MaxTokens = 8, Stream = 5 };

        var answers = guide.Continue([Request("This film", ""), Request("This film: ", ""), Request("This film", " is")], CancellationToken.None);

        Assert.All(answers, answer => Assert.NotEmpty(answer.Text.Trim()));
        Assert.StartsWith(" ", answers[0].Text, StringComparison.Ordinal);
        Assert.False(char.IsWhiteSpace(answers[1].Text[0]));
    }

    [Fact]
    public void A_model_that_is_asked_by_its_chat_template_reads_the_conversation_and_answers_with_a_text_of_its_own()
    {
        var tokenizer = Load("llama2");
        var template = ChatTemplate.Parse("template", "<s>[INST] {{ messages[0]['content'] }} [/INST]");
        string Ask(string prompt) => template.Render([new ChatMessage("user", $"Go on: {prompt}")], addGenerationPrompt: true);
        using var model = LanguageModelFolder.Create(new Gpt2Configuration { Vocabulary = tokenizer.VocabularySize, ContextLength = 128, Width = 16, Layers = 1, Heads = 2 }.ToModelConfiguration(), seed: 3);
        var sampling = new SamplingSettings { MaxNewTokens = 8, EndTokens = [], Greedy = true };
        var guide = new LocalModelGuide("chat", model, tokenizer, tokenizer, sampling, prompt => tokenizer.Encode(Ask(prompt.Text)));
        Assert.False(guide.UsesPolicyTokens);
        GuideRequest Request(string soFar) => new() { Prompt = new Prompt("This film", []), ResponseSoFar = soFar, ResponseTokens = [], MaxTokens = 8, Stream = 5 };

        var answers = guide.Continue([Request(""), Request(" was")], CancellationToken.None);

        // What the model writes after the conversation, and after the beginning of its answer.
        int[] conversation = tokenizer.Encode(Ask("This film"));
        Assert.Equal(tokenizer.BosId, conversation[0]);
        int[] begun = tokenizer.EncodeContinuation("was");
        var whole = TextGenerator.Generate(model, [new GenerationRequest(new TokenRow(conversation, []), 0), new GenerationRequest(new TokenRow(conversation, begun), 0, 8 - begun.Length)], sampling, seed: 0);
        Assert.Equal(ResponseText.Join("This film", tokenizer.Decode(whole[0].Tokens), standsAlone: true), "This film" + answers[0].Text);
        Assert.Equal(tokenizer.DecodeContinuation(whole[1].Tokens), answers[1].Text);
    }

    private static ITokenizer Load(string name) => TokenizerFolder.Load(Path.Combine(AppContext.BaseDirectory, "fixtures", "tokenizers", name));

    /// <summary>Writes texts, one to a call.</summary>
    private sealed class Writing(string[] texts) : ILocalGuide
    {
        public List<GuideRequest> Seen { get; } = [];
        public string Name => "writing";
        public bool CanRollOut => true;
        public bool UsesPolicyTokens => false;

        public IReadOnlyList<GuideContinuation?> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
        {
            var text = texts[Seen.Count];
            Seen.AddRange(requests);
            return [.. requests.Select(_ => new GuideContinuation(text, false))];
        }
    }
}
