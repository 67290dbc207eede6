// Makes unicode-scripts.txt: the script of each character in Unicode 9.0, which is what sentencepiece and the tokenizers library go by.
// Run with Node in a folder where "npm install @unicode/unicode-9.0.0" was run: node make_unicode_scripts.mjs > unicode-scripts.txt
import { readdirSync } from 'fs';

const folder = `${process.cwd()}/node_modules/@unicode/unicode-9.0.0/Script`;
const ranges = [];
for (const script of readdirSync(folder).filter(script => script !== 'Unknown')) {
  const points = (await import(`${folder}/${script}/code-points.mjs`)).default;
  for (let i = 0, first = points[0]; i < points.length; i++) {
    if (points[i + 1] === points[i] + 1) continue;
    ranges.push([first, points[i], script]);
    first = points[i + 1];
  }
}
ranges.sort((a, b) => a[0] - b[0]);
console.log('# Scripts of Unicode 9.0, by make_unicode_scripts.mjs; Unicode License v3, https://www.unicode.org/license.txt');
for (const [first, last, script] of ranges) console.log(`${first.toString(16).toUpperCase()} ${last.toString(16).toUpperCase()} ${script}`);
