import { describe, expect, it } from '@jest/globals';
import type { Logs } from '#src/engine/ports.ts';
import type { Step } from '#src/model/run.ts';
import { plain } from '#src/web/ansi.ts';
import { groupLines, LineRenderer, readTail, rendererAt, sectionOf } from '#src/web/log-lines.ts';

const log = { jobId: 'j', attempt: 1 };

/** A log that is complete. */
function logsOf(bytes: Buffer): Logs {
  return {
    open: () => Promise.reject(new Error('not here')),
    read: async (_log, from, to) => bytes.subarray(from, to),
    size: async () => bytes.length,
    async *follow() {},
    exists: async () => true,
    remove: async () => {},
    async *all() {},
  };
}

describe('LineRenderer', () => {
  const text = 'eins\n\x1b[32mgrün 🚢\n日本\x1b[0m\r\n<last>';
  const bytes = Buffer.from(text);

  it.each([1, 2, 3, 5, 1000])('makes the same lines of pieces of %i bytes', (size) => {
    const renderer = new LineRenderer(0, plain);
    const lines = [];
    for (let i = 0; i < bytes.length; i += size) lines.push(...renderer.push(bytes.subarray(i, i + size)));
    expect(renderer.position).toBe(bytes.length);
    lines.push(...renderer.end());
    expect(lines.map((line) => line.html)).toEqual([
      'eins',
      '<span class="f2">grün 🚢</span>',
      '<span class="f2">日本</span>',
      '&lt;last&gt;',
    ]);
    expect(lines[0]).toMatchObject({ start: 0, end: 5 });
    for (const [i, line] of lines.entries()) expect(line.start).toBe(lines[i - 1]?.end ?? 0);
    expect(lines.at(-1)?.end).toBe(bytes.length);
  });

  it('cuts output without line ends between characters', () => {
    const renderer = new LineRenderer(0, plain);
    const long = 'x' + '€'.repeat(100_000);
    const lines = [...renderer.push(Buffer.from(long)), ...renderer.end()];
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.map((line) => line.html).join('')).toBe(long);
  });
});

describe('rendererAt', () => {
  it('knows the colours that are on where it begins', async () => {
    const bytes = Buffer.from('\x1b[1;31mred\nstill red\n');
    const renderer = await rendererAt(logsOf(bytes), log, 11);
    expect(renderer.push(bytes.subarray(11)).map((line) => line.html)).toEqual([
      '<span class="f1 bold">still red</span>',
    ]);
  });
});

describe('readTail', () => {
  it('gives the end of a long log in whole lines with their numbers', async () => {
    const text = Array.from({ length: 100_000 }, (_, i) => `Zeile ${i + 1} ü\n`).join('');
    const tail = await readTail(logsOf(Buffer.from(text)), log, 1000, true);
    const first = tail.lines[0];
    expect(first?.html).toBe(`Zeile ${tail.firstNumber} ü`);
    expect(tail.lines.at(-1)?.html).toBe('Zeile 100000 ü');
    expect(tail.lines.length).toBe(100_000 - tail.firstNumber + 1);
    expect(tail.omitted).toBe(first?.start);
  });

  it('keeps back a line that is still being written, unless the log is complete', async () => {
    const logs = logsOf(Buffer.from('one\ntwo'));
    expect(await readTail(logs, log, 1000, false)).toMatchObject({ lines: [{ html: 'one' }], next: 4 });
    expect(await readTail(logs, log, 1000, true)).toMatchObject({ lines: [{ html: 'one' }, { html: 'two' }], next: 7 });
  });

  it('of no log is empty', async () => {
    expect(await readTail(logsOf(Buffer.alloc(0)), log, 1000, false)).toEqual({
      lines: [],
      firstNumber: 1,
      omitted: 0,
      next: 0,
    });
  });
});

describe('sections', () => {
  const step = (index: number, logStart: number | null, logEnd: number | null): Step => ({
    index,
    name: 'x',
    state: 'pending',
    exitCode: null,
    startedAt: null,
    finishedAt: null,
    logStart,
    logEnd,
  });
  const steps = [step(0, 10, 20), step(1, 20, 20), step(2, 20, 35), step(3, 40, 50)];

  it.each([
    [0, 'before'],
    [10, 0],
    [19, 0],
    [20, 2],
    [37, 2],
    [40, 3],
    [50, 'after'],
  ] as const)('puts the line at byte %i into %s', (offset, section) => {
    expect(sectionOf(steps, offset)).toBe(section);
  });

  it.each([
    [[step(0, null, null)], 5, 'before'],
    [[], 5, 'before'],
    [[step(0, 0, 5), step(1, null, null)], 7, 0],
    [[step(0, 0, null)], 7, 0],
  ] as const)('is clear while steps are still to come', (steps, offset, section) => {
    expect(sectionOf(steps, offset)).toBe(section);
  });

  it('groups neighbours', () => {
    const line = (start: number) => ({ start, end: start + 1, html: 'x' });
    const groups = groupLines(steps, [0, 1, 10, 11, 50].map(line));
    expect(groups.map((group) => [group.section, group.lines.length])).toEqual([
      ['before', 2],
      [0, 2],
      ['after', 1],
    ]);
  });
});
