using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Conversion;
using Rlgf.Models.Inspection;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>A model in several files is one model: all of its parts are read, and those that are missing are named.</summary>
public sealed class GgufPartsTests : IDisposable
{
    private const int Parts = 3;

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public GgufPartsTests() => TorchRuntime.Load();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Any_part_stands_for_the_whole_model(int given)
    {
        Split();
        GgufConversion.Convert(Part(given), _folder.File("result"), ScalarType.Float32);
        Fixture.SameWeights(Fixture.PathOf("qwen2"), _folder.File("result"));

        var description = ModelInspector.Inspect(Part(given));
        Assert.True(description.Supported);
        Assert.Equal(Enumerable.Range(1, Parts).Select(number => Path.GetFileName(Part(number))), description.Files.Select(file => file.Name));
        Assert.Equal(ModelInspector.Inspect(Fixture.PathOf("qwen2")).Parameters, description.Parameters);
    }

    [Fact]
    public void Missing_parts_are_all_named()
    {
        Split();
        File.Delete(Part(2));
        File.Delete(Part(3));
        Assert.Contains("m-00001-of-00003.gguf: it is one of the 3 parts of a model; missing beside it: m-00002-of-00003.gguf, m-00003-of-00003.gguf", Refused(Part(1)), StringComparison.Ordinal);
        Assert.Contains("missing beside it", Assert.Throws<InputException>(() => ModelInspector.Inspect(Part(1))).Message, StringComparison.Ordinal);
        File.Move(Part(1), _folder.File("renamed.gguf"));
        Assert.Contains("renamed.gguf: it is one of the 3 parts of a model, and the others can't be found by its name", Refused(_folder.File("renamed.gguf")), StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_of_other_models_are_refused()
    {
        Split();
        File.Copy(Part(3), Part(2), overwrite: true);
        Assert.Contains("m-00002-of-00003.gguf: it says that it is part 3 of 3, and its name that it is part 2 of 3", Refused(Part(1)), StringComparison.Ordinal);
        Split(number => number == 2 ? 0 : number - 1);
        Assert.Contains("m-00002-of-00003.gguf: it says that it is part 1 of 3, and its name that it is part 2 of 3", Refused(Part(1)), StringComparison.Ordinal);
        Split(total: 5);
        Assert.Contains("split.tensors.count is 5, and the parts have", Refused(Part(1)), StringComparison.Ordinal);
    }

    private string Part(int number) => _folder.File($"m-0000{number}-of-0000{Parts}.gguf");

    private string Refused(string path)
    {
        var message = Assert.Throws<InputException>(() => GgufConversion.Convert(path, _folder.File("result"), ScalarType.Float32)).Message;
        Assert.False(Directory.Exists(_folder.File("result")));
        return message;
    }

    /// <summary>Writes the fixture in parts: the keys in the first, every third tensor in each.</summary>
    private void Split(Func<int, int>? numbered = null, int? total = null)
    {
        File.WriteAllBytes(_folder.File("whole.gguf"), GgufOfFolder.Write(Fixture.PathOf("qwen2"), new GgufWriter().Text("tokenizer.ggml.pre", "qwen2")).ToArray());
        using var whole = GgufTensors.Open(_folder.File("whole.gguf"));
        string[] names = [.. whole.Entries.Keys];
        for (var number = 1; number <= Parts; number++)
        {
            var writer = new GgufWriter().Whole("split.no", (uint)(numbered?.Invoke(number) ?? number - 1)).Whole("split.count", Parts).Add("split.tensors.count", 5, value => value.Write(total ?? names.Length));
            for (var i = 0; i < names.Length; i++)
            {
                if (i % Parts != number - 1) writer.Without(names[i]);
            }

            if (number == 1) writer.Text("tokenizer.ggml.pre", "qwen2");
            var part = number == 1 ? GgufOfFolder.Write(Fixture.PathOf("qwen2"), writer) : Tensors(writer, whole, names);
            File.WriteAllBytes(Part(number), part.ToArray());
        }
    }

    private static GgufWriter Tensors(GgufWriter writer, GgufTensors whole, string[] names)
    {
        foreach (var name in names) writer.Floats(name, [.. whole.Entries[name].Shape], whole.Read(name).data<float>().ToArray());
        return writer;
    }
}
