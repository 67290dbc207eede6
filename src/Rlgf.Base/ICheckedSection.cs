namespace Rlgf.Base;

/// <summary>A section of settings with rules about several keys at once; recipes are held to them, as to <see cref="LimitsAttribute"/>.</summary>
public interface ICheckedSection
{
    /// <summary>What is wrong: the key that it is about, in snake_case (<c>a.b</c> for one of a section further in), and one line that says what and what to do; empty if nothing is.</summary>
    IEnumerable<(string Key, string Problem)> Problems();
}
