import { describe, expect, it } from '@jest/globals';
import { evaluate, parseExpression, type Value } from '#src/model/evaluate.ts';
import { EVENT_KEYS, eventContext, settle } from '#src/model/expression.ts';
import { fillTemplate, parseTemplate, unwrapCondition } from '#src/model/template.ts';
import { repository, sha } from './samples.ts';

const push = { kind: 'push', branch: 'feature/x', sha, ref: 'refs/heads/feature/x', actor: 'ada', title: 't' } as const;
const contexts = { event: eventContext(push, repository), matrix: { node: 24, os: 'debian', Constructor: 'kept' } };

function value(text: string): Value {
  const expression = parseExpression(text, ['event', 'matrix']);
  if ('message' in expression) throw new Error(expression.message);
  return evaluate(expression, contexts, (name) => name === 'always');
}

describe('expressions', () => {
  it.each<[string, Value]>([
    ["event.kind == 'push'", true],
    ["event.kind == 'PUSH'", true],
    ["startsWith(event.branch, 'feature/')", true],
    ['matrix.node >= 24 && matrix.node < 25', true],
    ["matrix.os == 'debian' && 'a' || 'b'", 'a'],
    ['event.tag', ''],
    ['event.nothing', null],
    ["event['branch']", 'feature/x'],
    ['matrix.constructor', 'kept'],
    ['event.constructor', null],
    ["'it''s a ''test'''", "it's a 'test'"],
    ["contains(fromJSON('[1, 2]'), 2)", true],
    ["join(fromJSON('[1, 2]'), '-')", '1-2'],
    ["format('{0}/{1}', matrix.os, matrix.node)", 'debian/24'],
    ['!event.fork', true],
    ['always()', true],
    ['success()', false],
    ['fromJSON(\'{"a": [1, null]}\')', { a: [1, null] }],
  ])('%s is %j', (text, expected) => {
    expect(value(text)).toEqual(expected);
  });

  it.each([
    ['', 0, 'empty'],
    ['github.ref', 0, 'no context "github" here; there is event, matrix'],
    ["event.kind = 'x'", 11, 'Compare by =='],
    ['event.kind == "x"', 14, 'single quotes'],
    ['event.kind ==', 11, 'Unexpected end'],
    ['true && hashFiles()', 8, 'no function "hashFiles"'],
    ['constructor(event)', 0, 'no function "constructor"'],
    ['always(1)', 0, 'Too many parameters'],
    ['true &&\n  nope', 10, 'no context "nope"'],
    ['('.repeat(2000), 50, 'depth'],
    ['!'.repeat(9000), 50, 'depth'],
    [`'${'x'.repeat(10_000)}'`, 0, 'longer than'],
  ])('%.20s is wrong at %i: %s', (text, offset, message) => {
    const problem = parseExpression(text, ['event', 'matrix']);
    expect(problem).toEqual({
      message: expect.stringContaining(message),
      offset,
    });
  });

  it.each([
    ["fromJSON('{')", /JSON/],
    ["format('{1}', 'a')", /more arguments/],
    [`${"format('{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}', ".repeat(9)}'x'${')'.repeat(9)}`, /more than 100000 characters/],
    [`join(fromJSON('[${'1,'.repeat(3000)}1]'), '${'x'.repeat(900)}')`, /more than 100000 characters/],
  ])('%.40s can not be evaluated', (text, message) => {
    expect(() => value(text)).toThrow(message);
  });
});

describe('templates', () => {
  it.each([
    ['plain }} text', 'plain }} text'],
    ['node:${{ matrix.node }}', 'node:24'],
    ["${{ '}}' }}-${{ matrix.os }}", '}}-debian'],
    ['${{ event.fork }}${{ event.tag }}', 'false'],
  ])('%s becomes %s', (text, expected) => {
    expect(fillTemplate(text, contexts)).toBe(expected);
  });

  it('places problems in the text', () => {
    expect(parseTemplate('a ${{ 1 }} ${{ foo }} ${{ x', ['event']).problems).toEqual([
      { message: expect.stringContaining('"foo"'), offset: 15 },
      { message: expect.stringContaining('never ends'), offset: 22 },
    ]);
  });

  it('refuses what has no text, status functions, and texts without end', () => {
    expect(() => fillTemplate('${{ matrix }}', contexts)).toThrow('toJSON');
    expect(() => fillTemplate('${{ always() }}', contexts)).toThrow('only in an if');
    expect(() => fillTemplate('${{ matrix.a }}'.repeat(300), { matrix: { a: 'x'.repeat(1000) } })).toThrow(
      'longer than',
    );
  });

  it.each([
    ['a && b', 'a && b', 0],
    ['${{ a }}', ' a ', 3],
    ['${{ a }} && ${{ b }}', '${{ a }} && ${{ b }}', 0],
    ["${{ '}}' == a }}", " '}}' == a ", 3],
  ])('takes %s out of its brackets', (text, expression, start) => {
    expect(unwrapCondition(text)).toEqual({ expression, start });
  });
});

describe('conditions before a run', () => {
  it.each([
    ["event.kind == 'push'", true],
    ["event.kind == 'tag'", false],
    ['matrix.node', true],
    ["''", false],
    ["needs.a.result == 'success'", 'later'],
    ["event.kind == 'tag' && always()", 'later'],
  ])('%s: %s', (text, expected) => {
    expect(settle(text, contexts)).toBe(expected);
  });

  it('knows every key of the event context', () => {
    expect([...EVENT_KEYS].sort()).toEqual(Object.keys(contexts.event).sort());
  });
});
