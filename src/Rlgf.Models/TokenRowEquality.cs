using System.Runtime.InteropServices;

namespace Rlgf.Models;

/// <summary>Rows are equal where prompt and response hold the same tokens.</summary>
internal sealed class TokenRowEquality : IEqualityComparer<TokenRow>
{
    public static readonly TokenRowEquality Instance = new();

    public bool Equals(TokenRow x, TokenRow y) => x.Prompt.AsSpan().SequenceEqual(y.Prompt) && x.Response.AsSpan().SequenceEqual(y.Response);

    public int GetHashCode(TokenRow row)
    {
        var hash = new HashCode();
        hash.AddBytes(MemoryMarshal.AsBytes<int>(row.Prompt));
        hash.Add(row.Prompt.Length);
        hash.AddBytes(MemoryMarshal.AsBytes<int>(row.Response));
        return hash.ToHashCode();
    }
}
