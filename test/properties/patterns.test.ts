import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { fileQuery } from '#src/adapters/docker/globs.ts';
import { matchesPattern, patternProblem } from '#src/model/pattern.ts';
import { anyText, check, madeOf, patience, subject } from './support.ts';

/** By trying every possibility: slow, and short enough to be seen to be right. */
function naive(pattern: readonly string[], text: readonly string[]): boolean {
  const [token, ...rest] = pattern;
  const [char, ...others] = text;
  if (token === undefined) return char === undefined;
  if (token === '*' || token === '**') {
    const goesOn = char !== undefined && (token === '**' || char !== '/');
    return naive(rest, text) || (goesOn && naive(pattern, others));
  }
  if (char === undefined) return false;
  if (token === '?') return char !== '/' && naive(rest, others);
  if (token === '[ab]') return (char === 'a' || char === 'b') && naive(rest, others);
  if (token === '[!a]') return char !== 'a' && char !== '/' && naive(rest, others);
  return char === token.replace('\\', '') && naive(rest, others);
}

const tokens = fc.constantFrom('a', 'b', '/', '.', '*', '**', '?', '[ab]', '[!a]', '\\*', '\\a');
/** Two stars in a row would be read as one token. */
const pattern = fc
  .array(tokens, { maxLength: 7 })
  .filter((all) => !all.some((token, i) => token.endsWith('*') && token !== '\\*' && all[i + 1]?.startsWith('*')));
const text = fc.array(fc.constantFrom('a', 'b', '/', '.', '*'), { maxLength: 8 });

/** As `naive`, by segments: `**` alone in one stands for any number of them, and a folder for all in it. */
function naiveFile(segments: readonly (readonly string[])[], path: readonly string[]): boolean {
  const [segment, ...rest] = segments;
  const [name, ...others] = path;
  if (segment === undefined) return true;
  const last = rest.length === 0;
  if (segment.length === 1 && segment[0] === '**') {
    if (last) return path.length > 0;
    return naiveFile(rest, path) || (name !== undefined && naiveFile(segments, others));
  }
  return name !== undefined && naive(segment, Array.from(name)) && naiveFile(rest, others);
}

describe(subject('patterns'), () => {
  it(
    'matches as a matcher does that tries everything',
    () => {
      check(
        fc.tuple(pattern, text),
        ([tokensOf, chars]) => {
          expect(matchesPattern(tokensOf.join(''), chars.join(''))).toBe(naive(tokensOf, chars));
        },
        2,
      );
    },
    patience,
  );

  it(
    'finds files as a matcher does that tries everything',
    () => {
      const plain = fc.array(fc.constantFrom('a', 'b', '.x', '*', '?', '[ab]', '[!a]', '\\*'), {
        minLength: 1,
        maxLength: 4,
      });
      const whole = fc.constant(['**'] as readonly string[]);
      const segments = fc.array(fc.oneof({ weight: 3, arbitrary: plain }, whole), { minLength: 1, maxLength: 4 });
      const names = fc.array(
        fc.array(fc.constantFrom('a', 'b', '.x', '*'), { minLength: 1, maxLength: 4 }).map((all) => all.join('')),
        { minLength: 1, maxLength: 4 },
      );
      check(
        fc.tuple(
          segments.filter((all) => !all.some((one) => one.some((token, i) => token === '*' && one[i + 1] === '*'))),
          names,
        ),
        ([parts, path]) => {
          const query = fileQuery(parts.map((segment) => segment.join('')).join('/'));
          if (query === null) throw new Error('A pattern inside the workspace was refused.');
          const expanded = parts.map((segment) => segment.flatMap((token) => (token === '.x' ? ['.', 'x'] : [token])));
          expect(new RegExp(query.expression).test(`./${path.join('/')}`)).toBe(naiveFile(expanded, path));
        },
        2,
      );
    },
    patience,
  );

  it(
    'takes any text as a pattern and as a name',
    () => {
      const words = [
        '*',
        '**',
        '?',
        '[',
        ']',
        '[!',
        '[a-',
        '-]',
        '\\',
        '{',
        '}',
        ',',
        '/',
        'a',
        '..',
        './',
        '[]',
        '[]]',
      ];
      const any = fc.oneof(anyText, madeOf(words));
      check(fc.tuple(any, any), ([one, other]) => {
        matchesPattern(one, other);
        patternProblem(one);
        const query = fileQuery(one);
        if (query === null) return;
        expect(query.root).toMatch(/^\.(\/|$)/);
        expect(query.root.split('/')).not.toContain('..');
        expect(query.expression).not.toMatch(/[\n\0]/);
      });
    },
    patience,
  );
});
