namespace Rlgf.Models.Generation;

/// <summary>A response that is being written.</summary>
internal sealed class ResponseInProgress(GenerationRequest request, SamplingSettings settings, LanguageModelShape shape, ulong seed, StopTexts? stop)
{
    private readonly List<int> _tokens = GivenTokens(request.Row, shape);
    private readonly int _given = GivenTokens(request.Row, shape).Count;
    private readonly List<float> _sampledLogProbs = [];
    private readonly List<float> _rawLogProbs = [];
    private readonly List<TokenSet> _choices = [];
    private readonly List<IReadOnlyList<TokenLogProb>> _alternatives = [];
    private bool _isCancelled;

    /// <summary>What was given.</summary>
    public TokenRow Row => request.Row;

    /// <summary>How tokens are chosen.</summary>
    public SamplingSettings Settings => settings;

    /// <summary>How many of the most likely tokens are noted at each step, whatever is drawn.</summary>
    public int Alternatives { get; init; }

    /// <summary>With <see cref="Stream"/>, names the row's random numbers.</summary>
    public ulong Seed => seed;

    /// <summary>With <see cref="Seed"/>, names the row's random numbers.</summary>
    public ulong Stream => request.Stream;

    /// <summary>The most tokens to write.</summary>
    public int Limit { get; } = Math.Max(0, Math.Min(request.MaxNewTokens ?? int.MaxValue, settings.MaxNewTokens));

    /// <summary>Number of tokens given: prompt and beginning of the response.</summary>
    public int BeginningLength => request.Row.Prompt.Length + request.Row.Response.Length;

    /// <summary>What a row's writer has before it: the prompt, or where that is the encoder's the decoder's start token, and the beginning of the response.</summary>
    public static List<int> GivenTokens(TokenRow row, LanguageModelShape shape) => shape.Encoder is { } encoder ? [encoder.StartToken, .. row.Response] : [.. row.Prompt, .. row.Response];

    /// <summary>Number of tokens of the response so far, given ones included.</summary>
    public int ResponseLength => request.Row.Response.Length + Written;

    /// <summary>Number of tokens written.</summary>
    public int Written => _sampledLogProbs.Count;

    /// <summary>The last token of the row.</summary>
    public int LastToken => _tokens[^1];

    /// <summary>Whether an end token was written.</summary>
    public bool Ended { get; private set; }

    /// <summary>Whether a stop text was written.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Whether nothing more is to be written.</summary>
    public bool IsDone => Ended || Stopped || _isCancelled || Written >= Limit;

    /// <summary>Nothing more is wanted.</summary>
    public void Cancel() => _isCancelled = true;

    /// <summary>A token that was written.</summary>
    /// <param name="place">Which, from 0.</param>
    public WrittenToken At(int place) => new(_tokens[_given + place], _rawLogProbs[place], _alternatives[place]);

    /// <summary>What processors may look at.</summary>
    public RowHistory History => new(_tokens, ResponseLength, request.IsPart ? int.MaxValue : Limit - Written);

    /// <summary>Adds a token.</summary>
    /// <param name="token">Its id.</param>
    /// <param name="sampledLogProb">Under the distribution that it was drawn from.</param>
    /// <param name="rawLogProb">Under the model's own.</param>
    /// <param name="choices">What could be drawn in its place.</param>
    /// <param name="alternatives">The most likely tokens, where they are asked for.</param>
    public void Add(int token, float sampledLogProb, float rawLogProb, TokenSet choices, IReadOnlyList<TokenLogProb> alternatives)
    {
        _alternatives.Add(alternatives);
        _choices.Add(choices);
        _tokens.Add(token);
        _sampledLogProbs.Add(sampledLogProb);
        _rawLogProbs.Add(rawLogProb);
        Ended = settings.EndTokens.Contains(token);
        Stopped = !Ended && stop?.IsAtEnd(_tokens, _tokens.Count - ResponseLength) == true;
    }

    /// <summary>The tokens written.</summary>
    public GeneratedRow ToGeneratedRow() => new([.. _tokens.Skip(_given)], [.. _sampledLogProbs], [.. _rawLogProbs], Ended) { Stopped = Stopped, Choices = [.. _choices] };
}
