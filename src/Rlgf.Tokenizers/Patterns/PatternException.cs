namespace Rlgf.Tokenizers.Patterns;

/// <summary>A regular expression that can't be used.</summary>
/// <param name="what">Why, as the end of "is a regular expression with …".</param>
/// <param name="position">The character where that is, from 1; 0 where it is no single one.</param>
internal sealed class PatternException(string what, int position) : Exception(position > 0 ? $"{what} (character {position})" : what);
