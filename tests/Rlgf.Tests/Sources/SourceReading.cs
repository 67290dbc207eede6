using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
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

    private readonly CSharpCompilation _compilation;

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
    public static SourceReading OfProject(string name)
    {
        var folder = Path.Combine(Root(), "src", name);
        var files = Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(path => !Path.GetRelativePath(folder, path).Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"))
            .Select(path => (Path.GetRelativePath(Root(), path), File.ReadAllText(path))).ToArray();
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
    public IEnumerable<IOperation> Operations()
    {
        foreach (var tree in _compilation.SyntaxTrees)
        {
            var model = _compilation.GetSemanticModel(tree);
            // Outermost operations with all within them: an inner node's operation is its outer one's descendant.
            foreach (var node in tree.GetRoot().DescendantNodes())
            {
                if (model.GetOperation(node) is { Parent: null } outermost)
                {
                    foreach (var operation in outermost.DescendantsAndSelf())
                    {
                        // A call that isn't understood would be passed over.
                        Assert.False(operation is IInvalidOperation, $"not understood: {Place(operation)}");
                        yield return operation;
                    }
                }
            }
        }
    }

    /// <summary>Where something is done, and its text.</summary>
    public static string Place(IOperation operation)
    {
        var span = operation.Syntax.GetLocation().GetLineSpan();
        return $"{span.Path.Replace('\\', '/')}:{span.StartLinePosition.Line + 1}: {operation.Syntax.ToString().ReplaceLineEndings(" ")}";
    }

    private static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Rlgf.slnx"))) return folder.FullName;
        }

        throw new InvalidOperationException("The tests lie outside the repository.");
    }
}
