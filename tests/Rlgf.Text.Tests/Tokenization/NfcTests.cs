using System.Text.Json;

namespace Rlgf.Text.Tests.Tokenization;

public sealed class NfcTests
{
    /// <summary>A byte-level tokenizer gives back what it was given after normalising, so the gpt_neox tokenizer shows what its NFC does.</summary>
    [Fact]
    public void Normalised_texts_are_those_of_the_unicode_database_in_Python()
    {
        var tokenizer = TokenizerFixtures.Load("gpt_neox");
        var rows = JsonSerializer.Deserialize<string[][]>(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf(""), "nfc.json")))!;
        Assert.True(rows.Length > 400);
        Assert.All(rows, row => Assert.Equal(row[1], tokenizer.Decode(tokenizer.Encode(row[0]))));
    }

    [Fact]
    public void Offsets_stay_inside_the_original_and_never_go_back()
    {
        var tokenizer = TokenizerFixtures.Load("gpt_neox");
        var rows = JsonSerializer.Deserialize<string[][]>(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf(""), "nfc.json")))!;
        Assert.All(rows, row =>
        {
            var last = 0;
            foreach (var (start, end) in tokenizer.EncodeWithOffsets(row[0]).Offsets)
            {
                Assert.True(start >= last && end > start && end <= row[0].Length);
                last = start;
            }
        });
    }
}
