using Rlgf.Evaluation;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Tests.Toys;

namespace Rlgf.Tests.Evaluation;

/// <summary>Every number of an evaluation, from tables of probabilities that are small enough to enumerate.</summary>
public sealed class EvaluatorTests : IDisposable
{
    private const int Vocabulary = 3, Horizon = 3, End = 2;

    private readonly TabularModel _policy = new(Vocabulary, Horizon, End);
    private readonly TabularModel _start = new(Vocabulary, Horizon, End);

    public EvaluatorTests()
    {
        _policy.Initialise(5);
        _start.Initialise(6);
    }

    public void Dispose()
    {
        _policy.Dispose();
        _start.Dispose();
    }

    [Fact]
    public void Each_row_and_each_mean_is_what_the_tables_say()
    {
        var record = Evaluate(new SamplingSettings { MaxNewTokens = Horizon, EndTokens = [End] }, prompts: 60);
        Assert.Equal(60, record.Rows.Count);
        Assert.Contains(record.Rows, row => row.Ended);
        Assert.Contains(record.Rows, row => !row.Ended);
        Assert.All(record.Rows, row =>
        {
            var tokens = TokensOf(row);
            Assert.Equal(tokens.Length, row.Tokens);
            Assert.Equal(row.Response.Count(c => c == '1') - 0.25 * tokens.Length, row.Reward, 1e-12);
            Assert.Equal(row.Response.Length, row.Judge, 1e-12);
            var (own, start) = (LogProb(_policy, tokens), LogProb(_start, tokens));
            Assert.Equal(own - start, row.Kl, 1e-5);
            Assert.Equal(own - start, row.RawKl, 1e-5);
            Assert.Equal(start, row.StartLogProb, 1e-5);
        });
        var all = record.Rows.Select(TokensOf).ToArray();
        var means = record.Metrics;
        Assert.Equal(all.Average(tokens => LogProb(_policy, tokens) - LogProb(_start, tokens)), means["kl/start"], 1e-5);
        Assert.Equal(means["kl/start"], means["kl/raw"]);
        Assert.Equal(Math.Exp(-all.Sum(tokens => LogProb(_start, tokens)) / all.Sum(tokens => tokens.Length)), means["perplexity/start"], 1e-4);
        Assert.Equal(all.Average(tokens => tokens.Length), means["response/length"], 1e-12);
        Assert.Equal(all.Count(tokens => tokens[^1] == End) / 60.0, means["response/ended"], 1e-12);
        Assert.Equal(record.Rows.Average(row => row.Reward), means["reward/mean"], 1e-12);
        Assert.Equal(record.Rows.Average(row => row.Judge), means["judge/mean"], 1e-12);
    }

    [Fact]
    public void Over_many_prompts_means_are_those_of_all_responses_by_their_probabilities()
    {
        var record = Evaluate(new SamplingSettings { MaxNewTokens = Horizon, EndTokens = [End] }, prompts: 4000);
        var responses = Responses([]).Select(tokens => (Tokens: tokens, Probability: Math.Exp(LogProb(_policy, tokens)))).ToArray();
        Assert.Equal(1, responses.Sum(response => response.Probability), 1e-6);
        Near(tokens => LogProb(_policy, tokens) - LogProb(_start, tokens), "kl/start");
        Near(tokens => tokens.Length, "response/length");
        Near(tokens => tokens[^1] == End ? 1 : 0, "response/ended");
        Near(tokens => tokens.Count(token => token == 1) - 0.25 * tokens.Length, "reward/mean");

        void Near(Func<int[], double> of, string metric)
        {
            var mean = responses.Sum(response => response.Probability * of(response.Tokens));
            var error = Math.Sqrt(responses.Sum(response => response.Probability * Math.Pow(of(response.Tokens) - mean, 2)) / record.Rows.Count);
            Assert.InRange(record.Metrics[metric], mean - 4 * error, mean + 4 * error);
        }
    }

    [Fact]
    public void Of_other_sampling_the_KL_is_that_of_the_distributions_that_are_sampled_and_the_raw_one_stays_apart()
    {
        const double temperature = 0.5;
        var record = Evaluate(new SamplingSettings { MaxNewTokens = Horizon, EndTokens = [End], Temperature = temperature, TopK = 2 }, prompts: 50);
        Assert.All(record.Rows, row =>
        {
            var tokens = TokensOf(row);
            double kl = 0;
            for (var t = 0; t < tokens.Length; t++)
            {
                var (own, start) = (_policy.Probabilities(tokens.AsSpan(0, t)), _start.Probabilities(tokens.AsSpan(0, t)));
                // The two tokens that the policy kept, for both.
                var kept = Enumerable.Range(0, Vocabulary).OrderByDescending(token => own[token]).Take(2).ToArray();
                Assert.Contains(tokens[t], kept);
                double Share(double[] p) => Math.Pow(p[tokens[t]], 1 / temperature) / kept.Sum(token => Math.Pow(p[token], 1 / temperature));
                kl += Math.Log(Share(own) / Share(start));
            }

            Assert.Equal(kl, row.Kl, 1e-5);
            Assert.Equal(LogProb(_start, tokens), row.StartLogProb, 1e-5);
        });
        var exact = Responses([]).Sum(tokens => Math.Exp(LogProb(_policy, tokens)) * (LogProb(_policy, tokens) - LogProb(_start, tokens)));
        Assert.InRange(record.Metrics["kl/raw"], exact - 0.3, exact + 0.3);
        Assert.True(Math.Abs(record.Metrics["kl/raw"] - record.Metrics["kl/start"]) > 1e-3);
    }

