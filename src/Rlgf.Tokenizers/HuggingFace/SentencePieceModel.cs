using System.Buffers.Binary;
using System.Text;
using Rlgf.Base;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>What a piece of a sentencepiece vocabulary is; the numbers are the format's.</summary>
internal enum PieceKind
{
    /// <summary>Text.</summary>
    Normal = 1,

    /// <summary>Stands for what the vocabulary lacks.</summary>
    Unknown = 2,

    /// <summary>Begins or ends texts; never found in them.</summary>
    Control = 3,

    /// <summary>Text that is always one token.</summary>
    UserDefined = 4,

    /// <summary>Never used.</summary>
    Unused = 5,

    /// <summary>A byte.</summary>
    Byte = 6,
}

/// <summary>A sentencepiece model (<c>spiece.model</c>, <c>tokenizer.model</c>): the fields of <c>sentencepiece_model.proto</c> that its use needs.</summary>
/// <remarks>Read by hand: protocol buffers of three message types don't need a package.</remarks>
internal sealed class SentencePieceModel
{
    /// <summary>Sentencepiece itself allows sixteen; longer ones only make tables large.</summary>
    private const int LongestPiece = 256;

    private readonly string _file;

    private SentencePieceModel(string file) => _file = file;

    /// <summary>The pieces in the order of their ids.</summary>
    public List<(string Text, double Score, PieceKind Kind)> Pieces { get; } = [];

    /// <summary>1 is unigram, 2 byte pair encoding, 3 words, 4 characters.</summary>
    public int ModelType { get; private set; } = 1;

    /// <summary>Whether characters that the vocabulary lacks are spelled by bytes.</summary>
    public bool FallsBackOnBytes { get; private set; }

    /// <summary>Whether the mark of a space follows its word.</summary>
    public bool MarksAfterWords { get; private set; }

    /// <summary>Id of the unknown piece.</summary>
    public int UnknownId { get; private set; }

    /// <summary>Id of the piece that begins a text; -1 for none.</summary>
    public int BosId { get; private set; } = 1;

    /// <summary>Id of the piece that ends a text; -1 for none.</summary>
    public int EosId { get; private set; } = 2;

    /// <summary>Id of the piece that fills batches; -1 for none.</summary>
    public int PadId { get; private set; } = -1;

    /// <summary>The compiled normalization table; empty for none.</summary>
    public byte[] NormalizationTable { get; private set; } = [];

    /// <summary>Whether a space goes before every text.</summary>
    public bool AddsPrefix { get; private set; } = true;

    /// <summary>Whether spaces at the ends and more than one in a row are dropped.</summary>
    public bool RemovesExtraSpaces { get; private set; } = true;

    /// <summary>Whether spaces are written as visible marks.</summary>
    public bool EscapesSpaces { get; private set; } = true;

    /// <summary>Whether decoded text is rewritten by a table of its own.</summary>
    public bool Denormalizes { get; private set; }

    /// <summary>The piece of an id; null for -1.</summary>
    public string? PieceOf(int id) => id >= 0 && id < Pieces.Count ? Pieces[id].Text : null;

    /// <summary>Reads a model.</summary>
    public static SentencePieceModel Read(string file, ReadOnlySpan<byte> content)
    {
        var model = new SentencePieceModel(file);
        for (var fields = new Fields(content, file); fields.Next();)
        {
            switch (fields.Number)
            {
                case 1:
                    model.ReadPiece(fields.Message());
                    break;
                case 2:
                    model.ReadTrainer(fields.Message());
                    break;
                case 3:
                    model.ReadNormalizer(fields.Message());
                    break;
                case 5:
                    model.ReadDenormalizer(fields.Message());
                    break;
            }
        }
        if (model.Pieces.Count == 0)
            throw new InputException($"{file}: has no pieces; is it a sentencepiece model?");
        if (model.UnknownId < 0 || model.UnknownId >= model.Pieces.Count)
            throw new InputException($"{file}: trainer_spec.unk_id is {model.UnknownId}, but there are {model.Pieces.Count} pieces.");
        return model;
    }

