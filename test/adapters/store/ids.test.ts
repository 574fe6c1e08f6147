import { expect, it } from '@jest/globals';
import { idMaker } from '#src/adapters/store/ids.ts';

it('sorts ids by the time they were made, also when the clock stands or goes back', () => {
  const times = [1_700_000_000_000, 1_700_000_000_000, 1_600_000_000_000, 1_700_000_000_001, 4_000_000_000_000];
  let i = 0;
  const newId = idMaker({ now: () => times[i++] ?? 0 });
  const ids = times.map(() => newId());
  expect([...ids].sort()).toEqual(ids);
});

it('makes ids that fit into a link and are not to be guessed', () => {
  const newId = idMaker({ now: () => 1_700_000_000_000 });
  const ids = Array.from({ length: 1000 }, () => newId());
  for (const id of ids) expect(id).toMatch(/^[0-9a-hjkmnp-tv-z]{24}$/);
  expect(new Set(ids.map((id) => id.slice(12))).size).toBe(1000);
});
