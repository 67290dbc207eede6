using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families;

/// <summary>Rows side by side, padded on the right. The last response token is left out: nothing is predicted from it.</summary>
internal readonly struct ResponseBatch
{
    private readonly int _responseLength;
    private readonly int _commonPrompt;
    private readonly long[]? _places;

    private ResponseBatch(Tensor ids, int longest, int responseLength, int commonPrompt, long[]? places)
    {
        Ids = ids;
        Longest = longest;
        _responseLength = responseLength;
        _commonPrompt = commonPrompt;
        _places = places;
    }

    /// <summary>[B, T] int64.</summary>
    public Tensor Ids { get; }

    /// <summary>Tokens of the longest row.</summary>
    public int Longest { get; }

    public static ResponseBatch Of(IReadOnlyList<TokenRow> rows, LanguageModelShape shape, Device device)
    {
        if (rows.Count == 0) throw new ArgumentException("There are no rows.", nameof(rows));
        var responseLength = rows.Max(row => row.Response.Length);
        var columns = 1;
        var samePrompt = true;
        foreach (var row in rows)
        {
            Rows.Check(row, shape);
            columns = Math.Max(columns, row.Prompt.Length + Math.Max(0, row.Response.Length - 1));
            samePrompt &= row.Prompt.Length == rows[0].Prompt.Length;
        }

        var longest = columns;
        columns = LengthBuckets.Columns(columns, shape.ContextLength);
        var ids = new long[rows.Count * columns];
        for (var b = 0; b < rows.Count; b++)
        {
            var (prompt, response) = rows[b];
            Rows.Copy(prompt, ids.AsSpan(b * columns));
            Rows.Copy(response.AsSpan(0, Math.Max(0, response.Length - 1)), ids.AsSpan(b * columns + prompt.Length));
        }

        var tensorOfIds = tensor(ids, [rows.Count, columns], device: device);
        if (samePrompt) return new ResponseBatch(tensorOfIds, longest, responseLength, rows[0].Prompt.Length, null);

        // Response token t of a row is predicted from column P − 1 + t; beyond a row's own end any column will do.
        var places = new long[rows.Count * responseLength];
        for (var b = 0; b < rows.Count; b++)
        {
            for (var t = 0; t < responseLength; t++)
                places[b * responseLength + t] = (long)b * columns + Math.Min(rows[b].Prompt.Length - 1 + t, columns - 1);
        }

        return new ResponseBatch(tensorOfIds, longest, responseLength, 0, places);
    }

    /// <summary>[B, T, D] → [B, A, D].</summary>
    public Tensor Responses(Tensor states)
    {
        if (_places is null) return states.narrow(1, _commonPrompt - 1, _responseLength);
        long width = states.size(2);
        return states.reshape(-1, width).index_select(0, tensor(_places, device: states.device)).view(states.size(0), _responseLength, width);
    }
}
