using System.Text;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Tokenization;

public sealed class TokenJoinTests
{
    /// <summary>Two sides with different tokenizers, neither of which normalises, so that texts can be compared character by character.</summary>
    public static TheoryData<string, string> Sides => new() { { "gpt2", "llama3" }, { "llama3", "roberta" }, { "roberta", "opt" }, { "opt", "gpt2" } };

    [Theory]
    [MemberData(nameof(Sides))]
    public void A_text_cut_anywhere_and_continued_by_the_other_side_is_the_text_again(string policySide, string guideSide)
    {
        var policy = TokenizerFixtures.Load(policySide);
        var guide = TokenizerFixtures.Load(guideSide);
        foreach (var text in NastyTexts.Generate(60, seed: 1))
        {
            var ids = policy.EncodeContinuation(text);
            for (var r = 0; r <= ids.Length; r++)
            {
                var kept = ids[..TokenJoin.KeepAtMost(policy, ids, r)];
                var handedOver = policy.Decode(kept);
                Assert.StartsWith(handedOver, text, StringComparison.Ordinal);

                // The guide reads what it is handed and writes the rest, both in its own tokens.
                Assert.Equal(handedOver, guide.Decode(guide.EncodeContinuation(handedOver)));
                var written = guide.Decode(guide.EncodeContinuation(text[handedOver.Length..]));

                var (appended, isWhole) = TokenJoin.Continue(policy, written);
                Assert.True(isWhole);
                Assert.Equal(text, policy.Decode([.. kept, .. appended]));
                Assert.Equal(text, handedOver + policy.Decode(appended));
            }
        }
    }

    /// <summary>Sides whose vocabularies mark words; neither loses any of these texts.</summary>
    public static TheoryData<string, string> MarkingSides => new()
    {
        { "llama2", "gpt2" }, { "llama2_metaspace", "llama3" }, { "gpt2", "llama2" }, { "llama2", "llama2_metaspace" },
    };

    [Theory]
    [MemberData(nameof(MarkingSides))]
    public void The_same_holds_where_tokens_mark_words_or_spell_bytes(string policySide, string guideSide)
    {
        var policy = TokenizerFixtures.Load(policySide);
        var guide = TokenizerFixtures.Load(guideSide);
        foreach (var text in NastyTexts.Generate(60, seed: 6))
        {
            var ids = policy.EncodeContinuation(text);
            Assert.Equal(text, policy.DecodeContinuation(ids));
            for (var r = 0; r <= ids.Length; r++)
            {
                var kept = ids[..TokenJoin.KeepAtMost(policy, ids, r)];
                var handedOver = policy.DecodeContinuation(kept);
                Assert.StartsWith(handedOver, text, StringComparison.Ordinal);
                Assert.Equal(handedOver, guide.DecodeContinuation(guide.EncodeContinuation(handedOver)));
                var written = guide.DecodeContinuation(guide.EncodeContinuation(text[handedOver.Length..]));

                var (appended, isWhole) = TokenJoin.Continue(policy, written);
                Assert.True(isWhole);
                Assert.Equal(text, policy.DecodeContinuation([.. kept, .. appended]));
                Assert.DoesNotContain(appended, id => id == policy.EosId || id == policy.BosId);
            }
        }
    }

    /// <summary>Texts that these tokenizers don't change: small letters that they know, one space between words.</summary>
    [Theory]
    [InlineData("t5", " the wonderful actors are watching an interesting film ending in tears")]
    [InlineData("t5", "ly acted, but it's not really good: a film. i liked it!")]
    [InlineData("bert_uncased", " the wonderful actors are watching an interesting film ending in tears")]
    [InlineData("bert_cased", "ful story and The End of it")]
    [InlineData("bert_uncased", "ing, but not really good")]
    public void A_word_that_the_seam_divides_stays_one_word(string name, string text)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        var start = tokenizer.Encode("it is a play");
        for (var cut = 0; cut <= text.Length; cut++)
        {
            // White space at the end of a text means nothing to these, so nobody can hand it over.
            if (cut > 0 && text[cut - 1] == ' ')
                continue;
            var first = TokenJoin.Continue(tokenizer, text[..cut]).Ids;
            var second = TokenJoin.Continue(tokenizer, text[cut..]).Ids;
            Assert.Equal("it is a play" + text, tokenizer.Decode([.. start, .. first, .. second]));
        }

