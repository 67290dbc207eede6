namespace Rlgf.Base;

/// <summary>A setting that may be another when a run goes on: how long it goes, how often it looks at itself, or how much is in memory at once.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class MayChangeOnResumeAttribute : Attribute;
