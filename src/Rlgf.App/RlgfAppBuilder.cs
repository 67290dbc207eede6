using System.CommandLine;
using System.Reflection;
using Rlgf.App.Terminals;
using Rlgf.Guides;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Runs;
using Rlgf.Text.Data;

namespace Rlgf.App;

/// <summary>What a command line is made of: kinds of parts that its recipes can name, besides the built-in ones. What is wrong with a kind is said when the program runs.</summary>
public sealed class RlgfAppBuilder
{
    private readonly string[] _args;
    private readonly PartKinds _kinds = AppKinds.New();

    internal RlgfAppBuilder(string[] args) => _args = args;

    /// <summary>What the program is called in help and in messages that say how to go on; the name of its assembly by default.</summary>
    public string Program { get; set; } = Assembly.GetEntryAssembly()?.GetName().Name ?? Terminal.Rlgf;

    /// <summary>Kinds of guides.</summary>
    public KindTable<GuideSection, PartServices, IGuide> Guides => _kinds.Guides;

    /// <summary>Kinds of rewards; a judge, and a part of a sum, is one of them too.</summary>
    public KindTable<RewardSection, PartServices, IReward> Rewards => _kinds.Rewards;

    /// <summary>Kinds of readers, for data that is in no file of a known format.</summary>
    public KindTable<DataReaderSection, DataSource, IEnumerable<DataRow>> Readers => _kinds.Readers;

    /// <summary>Kinds of logs, which are told what a run sees besides its folder.</summary>
    public KindTable<RunLogSection, RunLogServices, IRunLog> Logs => _kinds.Logs;

    /// <summary>Algorithms.</summary>
    public AlgorithmKinds Algorithms => _kinds.Algorithms;

    /// <summary>Commands that the program brings itself, since they need what this package shouldn't: each made for a terminal.</summary>
    internal IReadOnlyList<Func<Terminal, Command>> Commands { get; set; } = [];

    /// <summary>The command line, ready to run.</summary>
    public RlgfApp Build() => new(_args, _kinds, Program, Commands);
}
