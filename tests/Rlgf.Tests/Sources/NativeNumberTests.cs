using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;
using Mono.Cecil;
using Mono.Cecil.Cil;
using Mono.Cecil.Rocks;

namespace Rlgf.Tests.Sources;

/// <summary>
/// A number that TorchSharp hands to native code as a <c>Scalar</c> may be freed by a collection while it is read, unless somebody keeps it alive. So each that our code makes is the value of a <c>using</c>
/// variable or of a static field that never changes, and methods and operators of TorchSharp's that make one themselves aren't called; <c>TensorNumbers</c> has others for them.
/// </summary>
public sealed class NativeNumberTests
{
    private static readonly Lazy<HashSet<string>> Unsafe = new(MethodsThatMakeNumbers);

    [Theory]
    [InlineData("Rlgf.Models")]
    [InlineData("Rlgf")]
    public void Numbers_that_reach_native_code_are_kept_alive(string project)
    {
        string[] places = [.. Found(SourceReading.OfProject(project)).Distinct()];
        Assert.True(places.Length == 0, $"Use what TensorNumbers has instead:\n{string.Join('\n', places)}");
    }

    [Theory]
    [InlineData("return x * 2.0;", true)]
    [InlineData("return x * 2;", true)]
    [InlineData("return 1 - x;", true)]
    [InlineData("return x + y;", true)]
    [InlineData("x += y; return x;", true)]
    [InlineData("return x.add_(y);", true)]
    [InlineData("return x.clamp_min(1e-4);", true)]
    [InlineData("return x > 0;", true)]
    [InlineData("return arange(3, device: device);", true)]
    [InlineData("Scalar one = 1; return x.mul(one);", true)]
    [InlineData("var one = 1.ToScalar(); return x.mul(one);", true)]
    [InlineData("using var one = 1.ToScalar(); return x.add(one);", true)]
    [InlineData("using var one = 1.ToScalar(); return x.mul(one);", false)]
    [InlineData("using Scalar one = 1, two = 2.ToScalar(); return x.add(one, two);", false)]
    [InlineData("return x.mul(1f.ToScalar());", true)]
    [InlineData("Func<Tensor, Tensor> add = x.add; return add(y);", true)]
    [InlineData("return jit.compile(\"\").invoke(\"f\", x, 2.0);", true)]
    [InlineData("return jit.compile(\"\").invoke(\"f\", x, new[] { y });", false)]
    [InlineData("return x * y;", false)]
    [InlineData("return x - y;", false)]
    [InlineData("return x.matmul(y).sum(0).softmax(-1);", false)]
    [InlineData("return zeros([3], device: device);", false)]
    public void A_number_is_found_whether_the_source_makes_it_or_the_library(string body, bool found) => Assert.Equal(found, Found(SourceReading.OfBody(body)).Any());

    private static IEnumerable<string> Found(SourceReading sources) => sources.Operations().Where(operation => CallsUnsafe(operation) || (Makes(operation) && !IsKept(operation))).Select(SourceReading.Place);

    private static bool Makes(IOperation operation) => operation switch
    {
        IConversionOperation conversion => IsScalar(conversion.Type) && !IsScalar(conversion.Operand.Type) && conversion.Operand.ConstantValue is not { HasValue: true, Value: null },
        IInvocationOperation call => IsScalar(call.Type),
        _ => false,
    };

    private static bool IsKept(IOperation made) => made.Parent switch
    {
        IFieldInitializerOperation field => field.InitializedFields.All(one => one is { IsStatic: true, IsReadOnly: true }),
        IVariableInitializerOperation { Parent: IVariableDeclaratorOperation { Parent: IVariableDeclarationOperation { Parent: IVariableDeclarationGroupOperation { Parent: IUsingDeclarationOperation } } } } => true,
        _ => false,
    };

    private static bool CallsUnsafe(IOperation operation) => operation switch
    {
        IInvocationOperation { TargetMethod: { Name: "invoke", ContainingType.Name: "CompilationUnit" } } script => !script.Arguments.Skip(1).SelectMany(Given).All(IsTensors),
        IInvocationOperation call => IsUnsafe(call.TargetMethod),
        IMethodReferenceOperation reference => IsUnsafe(reference.Method),
        IBinaryOperation binary => IsUnsafe(binary.OperatorMethod),
        IUnaryOperation unary => IsUnsafe(unary.OperatorMethod),
        ICompoundAssignmentOperation assignment => IsUnsafe(assignment.OperatorMethod),
        IPropertyReferenceOperation property => IsUnsafe(property.Property.GetMethod) || IsUnsafe(property.Property.SetMethod),
        IObjectCreationOperation creation => IsUnsafe(creation.Constructor),
        _ => false,
    };

    /// <summary>A compiled script makes numbers of the arguments that are no tensors.</summary>
    private static IEnumerable<IOperation> Given(IArgumentOperation argument) =>
        argument.Value is IArrayCreationOperation { Initializer: { } elements } && argument.ArgumentKind == ArgumentKind.ParamArray ? elements.ElementValues : [argument.Value];

    private static bool IsTensors(IOperation argument)
    {
        while (argument is IConversionOperation conversion) argument = conversion.Operand;
        return (argument.Type is IArrayTypeSymbol array ? array.ElementType : argument.Type) is { Name: "Tensor", ContainingType.Name: "torch" };
    }

    private static bool IsScalar(ITypeSymbol? type) => type is { Name: "Scalar", ContainingNamespace.Name: "TorchSharp" };

    private static bool IsUnsafe(IMethodSymbol? method) => method is { ContainingAssembly.Name: "TorchSharp" } && Unsafe.Value.Contains((method.ReducedFrom ?? method).OriginalDefinition.GetDocumentationCommentId() ?? "");

    /// <summary>TorchSharp's methods that make a number themselves, or call one that does: by their names in documentation. The two or three that keep theirs alive are among them; nothing here calls those.</summary>
    private static HashSet<string> MethodsThatMakeNumbers()
    {
        using var library = AssemblyDefinition.ReadAssembly(typeof(TorchSharp.torch).Assembly.Location);
        var methods = library.MainModule.GetTypes().Where(type => type.FullName is not ("TorchSharp.Scalar" or "TorchSharp.ScalarExtensionMethods")).SelectMany(type => type.Methods).Where(method => method.HasBody).ToArray();
        var callers = methods
            .SelectMany(method => method.Body.Instructions.Where(instruction => instruction.OpCode.FlowControl == FlowControl.Call || instruction.OpCode == OpCodes.Newobj || instruction.OpCode == OpCodes.Ldftn)
                .Select(instruction => (Caller: method, Callee: ((instruction.Operand as MethodReference)?.GetElementMethod() ?? instruction.Operand as MethodReference)?.Resolve()))
                .Where(call => call.Callee is not null))
            .ToLookup(call => call.Callee!, call => call.Caller);
        var found = methods.Where(MakesNumber).ToHashSet();
        Assert.True(found.Count > 50, $"Only {found.Count} methods were found that make numbers: the library changed, and this test with it must.");
        for (var queue = new Queue<MethodDefinition>(found); queue.TryDequeue(out var method);)
        {
            foreach (var caller in callers[method].Where(found.Add)) queue.Enqueue(caller);
        }

        return [.. found.Select(DocCommentId.GetDocCommentId)];

        static bool MakesNumber(MethodDefinition method) => method.Body.Instructions.Any(instruction => instruction.Operand is MethodReference { ReturnType.FullName: "TorchSharp.Scalar" });
    }
}
