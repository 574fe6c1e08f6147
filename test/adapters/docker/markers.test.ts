import { describe, expect, it } from '@jest/globals';
import { createMarkParser, markFormat } from '#src/adapters/docker/markers.ts';

const nonce = '0123456789abcdef';
const mark = (words: string) => `\x1e${nonce} ${words}\x1f`;

function parse(chunks: readonly string[]): string {
  const parser = createMarkParser(nonce);
  const pieces = chunks.flatMap((chunk) => parser.push(Buffer.from(chunk, 'latin1')));
  const told = pieces.map((piece) =>
    piece.kind === 'text' ? piece.bytes.toString('latin1') : `[${piece.words.join(' ')}]`,
  );
  return told.join('') + parser.flush().toString('latin1');
}

describe('createMarkParser', () => {
  it.each([
    ['a mark', mark('step 0'), '[step 0]'],
    ['marks within a line', `a${mark('step 0')}b${mark('done 1 0')}c`, 'a[step 0]b[done 1 0]c'],
    ['marks side by side', mark('done 0 0') + mark('end'), '[done 0 0][end]'],
    ['a forged mark as text', '\x1eabc step 0\x1f', '\x1eabc step 0\x1f'],
    ['a mark without end as text', `\x1e${nonce} ${'x'.repeat(300)}`, `\x1e${nonce} ${'x'.repeat(300)}`],
    ['a mark torn by the end of the stream', `a\x1e${nonce} st`, `a\x1e${nonce} st`],
    ['the first byte alone', 'a\x1eb\x1e', 'a\x1eb\x1e'],
  ])('reads %s', (_, stream, expected) => {
    expect(parse([stream])).toBe(expected);
    expect(parse(stream.split(''))).toBe(expected);
  });

  it("doesn't print a mark where the shell traces it", () => {
    expect(markFormat(nonce, 'end')).not.toContain('\x1e');
  });
});
