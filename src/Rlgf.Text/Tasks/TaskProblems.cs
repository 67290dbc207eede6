using System.Text.Json.Serialization;
using Rlgf.Base;

namespace Rlgf.Text.Tasks;

/// <summary>A problem with a right answer. As a row it begins with these two, whatever else a kind of problem has.</summary>
/// <param name="Prompt">The problem.</param>
/// <param name="Answer">A right answer, character for character.</param>
public record TaskProblem([property: JsonPropertyOrder(-2)] string Prompt, [property: JsonPropertyOrder(-1)] string Answer);

internal static class TaskProblems
{
    /// <summary>Problems that are drawn until there are enough that differ in their prompts; the caller knows that there are so many.</summary>
    public static IEnumerable<TProblem> Distinct<TProblem>(int count, RandomStream random, Func<RandomStream, TProblem> draw)
        where TProblem : TaskProblem
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        while (seen.Count < count)
        {
            var problem = draw(random);
            if (seen.Add(problem.Prompt)) yield return problem;
        }
    }
}
