using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Rlgf.Tests.Sources;

/// <summary>
/// Every tensor is made on a device that is named, and every look at a tensor's numbers brings them to the host first. No test has a GPU, so that the sources are read for it.
/// </summary>
public sealed class TensorPlaceTests
{
    [Theory]
    [InlineData("Rlgf.Models")]
    [InlineData("Rlgf")]
    public void No_tensor_is_made_without_a_device(string project) => Report(project, MakesWithoutDevice, "Name the device: that of a tensor that it meets, or CPU");

    [Theory]
    [InlineData("Rlgf.Models")]
    [InlineData("Rlgf")]
    public void Numbers_are_read_on_the_host_only(string project) => Report(project, ReadsWhereverItIs, "Use HostArray");

    [Theory]
    [InlineData("return zeros([3]);", true)]
    [InlineData("return tensor(new[] { 1f });", true)]
    [InlineData("return tensor(1f, dtype: float32);", true)]
    [InlineData("return ones(3, 4, device: null);", true)]
    [InlineData("return rand(3);", true)]
    [InlineData("return arange(3);", true)]
    [InlineData("return empty(3, dtype: float32);", true)]
    [InlineData("return full([3], 1);", true)]
    [InlineData("return zeros([3], device: device);", false)]
    [InlineData("return tensor(new[] { 1f }, device: x.device);", false)]
    [InlineData("return tensor(new[] { 1f }, device: CPU);", false)]
    [InlineData("return zeros_like(x);", false)]
    [InlineData("return x.new_zeros([3]);", false)]
    public void A_device_that_is_left_out_is_found(string body, bool found) => Assert.Equal(found, SourceReading.OfBody(body).Operations().Any(MakesWithoutDevice));

    [Theory]
    [InlineData("return x.data<float>().ToArray();", true)]
    [InlineData("return x.contiguous().data<float>().ToArray();", true)]
    [InlineData("return x.bytes.ToArray();", true)]
    [InlineData("return x.cpu().data<float>().ToArray();", false)]
    [InlineData("return x.cpu().contiguous().bytes.ToArray();", false)]
    [InlineData("return x.sum().item<float>();", false)]
    public void A_look_at_numbers_wherever_they_are_is_found(string body, bool found) => Assert.Equal(found, SourceReading.OfBody(body).Operations().Any(ReadsWhereverItIs));

    /// <summary>What brings numbers to the host waits for all that an accelerator has begun. Each such member is listed with how often it runs.</summary>
    [Theory]
    [InlineData("Rlgf.Models")]
    [InlineData("Rlgf")]
    public void What_waits_for_an_accelerator_is_listed(string project)
    {
        string[] found = [.. SourceReading.OfProject(project).Operations().Where(Waits).Select(SourceReading.Member).Distinct().Order(StringComparer.Ordinal)];
        Assert.Equal(Waiting[project].Keys.Order(StringComparer.Ordinal), found);
    }

