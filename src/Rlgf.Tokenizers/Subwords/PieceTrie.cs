namespace Rlgf.Tokenizers.Subwords;

/// <summary>Tokens by their UTF-16 units, so that all that begin at one place of a text are found in one pass.</summary>
internal sealed class PieceTrie
{
    /// <summary>The node of the empty text.</summary>
    public const int Root = 0;

    private readonly Dictionary<(int Node, char Unit), int> _children = [];
    private readonly List<int> _ids = [-1];

    public PieceTrie(IEnumerable<KeyValuePair<string, int>> pieces)
    {
        foreach (var (piece, id) in pieces)
        {
            var node = Root;
            foreach (var unit in piece)
            {
                if (!_children.TryGetValue((node, unit), out var child))
                {
                    child = _ids.Count;
                    _ids.Add(-1);
                    _children.Add((node, unit), child);
                }
                node = child;
            }
            if (node != Root)
                _ids[node] = id;
        }
    }

    /// <summary>The node one unit further, or -1.</summary>
    public int Child(int node, char unit) => _children.TryGetValue((node, unit), out var child) ? child : -1;

    /// <summary>The token that ends at a node, or -1.</summary>
    public int IdAt(int node) => _ids[node];
}
