using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Rewards;
using Rlgf.Runs;
using Rlgf.Text.Data;

namespace Rlgf.Recipes;

/// <summary>
/// The kinds of parts that recipes can name: what stands after <c>kind:</c> of a guide, a reward or judge, a reader of data or a log, and after <c>name:</c> of an algorithm.
/// A program adds kinds of its own in the way in which the built-in ones are added (<see cref="BuiltInKinds"/>).
/// </summary>
public sealed class PartKinds
{
    private readonly Dictionary<Type, KindList> _lists = [];

    /// <summary>The built-in kinds.</summary>
    public PartKinds()
    {
        Guides = new(Open(typeof(GuideSection), "guides"));
        Rewards = new(Open(typeof(RewardSection), "rewards"));
        Readers = new(Open(typeof(DataReaderSection), "readers of data"));
        Logs = new(Open(typeof(RunLogSection), "logs"));
        Algorithms = new(Open(typeof(AlgorithmSection), "algorithms", "name"));
        Closed(typeof(RunRecipe), ("train", typeof(TrainRecipe)), ("sft", typeof(SftRecipe)), ("classifier", typeof(ClassifierRecipe)), ("reward_model", typeof(RewardModelRecipe)), ("dpo", typeof(DpoRecipe)),
            ("pairs", typeof(PairsRecipe)));
        Closed(typeof(StartSection), ("folder", typeof(FolderStartSection)), ("gpt2", typeof(Gpt2StartSection)));
        BuiltInKinds.AddTo(this);
    }

    /// <summary>The built-in kinds alone.</summary>
    internal static PartKinds BuiltIn { get; } = new();

    /// <summary>Sources of continuations that guide the policy.</summary>
    public KindTable<GuideSection, PartServices, IGuide> Guides { get; }

    /// <summary>What scores responses: rewards and their parts, and judges.</summary>
    public KindTable<RewardSection, PartServices, IReward> Rewards { get; }

    /// <summary>Where rows of data come from.</summary>
    public KindTable<DataReaderSection, DataSource, IEnumerable<DataRow>> Readers { get; }

    /// <summary>Who is told what a run sees, besides its folder.</summary>
    public KindTable<RunLogSection, RunLogServices, IRunLog> Logs { get; }

    /// <summary>Algorithms.</summary>
    public AlgorithmKinds Algorithms { get; }

    /// <summary>Makes sure that every kind could be added.</summary>
    /// <exception cref="InputException">The first that could not, and why.</exception>
    public void ThrowIfWrong()
    {
        if (_lists.Values.Select(list => list.Problem).FirstOrDefault(problem => problem is not null) is { } wrong) throw new InputException(wrong);
    }

    /// <summary>Reads the rows of a path as a section says; null where there is none.</summary>
    internal Func<string, IEnumerable<DataRow>>? Reader(DataReaderSection? section, bool heldOut) => section is null ? null : path =>
    {
        var rows = Readers.Make(section, new DataSource(path, heldOut));
        // All at once: what fails in a reader fails while it is asked.
        return OwnCode.Run($"the reader '{Of(section.GetType())!.NameOf(section)}'", path, () => rows.ToArray(), CancellationToken.None);
    };

    /// <summary>The lists that programs may add to.</summary>
    internal IEnumerable<KindList> OpenLists => _lists.Values.Where(list => list.IsOpen);

    /// <summary>The kinds of a base record, or those among which a derived record is one; null for others.</summary>
    internal KindList? Of(Type type)
    {
        for (var at = type; at is not null; at = at.BaseType)
            if (_lists.TryGetValue(at, out var list)) return list;
        return null;
    }

    /// <summary>Kinds that are these and no others.</summary>
    internal PartKinds Closed(Type section, params (string Name, Type Type)[] kinds)
    {
        var list = _lists[section] = new KindList(section, $"{section.Name}s", RecipeSchema.KindKey, isOpen: false);
        foreach (var (name, type) in kinds) list.Add(name, type);
        return this;
    }

    private KindList Open(Type section, string what, string key = RecipeSchema.KindKey) => _lists[section] = new KindList(section, what, key, isOpen: true);
}

/// <summary>A record that needs to know the kinds among which its sections were chosen.</summary>
internal interface IKnowsKinds
{
    /// <summary>The kinds.</summary>
    PartKinds Kinds { set; }
}
