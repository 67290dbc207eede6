using System.Collections;
using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Rlgf.Recipes;

/// <summary>Writes records as YAML that loads to the same values, every default spelt out.</summary>
internal static class RecipeWriter
{
    /// <summary>Writes a record.</summary>
    /// <param name="record">The record.</param>
    /// <param name="kinds">The kinds among which its sections were chosen.</param>
    /// <param name="path">How a path to a file or folder that is read is spelt; null for as it is.</param>
    /// <param name="isLeftOut">Of which keys null is written in place of the value; null for none.</param>
    public static string Write(object record, PartKinds kinds, Func<string, string>? path = null, Func<RecipeSchema.Member, bool>? isLeftOut = null)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        var emitter = new Emitter(text, EmitterSettings.Default.WithMaxSimpleKeyLength(1024).WithBestWidth(int.MaxValue));
        emitter.Emit(new StreamStart());
        emitter.Emit(new DocumentStart(null, null, isImplicit: true));
        WriteSection(emitter, record, kinds, path, isLeftOut ?? (_ => false));
        emitter.Emit(new DocumentEnd(isImplicit: true));
        emitter.Emit(new StreamEnd());
        return text.ToString();
    }

    private static void WriteSection(Emitter emitter, object record, PartKinds kinds, Func<string, string>? path, Func<RecipeSchema.Member, bool> isLeftOut)
    {
        emitter.Emit(new MappingStart(AnchorName.Empty, TagName.Empty, isImplicit: true, MappingStyle.Block));
        var members = RecipeSchema.MembersOf(record.GetType());
        if (kinds.Of(record.GetType()) is { } list && members.All(member => member.Key != list.Key))
        {
            WritePlain(emitter, list.Key);
            WritePlain(emitter, list.NameOf(record));
        }

        foreach (var member in members)
        {
            WritePlain(emitter, member.Key);
            WriteValue(emitter, isLeftOut(member) ? null : member.Property.GetValue(record), member.Use == TextUse.ReadPath, kinds, path, isLeftOut);
        }

        emitter.Emit(new MappingEnd());
    }

    private static void WriteValue(Emitter emitter, object? value, bool isPath, PartKinds kinds, Func<string, string>? path, Func<RecipeSchema.Member, bool> isLeftOut)
    {
        switch (value)
        {
            case null:
                WritePlain(emitter, "null");
                break;
            case string text:
                WriteText(emitter, isPath && path is not null ? path(text) : text);
                break;
            case bool flag:
                WritePlain(emitter, flag ? "true" : "false");
                break;
            case Enum member:
                WritePlain(emitter, RecipeSchema.KeyOf(member.ToString()));
                break;
            case IEnumerable list:
                emitter.Emit(new SequenceStart(AnchorName.Empty, TagName.Empty, isImplicit: true, SequenceStyle.Block));
                foreach (var item in list)
                {
                    WriteValue(emitter, item, isPath, kinds, path, isLeftOut);
                }

                emitter.Emit(new SequenceEnd());
                break;
            case IFormattable number when value.GetType().IsPrimitive:
                WritePlain(emitter, number.ToString(null, CultureInfo.InvariantCulture));
                break;
            default:
                WriteSection(emitter, value, kinds, path, isLeftOut);
                break;
        }
    }

    /// <summary>Text in quotes unless it is made of such characters that no reader of YAML takes it for anything else.</summary>
    private static void WriteText(Emitter emitter, string text)
    {
        var plain = text.Length > 0 && char.IsAsciiLetter(text[0]) && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or '/')
            && text.ToLowerInvariant() is not ("null" or "true" or "false" or "yes" or "no" or "on" or "off" or "y" or "n");
        emitter.Emit(new Scalar(AnchorName.Empty, TagName.Empty, text, plain ? ScalarStyle.Plain : ScalarStyle.DoubleQuoted, plain, !plain));
    }

    private static void WritePlain(Emitter emitter, string text) =>
        emitter.Emit(new Scalar(AnchorName.Empty, TagName.Empty, text, ScalarStyle.Plain, isPlainImplicit: true, isQuotedImplicit: false));
}
