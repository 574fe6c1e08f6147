/* oxlint-disable jest/no-conditional-expect -- what is asked of an answer depends on what it is */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { EvaluationError, evaluate, parseExpression, type Value } from '#src/model/evaluate.ts';
import { quote, settle } from '#src/model/expression.ts';
import { fillTemplate, parseTemplate, unwrapCondition } from '#src/model/template.ts';
import { anyJson, anyText, check, madeOf, patience, subject } from './support.ts';

const words = [
  '(',
  ')',
  '[',
  ']',
  '.',
  ',',
  '!',
  '&&',
  '||',
  '==',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  '*',
  '.*',
  "'",
  "''",
  "'a'",
  '"',
  'event',
  'matrix',
  'event.branch',
  'matrix.a',
  'matrix.*',
  "matrix['a']",
  'github',
  'null',
  'true',
  'NaN',
  'Infinity',
  '1',
  '-1',
  '0xff',
  '1e9',
  '0.',
  ' ',
  'format(',
  'fromJSON(',
  'toJSON(',
  'join(',
  'contains(',
  'startsWith(',
  'endsWith(',
  'hashFiles(',
  'success(',
  'always()',
  'constructor(',
  '__proto__(',
  'toString()',
  'case(',
  "'{0}{0}'",
  "'{",
  "}'",
  "'{{0}}'",
  "'[1,[2,{}]]'",
  `'{"__proto__":{"x":1}}'`,
  `'{"constructor":1}'`,
  "'{99999999999}'",
  "'{-1}'",
];
const contexts = ['event', 'matrix'];

/** Expressions that can be read, of every operator and function. */
const right: fc.Arbitrary<string> = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(
      '1',
      '0',
      'null',
      'true',
      "'a'",
      "''",
      'event',
      'matrix',
      'event.branch',
      'matrix.a',
      'matrix.*.b',
      'matrix.a[0]',
      `fromJSON('{"__proto__":{"x":1}}')`,
      `fromJSON('[1,[2,{}]]')`,
      "'{0}{1}{0}'",
      "'{9}'",
    ),
    fc
      .tuple(tie('tree'), fc.constantFrom('&&', '||', '==', '!=', '<', '>='), tie('tree'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('tree').map((a) => `!${a}`),
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `${a}[${b}]`),
    fc
      .tuple(fc.constantFrom('contains', 'startsWith', 'endsWith', 'join', 'format'), tie('tree'), tie('tree'))
      .map(([f, a, b]) => `${f}(${a}, ${b})`),
    fc.tuple(tie('tree'), tie('tree'), tie('tree')).map(([a, b, c]) => `format(${a}, ${b}, ${c})`),
    fc.tuple(fc.constantFrom('toJSON', 'fromJSON'), tie('tree')).map(([f, a]) => `${f}(${a})`),
  ),
})).tree;

const values = fc.record({
  event: anyJson,
  matrix: fc.oneof(anyJson, fc.dictionary(fc.constantFrom('a', 'b', '__proto__'), anyJson)),
});

/** The value, or the EvaluationError, which is the only one that may come. */
function total<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    expect(error.message).not.toBe('');
    return null;
  }
}

function run(text: string, given: { readonly event: unknown; readonly matrix: unknown }): Value | null {
  const parsed = parseExpression(text, contexts);
  if ('message' in parsed) {
    expect(parsed.offset).toBeGreaterThanOrEqual(0);
    expect(parsed.offset).toBeLessThanOrEqual(text.length);
    return null;
  }
  return total(() => evaluate(parsed, given as Record<string, Value>, () => true));
}

describe(subject('expressions'), () => {
  it(
    'reads any text, or says at a place of it what is wrong; evaluation ends in a value or an EvaluationError',
    () => {
      check(fc.tuple(fc.oneof(anyText, madeOf(words)), values), ([text, given]) => {
        run(text, given);
      });
    },
    patience,
  );

  it(
    'evaluates what is right on any values, to no more than 100,000 characters',
    () => {
      let answered = 0;
      check(fc.tuple(right, values), ([text, given]) => {
        const value = run(text, given);
        if (value !== null) answered += 1;
        if (typeof value === 'string') expect(value.length).toBeLessThanOrEqual(100_000);
      });
      expect(answered).toBeGreaterThan(0);
    },
    patience,
  );

  it(
    'fills in any template, within bounds',
    () => {
      const text = fc.array(
        fc.oneof(
          anyText,
          right.map((each) => `\${{ ${each} }}`),
          madeOf([...words, '${{', '}}'], 10),
        ),
        { maxLength: 5 },
      );
      check(fc.tuple(text, values), ([parts, given]) => {
        const template = parts.join('');
        for (const { offset } of parseTemplate(template, contexts).problems)
          expect(offset).toBeLessThanOrEqual(template.length);
        const filled = total(() => fillTemplate(template, given as Record<string, Value>));
        if (filled !== null) expect(filled.length).toBeLessThanOrEqual(256 * 1024 + template.length);
      });
    },
    patience,
  );

  it(
    'settles any condition now or later',
    () => {
      check(
        fc.tuple(
          fc.oneof(
            anyText,
            right,
            right.map((each) => `\${{${each}}}`),
            madeOf([...words, '${{', '}}']),
          ),
          values,
        ),
        ([text, given]) => {
          const { expression, start } = unwrapCondition(text);
          expect(text.slice(start)).toContain(expression);
          expect(quote(text).length).toBeLessThanOrEqual(202);
          const answer = total(() => settle(expression, given as { event: Value; matrix: Value }));
          expect([true, false, 'later', null]).toContain(answer);
        },
      );
    },
    patience,
  );
});
