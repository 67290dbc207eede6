using System.Collections.Concurrent;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Text.Data;

namespace Rlgf.Rewards.Remote;

/// <summary>
/// A program of somebody's own as reward: it reads a row as a line of JSON and answers a line, a number or <c>{"score": 0.5, "parts": {…}}</c>, and so on until its input ends. A program that takes too long or
/// too much memory, or ends, costs the row that it was asked for: it is started again for the next.
/// </summary>
public sealed class ProgramReward : IReward, IDisposable
{
    private readonly LineProgramSettings _program;
    private readonly int _parallel;
    private readonly FailureRule _failures;
    private readonly ConcurrentBag<LineProgram> _waiting = [];

    /// <summary>Starts nothing yet.</summary>
    /// <param name="name">Name for logs and reports.</param>
    /// <param name="program">The program's name or path.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="timeout">The longest time for one row, the program's start included.</param>
    /// <param name="memoryMebibytes">The most memory for each running program.</param>
    /// <param name="parallel">How many run at once.</param>
    /// <param name="failures">What becomes of rows that it doesn't score.</param>
    public ProgramReward(string name, string program, IReadOnlyList<string> arguments, TimeSpan timeout, int memoryMebibytes, int parallel, FailureRule failures)
    {
        (Name, _parallel, _failures) = (name, parallel, failures);
        _program = new LineProgramSettings(program, arguments, timeout, (long)memoryMebibytes << 20);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<RewardScore>> ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken)
    {
        var scores = new RewardScore[responses.Count];
        await Parallel.ForAsync(0, responses.Count, new ParallelOptions { MaxDegreeOfParallelism = _parallel, CancellationToken = cancellationToken },
            async (row, stop) => scores[row] = await ScoreAsync(responses[row], stop).ConfigureAwait(false)).ConfigureAwait(false);
        return scores;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_waiting.TryTake(out var program)) program.Dispose();
    }

    private async Task<RewardScore> ScoreAsync(Response response, CancellationToken cancellationToken)
    {
        var question = RowJson.Of(response).ToJsonString(JsonLines.WriteOptions);
        while (true)
        {
            var isFresh = !_waiting.TryTake(out var program);
            program ??= new LineProgram(_program);
            var isGood = false;
            try
            {
                var score = _failures.Done(Read(await program.AskAsync(question, cancellationToken).ConfigureAwait(false)));
                isGood = true;
                return score;
            }
            catch (RowFailure failure)
            {
                // One that answers once and ends is none the worse for it: the next row is another's.
                if (isFresh || !program.HasEnded) return _failures.Of($"the reward '{Name}'", response.Prompt, failure.Message);
            }
            finally
            {
                if (isGood) _waiting.Add(program);
                else program.Dispose();
            }
        }
    }

    private RewardScore Read(string answer)
    {
        try
        {
            using var json = JsonDocument.Parse(answer);
            return RowJson.Score(json.RootElement, _failures.Parts ?? []);
        }
        catch (JsonException)
        {
            throw new RowFailure($"the program '{_program.Program}' answered {RowJson.Short(answer)}, which is neither a number nor {{\"score\": number}}");
        }
    }
}
