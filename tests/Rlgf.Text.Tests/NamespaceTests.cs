using System.Text.RegularExpressions;

namespace Rlgf.Text.Tests;

/// <summary>Within a project, namespaces use each other in one direction only: read from the sources, by their <c>using</c>s and by the names of outer and inner namespaces that need none.</summary>
public sealed partial class NamespaceTests
{
    public static TheoryData<string> Projects => [.. Directory.GetDirectories(Path.Combine(Repository.Root, "src")).Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)];

    [Theory, MemberData(nameof(Projects))]
    public void No_namespaces_use_each_other_in_a_circle(string project)
    {
        var folder = Path.Combine(Repository.Root, "src", project);
        var files = Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(path => !Path.GetRelativePath(folder, path).Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"))
            .Select(path => new SourceFile(Path.GetRelativePath(folder, path), File.ReadAllText(path))).ToArray();
        Assert.NotEmpty(files);
        Assert.Equal("", Circle(files));
    }

    [Theory]
    [InlineData("using A.B;\nnamespace A.C;\nclass X;", "namespace A.B;\nclass Y;", "")]
    [InlineData("using A.B;\nnamespace A.C;\nclass X;", "using A.C;\nnamespace A.B;\nclass Y;", "A.C (x) → A.B (y) → A.C")]
    [InlineData("using static A.B.Y;\nnamespace A.C;\nclass X;", "using Z = A.C.X;\nnamespace A.B;\nclass Y;", "A.C (x) → A.B (y) → A.C")]
    [InlineData("using A.B;\nnamespace A;\nclass X;", "namespace A.B;\nclass Y { X? _x; }", "A.B (y) → A (x) → A.B")]
    [InlineData("namespace A;\nclass X { B.Y? _y; }", "namespace A.B;\nclass Y { X? _x; }", "A.B (y) → A (x) → A.B")]
    [InlineData("using A.B;\nnamespace A;\nclass X;", "namespace A.B;\nclass Y { /* X */ string _x = \"X\"; } // X", "")]
    public void A_circle_is_found_by_usings_and_by_names_that_need_none(string first, string second, string circle) =>
        Assert.Equal(circle, Circle([new SourceFile("x", first), new SourceFile("y", second)]));

    /// <summary>The first circle that is found, with a file for each step; empty where there is none.</summary>
    private static string Circle(IReadOnlyList<SourceFile> files)
    {
        var types = files.ToLookup(file => file.Namespace, file => file.Types);
        var steps = files.SelectMany(file => Used(file, types).Where(used => used != file.Namespace).Select(used => (From: file.Namespace, To: used, file.Name)))
            .GroupBy(step => step.From).ToDictionary(group => group.Key, group => group.DistinctBy(step => step.To).OrderBy(step => step.To, StringComparer.Ordinal).ToArray());
        HashSet<string> done = [];
        foreach (var start in types.Select(group => group.Key).OrderDescending(StringComparer.Ordinal))
        {
            if (Follow(start, []) is { } circle) return circle;
        }

        return "";

        string? Follow(string at, List<(string From, string Name)> path)
        {
            if (path.FindIndex(step => step.From == at) is var first and >= 0) return $"{string.Join(" → ", path.Skip(first).Select(step => $"{step.From} ({step.Name})"))} → {at}";
            if (!done.Add(at)) return null;
            foreach (var step in steps.GetValueOrDefault(at, []))
            {
                // A namespace that is on the path is done too, and must be seen all the same.
                if (Follow(step.To, [.. path, (at, step.Name)]) is { } circle) return circle;
            }

            return null;
        }
    }

    /// <summary>The namespaces of the project that a file uses.</summary>
    private static IEnumerable<string> Used(SourceFile file, ILookup<string, IReadOnlyList<string>> types)
    {
        foreach (var known in types.Select(group => group.Key))
        {
            var names = types[known].SelectMany(list => list).ToHashSet(StringComparer.Ordinal);
            var isOuter = file.Namespace.StartsWith($"{known}.", StringComparison.Ordinal);
            if (file.Usings.Any(used => used == known || (used.StartsWith($"{known}.", StringComparison.Ordinal) && names.Contains(used[(known.Length + 1)..])))) yield return known;
            else if (isOuter && names.Overlaps(file.Words)) yield return known;
            else if (names.Any(name => file.Qualified.Contains($"{known[(known.LastIndexOf('.') + 1)..]}.{name}"))) yield return known;
        }
    }

    /// <summary>What is read of a file.</summary>
    private sealed partial class SourceFile
    {
        public SourceFile(string name, string text)
        {
            Name = Path.GetFileName(name);
            // Comments and texts name much that isn't used.
            var code = CommentOrText().Replace(text, " ");
            Namespace = NamespaceLine().Match(code).Groups[1].Value;
            Usings = [.. UsingLine().Matches(code).Select(match => match.Groups[1].Value)];
            Types = [.. Declaration().Matches(code).Select(match => match.Groups[1].Value)];
            Words = [.. Word().Matches(code).Select(match => match.Value)];
            Qualified = [.. QualifiedName().Matches(code).Select(match => match.Value)];
        }

        public string Name { get; }

        public string Namespace { get; }

        public IReadOnlyList<string> Usings { get; }

        public IReadOnlyList<string> Types { get; }

        public HashSet<string> Words { get; }

        public HashSet<string> Qualified { get; }

        [GeneratedRegex(@"//[^\n]*|/\*.*?\*/|""""""(?s:.*?)""""""|@""(?:[^""]|"""")*""|""(?:[^""\\\n]|\\.)*""", RegexOptions.Singleline)]
        private static partial Regex CommentOrText();

        [GeneratedRegex(@"^namespace ([\w.]+)", RegexOptions.Multiline)]
        private static partial Regex NamespaceLine();

        [GeneratedRegex(@"^(?:global )?using (?:static )?(?:\w+ = )?([\w.]+)(?:<[^;]*>)?;", RegexOptions.Multiline)]
        private static partial Regex UsingLine();

        [GeneratedRegex(@"^(?:(?:public|internal|file|static|sealed|readonly|abstract|partial|ref|unsafe) )*(?:class|record struct|record class|record|struct|interface|enum|delegate [\w<>?]+) (\w+)", RegexOptions.Multiline)]
        private static partial Regex Declaration();

        [GeneratedRegex(@"(?<![\w.])[A-Z]\w*")]
        private static partial Regex Word();

        [GeneratedRegex(@"(?<![\w.])[A-Z]\w*\.[A-Z]\w*")]
        private static partial Regex QualifiedName();
    }
}
