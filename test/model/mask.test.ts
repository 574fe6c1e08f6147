import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { createMasker, maskText } from '#src/model/mask.ts';

function mask(values: readonly string[], chunks: readonly (string | Buffer)[]): string {
  const masker = createMasker(values);
  const pieces = chunks.map((chunk) => masker.push(Buffer.from(chunk as string)));
  return Buffer.concat([...pieces, masker.flush()]).toString('latin1');
}

describe('createMasker', () => {
  it.each([
    ['a value', ['hunter2'], 'x hunter2 y', 'x *** y'],
    ['values that overlap', ['abcd', 'cdef'], 'xabcdefy', 'x***y'],
    ['a value that holds another', ['abcd', 'abcdefgh'], 'abcdefgh abcd', '*** ***'],
    ['a value that repeats itself', ['aaaa'], 'aaaaaaaaaa b', '*** b'],
    ['each line of a long value', ['first line\nsecond line'], '1 second line, 2 first line', '1 ***, 2 ***'],
    ['but not its short lines', ['{\n"key": 1\n}'], '{ "key": 1 }', '{ *** }'],
    ['base64', ['password1'], Buffer.from('password1').toString('base64'), '***'],
    ['URL-encoding', ['p@ss/word'], 'https://u:p%40ss%2Fword@x', 'https://u:***@x'],
    ['URL-encoding in small letters', ['p@ss/word'], 'p%40ss%2fword', '***'],
    ['URL-encoding with blanks as +', ['pass word'], 'pass%20word pass+word', '*** ***'],
    ['a URL whose path holds it', ['p@ss/word'], 'p%40ss/word', '***'],
    ['JSON', ['a"b\\c\nd e f'], JSON.stringify({ x: 'a"b\\c\nd e f' }), '{"x":"***"}'],
    ['JSON in ASCII', ['pässwörd'], '"p\\u00e4ssw\\u00f6rd"', '"***"'],
    ['XML', ['a<b&"c"'], '<t m="a&lt;b&amp;&quot;c&quot;">a&lt;b&amp;"c"</t>', '<t m="***">***</t>'],
    ['what set -x makes of quotes', ["it's me"], `+ echo 'it'\\''s me' 'it'"'"'s me'`, "+ echo '***' '***'"],
    ['what export -p makes of dollars', ['a$b`c"d'], 'declare -x T="a\\$b\\`c\\"d"', 'declare -x T="***"'],
    ['each line of a long value in JSON', ['say "a"\nsay "b"'], 'say \\"b\\"', '***'],
    [
      'what is coloured in the middle',
      ['hunter2'],
      'x \u001b[31mhun\u001b[m\u001b[Kter2\u001b[0m y',
      'x \u001b[31m***\u001b[0m y',
    ],
    [
      'each letter in another colour',
      ['abcd'],
      '\u001b[1ma\u001b[2mb\u001b[3mc\u001b[4md\u001b[m',
      '\u001b[1m***\u001b[m',
    ],
    ['a value that holds a colour', ['\u001b[31mred\u001b[m!'], 'x\u001b[31mred\u001b[m!', 'x***'],
    ['nothing because of an escape that is none', ['abcd'], 'ab\u001b]cd ab\u001b', 'ab\u001b]cd ab\u001b'],
    ['nothing for empty values', ['', ' '], 'a b', 'a b'],
    ['nothing for values under 4 characters', ['abc', ' x ', 'a\nb'], 'abc x a', 'abc x a'],
  ])('hides %s', (_, values, text, expected) => {
    expect(mask(values, [text])).toBe(expected);
    // However the stream is cut.
    expect(mask(values, text.split(''))).toBe(expected);
  });

  it.each([0, 1, 2, 3])('hides base64 of a text that has the value after %i characters', (shift) => {
    const encoded = Buffer.from(`${'u'.repeat(shift)}long-password:tail`).toString('base64');
    expect(mask(['long-password'], [encoded])).not.toContain(
      Buffer.from('long-password').toString('base64').slice(4, 12),
    );
    expect(mask(['long-password'], [encoded])).toContain('***');
  });

  it.each([76, 64])('hides the base64 of a long value that is broken after %i columns', (columns) => {
    const value = Array.from({ length: 40 }, (_, i) => `line ${i} of a key`).join('\n');
    const encoded = Buffer.from(`${value}\n`)
      .toString('base64')
      .replaceAll(new RegExp(`.{${columns}}`, 'g'), '$&\n');
    // Of the last line the end depends on what follows.
    expect(mask([value], [encoded]).replaceAll(/[*\n]/g, '').length).toBeLessThanOrEqual(4);
  });

  it('looks for many values as one by one would', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '"', '\n'), minLength: 0, maxLength: 9 });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 5 }), fc.array(letters, { maxLength: 12 }), (values, chunks) => {
        const text = chunks.join('');
        const shown = mask(values, chunks);
        expect(shown).toBe(mask(values, [text]));
        expect(shown).toBe(maskText(text, values));
        for (const value of values.map((it) => it.trim()).filter((it) => it.length >= 4)) {
          expect(shown).not.toContain(value);
        }
        if (shown === text) return;
        expect(values.some((value) => value.trim().length >= 4)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('looks through colours, however they and the stream are cut', () => {
    const part = fc.constantFrom('a', 'b', 'ab', '\u001b[m', '\u001b[31m', '\u001b', '[', '3', 'm', '\u001b[', '\n');
    const values = ['abab', 'bbbbb', 'a[3m', 'a\u001b[mb'];
    fc.assert(
      fc.property(fc.array(fc.array(part, { maxLength: 6 }), { maxLength: 12 }), (chunks) => {
        const pieces = chunks.map((it) => it.join(''));
        const shown = mask(values, pieces);
        expect(shown).toBe(mask(values, [pieces.join('')]));
        expect(shown).toBe(maskText(pieces.join(''), values));
        // oxlint-disable-next-line no-control-regex
        const plain = shown.replaceAll(/\u001b\[[0-?]*[@-~]/g, '');
        for (const value of ['abab', 'bbbbb']) expect(plain.split('***').some((it) => it.includes(value))).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it('holds back little of colours without end', () => {
    const masker = createMasker(['secret']);
    let shown = masker.push(Buffer.from('sec')).length;
    const colours = Buffer.from('\u001b[1m\u001b[2m'.repeat(8_000));
    for (let i = 0; i < 20; i += 1) shown += masker.push(colours).length;
    expect(3 + 20 * colours.length - shown).toBeLessThan(300_000);
  });

  it('holds back only what may be a secret', () => {
    const masker = createMasker(['secret']);
    expect(masker.push(Buffer.from('line\nsec')).toString()).toBe('line\n');
    expect(masker.push(Buffer.from('tion\n')).toString()).toBe('section\n');
  });

  it('passes bytes that are no text', () => {
    const bytes = Buffer.from([0xff, 0x00, 0xc3, 0x28, 0x80]);
    expect(mask(['secret'], [bytes])).toBe(bytes.toString('latin1'));
  });
});

describe('maskText', () => {
  it('hides values in a text, and leaves any other as it is', () => {
    expect(maskText('püsh to https://u:hunter2@x failed', ['hunter2'])).toBe('püsh to https://u:***@x failed');
    expect(maskText('hunter2', ['hunter2'])).toBe('***');
    expect(maskText('nothing', ['hunter2'])).toBe('nothing');
    expect(maskText('nothing', [])).toBe('nothing');
  });
});