        var ids = tokenizer.EncodeContinuation(text);
        for (var r = 0; r <= ids.Length; r++)
        {
            var kept = ids[..TokenJoin.KeepAtMost(tokenizer, ids, r)];
            var handedOver = tokenizer.Decode([.. start, .. kept])["it is a play".Length..];
            Assert.Equal("it is a play" + text, tokenizer.Decode([.. start, .. kept, .. TokenJoin.Continue(tokenizer, text[handedOver.Length..]).Ids]));
        }
    }

    [Theory]
    [InlineData("t5")]
    [InlineData("llama2")]
    [InlineData("llama2_metaspace")]
    [InlineData("bert_uncased")]
    [InlineData("gpt2")]
    public void A_continuation_of_nothing_has_the_tokens_of_a_text(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        Assert.Equal(tokenizer.Encode("the end of it"), TokenJoin.Continue(tokenizer, "the end of it", startsText: true).Ids);
    }

    [Theory]
    [InlineData("t5", "</s><extra_id_0> <pad>")]
    [InlineData("llama2", "</s> <s><unk>")]
    [InlineData("llama2_metaspace", "</s> <s><unk>")]
    [InlineData("bert_uncased", "[SEP][MASK] [CLS]")]
    public void No_kind_of_continuation_can_bring_in_a_special_token(string name, string text)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        // Only the unknown token, which stands for characters that a vocabulary lacks.
        var unknown = tokenizer.IdOf(name.StartsWith("bert", StringComparison.Ordinal) ? "[UNK]" : "<unk>");
        var ids = TokenJoin.Continue(tokenizer, "so it ends" + text).Ids;
        Assert.All(ids, id => Assert.True(id == unknown || tokenizer.DecodeContinuation([id]).Length > 0));
        Assert.Equal("so it ends", tokenizer.DecodeContinuation(ids)[.."so it ends".Length]);
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("gpt_neox")]
    [InlineData("qwen2")]
    public void Nothing_longer_could_have_been_kept(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        foreach (var text in NastyTexts.Generate(60, seed: 2))
        {
            var ids = tokenizer.EncodeContinuation(text);
            var normalised = tokenizer.Decode(ids);
            for (var r = 0; r <= ids.Length; r++)
            {
                var kept = TokenJoin.KeepAtMost(tokenizer, ids, r);
                // By definition: the two parts decode to the whole. One token more would leave half a character, which decodes to U+FFFD on both sides.
                Assert.Equal(normalised, tokenizer.Decode(ids.AsSpan(0, kept)) + tokenizer.Decode(ids.AsSpan(kept)));
                for (var more = kept + 1; more <= r; more++)
                    Assert.NotEqual(normalised, tokenizer.Decode(ids.AsSpan(0, more)) + tokenizer.Decode(ids.AsSpan(more)));
            }
        }
    }

    [Fact]
    public void Bytes_in_any_order_are_cut_only_where_both_parts_decode_to_the_whole()
    {
        // A model may write any bytes, valid or not.
        var tokenizer = TokenizerFixtures.Load("gpt2");
        var random = new Random(3);
        byte[] nasty = [0x41, 0x80, 0xBF, 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xED, 0xA0, 0xF0, 0x9F, 0x98, 0x80, 0xF4, 0x90, 0xFF, 0xC0];
        for (var round = 0; round < 3000; round++)
        {
            var ids = Enumerable.Range(0, random.Next(1, 9)).Select(_ => IdOfByte(tokenizer, nasty[random.Next(nasty.Length)])).ToArray();
            for (var r = 0; r <= ids.Length; r++)
            {
                var kept = TokenJoin.KeepAtMost(tokenizer, ids, r);
                Assert.Equal(tokenizer.Decode(ids), tokenizer.Decode(ids.AsSpan(0, kept)) + tokenizer.Decode(ids.AsSpan(kept)));
            }
        }
    }

    [Fact]
    public void An_emoji_of_four_tokens_is_kept_whole_or_not_at_all()
    {
        var tokenizer = TokenizerFixtures.Load("gpt2");
        int[] ids = [IdOfByte(tokenizer, (byte)'a'), .. Encoding.UTF8.GetBytes("😀").Select(value => IdOfByte(tokenizer, value))];
        Assert.Equal([0, 1, 1, 1, 1, 5, 5], Enumerable.Range(0, 7).Select(most => TokenJoin.KeepAtMost(tokenizer, ids, most)));
        Assert.Equal([true, true, false, false, false, true], Enumerable.Range(0, 6).Select(length => tokenizer.EndsOnCharacter(ids.AsSpan(0, length))));
    }

    [Fact]
    public void A_special_token_between_the_bytes_of_a_character_does_not_finish_it()
    {
        var tokenizer = TokenizerFixtures.Load("gpt2");
        var end = tokenizer.EosId!.Value;
        int[] ids = [IdOfByte(tokenizer, 0xF0), IdOfByte(tokenizer, 0x9F), end, end, end];
        Assert.False(tokenizer.EndsOnCharacter(ids));
        Assert.True(tokenizer.EndsOnCharacter([end]));
        Assert.True(tokenizer.EndsOnCharacter([]));
    }

    [Fact]
    public void A_continuation_can_not_bring_in_a_special_token()
    {
        var tokenizer = TokenizerFixtures.Load("gpt2");
        var (ids, _) = TokenJoin.Continue(tokenizer, "so it ends<|endoftext|> or not");
        Assert.DoesNotContain(tokenizer.EosId!.Value, ids);
        Assert.Equal("so it ends<|endoftext|> or not", tokenizer.Decode(ids));
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama3")]
    public void A_continuation_over_the_limit_is_cut_where_a_character_ends(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        foreach (var text in NastyTexts.Generate(100, seed: 4))
        {
            for (var most = 0; most < 8; most++)
            {
                var (ids, isWhole) = TokenJoin.Continue(tokenizer, text, most);
                Assert.True(ids.Length <= most);
                Assert.Equal(isWhole, tokenizer.Decode(ids) == text);
                Assert.StartsWith(tokenizer.Decode(ids), text, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("gpt2", true)]
    [InlineData("gpt2", false)]
    [InlineData("qwen2", true)]
    [InlineData("gpt_neox", true)]
    [InlineData("llama2", true)]
    [InlineData("llama2", false)]
    [InlineData("llama2_metaspace", true)]
    [InlineData("t5", true)]
    [InlineData("t5", false)]
    [InlineData("bert_uncased", true)]
    [InlineData("bert_cased", false)]
    public void Decoding_token_by_token_gives_the_text_and_never_half_a_character(string name, bool skipSpecialTokens)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        foreach (var text in NastyTexts.Generate(150, seed: 5))
        {
            var ids = tokenizer.Encode(text);
            var decoder = new StreamingDecoder(tokenizer, skipSpecialTokens);
            var parts = ids.Select(decoder.Append).ToList();
            if (!text.Contains('\uFFFD', StringComparison.Ordinal))
                Assert.All(parts, part => Assert.DoesNotContain('\uFFFD', part));
            Assert.Equal(tokenizer.Decode(ids, skipSpecialTokens), string.Concat(parts) + decoder.Finish());
        }
    }

    /// <summary>A model may write any tokens in any order: halves of characters, ends of words without beginnings, marks alone.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void Any_tokens_decode_one_by_one_to_what_they_are_together(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        var random = new Random(8);
        // Tokens that act on their neighbours come up often.
        string[] spelled = ["'", "n", "t", "s", "do", "##t", "##s", "##'", ".", ",", "▁", "▁'", "▁the", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "<0x41>", "</s>", "[SEP]", "Ġ", "ð", "Ł"];
        var nasty = spelled.Select(tokenizer.IdOf).OfType<int>().ToArray();
        for (var round = 0; round < 1500; round++)
        {
            var ids = Enumerable.Range(0, random.Next(1, 14)).Select(_ => random.Next(3) == 0 ? random.Next(tokenizer.VocabularySize + 3) : nasty[random.Next(nasty.Length)]).ToArray();
            var decoder = new StreamingDecoder(tokenizer, skipSpecialTokens: round % 2 == 0);
            var text = string.Concat(ids.Select(decoder.Append)) + decoder.Finish();
            Assert.Equal(tokenizer.Decode(ids, skipSpecialTokens: round % 2 == 0), text);
        }
    }

    public static TheoryData<string> All => [.. TokenizerFixtures.Names];

    [Fact]
    public void Text_is_held_back_no_longer_than_it_may_change()
    {
        var llama = TokenizerFixtures.Load("llama2");
        int[] ids = [.. llama.Encode("a"), .. Encoding.UTF8.GetBytes("😀").Select(value => llama.IdOf($"<0x{value:X2}>")!.Value), .. llama.EncodeContinuation(" b")];
        var decoder = new StreamingDecoder(llama);
        Assert.Equal(["a", "", "", "", "", "😀 b"], ids.Select(decoder.Append));

        var bert = TokenizerFixtures.Load("bert_uncased");
        decoder = new StreamingDecoder(bert);
        Assert.Equal(["it", "", "'s", " a", " film", "."], bert.Encode("it's a film.").Select(decoder.Append));
    }

    [Fact]
    public void A_character_that_never_ends_comes_out_as_a_replacement_at_the_end()
    {
        var tokenizer = TokenizerFixtures.Load("gpt2");
        var decoder = new StreamingDecoder(tokenizer);
        Assert.Equal("", decoder.Append(IdOfByte(tokenizer, 0xE2)));
        Assert.Equal("", decoder.Append(IdOfByte(tokenizer, 0x82)));
        Assert.Equal("\uFFFD", decoder.Finish());
        Assert.Equal("b", decoder.Append(IdOfByte(tokenizer, (byte)'b')));
    }

    /// <summary>The id of the token that is one byte: the gpt2 vocabulary begins with them in the order of its alphabet, visible Latin-1 first.</summary>
    private static int IdOfByte(ITokenizer tokenizer, byte value)
    {
        var visible = Enumerable.Range(0, 256).Where(v => v is (>= 33 and <= 126) or (>= 161 and <= 172) or (>= 174 and <= 255)).ToList();
        var order = visible.Concat(Enumerable.Range(0, 256).Except(visible)).ToList();
        var id = order.IndexOf(value);
        Assert.Equal(1, tokenizer.TokenOf(id)!.Length);
        return id;
    }
}
