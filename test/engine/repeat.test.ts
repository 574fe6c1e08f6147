import { expect, it } from '@jest/globals';
import { repeat } from '#src/engine/repeat.ts';

it('does the work after the last request, whenever it comes, and never twice at once', async () => {
  // A request some turns of the microtask queue after the work ended, to hit each moment around its end.
  for (let turns = 0; turns < 12; turns += 1) {
    let wanted = 1;
    let seen = 0;
    let active = 0;
    const work = repeat(async () => {
      active += 1;
      expect(active).toBe(1);
      seen = wanted;
      await Promise.resolve();
      active -= 1;
    });
    work.ask();
    for (let i = 0; i < turns; i += 1) await Promise.resolve();
    wanted = 2;
    work.ask();
    await work.settled();
    expect(seen).toBe(2);
  }
});
