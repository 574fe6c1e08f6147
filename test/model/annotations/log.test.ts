import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { annotate, createAnnotator, maxAnnotations } from '#src/model/annotations/index.ts';

const fixtures = join(import.meta.dirname, 'fixtures');

/** `level path:line:column title: message`, the message's lines joined by ` / `. */
function summary(log: string, options = {}): string[] {
  return annotate(log.split('\n'), options).map((each) => {
    const column = each.startColumn === undefined ? '' : `:${each.startColumn}`;
    const title = each.title ? `[${each.title}] ` : '';
    return `${each.level} ${each.path}:${each.startLine}${column} ${title}${each.message.replaceAll('\n', ' / ')}`;
  });
}

describe('what a log says of lines', () => {
  it.each([
    [
      'tsc.txt',
      [
        "failure src/a.ts:1:7 [TS2322] Type 'string' is not assignable to type 'number'.",
        "failure src/a.ts:2:18 [TS2304] Cannot find name 'z'.",
      ],
    ],
    [
      'tsc-pretty.txt',
      [
        "failure src/a.ts:1:7 [TS2322] Type 'string' is not assignable to type 'number'.",
        "failure src/a.ts:2:18 [TS2304] Cannot find name 'z'.",
      ],
    ],
    [
      'eslint.txt',
      [
        "failure src/index.js:1:7 [no-unused-vars] 'x' is assigned a value but never used",
        'failure src/index.js:9:3 Parsing error: Unexpected token }',
        'failure src/my file.jsx:4:1 [react/jsx-key] Missing "key" prop  for element',
        'warning src/index.js:3:10 [no-console] Unexpected console statement',
      ],
    ],
    [
      'eslint-other.txt',
      [
        "failure src/a.js:1:7 [no-unused-vars] 'x' is never used.",
        'failure src/b.js:5:2 [@typescript-eslint/semi] Missing semicolon.',
      ],
    ],
    [
      'python.txt',
      [
        "failure app/main.py:1:1 [F401] 'os' imported but unused",
        'failure app/main.py:12:80 [E501] line too long (93 > 79 characters)',
        'failure app/ruff.py:3:8 [F401] `sys` imported but unused',
        'failure app/types.py:7 Incompatible return value type (got "str", expected "int")  [return-value]',
        'warning app/main.py:3:1 [W391] blank line at end of file',
        'warning app/lint.py:1 [C0114] Missing module docstring (missing-module-docstring)',
      ],
    ],
    [
      'pytest.txt',
      [
        'failure tests/test_calc.py:5 [test_add] assert (1 + 2) == 4',
        "failure tests/test_calc.py:3 [TestThings.test_key] KeyError: 'k'",
      ],
    ],
    [
      'pytest-short.txt',
      [
        'failure tests/test_calc.py:5 [test_add] assert (1 + 2) == 4',
        "failure tests/test_calc.py:3 [TestThings.test_key] KeyError: 'k'",
      ],
    ],
    [
      'pytest-collect.txt',
      [
        "failure tests/test_bad.py:1 [ERROR collecting tests/test_bad.py] ModuleNotFoundError: No module named 'absent'",
      ],
    ],
    [
      'go.txt',
      [
        'failure main.go:8:2 undefined: missing',
        'failure calc/calc.go:5:2 fmt.Printf format %d has arg "x" of wrong type string',
        'failure calc/calc_test.go:10 [TestAdd] got 3, want 4',
        'failure calc/calc_test.go:14 [TestAdd/zero] TestAdd/zero failed',
        'failure calc/index.go:12 [TestIndex] panic: runtime error: index out of range [5] with length 3 [recovered]',
      ],
    ],
    [
      'gcc.txt',
      [
        'failure src/a.c:2:56 ‘y’ undeclared (first use in this function)',
        'failure src/a.c:1:10 absent.h: No such file or directory',
        'failure src/A.java:1 incompatible types: String cannot be converted to int',
        'warning src/a.c:2:25 implicit declaration of function ‘unused’ [-Wimplicit-function-declaration]',
        'notice src/a.c:2:56 each undeclared identifier is reported only once for each function it appears in',
      ],
    ],
    [
      'rust.txt',
      [
        'failure src/lib.rs:3:7 [E0277] cannot subtract `&str` from `i32`',
        'failure src/lib.rs:9:9 [tests::adds] assertion `left == right` failed /   left: -1 /  right: 3',
        'warning src/lib.rs:2:9 unused variable: `unused`',
      ],
    ],
    [
      'java.txt',
      [
        'failure src/main/java/acme/Shop.java:12:5 cannot find symbol',
        'failure src/main/kotlin/Main.kt:3:9 Unresolved reference: foo',
        'warning src/main/java/acme/Shop.java:3:8 [deprecation] stop() in Thread has been deprecated',
      ],
    ],
    ['quiet.txt', []],
  ])('%s', (file, expected) => {
    expect(summary(readFileSync(join(fixtures, file), 'utf8'))).toEqual(expected);
  });

  it.each([
    ['/workspace/src/a.ts', 'src/a.ts'],
    ['./src/a.ts', 'src/a.ts'],
    ['src/./a.ts', 'src/a.ts'],
    ['/etc/a.ts', null],
    ['/workspacex/a.ts', null],
    ['../a.ts', null],
    ['src/../../a.ts', null],
    ['node_modules/x/a.ts', null],
    ['/workspace/.git/a.ts', null],
  ])('path %s is %j', (path, expected) => {
    const [found] = annotate([`${path}(1,2): error TS1: wrong`]);
    expect(found?.path ?? null).toBe(expected);
  });

  it('takes relative paths from the folder of the commands, and drops unknown files', () => {
    const log = ['a.ts(1,2): error TS1: wrong', '/workspace/web/b.ts(1,2): error TS1: wrong'];
    expect(annotate(log, { workdir: './web/' }).map((each) => each.path)).toEqual(['web/a.ts', 'web/b.ts']);
    const known = (path: string): boolean => path === 'a.ts';
    expect(annotate(log, { workdir: 'web', known }).map((each) => each.path)).toEqual(['a.ts']);
    expect(annotate(['/builds/x/a.ts(1,2): error TS1: wrong'], { workspace: '/builds/x' })[0]?.path).toBe('a.ts');
  });

  it('says a thing once, failures first, at most 100', () => {
    const warnings = Array.from({ length: 150 }, (_, i) => `a.c:${i + 1}:1: warning: w`);
    const errors = Array.from({ length: 30 }, (_, i) => `a.c:${i + 1}:1: error: e`);
    const found = annotate([...warnings, ...errors, ...errors]);
    expect(found).toHaveLength(maxAnnotations);
    expect(found.slice(0, 30).every((each) => each.level === 'failure')).toBe(true);
    expect(found[30]?.level).toBe('warning');
  });

  it('has columns only on one line, and lines from 1', () => {
    expect(annotate(['a.c:0:0: error: e'])).toEqual([
      { path: 'a.c', startLine: 1, endLine: 1, level: 'failure', message: 'e' },
    ]);
  });

  it('takes bytes cut anywhere', async () => {
    const bytes = new TextEncoder().encode('noise\n\u001b[31ma.c:1:2: error: größer als ✓\u001b[0m\r\nmore');
    for (let cut = 1; cut < bytes.length; cut++) {
      const annotator = createAnnotator();
      for (let at = 0; at < bytes.length; at += cut) annotator.push(bytes.subarray(at, at + cut));
      expect((await annotator.end()).annotations[0]?.message).toBe('größer als ✓');
    }
  });

  it.each([
    ['a'],
    [' '],
    ['a:'],
    ['a:1:'],
    ['../'],
    ['\u001b['],
    ['\u001b]0;'],
    ['_ '],
    ['= '],
    ['  1:2  error  '],
    ['(1,'],
    ['\t'],
    ['\b'],
    ['\r'],
    ['--> '],
    ['a.go:1'],
  ])('is not held up by a megabyte of %j', async (piece) => {
    const line = piece.repeat(Math.ceil(1_000_000 / piece.length));
    const started = performance.now();
    const annotator = createAnnotator();
    const bytes = new TextEncoder().encode(
      `error: x\na.js\n__ t __\n${line}\nFAIL\t${line}\n a.c:1:2: error: ${line}\n`,
    );
    for (let at = 0; at < bytes.length; at += 65_536) annotator.push(bytes.subarray(at, at + 65_536));
    await annotator.end();
    expect(performance.now() - started).toBeLessThan(5000); // quadratic time would be minutes
  });
});
