import { describe, expect, it } from '@jest/globals';
import { matchesPattern, patternProblem } from '#src/model/pattern.ts';

describe('patterns of branches and tags', () => {
  it.each([
    ['main', 'main', true],
    ['main', 'maine', false],
    ['*', 'main', true],
    ['*', 'feature/x', false],
    ['**', 'feature/x', true],
    ['release/*', 'release/1.0', true],
    ['release/*', 'release/1.0/hotfix', false],
    ['release/**', 'release/1.0/hotfix', true],
    ['**/fix', 'a/b/fix', true],
    ['v*', 'v1.0.0', true],
    ['v*', 'av1', false],
    ['v?.?', 'v1.2', true],
    ['v?', 'v', false],
    ['v[0-9]*', 'v1', true],
    ['v[0-9]*', 'vx', false],
    ['v[!0-9]', 'vx', true],
    ['v[ab-]', 'v-', true],
    ['v1.0', 'v1x0', false],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['*a*', 'bab', true],
    ['ü*', 'üx', true],
    ['', '', true],
    ['*', '', true],
  ])('%s on %s: %s', (pattern, text, expected) => {
    expect(matchesPattern(pattern, text)).toBe(expected);
  });

  it('answers soon, whatever strangers write', () => {
    expect(matchesPattern(`${'*a'.repeat(100)}b`, 'a'.repeat(255))).toBe(false);
  });

  it.each([
    ['main', null],
    ['', 'it is empty'],
    ['x'.repeat(256), 'it is longer than 255 characters'],
    ['refs/heads/main', 'it starts with refs/: write the name of the branch or tag alone'],
    ['v[0-9', 'a [ has no ]'],
  ])('%s: %s', (pattern, expected) => {
    expect(patternProblem(pattern)).toBe(expected);
  });
});
