using Rlgf.Models.NumberTypes;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

public sealed class DeviceNameTests
{
    [Theory]
    [InlineData("cpu", 0, null)]
    [InlineData("auto", 0, null)]
    [InlineData("cuda", 1, null)]
    [InlineData("cuda:1", 2, null)]
    [InlineData("cuda", 0, "no CUDA device is found")]
    [InlineData("cuda:7", 0, "no CUDA device is found")]
    [InlineData("cuda:1", 1, "this machine has one CUDA device, cuda:0")]
    [InlineData("cuda:7", 2, "this machine has 2 CUDA devices, cuda:0 to cuda:1")]
    [InlineData("cuda:", 8, "use cpu, cuda, cuda:N")]
    [InlineData("cuda:1x", 8, "use cpu, cuda, cuda:N")]
    [InlineData("cuda: 1", 8, "use cpu, cuda, cuda:N")]
    [InlineData("CUDA", 8, "use cpu, cuda, cuda:N")]
    [InlineData("", 8, "use cpu, cuda, cuda:N")]
    public void A_name_is_right_or_wrong_by_the_number_of_GPUs(string name, int gpus, string? problem)
    {
        if (problem is null) Assert.Null(DeviceName.Problem(name, gpus));
        else Assert.Contains(problem, DeviceName.Problem(name, gpus), StringComparison.Ordinal);
    }

    [Fact]
    public void Here_auto_is_what_there_is()
    {
        Assert.Equal(cuda.is_available() ? "cuda:0" : "cpu", DeviceName.Resolved("auto"));
        Assert.Equal(CPU.ToString(), DeviceName.Of("cpu").ToString());
        Assert.Equal(cuda.is_available() ? Precision.Bfloat16 : Precision.Auto.Resolved(), Precision.Auto.ResolvedOn("auto"));
    }
}
