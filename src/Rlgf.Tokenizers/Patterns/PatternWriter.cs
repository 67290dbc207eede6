using System.Globalization;
using System.Text;

namespace Rlgf.Tokenizers.Patterns;

/// <summary>Writes a lowered expression for .NET, over the symbols of an alphabet.</summary>
internal static class PatternWriter
{
    /// <summary>The group that is empty where a match begins anew.</summary>
    public const string KeepGroup = "k";

    /// <summary>The expression for .NET.</summary>
    public static string Write(PatternNode whole, Alphabet alphabet)
    {
        var classes = new Dictionary<CodePointSet, string>();
        var text = new StringBuilder();
        Write(whole);
        return text.ToString();

        void Write(PatternNode node)
        {
            switch (node)
            {
                case SetNode set:
                    if (!classes.TryGetValue(set.Set, out var symbols))
                        classes.Add(set.Set, symbols = alphabet.Class(set.Set));
                    text.Append(symbols);
                    break;
                case SequenceNode sequence:
                    foreach (var part in sequence.Parts)
                        Write(part);
                    break;
                case AlternationNode alternation:
                    Wrap("(?:", alternation.Parts, ")");
                    break;
                case RepeatNode repeat:
                    Wrap("(?:", [repeat.Body], ")");
                    text.Append(Quantifier(repeat));
                    break;
                case AtomicNode atomic:
                    Wrap("(?>", [atomic.Body], ")");
                    break;
                case CaptureNode capture:
                    Wrap($"(?<{Group(capture.Number)}>", [capture.Body], ")");
                    break;
                case LookNode look:
                    Wrap((look.IsBehind, look.IsNegative) switch { (false, false) => "(?=", (false, true) => "(?!", (true, false) => "(?<=", _ => "(?<!" }, [look.Body], ")");
                    break;
                case ReferenceNode reference:
                    text.Append("(?>").AppendJoin('|', reference.Groups.Select(group => $"\\k<{Group(group)}>")).Append(')');
                    break;
                case ConditionNode condition:
                    WriteCondition(condition, 0);
                    break;
                case KeepNode:
                    text.Append($"(?<{KeepGroup}>)");
                    break;
                case AnchorNode anchor:
                    text.Append(anchor.Kind switch { AnchorKind.TextStart => "\\A", AnchorKind.TextEnd => "\\z", AnchorKind.SearchStart => "\\G", _ => throw Unknown(node) });
                    break;
                default:
                    throw Unknown(node);
            }
        }

        void Wrap(string open, IReadOnlyList<PatternNode> parts, string close)
        {
            text.Append(open);
            for (var i = 0; i < parts.Count; i++)
            {
                if (i > 0)
                    text.Append('|');
                Write(parts[i]);
            }
            text.Append(close);
        }

        void WriteCondition(ConditionNode condition, int at)
        {
            if (at == condition.Groups.Count)
            {
                Write(condition.Else);
                return;
            }
            text.Append($"(?({Group(condition.Groups[at])})");
            Write(condition.Then);
            text.Append('|');
            WriteCondition(condition, at + 1);
            text.Append(')');
        }
    }

    private static string Group(int number) => string.Create(CultureInfo.InvariantCulture, $"g{number}");

    private static string Quantifier(RepeatNode repeat)
    {
        var times = (repeat.Least, repeat.Most) switch
        {
            (0, null) => "*",
            (1, null) => "+",
            (0, 1) => "?",
            (var least, null) => string.Create(CultureInfo.InvariantCulture, $"{{{least},}}"),
            var (least, most) => string.Create(CultureInfo.InvariantCulture, $"{{{least},{most}}}"),
        };
        return repeat.IsGreedy ? times : times + "?";
    }

    private static InvalidOperationException Unknown(PatternNode node) => new($"A lowered expression has no {node.GetType().Name}.");
}
