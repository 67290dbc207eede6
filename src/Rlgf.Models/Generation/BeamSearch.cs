using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>A response that a beam search found.</summary>
/// <param name="Row">The response.</param>
/// <param name="Score">Sum of its tokens' log-probabilities after processing, divided by its number of tokens, the end token included, to the power of the length penalty.</param>
public sealed record FoundRow(GeneratedRow Row, double Score);

/// <summary>Searches for likely responses by following several beginnings at once (Graves 2012; the variants are those of transformers' <c>generate</c>).</summary>
/// <remarks>
/// <para>
/// At each step every beginning is continued by every token. Of the best continuations, twice as many as there are beams and more with several end tokens, those that have ended and are among the first
/// "width" become finished sequences, of which the "width" best are kept; the best others go on. Processors see log-probabilities here, not logits.
/// </para>
/// <para>What a row finds doesn't depend on the other rows of its batch, but for rounding inside the model.</para>
/// </remarks>
public static class BeamSearch
{
    /// <summary>Searches for each row.</summary>
    /// <param name="model">The model, in evaluation mode.</param>
    /// <param name="rows">Rows of any lengths.</param>
    /// <param name="settings">With <see cref="SamplingSettings.Beams"/>.</param>
    /// <param name="wanted">How many responses of each row are wanted, at most as many as there are beams.</param>
    /// <param name="stop">Texts that end a response; null for none.</param>
    /// <param name="cancellationToken">Looked at before every token.</param>
    /// <returns>For each row its responses, best first; fewer than wanted where no more are possible.</returns>
    /// <exception cref="Base.InputException">A setting is out of range, a row is longer than the model's context, or the model's logits are not numbers.</exception>
    public static IReadOnlyList<IReadOnlyList<FoundRow>> Search(
        IDecodingModel model, IReadOnlyList<GenerationRequest> rows, SamplingSettings settings, int wanted = 1, StopTexts? stop = null, CancellationToken cancellationToken = default)
    {
        settings.Validate(model.Shape.Vocabulary);
        var beams = settings.Beams ?? throw new ArgumentException("The settings have no beams.", nameof(settings));
        if (wanted < 1 || wanted > beams.Width) throw new ArgumentOutOfRangeException(nameof(wanted), wanted, $"must be from 1 to {beams.Width}, the number of beams");
        var requests = rows.Select(request => new ResponseInProgress(request, settings, model.Shape, seed: 0, stop)).ToArray();
        TextGenerator.RequireRoom(requests, model.Shape);
        var searches = requests.ToDictionary(request => request, request => new RowSearch(request, settings, beams, model.Shape, stop));

        using var noGradient = no_grad();
        foreach (var batch in TextGenerator.Batches(requests, Math.Max(1, settings.BatchRows / beams.Width)))
        {
            Run(model, [.. batch.Select(request => searches[request])], settings, cancellationToken);
        }

        return [.. requests.Select(request => searches[request].Best(wanted))];
    }

    private static void Run(IDecodingModel model, List<RowSearch> searches, SamplingSettings settings, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var decoder = model.StartDecoding([.. searches.Select(search => search.Row)], searches.Max(search => search.Limit));
        while (true)
        {
            Continue(decoder.NextLogits, searches, settings);

            // Where each beginning that goes on stood, and the token that it goes on with.
            var first = 0;
            List<int> places = [], tokens = [];
            foreach (var search in searches)
            {
                places.AddRange(search.Running.Select(beam => first + beam.Parent));
                tokens.AddRange(search.Running.Select(beam => beam.Tokens[^1]));
                first += search.BeamsBefore;
            }

            searches.RemoveAll(search => search.Running.Count == 0);
            if (searches.Count == 0) return;
            cancellationToken.ThrowIfCancellationRequested();
            if (!places.SequenceEqual(Enumerable.Range(0, decoder.Rows))) decoder.Select(CollectionsMarshal.AsSpan(places));
            decoder.Append(CollectionsMarshal.AsSpan(tokens));
        }
    }

    /// <summary>One step of all searches, whose running beams are the rows of the logits.</summary>
    private static void Continue(Tensor logits, List<RowSearch> searches, SamplingSettings settings)
    {
        using var scope = NewDisposeScope();
        var raw = logits.log_softmax(1);
        var processed = LogitsProcessing.Penalise(raw, [.. searches.SelectMany(search => search.Histories)], settings);
        var count = (int)Math.Min(RowSearch.Candidates(settings), logits.size(1));
        var (best, ids) = processed.topk(count);
        var scores = Floats(best);
        var rawLogProbs = Floats(raw.gather(1, ids));
        var tokens = MemoryMarshal.Cast<byte, int>(ids.to(ScalarType.Int32).cpu().bytes).ToArray();
        if (Array.Exists(rawLogProbs, float.IsNaN)) throw TextGenerator.NotNumbers();
        var row = 0;
        foreach (var search in searches)
        {
            var beams = search.Running.Count;
            var part = new Range(row * count, (row + beams) * count);
            search.Continue(tokens.AsSpan(part), scores.AsSpan(part), rawLogProbs.AsSpan(part), count);
            row += beams;
        }
    }

