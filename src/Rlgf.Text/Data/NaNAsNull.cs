using System.Globalization;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Rlgf.Text.Data;

/// <summary>A number that is not known, NaN, as JSON's null, and infinities, which JSON has none of, as text: the one is missing, the others are measured.</summary>
/// <typeparam name="T"><see cref="double"/> or <see cref="float"/>.</typeparam>
internal sealed class NaNAsNull<T> : JsonConverter<T> where T : struct, IFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    public override bool HandleNull => true;

    /// <inheritdoc/>
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType switch
    {
        JsonTokenType.Null => T.NaN,
        JsonTokenType.String => reader.GetString() switch { "Infinity" => T.PositiveInfinity, "-Infinity" => T.NegativeInfinity, _ => throw new JsonException("neither a number nor an infinity") },
        _ => T.CreateChecked(reader.GetDouble()),
    };

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options)
    {
        if (T.IsNaN(value)) writer.WriteNullValue();
        else if (!T.IsFinite(value)) writer.WriteStringValue(T.IsNegative(value) ? "-Infinity" : "Infinity");
        // A float's own shortest digits, not those of the double that it would be widened to.
        else writer.WriteRawValue(value.ToString("R", CultureInfo.InvariantCulture), skipInputValidation: true);
    }
}
