using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Tokenization;

public sealed class TokenizerExtensionsTests
{
    [Theory]
    [InlineData("bert_uncased")] // [CLS] … [SEP]
    [InlineData("t5")] // … </s>
    [InlineData("opt")] // </s> …
    [InlineData("gpt2")] // none
    public void The_end_of_a_text_that_is_too_long_stays_between_its_special_tokens(string name)
    {
        var tokenizer = TokenizerFolder.Load(Path.Combine(AppContext.BaseDirectory, "fixtures", "tokenizers", name));
        const string Text = "This movie was one of the best films I have seen";
        var (whole, plain) = (tokenizer.Encode(Text, addSpecialTokens: true), tokenizer.Encode(Text));
        var special = whole.Length - plain.Length;

        Assert.Equal(whole, tokenizer.EncodeEnd(Text, whole.Length));
        var cut = tokenizer.EncodeEnd(Text, special + 5);

        Assert.Equal(special + 5, cut.Length);
        Assert.Equal(tokenizer.Encode("", addSpecialTokens: true), cut.Where((_, i) => !IsText(i)));
        Assert.Equal(plain[^5..], cut.Where((_, i) => IsText(i)));

        bool IsText(int place) => place >= Leading() && place < Leading() + 5;
        int Leading() => whole.AsSpan().IndexOf(plain);
    }
}
