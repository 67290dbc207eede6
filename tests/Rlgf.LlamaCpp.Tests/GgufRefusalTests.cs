using Rlgf.Base;

namespace Rlgf.LlamaCpp.Tests;

/// <summary>Files that can't be a guide: one line that says why.</summary>
public sealed class GgufRefusalTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlgf-gguf-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_file_that_is_none() => Says("no such file", Path.Combine(_folder, "absent.gguf"));

    [Fact]
    public void A_file_of_another_format() => Says("it is text", Write("other.gguf", [.. "This is a text, and no model at all."u8]));

    [Fact]
    public void A_file_that_was_cut_short()
    {
        var whole = File.ReadAllBytes(GgufFixture.PathOf("llama.f32"));
        Says("llama.cpp refuses it", Write("short.gguf", whole[..(whole.Length / 2)]));
        Says("short2.gguf", Write("short2.gguf", whole[..1000]));
    }

    [Fact]
    public void A_model_with_an_encoder()
    {
        var path = GgufFixture.PathOf("t5.f32");
        Assert.Contains("encoder", Assert.Throws<InputException>(() => LlamaCppModel.Load(path)).Message, StringComparison.Ordinal);
        Says("'t5'", path);
    }

    [Fact]
    public void An_architecture_that_is_unknown()
    {
        var bytes = File.ReadAllBytes(GgufFixture.PathOf("llama.f32"));
        var at = bytes.AsSpan().IndexOf("general.architecture"u8) + "general.architecture"u8.Length + 4 + 8;
        "lxxma"u8.CopyTo(bytes.AsSpan(at));
        Says("unknown model architecture: 'lxxma'", Write("unknown.gguf", bytes));
    }

    [Theory]
    [InlineData("llama.block_count", 0)]
    [InlineData("llama.block_count", 513)]
    [InlineData("llama.block_count", -1)]
    [InlineData("llama.attention.layer_norm_rms_epsilon", 0x7FC00000)] // Not a number.
    [InlineData("llama.attention.layer_norm_rms_epsilon", unchecked((int)0xBF800000))] // −1.
    [InlineData("llama.context_length", -1)]
    public void What_would_end_the_whole_process(string key, int bits)
    {
        var bytes = File.ReadAllBytes(GgufFixture.PathOf("llama.f32"));
        var name = System.Text.Encoding.ASCII.GetBytes(key);
        BitConverter.TryWriteBytes(bytes.AsSpan(bytes.AsSpan().IndexOf(name) + name.Length + sizeof(uint)), bits);
        Says(key, Write("damaged.gguf", bytes));
    }

    [Fact]
    public void A_token_that_is_none()
    {
        using var model = LlamaCppModel.Load(GgufFixture.PathOf("llama.f32"));
        Assert.Contains("token 100000", Assert.Throws<InputException>(() => model.StartDecoding([new([1, 100_000], [])], 1)).Message, StringComparison.Ordinal);
        Assert.Contains("no token", Assert.Throws<InputException>(() => model.StartDecoding([new([], [1])], 1)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.2)]
    [InlineData(0.9)]
    public void Numbers_that_are_not_finite(double at)
    {
        var bytes = File.ReadAllBytes(GgufFixture.PathOf("llama.f32"));
        string damaged;
        using (var file = Gguf.GgufFile.Open(GgufFixture.PathOf("llama.f32")))
        {
            // A matrix of the first layers, and one of the last.
            string[] names = [.. file.Tensors.Keys.Where(name => name.StartsWith("blk.", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
            damaged = names[(int)(at * names.Length)];
            var start = System.Runtime.InteropServices.MemoryMarshal.AsBytes(file.Read(damaged).AsSpan());
            BitConverter.TryWriteBytes(bytes.AsSpan(bytes.AsSpan().IndexOf(start)), float.NaN);
        }

        Says($"its tensor '{damaged}' has numbers that are not finite", Write("nan.gguf", bytes));
    }

    [Theory]
    [InlineData("t5", "SentencePiece's unigram model")]
    [InlineData("bert", "WordPiece")]
    [InlineData("rwkv", "RWKV's")]
    [InlineData("other", "'other'")]
    public void A_tokenizer_of_another_kind_is_named_with_what_to_do(string kind, string said)
    {
        var bytes = File.ReadAllBytes(GgufFixture.PathOf("llama.f32"));
        var name = "tokenizer.ggml.model"u8;
        var value = bytes.AsSpan().IndexOf(name) + name.Length + sizeof(uint);
        var after = value + sizeof(ulong) + BitConverter.ToInt32(bytes, value);
        // Where the tensors lie by then doesn't matter: the keys are looked at first.
        byte[] changed = [.. bytes[..value], .. BitConverter.GetBytes((ulong)kind.Length), .. System.Text.Encoding.ASCII.GetBytes(kind), .. bytes[after..]];
        var path = Write("kind.gguf", changed);
        Says(said, path);
        Says("llama.cpp's own server", path);
    }

    private static void Says(string what, string path)
    {
        var message = Assert.Throws<InputException>(() => GgufTextModel.Load(path).Dispose()).Message;
        Assert.Contains(what, message, StringComparison.Ordinal);
        Assert.Contains(path, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    private string Write(string name, byte[] bytes)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
