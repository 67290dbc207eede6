using System.Collections.Concurrent;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Rlgf.Tests.Sources;

/// <summary>Sources as the compiler understands them: every call, operator and conversion with what it means.</summary>
internal sealed class SourceReading
{
    // As ImplicitUsings has it.
    private const string GlobalUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    private static readonly Lazy<PortableExecutableReference[]> References = new(() =>
        [.. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path))]);

    private static readonly ConcurrentDictionary<string, SourceReading> Projects = new(StringComparer.Ordinal);

    private readonly CSharpCompilation _compilation;
    private List<IOperation>? _operations;

    private SourceReading(string assembly, IEnumerable<(string Path, string Text)> files)
    {
        var options = new CSharpParseOptions(LanguageVersion.Preview);
        var trees = files.Append(("usings.cs", GlobalUsings)).Select(file => CSharpSyntaxTree.ParseText(file.Item2, options, file.Item1));
        // The project under its own name, so that it sees what is internal to those that it uses, and without its own assembly.
        _compilation = CSharpCompilation.Create(
            assembly, trees, References.Value.Where(reference => Path.GetFileNameWithoutExtension(reference.FilePath) != assembly),
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true, nullableContextOptions: NullableContextOptions.Enable));
    }

    /// <summary>A project of this repository.</summary>
    public static SourceReading OfProject(string name) => Projects.GetOrAdd(name, ReadProject);

    private static SourceReading ReadProject(string name)
    {
        var folder = Path.Combine(Repository.Root, "src", name);
        var files = Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(path => !Path.GetRelativePath(folder, path).Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"))
            .Select(path => (Path.GetRelativePath(Repository.Root, path), File.ReadAllText(path))).ToArray();
        Assert.NotEmpty(files);
        return new SourceReading(name, files);
    }

    /// <summary>A method's body that is given.</summary>
    public static SourceReading OfBody(string body) => new("Snippet", [("snippet.cs", $$"""
        using TorchSharp;
        using static TorchSharp.torch;
        internal static class Snippet
        {
            public static object? Run(Tensor x, Tensor y, Device device)
            {
                {{body}}
            }
        }
        """)]);

    /// <summary>Everything that is done in methods, properties and initial values.</summary>
    public IReadOnlyList<IOperation> Operations() => _operations ??= [.. _compilation.SyntaxTrees.SelectMany(tree => Of(_compilation.GetSemanticModel(tree), tree.GetRoot()))];

    private static IEnumerable<IOperation> Of(SemanticModel model, SyntaxNode root)
    {
        var nodes = new Stack<SyntaxNode>([root]);
        while (nodes.TryPop(out var node))
        {
            // An outermost operation has all within its node as descendants.
            if (CanBeOutermost(node) && model.GetOperation(node) is { Parent: null } outermost)
            {
                foreach (var operation in outermost.DescendantsAndSelf())
                {
                    // A call that isn't understood would be passed over.
                    Assert.False(operation is IInvalidOperation, $"not understood: {Place(operation)}");
                    yield return operation;
                }

                continue;
            }

            foreach (var child in node.ChildNodes()) nodes.Push(child);
        }
    }

    private static bool CanBeOutermost(SyntaxNode node) =>
        node is BaseMethodDeclarationSyntax or AccessorDeclarationSyntax or BlockSyntax or ArrowExpressionClauseSyntax or EqualsValueClauseSyntax or PrimaryConstructorBaseTypeSyntax or ConstructorInitializerSyntax or ExpressionSyntax { Parent: not TypeSyntax };

    /// <summary>Where something is done, and its text.</summary>
    public static string Place(IOperation operation)
    {
        var span = operation.Syntax.GetLocation().GetLineSpan();
        return $"{span.Path.Replace('\\', '/')}:{span.StartLinePosition.Line + 1}: {operation.Syntax.ToString().ReplaceLineEndings(" ")}";
    }

    /// <summary>The type and the member that something is done in: <c>Learner.Update</c>.</summary>
    public static string Member(IOperation operation)
    {
        var type = operation.Syntax.FirstAncestorOrSelf<BaseTypeDeclarationSyntax>()?.Identifier.Text;
        var name = operation.Syntax.FirstAncestorOrSelf<MemberDeclarationSyntax>(node => node is not BaseTypeDeclarationSyntax) switch
        {
            MethodDeclarationSyntax method => method.Identifier.Text,
            PropertyDeclarationSyntax property => property.Identifier.Text,
            BaseFieldDeclarationSyntax field => field.Declaration.Variables[0].Identifier.Text,
            ConstructorDeclarationSyntax => "constructor",
            _ => "?",
        };
        return $"{type}.{name}";
    }
}
