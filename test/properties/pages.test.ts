import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { plain, renderLine } from '#src/web/ansi.ts';
import { type Line, LineRenderer } from '#src/web/log-lines.ts';
import { anyBytes, anyText, check, cutBy, cuts, madeOf, patience, subject } from './support.ts';

const pieces = [
  '\u001b',
  '\u001b[',
  '\u001b[31m',
  '\u001b[1;4;38;5;196m',
  '\u001b[38;2;',
  '\u001b[48;5;999999m',
  ':',
  ';',
  '9',
  'm',
  '\u001b]8;;javascript:x\u0007',
  '\u001b\\',
  '\u009b',
  '\u009d',
  '\r',
  '<b>',
  '"',
  "'",
  '&',
  '&lt;',
  '<span class="f1">',
  '</span>',
  'é',
  '🚀',
  'a',
];
const lineText = fc.oneof(anyText, madeOf(pieces)).map((text) => text.replaceAll('\n', ' '));

function judge(html: string): void {
  const bare = html.replaceAll(/<span class="[a-z0-9 ]+">|<\/span>/g, '');
  expect(bare).not.toMatch(/[<>"']/);
  expect(bare).not.toMatch(/&(?!(amp|lt|gt|quot|#39);)/);
  expect(html).not.toMatch(/[^\P{Cc}\t]/u);
  expect(html.split('<span ').length).toBe(html.split('</span>').length);
}

function rendered(parts: readonly Buffer[]): readonly Line[] {
  const renderer = new LineRenderer(0, plain);
  return [...parts.flatMap((part) => renderer.push(part)), ...renderer.end()];
}

/** Every byte belongs to one line, in order. */
function refuseGaps(lines: readonly Line[], length: number): void {
  let at = 0;
  for (const line of lines) {
    expect(line.start).toBe(at);
    at = line.end;
  }
  expect(at).toBe(length);
}

describe(subject('pages'), () => {
  it(
    'shows any line as harmless HTML',
    () => {
      check(
        fc.tuple(lineText, lineText),
        ([first, second]) => {
          const { html, style } = renderLine(first, plain);
          judge(html);
          judge(renderLine(second, style).html);
        },
        2,
      );
    },
    patience,
  );

  it(
    'shows the same lines of any bytes, however they are cut',
    () => {
      const bytes = fc.oneof(
        anyBytes,
        fc.array(lineText, { maxLength: 6 }).map((lines) => Buffer.from(lines.join('\n'))),
      );
      check(fc.tuple(bytes, cuts), ([log, at]) => {
        const lines = rendered(cutBy(log, at));
        expect(lines).toEqual(rendered([log]));
        refuseGaps(lines, log.length);
        for (const line of lines) judge(line.html);
      });
    },
    patience,
  );

  it(
    'shows lines of any length in the same parts, however they are cut',
    () => {
      const long = fc.tuple(
        fc.constantFrom('a', 'é', '🚀', '<', '\u001b[31m'),
        fc.nat(200_000),
        lineText,
        fc.boolean(),
      );
      check(
        fc.tuple(long, cuts),
        ([[filling, size, text, ended], at]) => {
          const log = Buffer.from(
            filling.repeat(size / Buffer.byteLength(filling)) + text + (ended ? '\n' : '') + text,
          );
          const lines = rendered(cutBy(log, at));
          expect(lines.map((line) => line.end)).toEqual(rendered([log]).map((line) => line.end));
          refuseGaps(lines, log.length);
          for (const line of lines) expect(line.end - line.start).toBeLessThanOrEqual(64 * 1024 + 1);
        },
        0.05,
      );
    },
    patience,
  );
});