    // A new place belongs here only with how often it runs. A micro-batch of training may have none but lessons, whose weights are decided on the host.
    private static readonly Dictionary<string, Dictionary<string, string>> Waiting = new()
    {
        ["Rlgf.Models"] = new()
        {
            ["AdapterContents.MergeHead"] = "a load",
            ["BeamSearch.Continue"] = "a token",
            ["BeamSearch.Floats"] = "a token",
            ["BertScore.StatesOf"] = "a batch",
            ["BertScore.WeightedMean"] = "a batch",
            ["Candidates.Sets"] = "a token",
            ["Experts.Forward"] = "a layer of experts",
            ["FastFloat32Products.ProductError"] = "once",
            ["FusedAdamW.Step"] = "an optimiser step",
            ["GgufProof.Measure"] = "a token of an export's proof",
            ["GgufRows.Copy"] = "a part of an export's tensor",
            ["InverseTransform.HostArray"] = "a token",
            ["LogitsProcessing.KeepNucleus"] = "a token",
            ["LogitsProcessing.TopK"] = "a token",
            ["PackedProducts.Difference"] = "once",
            ["SafetensorsWriter.WriteData"] = "a checkpoint",
            ["TensorHost.HostArray"] = "where it is called",
            ["TokenChoice.ChooseMostLikely"] = "a token",
            ["TokenChoice.LogProbs"] = "a token",
            ["TokenChoice.Sample"] = "a token",
            ["TokenLogProb.MostLikely"] = "a token that is served with alternatives",
            ["TokenScoring.Score"] = "a text that is scored",
            ["WeightMatching.RequireEqualCopies"] = "a load",
        },
        ["Rlgf"] = new()
        {
            ["ClassifierReward.Score"] = "a batch",
            ["ClassifierTraining.Evaluate"] = "a batch",
            ["Critics.OfPrompts"] = "an iteration",
            ["DeferredNumbers.At"] = "where it is called",
            ["DeferredNumbers.Read"] = "where it is called",
            ["Evaluator.Sums"] = "a batch",
            ["GradientSum.Apply"] = "an optimiser step of several processes",
            ["GradientSum.RequireSameWeights"] = "a start of several processes",
            ["GroupAdvantages.Rewards"] = "an iteration",
            ["GuideWorthMeasure.SumsOf"] = "an iteration that measures the guide's worth",
            ["IterationResult.Rows"] = "an iteration",
            ["Learner.LastTrue"] = "never: of a mask on the host",
            ["Learner.MeanOf"] = "a step, with update.target_kl",
            ["Learner.Update"] = "an iteration",
            ["LessonReplay.ToHost"] = "a micro-batch of lessons",
            ["MaskedReduction.Denominator"] = "never in training: of a mask on the host",
            ["ModelPerplexity.Statistics"] = "a batch",
            ["OptimizerShares.BytesOf"] = "an optimiser step of shared states, and a checkpoint",
            ["OptimizerShares.TensorOf"] = "an optimiser step of shared states, and a checkpoint",
            ["PolicyLossSums.Statistics"] = "never in training",
            ["PreferenceTraining.LogProbs"] = "a batch, of an evaluation and of the reference",
            ["PreferenceTraining.Metrics"] = "never: of tensors on the host",
            ["ReadRows.Rows"] = "an iteration",
            ["RewardModelTraining.Metrics"] = "never: of tensors on the host",
            ["RewardModelTraining.Scores"] = "a batch of an evaluation",
            ["RunChecks.SameNumbers"] = "a check",
            ["SupervisedLoop.Learn"] = "an optimiser step",
            ["SupervisedTraining.MeanLoss"] = "a batch of an evaluation",
            ["Task.TakeMetrics"] = "an optimiser step",
            ["TokenLogProbs.Of"] = "never in training: of a mask on the host",
            ["TokenLogProbs.OfPolicy"] = "never in training: of a mask on the host",
            ["TokenLogProbs.OfResponses"] = "a batch, an iteration",
            ["Whitening.Apply"] = "an iteration",
        },
    };

    // Buffers that these fill or write out are made on the CPU there.
    private static readonly string[] FilesOfTensors = ["GgufTensors.cs", "StoredNumbers.cs", "SafetensorsWriter.cs"];

    private static void Report(string project, Func<IOperation, bool> which, string advice)
    {
        string[] places = [.. SourceReading.OfProject(project).Operations().Where(which).Select(SourceReading.Place).Where(place => !FilesOfTensors.Any(file => place.Contains($"/Checkpoints/{file}:", StringComparison.Ordinal))).Distinct()];
        Assert.True(places.Length == 0, $"{advice}:\n{string.Join('\n', places)}");
    }

    /// <summary>A function of TorchSharp's that takes a device and was given none. What is made like another tensor is where that is.</summary>
    private static bool MakesWithoutDevice(IOperation operation) =>
        operation is IInvocationOperation { TargetMethod: { IsStatic: true, ContainingAssembly.Name: "TorchSharp", ContainingType.Name: "torch" } method } call
        && !method.Name.EndsWith("_like", StringComparison.Ordinal)
        && call.Arguments.Any(argument => argument.Parameter is { Type.Name: "Device" } && argument.Value.ConstantValue is { HasValue: true, Value: null });

    private static bool ReadsWhereverItIs(IOperation operation) => operation switch
    {
        IInvocationOperation { TargetMethod: { Name: "data", ContainingType.Name: "Tensor" }, Instance: { } tensor } => !IsOnHost(tensor),
        IPropertyReferenceOperation { Property: { Name: "bytes", ContainingType.Name: "Tensor" }, Instance: { } tensor } => !IsOnHost(tensor),
        _ => false,
    };

    /// <summary>A call that gives numbers, or whose result has a shape that depends on numbers.</summary>
    private static bool Waits(IOperation operation) => operation is IInvocationOperation { TargetMethod: { Name: var name, ContainingType.Name: var type } }
        && ((type == "Tensor" && name is "item" or "cpu" or "nonzero" or "masked_select") || (type == "TensorHost" && name == "HostArray") || (type == "DeferredNumbers" && name is "Read" or "At"));

    private static bool IsOnHost(IOperation tensor) => tensor is IInvocationOperation { TargetMethod.Name: var name, Instance: var of } && (name == "cpu" || (name == "contiguous" && of is not null && IsOnHost(of)));
}
