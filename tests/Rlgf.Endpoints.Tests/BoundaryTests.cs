using Rlgf.Endpoints.Asking;
using Rlgf.Endpoints.Budgets;
using Rlgf.Endpoints.Protocol;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Remote;
using Rlgf.Rollouts;
using Rlgf.Tokenizers;

namespace Rlgf.Endpoints.Tests;

/// <summary>
/// The seam between the policy's tokens and an endpoint's text, over the wire: kept tokens stay, the endpoint sees whole characters, and the row's text is what it saw and what it wrote.
/// </summary>
public sealed class BoundaryTests
{
    private const int Rows = 60;

    private static readonly string[] Pieces =
    [
        " the", "The", " end", "ing", "  ", " ", "\n", "\t", "\r\n", ".", ", ", "🙂", "👩‍👩‍👧", "🇩🇪", "e\u0301", "a\u0323\u0302", "中文", "日本語", "한", "नि", "def f(x):\n    return x", "{\"k\": [1]}", "<b>", "\\n", "\u0001",
        "\u0007", "\u00a0", "\u200b", "\ufeff", "é", "ß", "12", "3.14", "'s", "\"", "data: [DONE]", "<|endoftext|>",
    ];

    /// <summary>Texts of these are not changed by tokenizers that know no bytes: one space between words, small letters that they know, and ends of words, with which a seam divides one.</summary>
    private static readonly string[] PlainPieces = [" the", " film", " is", " good", " end", "ing", "ly", "ful", "er", " and", " wonderful", " actors", " it", " play", "s", " interesting"];

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama2")]
    [InlineData("llama2_metaspace")]
    [InlineData("llama3")]
    [InlineData("qwen2")]
    [InlineData("gpt_neox")]
    public void The_rows_text_is_what_the_guide_saw_and_what_it_wrote(string name) =>
        // Somewhere the cut lay inside a character.
        Assert.InRange(MovedBack(name, Pieces), 1, Rows);

    /// <summary>Unigram and WordPiece: no token is a part of a character.</summary>
    [Theory]
    [InlineData("t5")]
    [InlineData("bert_cased")]
    [InlineData("bert_uncased")]
    public void The_same_holds_of_tokenizers_without_bytes(string name) => Assert.Equal(0, MovedBack(name, PlainPieces));

    /// <summary>Lets a guide finish what a policy began, row by row, and checks the seams.</summary>
    /// <returns>How many cuts lay inside a character and were moved back to where it begins.</returns>
    private static int MovedBack(string name, string[] pieces)
    {
        var tokenizer = TokenizerFolder.Load(Path.Combine(AppContext.BaseDirectory, "fixtures", "tokenizers", name));
        using var server = new OpenAiServer { AnswerOf = text => RandomText(pieces, new Random(Hash(text)), 1 + (Hash(text) & 7)) };
        using var client = new CompletionClient(new EndpointSettings { Address = new Uri(server.Address + "/"), Retries = 0 }, _ => { }, (_, _) => { });
        using var guide = Guide(client);
        var random = new Random(1);
        Prompt[] prompts = [.. Enumerable.Range(0, Rows).Select(i => RandomText(pieces, random, 3) + i).Select(text => new Prompt(text, tokenizer.Encode(text, addSpecialTokens: false)))];
        var policy = new RandomPolicy(tokenizer, pieces);
        var shape = new LanguageModelShape(tokenizer.VocabularySize, 1, 100_000);
        var writer = new RolloutWriter(policy, shape, tokenizer, guide, new SamplingSettings { MaxNewTokens = 4000, EndTokens = [tokenizer.EosId ?? 0] }, seed: 1);
        var plan = new RolloutPlan(Actor.Policy, Actor.Guide, 1, RollInLengths.Inside);
        PlannedRow[] rows = [.. prompts.Select((prompt, row) => new PlannedRow(prompt, plan, row) { Number = row })];

        var rollIns = writer.RollIn(rows, 0, CancellationToken.None);
        var rollouts = writer.RollOut(rows, rollIns, 0, CancellationToken.None);

        var seen = server.Requests.Select(request => (string)request.Body["prompt"]!).ToHashSet(StringComparer.Ordinal);
        var moved = 0;
        for (var row = 0; row < Rows; row++)
        {
            var kept = rollIns[row].Tokens;
            Assert.Equal(kept, rollouts[row].Tokens[..kept.Length]);
            // The row's own r moves with the cut.
            Assert.Equal(kept.Length, rollouts[row].RollInLength);
            Assert.Equal(policy.Written[prompts[row].Tokens][..kept.Length], kept);
            Assert.True(tokenizer.EndsOnCharacter(kept));
            if (kept.Length < policy.Written[prompts[row].Tokens].Length - 1 && !tokenizer.EndsOnCharacter(policy.Written[prompts[row].Tokens].AsSpan(0, kept.Length + 1))) moved++;
            var given = prompts[row].Text + writer.TextOf(kept, ended: false);
            Assert.Contains(given, seen);
            Assert.Equal(Form(name, writer.TextOf(kept, ended: false) + server.AnswerOf(given)), Form(name, rollouts[row].Text));
            Assert.True(rollouts[row].Ended);
        }

        return moved;
    }

    /// <summary>Two of the tokenizers compose characters when they encode; of the pieces, these can be.</summary>
    private static string Form(string name, string text) => name is "qwen2" or "gpt_neox" ? text.Replace("e\u0301", "\u00e9", StringComparison.Ordinal).Replace("a\u0323\u0302", "\u1ead", StringComparison.Ordinal) : text;

    private static EndpointGuide Guide(CompletionClient client) => new("m", mayDecline: false, () =>
    {
        var ledger = new Ledger(new Limits(), null);
        return new EndpointGuideParts
        {
            Address = "",
            Form = new QuestionForm { Model = "m", Mode = EndpointMode.Completion, Decoding = new Decoding { MaxTokens = 4000 } },
            Answers = new PaidAnswers(("e", "m"), client.AskAsync, null, ledger, text => text.Length, 4),
            Ledger = ledger,
            Faults = new KindCounts(),
        };
    });

    private static int Hash(string text) => (int)(text.Aggregate(17u, (hash, character) => hash * 31 + character) >> 1);

    private static string RandomText(string[] pieces, Random random, int count) => string.Concat(Enumerable.Range(0, count).Select(_ => pieces[random.Next(pieces.Length)]));

    /// <summary>Writes random texts in its tokens.</summary>
    private sealed class RandomPolicy(ITokenizer tokenizer, string[] pieces) : ITextWriter
    {
        public string Name => "random";

        public ILanguageModel? LogProbsOf => null;

        /// <summary>What was written, by the prompt's tokens.</summary>
        public Dictionary<int[], int[]> Written { get; } = new(ReferenceEqualityComparer.Instance as IEqualityComparer<int[]>);

        public Task<IReadOnlyList<GeneratedRow>> WriteAsync(IReadOnlyList<GenerationRequest> rows, SamplingSettings settings, ulong seed, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<GeneratedRow>>([.. rows.Select(row =>
            {
                var tokens = Written[row.Row.Prompt] = tokenizer.EncodeContinuation(RandomText(pieces, new Random((int)(row.Stream & 0xFFFFFF)), 12), startsText: false);
                return new GeneratedRow(tokens, new float[tokens.Length], new float[tokens.Length], false) { Choices = [.. tokens.Select(_ => TokenSet.All)] };
            })]);

        public Task WeightsChangedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
