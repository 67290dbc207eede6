namespace Rlgf.Tokenizers.Parts;

/// <summary>A token that is found in the text itself, before any word is cut into pieces.</summary>
/// <param name="Id">Token id.</param>
/// <param name="Content">Its text.</param>
/// <param name="IsSpecial">Whether decoding can leave it out.</param>
/// <param name="IsNormalized">Whether it is looked for in the normalised text rather than in the original.</param>
/// <param name="IsSingleWord">Whether it counts only where no character of a word touches it.</param>
/// <param name="TakesSpaceBefore">Whether it swallows the white space on its left.</param>
/// <param name="TakesSpaceAfter">Whether it swallows the white space on its right.</param>
internal sealed record AddedToken(
    int Id, string Content, bool IsSpecial, bool IsNormalized = false, bool IsSingleWord = false, bool TakesSpaceBefore = false, bool TakesSpaceAfter = false);
