import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { cleanTerminal, createAnnotator, failingPart, maxAnnotations } from '#src/model/annotations/index.ts';
import { readJunit } from '#src/model/annotations/junit.ts';
import { placesOf } from '#src/model/annotations/places.ts';
import { anyBytes, anyText, check, checkLater, cutBy, cuts, damaged, madeOf, patience, subject } from './support.ts';

/** Lines of every tool, and what nearly is one. */
const lines = [
  'src/a.ts(1,2): error TS1: x',
  'src/a.ts:1:2 - error TS1: x',
  '/workspace/src/a.js\n  1:2  error  Missing semicolon  semi\n',
  'src/a.js:1:2: x [Error/semi]',
  'a.js: line 1, col 2, Error - x (semi)',
  '=== FAILURES ===\n___ test_a ___\nE   assert 1\na.py:3: AssertionError\n',
  'a.py:1:2: E501 line too long',
  'E501 line\n  --> a.py:1:2\n',
  'error[E1]: x\n  --> src/a.rs:1:2\n',
  "thread 'a' panicked at src/a.rs:1:2:\nx\n\n",
  '[ERROR] /workspace/A.java:[1,2] x',
  'e: file:///workspace/a.kt:1:2 x',
  '--- FAIL: TestA (0.00s)\n    a_test.go:1: x\nFAIL\tgithub.com/a/b/c\t0.1s\n',
  'panic: x\n\t/workspace/a.go:1 +0x1\n',
  'a.c:1:2: fatal error: x',
  '../../etc/passwd:1:2: error: x',
  '::error file=a::x',
  '$ a.c:1:2: error: x',
];
const bits = [
  ...lines,
  '\n',
  '\r',
  '\b',
  '\u001b[31m',
  '\u001b]0;x\u0007',
  '\u001b]',
  ':',
  ': ',
  '(',
  '.py',
  '.go:',
  '====',
  '__',
  ' --> ',
  '99999999999999999999',
  ':1:2: ',
  'error',
  '--- FAIL: ',
  '\t',
];
const log = fc.oneof(
  anyBytes,
  madeOf(bits).map((text) => Buffer.from(text)),
  fc.array(fc.constantFrom(...lines), { maxLength: 10 }).map((all) => Buffer.from(all.join('\n'))),
);
/** Longer than what is looked at of a line. */
const longLog = fc
  .tuple(log, fc.constantFrom('a', 'é', '\r', '\b', ': ', '\u001b['), fc.integer({ min: 1_900, max: 17_000 }), log)
  .map(([head, filling, count, tail]) => Buffer.concat([head, Buffer.from(filling.repeat(count)), tail]));

async function annotated(parts: readonly Buffer[]) {
  const annotator = createAnnotator({ workdir: 'app' });
  for (const part of parts) annotator.push(part);
  return annotator.end();
}

const xml = [
  '<testsuites>',
  '</testsuites>',
  '<testsuite name="a" file="a.py">',
  '</testsuite>',
  '<testcase name="t" classname="c" file="a.py" line="3">',
  '<testcase/>',
  '</testcase>',
  '<failure message="m">a.py:3: x</failure>',
  '<error/>',
  '<skipped/>',
  '<![CDATA[',
  ']]>',
  '<!DOCTYPE a>',
  '<!--',
  '-->',
  '&lt;',
  '&#0;',
  '&x;',
  '<?xml version="1.0"?>',
  '<__proto__>',
  '</__proto__>',
  '<constructor a="b"/>',
  '<',
  '>',
  '"',
];
const report = `<testsuites><testsuite name="s" file="src/a.py"><testcase name="t" classname="c" line="3"><failure message="m">Traceback\nsrc/a.py:3: x</failure></testcase><testcase name="u"><skipped/></testcase></testsuite></testsuites>`;

describe(subject('annotations'), () => {
  it(
    'finds the same in any bytes, however they are cut',
    async () => {
      await checkLater(fc.tuple(log, cuts), async ([bytes, at]) => {
        const found = await annotated([bytes]);
        expect(await annotated(cutBy(bytes, at))).toEqual(found);
        expect(found.annotations.length).toBeLessThanOrEqual(maxAnnotations);
        for (const each of found.annotations) {
          expect(each.path).toMatch(/^[^/\p{Cc}][^\p{Cc}]*$/u);
          expect(each.path.split('/')).not.toContain('..');
          expect(each.startLine).toBeGreaterThanOrEqual(1);
        }
      });
    },
    patience,
  );

  it(
    'finds the same in lines of any length, however they are cut',
    async () => {
      await checkLater(
        fc.tuple(longLog, cuts),
        async ([bytes, at]) => {
          expect(await annotated(cutBy(bytes, at))).toEqual(await annotated([bytes]));
        },
        0.2,
      );
    },
    patience,
  );

  it(
    'cuts the part that explains a failure to its size, clean',
    () => {
      check(
        fc.tuple(fc.oneof(log, longLog), fc.integer({ min: 0, max: 5_000 })),
        ([bytes, size]) => {
          const part = failingPart(bytes, size);
          expect(Buffer.byteLength(part)).toBeLessThanOrEqual(size);
          expect(part).not.toMatch(/[^\P{Cc}\n\t]/u);
        },
        0.5,
      );
    },
    patience,
  );

  it(
    'cleans any text of escapes, once and for all',
    () => {
      check(
        fc.oneof(
          anyText,
          madeOf([
            '\u001b',
            '\u001b[',
            '\u001b]',
            '\u009b',
            '31m',
            '\u0007',
            '\u001b\\',
            '\r',
            '\b',
            '\n',
            'a',
            '\u001bP',
            ' ',
            '\u009d',
          ]),
        ),
        (text) => {
          const clean = cleanTerminal(text);
          expect(clean).not.toMatch(/[^\P{Cc}\n\t]/u);
          expect(cleanTerminal(clean)).toBe(clean);
          expect(clean.length).toBeLessThanOrEqual(text.length);
        },
      );
    },
    patience,
  );

  it(
    'reads any file as a test report, or warns of it',
    async () => {
      const any = fc.oneof(anyText, madeOf(xml), damaged([report], xml));
      await checkLater(any, async (text) => {
        const { tests, annotations } = await readJunit(
          new Map([
            ['report.xml', text],
            ['good.xml', report],
          ]),
          placesOf(),
        );
        expect(tests?.total).toBeGreaterThanOrEqual(2);
        expect(tests?.failed).toBeGreaterThanOrEqual(1);
        expect(annotations.length).toBeLessThanOrEqual(maxAnnotations);
        for (const failure of tests?.failures ?? []) expect(typeof failure).toBe('string');
      });
    },
    patience,
  );
});
