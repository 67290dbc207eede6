namespace Rlgf.ChatTemplates.Jinja;

/// <summary>What may follow <c>|</c>.</summary>
internal static class FilterTable
{
    private static readonly FunctionTable Filters = new()
    {
        { TextFilters.Table },
        { MarkupFilters.Table },
        { NumberFilters.Table },
        { SequenceFilters.Table },
        { SelectionFilters.Table },
    };

    /// <summary>Whether there is a filter of a name.</summary>
    public static bool Has(string name) => Filters.ContainsKey(name);

    /// <summary>Why there is none of a name, as the end of a sentence.</summary>
    public static string WhyNot(string name) => name == "urlize" ? "isn't supported" : "Jinja doesn't have";

    /// <summary>What a filter makes of its first argument.</summary>
    /// <exception cref="TemplateException">There is no such filter, or it can't.</exception>
    public static object? Apply(string name, CallArguments arguments, Rendering rendering) => Has(name)
        ? Filters.Call("filter", name, arguments, rendering)
        : throw new TemplateException($"uses the filter '{name}', which {WhyNot(name)}");
}
