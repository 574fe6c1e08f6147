import { expect, it } from '@jest/globals';
import { sanitizeTag } from '#src/planner/tags.ts';

it.each([
  ['v1.0.0', 'v1.0.0'],
  ['feature/x y', 'feature-x-y'],
  ['v1+build.5', 'v1-build.5'],
  ['-.x', 'x'],
  ['ü', 'unnamed'],
  ['a'.repeat(200), 'a'.repeat(128)],
])('%s as a tag of an image is %s', (name, tag) => {
  expect(sanitizeTag(name)).toBe(tag);
});
