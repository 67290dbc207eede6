using System.Globalization;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests;

/// <summary>Golden values: json arrays as float64 tensors, and their comparison.</summary>
internal static class Golden
{
    private const double Relative = 1e-10, Absolute = 1e-12;

    public static JsonElement Load(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "fixtures", path)));
        return document.RootElement.Clone();
    }

    public static IEnumerable<JsonElement> Cases(string path) => Load(path).GetProperty("cases").EnumerateArray();

    /// <summary>A number or a nested array of numbers, as float64.</summary>
    public static Tensor Tensor(this JsonElement element)
    {
        var shape = new List<long>();
        for (var inner = element; inner.ValueKind == JsonValueKind.Array; inner = inner[0]) shape.Add(inner.GetArrayLength());
        var numbers = new List<double>();
        Collect(element, numbers);
        return tensor([.. numbers], ScalarType.Float64).reshape([.. shape]);
    }

    public static Tensor Tensor(this JsonElement element, string property) => element.GetProperty(property).Tensor();

    public static double Number(this JsonElement element, string property) => element.GetProperty(property).GetDouble();

    public static double[] Numbers(this JsonElement element) => element.Tensor().data<double>().ToArray();

    public static void AssertClose(JsonElement expected, Tensor? actual, string what) => AssertClose(expected.Tensor(), actual, what);

    public static void AssertClose(double expected, double actual, string what) => AssertClose(tensor(expected), tensor(actual), what);

    public static void AssertClose(Tensor expected, Tensor? actual, string what)
    {
        Assert.NotNull(actual);
        Assert.Equal(ScalarType.Float64, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        var wanted = expected.contiguous().data<double>().ToArray();
        var got = actual.detach().contiguous().data<double>().ToArray();
        for (var i = 0; i < wanted.Length; i++)
        {
            var isClose = wanted[i].Equals(got[i]) || Math.Abs(wanted[i] - got[i]) <= Absolute + Relative * Math.Abs(wanted[i]);
            Assert.True(isClose, string.Create(CultureInfo.InvariantCulture, $"{what}, element {i}: expected {wanted[i]:R}, got {got[i]:R}"));
        }
    }

    private static void Collect(JsonElement element, List<double> into)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Array:
                foreach (var inner in element.EnumerateArray()) Collect(inner, into);
                break;
            case JsonValueKind.String:
                into.Add(element.GetString() == "-Infinity" ? double.NegativeInfinity : throw new FormatException($"Unexpected text {element}."));
                break;
            case JsonValueKind.True or JsonValueKind.False:
                into.Add(element.GetBoolean() ? 1 : 0);
                break;
            default:
                into.Add(element.GetDouble());
                break;
        }
    }
}
