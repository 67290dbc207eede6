using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Rlgf.Models.Loading;
using Rlgf.Models.Tests.Checkpoints.Gguf;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>A damaged folder or file.</summary>
/// <param name="Name">What is wrong with it.</param>
/// <param name="Write">Writes it into an empty folder.</param>
internal sealed record MalformedCase(string Name, Action<string> Write)
{
    public bool IsGguf => Name.StartsWith("gguf", StringComparison.Ordinal);
}

/// <summary>Makes damaged checkpoints from sound ones. The seed decides everything, so that a case which fails can be made again.</summary>
internal sealed class MalformedCases(int seed)
{
    private static readonly string Sound = Fixture.PathOf("gpt2");

    private readonly Random _random = new(seed);

    public IEnumerable<MalformedCase> All() => [.. Safetensors(), .. Indices(), .. Pickles(), .. Configurations(), .. Gguf()];

    private IEnumerable<MalformedCase> Safetensors()
    {
        var file = File.ReadAllBytes(Path.Combine(Sound, "model.safetensors"));
        var headerLength = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        var data = file[(8 + headerLength)..];
        JsonObject Header() => JsonNode.Parse(file.AsSpan(8, headerLength))!.AsObject();
        string[] names = [.. Header().Select(pair => pair.Key).Where(name => name != "__metadata__")];

        for (var i = 0; i < 16; i++)
        {
            var length = _random.Next(i < 8 ? 9 + headerLength : file.Length);
            yield return Weights($"safetensors cut after {length} bytes", file[..length]);
        }

        for (var i = 0; i < 8; i++)
        {
            var said = (ulong)_random.NextInt64(long.MinValue, long.MaxValue) >> _random.Next(40);
            yield return Weights($"safetensors header said to be {said} bytes long", [.. BitConverter.GetBytes(said), .. file[8..]]);
        }

        (string What, Func<JsonObject, long, JsonNode?> Change)[] changes =
        [
            ("ends beyond the file", (entry, _) => Set(entry, "data_offsets", new JsonArray(Offset(entry, 0), data.Length + 1L + _random.NextInt64(1L << 50)))),
            ("begins beyond the file", (entry, _) => Set(entry, "data_offsets", new JsonArray(1L << 60, (1L << 60) + 4))),
            ("ends before it begins", (entry, _) => Set(entry, "data_offsets", new JsonArray(Offset(entry, 1), Offset(entry, 0)))),
            ("begins at less than 0", (entry, _) => Set(entry, "data_offsets", new JsonArray(-1 - _random.Next(1000), Offset(entry, 1)))),
            ("lies over another", (entry, length) => Set(entry, "data_offsets", Offset(entry, 0) == 0 ? new JsonArray(4L, 4 + length) : new JsonArray(Offset(entry, 0) - 4, Offset(entry, 1) - 4))),
            ("has three offsets", (entry, _) => Set(entry, "data_offsets", new JsonArray(0, 4, 8))),
            ("has a text as offset", (entry, _) => Set(entry, "data_offsets", new JsonArray("0", "4"))),
            ("is of an unknown type", (entry, _) => Set(entry, "dtype", Pick("F8_E4M3", "F12", "", "f32", "COMPLEX"))),
            ("is of another width", (entry, _) => Set(entry, "dtype", Pick("F64", "F16", "I64", "U8"))),
            ("has a number as type", (entry, _) => Set(entry, "dtype", 32)),
            ("has a huge shape", (entry, _) => Set(entry, "shape", new JsonArray(1L << 62, 1L << 62))),
            ("has a negative shape", (entry, _) => Set(entry, "shape", new JsonArray(-4, -8))),
            ("has another shape", (entry, _) => Set(entry, "shape", new JsonArray(1 + _random.Next(3), 7))),
            ("has a broken shape", (entry, _) => Set(entry, "shape", new JsonArray(1.5, 2))),
            ("has a nested shape", (entry, _) => Set(entry, "shape", new JsonArray(new JsonArray(4)))),
            ("has no shape", (entry, _) => entry.Remove("shape") ? entry : entry),
            ("has no type", (entry, _) => entry.Remove("dtype") ? entry : entry),
            ("is no object", (_, _) => JsonValue.Create(7)),
            ("is a list", (_, _) => new JsonArray(1, 2)),
        ];
        for (var i = 0; i < 2 * changes.Length; i++)
        {
            var (what, change) = changes[i % changes.Length];
            var name = names[_random.Next(names.Length)];
            var header = Header();
            var entry = header[name]!.AsObject();
            var changed = change(entry, Offset(entry, 1) - Offset(entry, 0));
            if (!ReferenceEquals(changed, entry)) header[name] = changed;
            yield return Weights($"safetensors: {name} {what}", WithHeader(header.ToJsonString(), data));
        }

        foreach (var depth in (int[])[65, 1000, 100_000, 3_000_000])
        {
            yield return Weights($"safetensors header {depth} lists deep", WithHeader($"{{\"x\":{new string('[', depth)}", data));
            yield return Weights($"safetensors header {depth} objects deep", WithHeader(string.Concat(Enumerable.Repeat("{\"a\":", depth)), data));
        }

        yield return Weights("safetensors with a hundred thousand tensors of nothing before data that no tensor has", WithHeader("{" + string.Join(',', Enumerable.Range(0, 100_000).Select(i => $"\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}")) + "}", data));
        yield return Weights("safetensors with a long list as shape", WithHeader($"{{\"x\":{{\"dtype\":\"F32\",\"data_offsets\":[0,4],\"shape\":[{string.Join(',', Enumerable.Repeat('1', 500_000))},{string.Join(',', Enumerable.Repeat('9', 50))}]}}}}", data));
        yield return Weights("safetensors with bytes that are no UTF-8", [.. BitConverter.GetBytes(6UL), .. "{\""u8, 0xFF, 0xFE, .. "\":"u8, .. data]);
        yield return Weights("safetensors of text", Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("no weights here\n", 1000))));
        yield return Weights("safetensors of zeros", new byte[100_000]);

        MalformedCase Weights(string what, byte[] content) => new(what, folder =>
        {
            File.Copy(Path.Combine(Sound, "config.json"), Path.Combine(folder, "config.json"));
            File.WriteAllBytes(Path.Combine(folder, "model.safetensors"), content);
        });
    }

    private static IEnumerable<MalformedCase> Indices()
    {
        foreach (var shard in (JsonNode?[])["../gpt2/model.safetensors", "/etc/passwd", "..", ".", "a/b.safetensors", "./model-00001-of-00004.safetensors", "", "\0", "C:\\x", "missing.safetensors", null, 7, new JsonArray(), new JsonObject(), true])
        {
            yield return Index($"index names {shard?.ToJsonString() ?? "null"}", map => map[map.First().Key] = shard?.DeepClone());
        }

        yield return Index("index has a tensor that is nowhere", map => map["nowhere"] = "model-00001-of-00004.safetensors");
        yield return Index("index has a tensor in another shard", map => map[map.First().Key] = map.First(pair => (string)pair.Value! != (string)map.First().Value!).Value!.DeepClone());
        yield return Index("index names the configuration as a shard", map => map["x"] = "config.json");
        foreach (var (what, text) in ((string, string)[])
        [
            ("is empty", ""), ("is cut", "{\"weight_map\": {\"a\""), ("is a list", "[]"), ("is null", "null"), ("has a list as map", "{\"weight_map\": []}"), ("has a text as map", "{\"weight_map\": \"x\"}"),
            ("has a key twice", "{\"weight_map\": {\"a\": \"b\", \"a\": \"b\"}}"), ("is deep", "{\"weight_map\":" + new string('[', 1_000_000)), ("is deep in objects", string.Concat(Enumerable.Repeat("{\"weight_map\":", 200_000))),
        ])
        {
            yield return Shards($"index {what}", text);
        }

        MalformedCase Index(string what, Action<JsonObject> change) => new(what, folder =>
        {
            var json = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixture.PathOf("gpt2_sharded"), "model.safetensors.index.json")))!;
            change(json["weight_map"]!.AsObject());
            Shards(what, json.ToJsonString()).Write(folder);
        });

        static MalformedCase Shards(string what, string index) => new(what, folder =>
        {
            foreach (var path in Directory.GetFiles(Fixture.PathOf("gpt2_sharded"), "*.safetensors").Where(path => Path.GetFileName(path).StartsWith("model", StringComparison.Ordinal))) File.Copy(path, Path.Combine(folder, Path.GetFileName(path)));
            File.Copy(Path.Combine(Sound, "config.json"), Path.Combine(folder, "config.json"));
            File.WriteAllText(Path.Combine(folder, "model.safetensors.index.json"), index);
        });
    }

    private IEnumerable<MalformedCase> Pickles()
    {
        var sound = File.ReadAllBytes(Path.Combine(Fixture.PathOf("gpt2_bin"), "pytorch_model.bin"));
        for (var i = 0; i < 10; i++)
        {
            var length = _random.Next(sound.Length);
            yield return Bin($"bin cut after {length} bytes", sound[..length]);
        }

        (string, string)[] functions = [("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "exec"), ("builtins", "__import__"), ("subprocess", "check_output"), ("runpy", "_run_code"), ("torch.hub", "load"), ("shutil", "rmtree"), ("collections", "defaultdict"), ("torch._utils", "_rebuild_tensor_v3"), ("a\rb", "c\u0007d")];
        foreach (var (module, name) in functions)
        {
            yield return Pickled($"bin calls {module}.{name}", new Pickle().Raw(0x80, 2).Global(module, name).Raw((byte)'(').Text("rm -rf /").Raw((byte)'t', (byte)'R', (byte)'.'));
        }

        for (var i = 0; i < 8; i++)
        {
            var operation = Pick<byte>((byte)'i', (byte)'o', 0x81, 0x92, 0x82, 0x83, 0x84, (byte)'P', (byte)'F', (byte)'U', (byte)'C', 0x8B, 0x8D, 0x96, 0xEE);
            yield return Pickled($"bin uses the operation 0x{operation:X2}", new Pickle().Raw(0x80, 2, (byte)'}', operation, 1, 0, 0, 0, (byte)'.'));
        }

        for (var i = 0; i < 10; i++)
        {
            var offset = _random.NextInt64(-4, long.MaxValue) >> _random.Next(60);
            var view = new ArchivedTensor("x", "FloatStorage", "0", 12, offset, [_random.NextInt64(7, 1L << _random.Next(3, 62)), 2], [_random.NextInt64(1, 1L << 40), 1]);
            yield return Bin($"bin has a view of {view.Shape[0]} × 2 from {offset}", PyTorchArchive.Of([view], new Dictionary<string, byte[]> { ["0"] = new byte[48] }));
        }

        yield return Bin("bin has a storage of another length", PyTorchArchive.Of([new ArchivedTensor("x", "FloatStorage", "0", 1L << 50, 0, [1], [1])], new Dictionary<string, byte[]> { ["0"] = new byte[4] }));
        yield return Bin("bin has no storage", PyTorchArchive.Of([new ArchivedTensor("x", "FloatStorage", "../../etc/passwd", 1, 0, [1], [1])], new Dictionary<string, byte[]>()));
        yield return Pickled("bin is 3 million marks", new Pickle().Raw([.. Enumerable.Repeat((byte)'(', 3_000_000)]));
        yield return Pickled("bin is 3 million lists", new Pickle().Raw([.. Enumerable.Repeat((byte)']', 3_000_000)]));
        yield return Pickled("bin nests tuples a million deep", new Pickle().Raw((byte)')').Raw([.. Enumerable.Repeat((byte)0x85, 1_000_000)]).Raw((byte)'.'));
        yield return Pickled("bin doubles a tuple again and again", new Pickle().Raw((byte)')').Raw([.. Enumerable.Repeat(new byte[] { (byte)'q', 0, (byte)'h', 0, 0x86 }, 300_000).SelectMany(part => part)]).Raw((byte)'.'));
        yield return Pickled("bin announces a text of 4 GB", new Pickle().Raw((byte)'X', 0xFF, 0xFF, 0xFF, 0xFF));
        yield return Pickled("bin puts a list into itself", new Pickle().Raw((byte)']', (byte)'q', 0, (byte)'h', 0, (byte)'a', (byte)'.'));
        yield return Bin("bin of text", Encoding.UTF8.GetBytes(new string('x', 10_000)));
        yield return Bin("bin of a bare pickle", [0x80, 2, 0x8A, 10, .. new byte[1000]]);

        MalformedCase Pickled(string what, Pickle pickle) => Bin(what, PyTorchArchive.Of(pickle.ToArray(), new Dictionary<string, byte[]>()));

        MalformedCase Bin(string what, byte[] content) => new(what, folder =>
        {
            File.Copy(Path.Combine(Sound, "config.json"), Path.Combine(folder, "config.json"));
            File.WriteAllBytes(Path.Combine(folder, "pytorch_model.bin"), content);
        });
    }

    private IEnumerable<MalformedCase> Configurations()
    {
        string[] keys = ["vocab_size", "n_positions", "n_embd", "n_layer", "n_head"];
        JsonNode?[] values = [0, -1, int.MaxValue, int.MinValue, 1L << 40, 1e300, 0.5, "12", true, new JsonArray(1), new JsonObject(), null];
        foreach (var value in values)
        {
            var key = keys[_random.Next(keys.Length)];
            yield return Config($"config: {key} is {value?.ToJsonString() ?? "null"}", json => json[key] = value?.DeepClone());
        }

        foreach (var key in keys)
        {
            var huge = _random.Next(100_000, int.MaxValue);
            yield return Config($"config: {key} is {huge}", json => json[key] = huge);
        }

        yield return Config("config: all sizes are huge", json =>
        {
            foreach (var key in keys) json[key] = 1 << 20;
        });
        yield return Config("config: a family that isn't known", json => json["model_type"] = "a\nb");
        yield return Config("config: an activation that isn't known", json => json["activation_function"] = new string('x', 100));
        foreach (var (what, text) in ((string, string)[])
        [
            ("empty", ""), ("a list", "[]"), ("cut", "{\"model_type\": \"gpt2\","), ("deep", new string('[', 1_000_000)), ("deep in objects", string.Concat(Enumerable.Repeat("{\"a\":", 300_000))), ("null", "null"),
            ("a key twice", "{\"model_type\": \"gpt2\", \"model_type\": \"gpt2\"}"), ("a number beyond all", "{\"model_type\": \"gpt2\", \"vocab_size\": 1" + new string('0', 100_000) + "}"),
        ])
        {
            yield return new MalformedCase($"config: {what}", folder =>
            {
                File.Copy(Path.Combine(Sound, "model.safetensors"), Path.Combine(folder, "model.safetensors"));
                File.WriteAllText(Path.Combine(folder, "config.json"), text);
            });
        }

        static MalformedCase Config(string what, Action<JsonObject> change) => new(what, folder =>
        {
            File.Copy(Path.Combine(Sound, "model.safetensors"), Path.Combine(folder, "model.safetensors"));
            var json = FolderConfiguration.Read(Sound).ToJson();
            change(json);
            File.WriteAllText(Path.Combine(folder, "config.json"), json.ToJsonString());
        });
    }

    private IEnumerable<MalformedCase> Gguf()
    {
        // A sound file, but for one key that is written before, or left out.
        byte[] With(string? key = null, Action<GgufWriter>? instead = null)
        {
            var writer = new GgufWriter();
            instead?.Invoke(writer);
            if (key is not null) writer.Without(key);
            return GgufOfFolder.Write(Fixture.PathOf("qwen2"), writer.Text("tokenizer.ggml.pre", "qwen2")).ToArray();
        }

        var file = With();
        for (var i = 0; i < 14; i++)
        {
            var length = _random.Next(file.Length - 64);
            yield return GgufFile($"gguf cut after {length} bytes", file[..length]);
        }

        foreach (var at in (int[])[0, 4, 8, 16])
        {
            for (var i = 0; i < 2; i++)
            {
                var changed = file.ToArray();
                _random.NextBytes(changed.AsSpan(at, at < 8 ? 4 : 8));
                yield return GgufFile($"gguf with other numbers at byte {at}, {i}", changed);
            }
        }

        string[] keys = ["block_count", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv", "context_length"];
        foreach (var key in keys)
        {
            yield return GgufFile($"gguf: {key} is huge", With($"qwen2.{key}", writer => writer.Whole($"qwen2.{key}", key == "context_length" ? uint.MaxValue : (uint)_random.Next(1 << 20, int.MaxValue))));
            yield return GgufFile($"gguf: {key} is 0", With($"qwen2.{key}", writer => writer.Whole($"qwen2.{key}", 0)));
        }

        yield return GgufFile("gguf: a size is a text", With("qwen2.block_count", writer => writer.Text("qwen2.block_count", "two")));
        yield return GgufFile("gguf: tokens are numbers", With("tokenizer.ggml.tokens", writer => writer.Wholes("tokenizer.ggml.tokens", [1, 2, 3])));
        yield return GgufFile("gguf: no tokens", With("tokenizer.ggml.tokens"));
        yield return GgufFile("gguf: types of other tokens", With("tokenizer.ggml.token_type", writer => writer.Wholes("tokenizer.ggml.token_type", [1, 2, 3])));
        foreach (var (type, what) in ((uint, string)[])[(13, "an unknown kind"), (uint.MaxValue, "no kind")])
            yield return GgufFile($"gguf: a value of {what}", new GgufWriter().Add("a", type, writer => writer.Write(0UL)).ToArray());
        foreach (var count in (ulong[])[ulong.MaxValue, 1UL << 62, 1UL << 33, 5_000_000])
        {
            yield return GgufFile($"gguf: a list said to have {count} texts", new GgufWriter().Add("a", 9, writer => { writer.Write(8u); writer.Write(count); writer.Write(new byte[1000]); }).ToArray());
            yield return GgufFile($"gguf: a list said to have {count} bytes", new GgufWriter().Add("a", 9, writer => { writer.Write(0u); writer.Write(count); writer.Write(new byte[1000]); }).ToArray());
        }

        yield return GgufFile("gguf: a list of lists of lists", new GgufWriter().Add("a", 9, writer => { for (var i = 0; i < 100_000; i++) { writer.Write(9u); writer.Write(1UL); } }).ToArray());
        yield return GgufFile("gguf: a text said to have 2⁶³ bytes", new GgufWriter().Add("a", 8, writer => writer.Write(1UL << 63)).ToArray());
        for (var i = 0; i < 6; i++)
        {
            var shape = new long[] { _random.NextInt64(1, 1L << 30), _random.NextInt64(1, 1L << 40) };
            yield return GgufFile($"gguf: a tensor of {shape[0]} × {shape[1]}", new GgufWriter().Tensor("x", shape, 0, new byte[64]).ToArray());
            var offset = (ulong)_random.NextInt64(1L << 20, long.MaxValue) / 32 * 32;
            yield return GgufFile($"gguf: a tensor at {offset}", new GgufWriter().Tensor("x", [16], 0, new byte[64], offset).ToArray());
        }

        yield return GgufFile("gguf: tensors lie over each other", new GgufWriter().Tensor("x", [32], 0, new byte[128]).Tensor("y", [32], 0, new byte[128], 64).ToArray());
        foreach (var type in (uint[])[4, 9, 16, 23, 31, 39, 40, 1000, uint.MaxValue]) yield return GgufFile($"gguf: a tensor stored as {type}", new GgufWriter().Tensor("x", [256], type, new byte[256]).ToArray());

        static MalformedCase GgufFile(string what, byte[] content) => new(what, folder => File.WriteAllBytes(Path.Combine(folder, "model.gguf"), content));
    }

    private static JsonObject Set(JsonObject entry, string key, JsonNode? value)
    {
        entry[key] = value;
        return entry;
    }

    private static long Offset(JsonObject entry, int which) => (long)entry["data_offsets"]![which]!;

    private T Pick<T>(params T[] choices) => choices[_random.Next(choices.Length)];

    private static byte[] WithHeader(string header, byte[] data) => [.. BitConverter.GetBytes((ulong)Encoding.UTF8.GetByteCount(header)), .. Encoding.UTF8.GetBytes(header), .. data];
}