    private void ReadPiece(Fields fields)
    {
        var (text, score, kind) = ("", 0f, PieceKind.Normal);
        while (fields.Next())
        {
            switch (fields.Number)
            {
                case 1:
                    text = Encoding.UTF8.GetString(fields.Bytes());
                    break;
                case 2:
                    score = fields.Float();
                    break;
                case 3:
                    kind = (PieceKind)fields.Integer();
                    break;
            }
        }
        if (text.Length > LongestPiece || !float.IsFinite(score) || !Enum.IsDefined(kind))
            throw new InputException($"{_file}: pieces[{Pieces.Count}] has a text of {text.Length} characters, score {score} and kind {(int)kind}, which can't be right.");
        Pieces.Add((text, score, kind));
    }

    private void ReadTrainer(Fields fields)
    {
        while (fields.Next())
        {
            switch (fields.Number)
            {
                case 3:
                    ModelType = fields.Integer();
                    break;
                case 24:
                    MarksAfterWords = fields.Integer() != 0;
                    break;
                case 35:
                    FallsBackOnBytes = fields.Integer() != 0;
                    break;
                case 40:
                    UnknownId = fields.Integer();
                    break;
                case 41:
                    BosId = fields.Integer();
                    break;
                case 42:
                    EosId = fields.Integer();
                    break;
                case 43:
                    PadId = fields.Integer();
                    break;
            }
        }
    }

    private void ReadNormalizer(Fields fields)
    {
        while (fields.Next())
        {
            switch (fields.Number)
            {
                case 2:
                    NormalizationTable = fields.Bytes().ToArray();
                    break;
                case 3:
                    AddsPrefix = fields.Integer() != 0;
                    break;
                case 4:
                    RemovesExtraSpaces = fields.Integer() != 0;
                    break;
                case 5:
                    EscapesSpaces = fields.Integer() != 0;
                    break;
            }
        }
    }

    private void ReadDenormalizer(Fields fields)
    {
        while (fields.Next())
            Denormalizes |= fields.Number == 2 && fields.Bytes().Length > 0;
    }

    /// <summary>The fields of a message, one after the other (Protocol Buffers' wire format).</summary>
    private ref struct Fields(ReadOnlySpan<byte> message, string file)
    {
        private const int Varint = 0, Fixed64 = 1, Delimited = 2, Fixed32 = 5;

        private ReadOnlySpan<byte> _rest = message;
        private int _wire;
        private ulong _value;
        private ReadOnlySpan<byte> _bytes;

        public int Number { get; private set; }

        public bool Next()
        {
            if (_rest.IsEmpty)
                return false;
            var tag = ReadVarint();
            (Number, _wire) = ((int)(tag >> 3), (int)(tag & 7));
            _bytes = default;
            switch (_wire)
            {
                case Varint:
                    _value = ReadVarint();
                    break;
                case Fixed64:
                    _bytes = Take(8);
                    break;
                case Delimited:
                    _bytes = Take(ReadVarint());
                    break;
                case Fixed32:
                    _bytes = Take(4);
                    break;
                default:
                    throw Broken();
            }
            return true;
        }

        public readonly int Integer() => _wire == Varint ? (int)_value : throw Broken();

        public readonly float Float() => _wire == Fixed32 ? BinaryPrimitives.ReadSingleLittleEndian(_bytes) : throw Broken();

        public readonly ReadOnlySpan<byte> Bytes() => _wire == Delimited ? _bytes : throw Broken();

        public readonly Fields Message() => new(Bytes(), file);

        private ulong ReadVarint()
        {
            ulong value = 0;
            for (var shift = 0; shift < 64; shift += 7)
            {
                var part = Take(1)[0];
                value |= (ulong)(part & 0x7F) << shift;
                if (part < 0x80)
                    return value;
            }
            throw Broken();
        }

        private ReadOnlySpan<byte> Take(ulong count)
        {
            if (count > (ulong)_rest.Length)
                throw Broken();
            var taken = _rest[..(int)count];
            _rest = _rest[(int)count..];
            return taken;
        }

        private readonly InputException Broken() => new($"{file}: not a sentencepiece model, or not a complete one.");
    }
}
