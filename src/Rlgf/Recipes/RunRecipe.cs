using Rlgf.Base;
using Rlgf.Models.NumberTypes;

namespace Rlgf.Recipes;

/// <summary>What a recipe file holds; <c>kind:</c> says what it is for.</summary>
public abstract record RunRecipe : IKnowsKinds
{
    /// <summary>Name of the recipe, for logs, reports and the run's folder: no path, and at most 200 bytes.</summary>
    [RecipeName]
    public required string Name { get; init; }

    /// <summary>Seed of everything that is drawn.</summary>
    public ulong Seed { get; init; }

    /// <summary>The run's folder; null for <c>runs/NAME</c>.</summary>
    [RecipeOutput]
    public string? Output { get; init; }

    /// <summary>
    /// Where models compute: <c>cpu</c>, <c>cuda</c> (the first GPU), <c>cuda:N</c>, or <c>auto</c>, which is the first GPU where there is one. A run may go on elsewhere: it then ends near where it would have ended,
    /// as devices add up in other orders, not bit for bit.
    /// </summary>
    [MayChangeOnResume]
    public string Device { get; init; } = DeviceName.Default;

    /// <summary>Who else is told what the run sees; its folder always is.</summary>
    public IReadOnlyList<RunLogSection> Logs { get; init; } = [];

    /// <summary>Where its keys were written.</summary>
    internal RecipeLocations Locations { get; init; } = RecipeLocations.None;

    /// <summary>The kinds among which its sections were chosen, and which make parts of them.</summary>
    internal PartKinds Kinds { get; set; } = PartKinds.BuiltIn;

    PartKinds IKnowsKinds.Kinds { set => Kinds = value; }

    /// <summary>A refusal of what a key says, for the caller to throw: with the key's file and line, where the recipe was read from a file.</summary>
    /// <param name="key">The key's path, such as <c>data.evaluation_path</c>.</param>
    /// <param name="problem">What is wrong and what to do.</param>
    public InputException Refusal(string key, string problem) => new(Locations.Say(key, problem));

    /// <summary>Files and folders that are read by the recipe.</summary>
    public IReadOnlyList<string> Inputs() => [.. RecipePaths.Of(this).Select(found => found.Path)];

    /// <summary>Makes sure that the files and folders are there that are read by the recipe, but for data that a reader of somebody's own makes of a path what it likes.</summary>
    /// <exception cref="InputException">One is missing; names file, line and key.</exception>
    public void RequireInputs()
    {
        foreach (var (key, path) in RecipePaths.Of(this))
        {
            if (!System.IO.Path.Exists(path) && !IsReadByOwnCode(key)) throw Refusal(key, $"{path}: there is no such file or folder");
        }
    }

    /// <summary>Makes sure that the output is a folder in which a run can be; makes nothing.</summary>
    /// <exception cref="InputException">It isn't; names file, line and key.</exception>
    public void RequireOutput() => Locations.Of("output", () =>
    {
        var folder = Resolved().Output!;
        Runs.Outputs.RequireRunFolder(folder);
        return folder;
    });

    /// <summary>The recipe with every default that depends on other keys filled in: what a run's folder keeps.</summary>
    public virtual RunRecipe Resolved() => this with { Output = Output ?? $"runs/{Name}", Device = DeviceName.Resolved(Device) };

    /// <summary>Makes sure that this machine has the devices that the recipe names and the products that it asks for; called before anything is loaded.</summary>
    /// <exception cref="InputException">It lacks one; names file, line and key.</exception>
    public void RequireDevices()
    {
        foreach (var (key, name) in Devices)
        {
            if (DeviceName.Problem(name) is { } problem) throw Refusal(key, problem);
        }

        foreach (var (key, problem) in MachineProblems()) throw Refusal(key, problem);
    }

    /// <summary>The devices that are named, by key.</summary>
    internal virtual IEnumerable<(string Key, string Name)> Devices => [("device", Device)];

    /// <summary>What this machine, or what lies on it, can't do of what the recipe asks for, devices aside.</summary>
    private protected virtual IEnumerable<(string Key, string Problem)> MachineProblems() => [];

    /// <summary>What the model that is trained computes with, of a recipe that is resolved.</summary>
    internal virtual PolicyPrecision TrainedIn => PolicyPrecision.Float32;

    /// <summary>Whether a path is for a program's own code alone.</summary>
    private protected virtual bool IsReadByOwnCode(string key) => false;

    /// <summary>What is wrong with the device on any machine.</summary>
    private protected IEnumerable<(string Key, string Problem)> DeviceProblems() => DeviceName.Fault(Device) is { } fault ? [("device", fault)] : [];
}
