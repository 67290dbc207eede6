using System.Numerics;
using System.Text;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Text.Data;
using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tasks;

/// <summary>
/// A problem of the Python package reasoning-gym (0.1.25), as a data row: <c>task</c>, <c>scorer</c> (<c>exact</c>, <c>number</c> or <c>program</c>), <c>answer</c> and, where the scorer needs more, <c>meta</c>.
/// It scores answers in two ways: right or not, and by the number that the package's <c>score_answer</c> gives.
/// </summary>
/// <remarks>Lengths and places are counted in code points, words are compared and trimmed as Python does. An expression is read by <see cref="ArithmeticExpression"/>; nothing that a model wrote is ever run.</remarks>
public sealed class ReasoningGymProblem
{
    /// <summary>The column that names the scorer.</summary>
    public const string ScorerColumn = "scorer";

    private const string TaskColumn = "task", AnswerColumn = "answer", MetaColumn = "meta";

    private readonly string _answer;
    private readonly Func<string, double> _package;
    private readonly Func<string, bool> _isRight;

    private ReasoningGymProblem(string answer, Func<string, double> package, Func<string, bool> isRight) => (_answer, _package, _isRight) = (answer, package, isRight);

    /// <summary>The package's answer; of a countdown one of many.</summary>
    public string Answer => _answer;

    /// <summary>Reads the problem of a row.</summary>
    /// <exception cref="InputException">A column is missing or holds something else; names the row and the column.</exception>
    public static ReasoningGymProblem Of(DataRow row)
    {
        var (task, answer) = (row.GetString(TaskColumn), row.GetString(AnswerColumn));
        if (answer.Length == 0) throw row.Invalid(AnswerColumn, "is empty: there is nothing to compare with");
        return row.GetString(ScorerColumn) switch
        {
            // The package gives a part of the point for an answer within other text, but not in this task.
            "exact" => new(answer, task == "ab" ? text => text == answer ? 1 : 0 : text => ShareOf(answer, text), text => PythonText.Trim(text) == answer),
            "number" => new(answer, text => Number(answer, text), text => Number(answer, PythonText.Trim(text)) == 1),
            "program" => task switch
            {
                "spell_backward" => new(answer, text => Backward(answer, text), text => PythonText.Lower(PythonText.Trim(text)) == PythonText.Lower(answer)),
                "number_sorting" => NumberSorting(row, answer),
                "word_sorting" => WordSorting(row, answer),
                "countdown" => Countdown(CountdownProblem.Of(row), answer),
                _ => throw row.Invalid(TaskColumn, $"'{task}' has no scorer 'program' of its own; it is one of spell_backward, number_sorting, word_sorting, countdown"),
            },
            var scorer => throw row.Invalid(ScorerColumn, $"'{scorer}' is no scorer; it is exact, number or program"),
        };
    }

    /// <summary>Whether an answer is right: white space around it doesn't count, and nothing else may stand there.</summary>
    public bool IsRight(string text) => _isRight(text);

    /// <summary>The package's number, 0 to 1, as its <c>score_answer</c> gives it.</summary>
    public double PackageScore(string text) => _package(text);

    /// <summary>1 for the answer itself; where it stands within other text, its share of the code points.</summary>
    private static double ShareOf(string answer, string text) =>
        text == answer ? 1 : text.Contains(answer, StringComparison.Ordinal) ? (double)CodePoints(answer).Length / CodePoints(text).Length : 0;

    private static double Number(string answer, string text)
    {
        var bare = text.Replace(",", "", StringComparison.Ordinal);
        return PythonNumber.AreEqualDecimals(bare, answer) ? 1 : ShareOf(answer, bare);
    }

    private static double Backward(string answer, string text)
    {
        var (right, given) = (CodePoints(PythonText.Lower(answer)), CodePoints(PythonText.Lower(text)));
        if (right.AsSpan().SequenceEqual(given)) return 1;
        var score = 0.0;
        // Added one by one as the package does: of 6 letters the sum stays below 1, of 9 it comes out above, and only a sum of exactly 1 costs what stands behind.
        for (var i = 0; i < Math.Min(right.Length, given.Length); i++) if (right[i] == given[i]) score += 1.0 / right.Length;
        return score == 1 ? score - 0.2 : score;
    }

    private static ReasoningGymProblem NumberSorting(DataRow row, string answer)
    {
        var right = Numbers(answer) ?? throw row.Invalid(AnswerColumn, "is no list of numbers");
        var isAscending = Direction(row);
        double Score(string text)
        {
            if (Numbers(text) is not { } given || given.Length != right.Length) return 0;
            for (var i = 0; i < given.Length; i++)
            {
                if (i > 0 && (isAscending ? given[i] < given[i - 1] : given[i] > given[i - 1]) || Math.Abs(given[i] - right[i]) > 1) return 0;
            }

            return 1;
        }

        return new(answer, Score, text => Score(PythonText.Trim(text)) == 1);
    }