    [Fact]
    public void What_is_not_drawn_has_no_KL_and_a_model_to_itself_none()
    {
        var greedy = Evaluate(new SamplingSettings { MaxNewTokens = Horizon, EndTokens = [End], Greedy = true }, prompts: 3);
        Assert.All(greedy.Rows, row => Assert.True(double.IsNaN(row.Kl)));
        Assert.Single(greedy.Rows.Select(row => row.Response).Distinct());
        var itself = Evaluator(new SamplingSettings { MaxNewTokens = Horizon, EndTokens = [End] }, 20).Evaluate(0, _start, CancellationToken.None);
        Assert.All(itself.Rows, row => Assert.Equal(0, row.Kl, 1e-6));
    }

    [Fact]
    public void Several_answers_are_drawn_apart_and_each_has_the_distribution_of_one()
    {
        var evaluator = Evaluator(new SamplingSettings { MaxNewTokens = Horizon, EndTokens = [End] }, prompts: 40);
        List<int> told = [];
        var scores = evaluator.Sample(_policy, 100, told.Add, CancellationToken.None);
        Assert.Equal(Enumerable.Range(1, 100).Select(sample => 40 * sample), told);
        var once = evaluator.Evaluate(3, _policy, CancellationToken.None);
        Assert.Equal(once.Rows.Select(row => row.Reward), scores.Rewards.Select(answers => answers[0]));
        Assert.Equal(once.Rows.Select(row => row.Judge), scores.JudgeScores!.Select(answers => answers[0]));
        Assert.Equal(scores.Rewards.SelectMany(answers => answers), evaluator.Sample(_policy, 100, null, CancellationToken.None).Rewards.SelectMany(answers => answers));

        // Mean, and the best of two, from the table: over all responses and over all pairs of them.
        var responses = Responses([]).Select(tokens => (Reward: tokens.Count(token => token == 1) - 0.25 * tokens.Length, Probability: Math.Exp(LogProb(_policy, tokens)))).ToArray();
        var mean = responses.Sum(one => one.Probability * one.Reward);
        var best = responses.Sum(one => responses.Sum(other => one.Probability * other.Probability * Math.Max(one.Reward, other.Reward)));
        var pass = 1 - Math.Pow(responses.Where(one => one.Reward < 1).Sum(one => one.Probability), 4);
        Near(mean, SampledScores.Mean(scores.Rewards));
        Near(best, scores.BestOfK(2));
        Near(pass, scores.PassAtK(4, success: 1));

        static void Near(double exact, Rlgf.Statistics.Interval found) => Assert.InRange(found.Mean, exact - 2.2 * found.HalfWidth, exact + 2.2 * found.HalfWidth);
    }

    private EvaluationRecord Evaluate(SamplingSettings sampling, int prompts) => Evaluator(sampling, prompts).Evaluate(3, _policy, CancellationToken.None);

    private Evaluator Evaluator(SamplingSettings sampling, int prompts) => new()
    {
        Prompts = [.. Enumerable.Repeat(new Prompt("", []), prompts)],
        Sampling = sampling,
        Reward = new FunctionReward("ones", response => response.Tokens.Count(token => token == 1) - 0.25 * response.Tokens.Length),
        Judge = new FunctionReward("letters", response => response.Text.Length),
        Reference = _start,
        Tokenizer = new DigitTokenizer(Vocabulary, End),
    };

    private static int[] TokensOf(EvaluationRow row) => [.. row.Response.Select(c => c - '0'), .. row.Ended ? [End] : Array.Empty<int>()];

    private static double LogProb(TabularModel model, int[] tokens) => Enumerable.Range(0, tokens.Length).Sum(t => Math.Log(model.Probabilities(tokens.AsSpan(0, t))[tokens[t]]));

    private static IEnumerable<int[]> Responses(int[] prefix)
    {
        if (prefix.Length == Horizon || prefix.Contains(End)) return [prefix];
        return Enumerable.Range(0, Vocabulary).SelectMany(token => Responses([.. prefix, token]));
    }
}
