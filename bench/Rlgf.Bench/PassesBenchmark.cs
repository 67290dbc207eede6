using System.Globalization;
using System.Text.Json.Nodes;
using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>
/// How many tokens the layers read in an iteration, padding included, beside how many the mathematics needs: each distinct beginning of a row once for what is written, once by the reference up to the policy's last token, and in each step
/// of the update three times (forward, and backward to weights and to inputs). Counted on a small model: it depends on rows and their lengths alone.
/// </summary>
internal static class PassesBenchmark
{
    private const int Vocabulary = 512, PromptTokens = 60, ResponseTokens = 48, Rows = 64, Minibatch = 32, Epochs = 2;

    /// <summary>Counts for each algorithm.</summary>
    public static void Run(IReadOnlyList<string> algorithms)
    {
        Console.WriteLine("thousands of tokens read by the layers, in one iteration: as it is, in one padded pass wherever rows are read (as it was), as few as will do");
        foreach (var algorithm in algorithms)
        {
            var counts = Count(algorithm);
            Console.WriteLine($"{algorithm}, {Rows} rows:");
            foreach (var count in counts.Append(new Passes("all", counts.Sum(one => one.Read), counts.Sum(one => one.Before), counts.Sum(one => one.Needed))))
            {
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"  {count.Name,-10} {count.Read / 1e3,8:F1} {count.Before / 1e3,8:F1} {count.Needed / 1e3,8:F1}   needed / as it is {Share(count.Needed, count.Read)}, needed / as it was {Share(count.Needed, count.Before)}"));
            }
        }
    }

    private static string Share(long needed, long read) => read == 0 ? "–" : string.Create(CultureInfo.InvariantCulture, $"{(double)needed / read:F2}");

    private static Passes[] Count(string algorithm)
    {
        var workload = new Workload("passes", Layers: 2, Width: 32, Heads: 2, Vocabulary, Rows, PromptTokens, ResponseTokens, Minibatch);
        using var policy = new Counted(workload.NewModel(seed: 1));
        using var reference = new Counted(workload.NewModel(seed: 1));
        var tokenizer = new NumberTokenizer(Vocabulary);
        var random = new Random(1);
        Prompt[] prompts = [.. Enumerable.Range(0, Rows)
            .Select(_ => Enumerable.Range(0, random.Next(PromptTokens / 4, PromptTokens + 1)).Select(_ => random.Next(Vocabulary)).ToArray())
            .Select(tokens => new Prompt(tokenizer.Decode(tokens), tokens))];
        var preset = Presets.Named(algorithm, switchIteration: 2)!;
        // One token in sixty-four ends a response, so that about half of them do before the limit.
        var sampling = new SamplingSettings { MaxNewTokens = ResponseTokens, EndTokens = [.. Enumerable.Range(0, 8)] };
        List<TokenRow> written = [];
        var setup = new TrainingSetup
        {
            Policy = policy,
            Reference = reference,
            Tokenizer = tokenizer,
            Guide = new FunctionGuide("digits", request => new GuideContinuation(string.Concat(Enumerable.Range(0, Math.Max(0, random.Next(8, ResponseTokens) - request.ResponseTokens.Length)).Select(_ => tokenizer.TokenOf(random.Next(8, Vocabulary)))), true)),
            Reward = new FunctionReward("tokens", response =>
            {
                written.Add(new(response.Prompt.Tokens, [.. response.Tokens]));
                return random.NextDouble();
            }),
            Prompts = prompts,
            Sampling = sampling,
            Algorithm = preset with { GroupSize = preset.ComparesGroups ? 8 : preset.GroupSize },
            Update = new UpdateSettings { Epochs = Epochs, RowsPerMinibatch = Minibatch },
            Iterations = 2,
            RowsPerIteration = Rows,
            Seed = 1,
        };
        using var critics = Critics.For(setup);
        using var learner = new Learner(setup, critics);
        using var iteration = new GuidedIteration(setup, critics, learner);
        var result = iteration.Run(new TrainingState(0, setup.Kl.NewController(), GuidanceGap.Unmeasured), CancellationToken.None);
        // Behind the iteration's own rows there may be answers of the guide that are only scored.
        var all = Padded([.. written.Take(Rows)]);
        return
        [
            new("writing", policy.Written, policy.Written, policy.NeededToWrite),
            // What the heads of critics read was computed while the rows were written.
            new("values", policy.Scored, policy.Scored == 0 ? 0 : all, 0),
            new("reference", reference.Scored, all, reference.Needed),
            new("update", 3 * policy.Trained, 3 * policy.TrainedBefore, 3 * policy.NeededToTrain),
        ];
    }

    private static long Padded(IReadOnlyCollection<TokenRow> rows) => rows.Count * (long)((rows.Max(row => row.Prompt.Length + Math.Max(0, row.Response.Length - 1)) + 7) / 8 * 8);

    /// <summary>The number of distinct beginnings that something is predicted from, or that such a one goes through.</summary>
    private static long Beginnings(IEnumerable<TokenRow> rows) => rows
        .SelectMany(row => Enumerable.Range(1, row.Prompt.Length + Math.Max(0, row.Response.Length - 1)).Select(length => string.Join(' ', row.Prompt.Concat(row.Response).Take(length)))).Distinct(StringComparer.Ordinal).Count();

    private sealed record Passes(string Name, long Read, long Before, long Needed);

    /// <summary>A model that counts what its layers read.</summary>
    private sealed class Counted(ILanguageModel model) : ILanguageModel
    {
        public long Written { get; private set; }

        public long Scored { get; private set; }

        public long Trained { get; private set; }

        public long TrainedBefore { get; private set; }

        public long NeededToTrain { get; private set; }

        public long NeededToWrite { get; private set; }

        public long Needed { get; private set; }

        public LanguageModelShape Shape => model.Shape;

        public nn.Module Module => model.Module;

        public Device Device => model.Device;

        public JsonObject Configuration => model.Configuration;

        public Tensor ResponseStates(IReadOnlyList<TokenRow> rows)
        {
            Tensor? states = null;
            var tokens = ReadingBenchmark.TokensRead(model, () => states = model.ResponseStates(rows));
            if (is_grad_enabled())
            {
                Trained += tokens;
                TrainedBefore += Padded([.. rows]);
                NeededToTrain += Beginnings(rows);
            }
            else
            {
                Scored += tokens;
                Needed += Beginnings(rows);
            }

            return states!;
        }

        public Tensor Logits(Tensor states) => model.Logits(states);

        public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens)
        {
            IDecoder? decoder = null;
            Written += ReadingBenchmark.TokensRead(model, () => decoder = model.StartDecoding(rows, maxNewTokens));
            NeededToWrite += Beginnings(rows.Select(row => row with { Response = [.. row.Response, 0] }));
            return new Decoder(this, decoder!);
        }

        public void Initialise(ulong seed) => model.Initialise(seed);

        public ILanguageModel Clone() => model.Clone();

        public void Dispose() => model.Dispose();

        private sealed class Decoder(Counted owner, IDecoder decoder) : IDecoder
        {
            public int Rows => decoder.Rows;

            public Tensor NextLogits => decoder.NextLogits;

            public void Append(ReadOnlySpan<int> tokens)
            {
                owner.Written += tokens.Length;
                owner.NeededToWrite += tokens.Length;
                decoder.Append(tokens);
            }

            public void Select(ReadOnlySpan<int> rows) => decoder.Select(rows);

            public void Dispose() => decoder.Dispose();
        }
    }
}
