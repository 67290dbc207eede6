using System.Globalization;
using Rlgf.Base;

namespace Rlgf.Text.Tasks;

/// <summary>What is asked about a table.</summary>
public enum TableQuestion
{
    /// <summary>One cell: <c>age of lub=</c>, <c>town of lub=</c> or <c>who in mira=</c>.</summary>
    Find,

    /// <summary>All names by age, the youngest first: <c>by age=</c>.</summary>
    Order,

    /// <summary>All ages added up: <c>sum of ages=</c>.</summary>
    Sum,
}

/// <summary>Questions about a table that stands in the prompt: <c>lub 34 mira;kos 21 dena;tev 52 pofa?by age=</c> is answered by <c>kos lub tev</c>. Names and towns are made up anew each time, so that nothing can be known by heart.</summary>
public static class TableTask
{
    private const string Consonants = "bdfgklmnprstv", Vowels = "aeiou";

    /// <summary>Problems, each another one, in an order that the seed decides.</summary>
    /// <param name="question">What is asked.</param>
    /// <param name="people">Rows of a table, 2 to 50.</param>
    /// <param name="count">How many.</param>
    /// <param name="seed">Which.</param>
    public static IEnumerable<TaskProblem> Problems(TableQuestion question, int people, int count, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(people, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(people, 50);
        // Two names of three letters and two towns of four can be had in 6 · 10^12 ways: there are more tables than can be asked for.
        return TaskProblems.Distinct(count, new RandomStream(seed, 0x7461626C65), random => Drawn(question, people, random)); // "table"
    }

    private static TaskProblem Drawn(TableQuestion question, int people, RandomStream random)
    {
        var names = Words(people, "cvc", random);
        var towns = Words(people, "cvcv", random);
        var ages = new List<int>();
        while (ages.Count < people)
        {
            // Each another one, so that there is one order.
            var age = 10 + random.NextInt32(90);
            if (!ages.Contains(age)) ages.Add(age);
        }

        var table = string.Join(';', Enumerable.Range(0, people).Select(i => string.Create(CultureInfo.InvariantCulture, $"{names[i]} {ages[i]} {towns[i]}")));
        var (asked, answer) = question switch
        {
            TableQuestion.Order => ("by age", string.Join(' ', names.Zip(ages).OrderBy(row => row.Second).Select(row => row.First))),
            TableQuestion.Sum => ("sum of ages", ages.Sum().ToString(CultureInfo.InvariantCulture)),
            _ => Cell(random.NextInt32(people), random.NextInt32(3)),
        };
        return new($"{table}?{asked}=", answer);

        (string Asked, string Answer) Cell(int row, int column) => column switch
        {
            0 => ($"age of {names[row]}", ages[row].ToString(CultureInfo.InvariantCulture)),
            1 => ($"town of {names[row]}", towns[row]),
            _ => ($"who in {towns[row]}", names[row]),
        };
    }

    private static List<string> Words(int count, string form, RandomStream random)
    {
        var words = new List<string>();
        while (words.Count < count)
        {
            var word = string.Concat(form.Select(kind => kind == 'c' ? Consonants[random.NextInt32(Consonants.Length)] : Vowels[random.NextInt32(Vowels.Length)]));
            if (!words.Contains(word)) words.Add(word);
        }
        return words;
    }
}
