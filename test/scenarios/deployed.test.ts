import { expect, it } from '@jest/globals';
import { deployedOf } from '#src/engine/deploy/deployed.ts';
import { deploys, main, opened, pushed, world } from './commanding.ts';

it('a deployment that has not begun knows what runs there now, and one that has knows what it changed', async () => {
  const s = await world();
  await opened(s);
  await pushed(s);
  const { run, jobs } = await deploys(s, `/deploy staging ${main}`);
  const job = jobs.find((it) => it.plan.work.kind === 'deploy');
  if (job === undefined) throw new Error('There is no such job.');
  const begun = await deployedOf(s.store, run, job);
  expect(begun.now).toBeUndefined();
  const waits = await deployedOf(s.store, run, { ...job, id: 'another' });
  expect(waits.record).toBeNull();
  expect(waits.now).toEqual(begun.images);
  expect(Object.keys(begun.images)).toEqual(['staging/api/api']);
});
