import { describe, expect, it } from '@jest/globals';
import { cleanTerminal, cutBytes, failingPart, stripAnsi } from '#src/model/annotations/index.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const size = (text: string): number => bytes(text).length;

describe('text outside of a terminal', () => {
  it.each([
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b[38;5;196mred\u001b[m', 'red'],
    ['\u001b]8;;https://x\u0007link\u001b]8;;\u0007', 'link'],
    ['\u001b]0;title\u001b\\text', 'text'],
    ['\u001b(Btext', 'text'],
    ['plain', 'plain'],
    ['cut \u001b[3', 'cut '],
  ])('%j has no colours: %j', (text, expected) => {
    expect(stripAnsi(text)).toBe(expected);
  });

  it.each([
    ['10%\r50%\r100%\ndone', '100%\ndone'],
    ['windows\r\nlines\r\n', 'windows\nlines\n'],
    ['progress\r\u001b[K', 'progress'],
    ['abc\b\bX', 'aX'],
    ['bell\u0007 null\u0000 tab\tstays', 'bell null tab\tstays'],
  ])('%j ends as %j', (text, expected) => {
    expect(cleanTerminal(text)).toBe(expected);
  });
});

describe('the failing part', () => {
  const filler = Array.from({ length: 5000 }, (_, i) => `step ${i} went well, 0 errors`);

  it('is all of a short log', () => {
    expect(failingPart(bytes('one\n\u001b[31mtwo\u001b[0m\n\n'), 1000)).toBe('one\ntwo');
    expect(failingPart(new Uint8Array(), 1000)).toBe('');
  });

  it('is the first error with what is around it, and the end', () => {
    const log = [...filler, 'compiling', 'src/a.c:1:1: error: größer', 'details', ...filler, 'npm ERR! exit 1'].join(
      '\n',
    );
    const part = failingPart(bytes(log), 2000);
    expect(size(part)).toBeLessThanOrEqual(2000);
    expect(part).toMatch(/^step 4999 went well, 0 errors\ncompiling\nsrc\/a\.c:1:1: error: größer\ndetails\n/);
    expect(part).toMatch(/\n\[\d+ lines left out\]\n/);
    expect(part).toMatch(/\nstep 4999 went well, 0 errors\nnpm ERR! exit 1$/);
  });

  it('is the end where nothing looks like an error, or the first error is in the end', () => {
    expect(failingPart(bytes(filler.join('\n')), 500)).toMatch(/^step 49\d\d .*\n[^]*step 4999 went well, 0 errors$/);
    const part = failingPart(bytes([...filler, 'fatal: it broke', 'bye'].join('\n')), 500);
    expect(part).toMatch(/fatal: it broke\nbye$/);
    expect(part).not.toMatch(/left out/);
  });

  it.each([0, 1, 79, 80, 81, 200, 1000, 4096])('never exceeds %d bytes, nor cuts a character', (max) => {
    const log = bytes(`${'ü✓𝄞'.repeat(40)}\nerror: 𝄞\n`.repeat(400) + 'x'.repeat(100_000));
    const part = failingPart(log, max);
    expect(size(part)).toBeLessThanOrEqual(max);
    expect(part.isWellFormed()).toBe(true);
    expect(part).not.toMatch(/\ufffd/);
  });

  it('reads only the end of a huge log', () => {
    const log = new Uint8Array(40 * 1024 * 1024).fill(10);
    log.set(bytes('\nerror: at the end'), log.length - 18);
    expect(failingPart(log, 1000)).toMatch(/error: at the end$/);
  });

  it('cuts between characters', () => {
    expect(cutBytes('aü', 2)).toBe('a');
    expect(cutBytes('𝄞𝄞', 7)).toBe('𝄞');
    expect(cutBytes('short', 100)).toBe('short');
  });
});
