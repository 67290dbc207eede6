using System.Globalization;
using Rlgf.Text.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Bench;

/// <summary>How fast tokenizers encode and decode, on one thread. Prints; compares with nothing.</summary>
internal static class TokenizerBenchmark
{
    private const int Texts = 2000;

    /// <summary>Measures every tokenizer folder in a folder, or the folder itself.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="textFile">Rows with a column "text".</param>
    /// <param name="repeats">How often each is measured; medians are printed.</param>
    public static void Run(string folder, string textFile, int repeats)
    {
        string[] texts = [.. TextDataset.ReadRows(textFile).Take(Texts).Select(row => row.GetString("text"))];
        var characters = texts.Sum(text => (long)text.Length);
        var folders = Directory.GetDirectories(folder).Where(IsTokenizer).Order(StringComparer.Ordinal).ToList();
        if (folders.Count == 0) folders.Add(folder);
        Console.WriteLine($"{texts.Length} texts, {characters} characters, one thread; millions of tokens a second");
        Console.WriteLine($"{"",-20}{"tokens",10}{"encode",9}{"anew",9}{"offsets",9}{"decode",9}");
        foreach (var path in folders)
        {
            var tokenizer = TokenizerFolder.Load(path);
            var ids = Array.ConvertAll(texts, text => tokenizer.Encode(text));
            var tokens = ids.Sum(row => (long)row.Length);
            double[] seconds =
            [
                Median(() => Each(texts, text => tokenizer.Encode(text))),
                MedianOfNew(path, texts, repeats),
                Median(() => Each(texts, text => tokenizer.EncodeWithOffsets(text))),
                Median(() => Each(ids, row => tokenizer.Decode(row))),
            ];
            Console.WriteLine($"{Path.GetFileName(path),-20}{tokens,10}{string.Concat(seconds.Select(time => (tokens / time / 1e6).ToString("0.00", CultureInfo.InvariantCulture).PadLeft(9)))}");
        }

        double Median(Action action) => Clock.Median(Enumerable.Range(0, repeats).Select(_ => Clock.Time(action)));
    }

    /// <summary>With nothing kept of words that were seen before.</summary>
    private static double MedianOfNew(string path, string[] texts, int repeats) => Clock.Median(Enumerable.Range(0, repeats).Select(_ =>
    {
        var tokenizer = TokenizerFolder.Load(path);
        return Clock.Time(() => Each(texts, text => tokenizer.Encode(text)));
    }));

    private static void Each<T, TResult>(T[] items, Func<T, TResult> work)
    {
        foreach (var item in items) work(item);
    }

    private static bool IsTokenizer(string folder)
    {
        string[] files = ["tokenizer.json", "spiece.model", "tokenizer.model", "vocab.txt", "vocab.json"];
        return files.Any(name => File.Exists(Path.Combine(folder, name)));
    }
}
