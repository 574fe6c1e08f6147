import { describe, expect, it } from '@jest/globals';
import { createMasker } from '#src/model/mask.ts';

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
    ['nothing for empty values', ['', ' '], 'a b', 'a b'],
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
