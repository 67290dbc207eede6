using System.Globalization;
using System.Text.Json.Nodes;

namespace Rlgf.Models.Checkpoints;

/// <summary>The older keys of a family's rotation, beside which transformers 5 has <c>rope_parameters</c>.</summary>
/// <param name="BaseKey">The base of the frequencies.</param>
/// <param name="ShareKey">The share of a head that is rotated.</param>
/// <param name="FormatShare">That share where it isn't said.</param>
/// <param name="WritesShare">Whether readers ask for the share even where it is the format's own.</param>
internal sealed record RotaryKeys(string BaseKey, string ShareKey, double FormatShare, bool WritesShare)
{
    /// <summary>The base where it isn't said.</summary>
    public double FormatBase { get; init; } = 10_000;

    /// <summary>Llama's, and those of most that came after it.</summary>
    public static RotaryKeys Llama { get; } = new("rope_theta", "partial_rotary_factor", 1, WritesShare: false);

    /// <summary>Types of scaling that mean longrope; the second and third are older names of Phi-3's.</summary>
    public IReadOnlyList<string> LongropeTypes { get; init; } = ["longrope"];

    /// <summary>Those of GPT-NeoX.</summary>
    public static RotaryKeys GptNeoX { get; } = new("rotary_emb_base", "rotary_pct", 0.25, WritesShare: true);
}

/// <summary>What a <c>config.json</c> says about rotation by position, whichever version of transformers wrote it.</summary>
/// <param name="Base">Of the frequencies.</param>
/// <param name="Share">Of a head's numbers, those that are rotated.</param>
/// <param name="Scaling">The settings of the scaling; null where there is none.</param>
internal sealed record RotarySetting(double Base, double Share, ModelConfiguration? Scaling)
{
    private const string Parameters = "rope_parameters";
    private const string ScalingKey = "rope_scaling";
    private const string OriginalKey = "original_max_position_embeddings";
    private const string BaseInParameters = "rope_theta";
    private const string ShareInParameters = "partial_rotary_factor";

    /// <summary>Numbers of a scaling that must have a fraction, if only of nothing.</summary>
    private static readonly string[] Decimals = ["factor", "low_freq_factor", "high_freq_factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim"];

    /// <summary>
    /// Reads it as transformers 5 does where both forms are there: <c>rope_scaling</c>, unless it is empty, counts rather than <c>rope_parameters</c>; base and share are those in the one that counts, and only where it has none those
    /// beside it.
    /// </summary>
    /// <param name="configuration">The model's configuration.</param>
    /// <param name="keys">The family's older keys.</param>
    /// <exception cref="Rlgf.Base.InputException">A value is impossible.</exception>
    public static RotarySetting Read(ModelConfiguration configuration, RotaryKeys keys)
    {
        var section = configuration.Section(ScalingKey) is { IsEmpty: false } scaling ? scaling : configuration.Section(Parameters);
        return new RotarySetting(
            section?.OptionalPositive(BaseInParameters) ?? configuration.Positive(keys.BaseKey, keys.FormatBase),
            section?.OptionalPositive(ShareInParameters) ?? configuration.Positive(keys.ShareKey, keys.FormatShare),
            section);
    }

    /// <summary>Whether frequencies follow the longest row, so that a row may be of any length.</summary>
    public bool HasNoLimit => (Scaling?.Text("rope_type") ?? Scaling?.Text("type")) == "dynamic";

    /// <summary>
    /// Writes it in both forms, the same in each: transformers 4 and the converters of other programs don't know <c>rope_parameters</c> and would take the format's base for one that only stands there.
    /// </summary>
    public void WriteTo(JsonObject json, RotaryKeys keys)
    {
        var settings = Scaling?.ToJson() ?? new JsonObject();
        foreach (var key in (string[])[BaseInParameters, ShareInParameters]) settings.Remove(key);
        // "type" is the older name, and the only one that the first readers of a linear scaling accept.
        var type = (string?)settings["rope_type"] ?? (string?)settings["type"] ?? "default";
        foreach (var key in (string[])["rope_type", "type"]) settings.Remove(key);
        foreach (var key in Decimals)
        {
            if (Scaling?.Number(key) is { } number) settings[key] = Decimal(number);
        }

        var writesShare = keys.WritesShare || Share != keys.FormatShare || json[keys.ShareKey] is not null;

        if (type == "longrope" && (json[OriginalKey] ?? settings[OriginalKey])?.DeepClone() is { } original)
        {
            // transformers 4 asks for the two lists and nothing else in its section, and for this beside it.
            json[OriginalKey] = original;
            settings.Remove(OriginalKey);
            settings[OriginalKey] = original.DeepClone();
        }

        var parameters = settings.DeepClone().AsObject();
        parameters[BaseInParameters] = Decimal(Base);
        parameters["rope_type"] = type;
        if (writesShare || Scaling?.Number(ShareInParameters) is not null) parameters[ShareInParameters] = Decimal(Share);
        json[Parameters] = parameters;

        if (type != "default") settings.Insert(0, type is "linear" or "longrope" ? "type" : "rope_type", type);
        if (type == "longrope") settings.Remove(OriginalKey);
        json[ScalingKey] = type == "default" ? null : settings;
        json[keys.BaseKey] = Decimal(Base);
        if (writesShare) json[keys.ShareKey] = Decimal(Share);
        // Some files of GPT-NeoX have Llama's keys too, which then must not say something else.
        if (json[BaseInParameters] is not null) json[BaseInParameters] = Decimal(Base);
        if (json[ShareInParameters] is not null) json[ShareInParameters] = Decimal(Share);
    }

    /// <summary>A number that Python reads as one with a fraction: transformers checks some of these for it.</summary>
    public static JsonNode Decimal(double number) => JsonNode.Parse(number == Math.Floor(number) && Math.Abs(number) < 1e15 ? number.ToString("0.0", CultureInfo.InvariantCulture) : number.ToString("R", CultureInfo.InvariantCulture))!;
}