    /// <summary>The finite numbers of a JSON list of numbers, or of texts that read as numbers, whose quotes may be single; null for any other text.</summary>
    private static double[]? Numbers(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text.Replace('\'', '"'));
            if (document.RootElement.ValueKind != JsonValueKind.Array) return null;
            double?[] numbers = [.. document.RootElement.EnumerateArray().Select(element => element.ValueKind switch
            {
                JsonValueKind.Number => PythonNumber.Float(element.GetRawText()),
                JsonValueKind.String => PythonNumber.Float(element.GetString()!),
                _ => null,
            })];
            return numbers.All(number => number is not null) ? [.. numbers.Select(number => number!.Value)] : null;
        }
        // The latter: an escape that is half of a character.
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static bool Direction(DataRow row) => Meta(row, "direction") switch
    {
        "ascending" => true,
        "descending" => false,
        _ => throw row.Invalid(MetaColumn, "'direction' is not 'ascending' or 'descending'"),
    };

    private static ReasoningGymProblem WordSorting(DataRow row, string answer)
    {
        string[] right = Meta(row, "sorted_words") is IReadOnlyList<object?> { Count: > 0 } list && list.All(word => word is string) ? [.. list.Cast<string>()] : throw row.Invalid(MetaColumn, "'sorted_words' is not a list of words");
        string[] Words(string text) => [.. text.Split(',').Select(PythonText.Trim)];
        double Score(string text)
        {
            if (text.Length == 0) return 0;
            var given = Words(text);
            if (given.SequenceEqual(right)) return 1;
            var share = (double)given.Zip(right).Count(pair => pair.First == pair.Second) / right.Length;
            return given.Order(StringComparer.Ordinal).SequenceEqual(right.Order(StringComparer.Ordinal)) ? Math.Max(share, 0.2) : share;
        }

        return new(answer, Score, text => Words(text).SequenceEqual(right));
    }

    private static ReasoningGymProblem Countdown(CountdownProblem problem, string answer)
    {
        double Score(string text)
        {
            if (ArithmeticExpression.TryParse(PythonText.Trim(text)) is not { } expression || expression.DividesByZero) return 0.01;
            return problem.IsSolvedBy(expression) ? 1 : 0.05;
        }

        return new(answer, Score, text => ArithmeticExpression.TryParse(PythonText.Trim(text)) is { IsPlain: true } expression && problem.IsSolvedBy(expression));
    }

    /// <summary>An entry of the column <c>meta</c>.</summary>
    internal static object? Meta(DataRow row, string name) =>
        row[MetaColumn] is IReadOnlyDictionary<string, object?> meta ? meta.GetValueOrDefault(name) : throw row.Invalid(MetaColumn, $"is no object, such as {{\"{name}\": …}}");

    private static Rune[] CodePoints(string text) => [.. text.EnumerateRunes()];
}

/// <summary>Numbers, and a target that an expression of all of them is to give.</summary>
/// <param name="Numbers">The numbers, each to be used as often as it stands here.</param>
/// <param name="Target">The target.</param>
public sealed record CountdownProblem(IReadOnlyList<long> Numbers, long Target)
{
    /// <summary>Reads the problem of a row, from <c>numbers</c> and <c>target</c> in its column <c>meta</c>.</summary>
    /// <exception cref="InputException">They aren't there; names the row.</exception>
    public static CountdownProblem Of(DataRow row) =>
        ReasoningGymProblem.Meta(row, "numbers") is IReadOnlyList<object?> { Count: > 0 } numbers && numbers.All(number => number is >= 0L) && ReasoningGymProblem.Meta(row, "target") is long target
            ? new([.. numbers.Cast<long>()], target)
            : throw row.Invalid("meta", "has no 'numbers' (whole, from 0 on) or no 'target' (a whole number)");

    /// <summary>
    /// Whether an expression uses exactly the given numbers and its value is the target, within 0.000001 + 0.00001 · target as the package has it, computed exactly.
    /// </summary>
    public bool IsSolvedBy(ArithmeticExpression expression)
    {
        if (expression.Value is not { } value || !expression.Numbers.Order().SequenceEqual(Numbers.Select(number => (BigInteger)number).Order())) return false;
        return (value - Target).Abs() * 1_000_000 <= 1 + 10 * ((Fraction)Target).Abs();
    }
}
