using Rlgf.Base;
using Rlgf.Tokenizers.Parts;

namespace Rlgf.Tokenizers;

/// <summary>Turns text into token ids and back.</summary>
/// <remarks>Implementations are immutable and may be used from several threads.</remarks>
public interface ITokenizer
{
    /// <summary>Number of ids, added tokens included; every id is below it.</summary>
    int VocabularySize { get; }

    /// <summary>Id of the token that begins a text, where the tokenizer has one.</summary>
    int? BosId { get; }

    /// <summary>Id of the token that ends a text, where the tokenizer has one.</summary>
    int? EosId { get; }

    /// <summary>Id that fills up batches, where the tokenizer names one. It may equal <see cref="EosId"/>: never decide by id what is padding.</summary>
    int? PadId { get; }

    /// <summary>Encodes a text.</summary>
    /// <param name="text">Any text; lone surrogates count as U+FFFD.</param>
    /// <param name="addSpecialTokens">Whether the tokens that the tokenizer puts around every text (such as BOS) are added.</param>
    int[] Encode(string text, bool addSpecialTokens = false);

    /// <summary>
    /// Encodes text that goes on from tokens which are there already: nothing is put before it, and a special token's text in it is ordinary text, so that what
    /// somebody else wrote can't bring in an end of text. <see cref="Encode(string, bool)"/> does as well for tokenizers without special tokens and prefix space.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="startsText">Whether no token is there after all, as before an encoder–decoder's response: then its first word is marked as a text's first.</param>
    int[] EncodeContinuation(string text, bool startsText = false) => Encode(text);

    /// <summary>Encodes a text of which some parts were written by somebody else: an added token that touches such a part is ordinary text, cut out and encoded by itself.</summary>
    /// <param name="text">Any text, such as a conversation that a chat template wrote.</param>
    /// <param name="ordinary">Those parts, in UTF-16 units, end exclusive.</param>
    int[] Encode(string text, IReadOnlyList<(int Start, int End)> ordinary) => Encode(text);

    /// <summary>The tokens that <see cref="Encode(string, bool)"/> finds in a text as a whole: special tokens, a chat template's markers and whatever else was added to the vocabulary.</summary>
    IReadOnlyList<FoundToken> FindAddedTokens(string text) => [];

    /// <summary>Encodes one text, or two, with the special tokens that the tokenizer puts around them, as a model reads them.</summary>
    /// <param name="first">The text, or the first of a pair.</param>
    /// <param name="second">The second of a pair; null or empty for one text.</param>
    /// <param name="maxLength">
    /// Give at most this many tokens, special tokens included: of two texts the longer is shortened, at its end, unless the tokenizer's own
    /// <c>truncation</c> section says otherwise. Null shortens nothing, whatever that section says.
    /// </param>
    /// <exception cref="InputException">The limit is less than what the tokenizer adds, or the text that the section names can't be shortened so far.</exception>
    EncodedInput EncodeInput(string first, string? second = null, int? maxLength = null)
    {
        ReadOnlySpan<int> firstIds = Encode(first), secondIds = second is null ? [] : Encode(second);
        if (maxLength is { } most)
            new Truncation().Apply(ref firstIds, ref secondIds, most);
        var (ids, types) = (string.IsNullOrEmpty(second) ? Template.One : Template.Two).Fill(firstIds, secondIds);
        return new EncodedInput(ids, types);
    }

    /// <summary>Puts the special tokens that the tokenizer has around every text around one's ids, such as BOS before them.</summary>
    int[] AddSpecialTokens(ReadOnlySpan<int> ids) => ids.ToArray();

    /// <summary>Encodes a text (no special tokens added) and says which part of it each token covers.</summary>
    TokenizedText EncodeWithOffsets(string text);

    /// <summary>As <see cref="Encode(string, IReadOnlyList{ValueTuple{int, int}})"/>, and says which part of the text each token covers.</summary>
    /// <param name="text">Any text, such as a conversation that a chat template wrote.</param>
    /// <param name="ordinary">Parts that somebody else wrote, in UTF-16 units, end exclusive.</param>
    TokenizedText EncodeWithOffsets(string text, IReadOnlyList<(int Start, int End)> ordinary) => EncodeWithOffsets(text);

    /// <summary>Decodes ids. Bytes that are not valid UTF-8 become U+FFFD; ids without a token, which models with a rounded-up vocabulary have, write nothing.</summary>
    string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true);

    /// <summary>
    /// Decodes ids that go on from others: a space before the first word stays, which <see cref="Decode"/> takes for the mark of a text's beginning where the
    /// vocabulary marks words so. After it, <see cref="EncodeContinuation"/> is the way back.
    /// </summary>
    string DecodeContinuation(ReadOnlySpan<int> ids, bool skipSpecialTokens = true) => Decode(ids, skipSpecialTokens);

    /// <summary>
    /// Whether the text of <paramref name="ids"/> ends between two characters (Unicode code points) rather than inside one, so that a cut there loses nothing:
    /// a byte-level token may hold only some of a character's bytes. Special tokens write nothing and are looked past; bytes that can't become a character
    /// leave none unfinished.
    /// </summary>
    bool EndsOnCharacter(ReadOnlySpan<int> ids);

    /// <summary>How many of the tokens, from the first on, write text that no token after them can change: what may be shown while the text is being written.</summary>
    int SettledTokens(ReadOnlySpan<int> ids) => EndsOnCharacter(ids) ? ids.Length : 0;

    /// <summary>The token as the vocabulary spells it, or null where there is no such id.</summary>
    string? TokenOf(int id);

    /// <summary>The id of a token as the vocabulary spells it, or null.</summary>
    int? IdOf(string token);

    /// <summary>Writes the tokenizer's files in the Hugging Face layout into a folder that exists.</summary>
    void Save(string folder);
}

/// <summary>A text's tokens.</summary>
/// <param name="Ids">Token ids.</param>
/// <param name="Tokens">The tokens as the vocabulary spells them.</param>
/// <param name="Offsets">For each token, start (inclusive) and end (exclusive) in the text, in UTF-16 units as .NET counts.</param>
public sealed record TokenizedText(int[] Ids, string[] Tokens, (int Start, int End)[] Offsets);

/// <summary>An added token in a text.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Start">Where it begins, in UTF-16 units.</param>
/// <param name="End">Where it ends, exclusive.</param>
/// <param name="IsSpecial">Whether decoding leaves it out.</param>
public sealed record FoundToken(int Id, int Start, int End, bool IsSpecial);

/// <summary>One text or two as a model is given them.</summary>
/// <param name="Ids">Token ids, special tokens included.</param>
/// <param name="TypeIds">For each token, which text it belongs to, for models that are told (0 or 1).</param>
public sealed record EncodedInput(int[] Ids, int[] TypeIds);