    private static float[] Floats(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.cpu().contiguous().bytes).ToArray();

    /// <summary>A sequence, finished or not.</summary>
    /// <param name="Parent">Which of the row's running beams it continues.</param>
    /// <param name="Tokens">Written so far.</param>
    /// <param name="RawLogProbs">Of them.</param>
    /// <param name="Sum">Of their log-probabilities after processing; divided by the length once it is finished.</param>
    private sealed record Beam(int Parent, int[] Tokens, float[] RawLogProbs, float Sum)
    {
        public bool Ended { get; init; }

        public bool Stopped { get; init; }
    }

    /// <summary>The search for one row.</summary>
    private sealed class RowSearch(ResponseInProgress request, SamplingSettings settings, BeamSettings beams, LanguageModelShape shape, StopTexts? stop)
    {
        private readonly List<int> _given = ResponseInProgress.GivenTokens(request.Row, shape);
        private List<Beam> _finished = [];

        public TokenRow Row => request.Row;

        public int Limit => request.Limit;

        /// <summary>The unfinished sequences, best first; none once the search has ended.</summary>
        public List<Beam> Running { get; private set; } = request.Limit > 0 ? [new Beam(0, [], [], 0)] : [];

        /// <summary>How many there were before the last step.</summary>
        public int BeamsBefore { get; private set; } = 1;

        public IEnumerable<RowHistory> Histories => Running.Select(beam =>
            new RowHistory([.. _given, .. beam.Tokens], request.Row.Response.Length + beam.Tokens.Length, request.Limit - beam.Tokens.Length));

        /// <summary>How many continuations are looked at: with as many end tokens as there are, at least one in "width" goes on.</summary>
        public static int Candidates(SamplingSettings settings) => Math.Max(2, 1 + settings.EndTokens.Count) * settings.Beams!.Width;

        /// <summary>One step.</summary>
        /// <param name="tokens">For each running beam, its most likely continuations.</param>
        /// <param name="logProbs">Their log-probabilities after processing.</param>
        /// <param name="rawLogProbs">Their log-probabilities under the model.</param>
        /// <param name="count">How many there are of each beam.</param>
        public void Continue(ReadOnlySpan<int> tokens, ReadOnlySpan<float> logProbs, ReadOnlySpan<float> rawLogProbs, int count)
        {
            var continuations = new List<(float Sum, int Place)>(tokens.Length);
            for (var i = 0; i < tokens.Length; i++)
            {
                // What is impossible is no continuation.
                if (float.IsFinite(logProbs[i])) continuations.Add((Running[i / count].Sum + logProbs[i], i));
            }

            var written = Running[0].Tokens.Length + 1;
            var normaliser = Normaliser(written);
            List<Beam> running = [], finished = [.. _finished];
            var rank = 0;
            foreach (var (sum, place) in continuations.OrderByDescending(continuation => continuation.Sum).Take(Candidates(settings)))
            {
                var parent = Running[place / count];
                var beam = new Beam(place / count, [.. parent.Tokens, tokens[place]], [.. parent.RawLogProbs, rawLogProbs[place]], sum) { Ended = settings.EndTokens.Contains(tokens[place]) };
                beam = beam with { Stopped = !beam.Ended && stop?.IsAtEnd([.. _given, .. beam.Tokens], _given.Count - request.Row.Response.Length) == true };
                var isDone = beam.Ended || beam.Stopped || written == request.Limit;
                if (!isDone && running.Count < beams.Width) running.Add(beam);
                if (isDone && rank < beams.Width) finished.Add(beam with { Sum = sum / normaliser });
                rank++;
            }

            _finished = [.. finished.OrderByDescending(beam => beam.Sum).Take(beams.Width)];
            BeamsBefore = Running.Count;
            Running = MayImprove(running, written) ? running : [];
        }

        public IReadOnlyList<FoundRow> Best(int wanted) => _finished.Count == 0
            ? [new FoundRow(new GeneratedRow([], [], [], false), 0)]
            : [.. _finished.Take(wanted).Select(beam => new FoundRow(new GeneratedRow(beam.Tokens, new float[beam.Tokens.Length], beam.RawLogProbs, beam.Ended) { Stopped = beam.Stopped }, beam.Sum))];

        private float Normaliser(int length) => (float)Math.Pow(length, beams.LengthPenalty);

        private bool MayImprove(List<Beam> running, int written)
        {
            if (running.Count == 0) return false;
            if (_finished.Count < beams.Width) return true;
            if (beams.Stop == BeamStop.WhenFull) return false;

            // With a penalty above 0 the sum counts least at the greatest length.
            var length = beams.Stop == BeamStop.WhenImpossible && beams.LengthPenalty > 0 ? request.Limit : written;
            return running[0].Sum / Normaliser(length) > _finished[^1].Sum;
        }
    }
}
