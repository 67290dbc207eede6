using Rlgf.Recipes;

namespace Rlgf.App.Commands;

/// <summary>Which command a recipe is for.</summary>
internal static class RecipeKinds
{
    /// <summary>The command's name.</summary>
    public static string CommandOf(RunRecipe recipe) => recipe switch
    {
        SftRecipe => "sft",
        ClassifierRecipe => "classifier train",
        RewardModelRecipe => "reward train",
        DpoRecipe => "dpo",
        PairsRecipe => "pairs make",
        _ => "train",
    };
}
