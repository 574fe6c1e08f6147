import { expect, it } from '@jest/globals';
import type { Store } from '#src/engine/store.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { planned, push, repositoryNamed } from './store-fixtures.ts';

/** The part of the Store's contract that is about which job is next. */
export function queueContract(current: () => Store): void {
  let commits = 0;
  /** Queues a run's jobs for the repository; answers their ids. */
  const queued = async (repository: number, jobs: readonly PlannedJob[], at = 2000) => {
    const { runs } = current();
    commits += 1;
    const trigger = push(`${commits}`.padStart(40, '0'));
    const of = repositoryNamed(`acme/r${repository}`, repository);
    const { run } = await runs.create({ repository: of, trigger, pullRequest: null, at });
    await runs.plan(run.id, { jobs, diagnostics: [], concurrency: null, pipelineFile: 'f', at });
    const ids = ((await runs.view(run.id))?.jobs ?? []).map((job) => job.id);
    for (const id of ids) await runs.queue(id, at);
    return ids;
  };
  const many = (count: number) => Array.from({ length: count }, (_, i) => planned(`${i}`));
  /** Claims and ends one job after another, as a server with one slot; answers the ids. */
  const oneSlot = async (limit: number) => {
    const order: string[] = [];
    for (let i = 0; i < limit; i += 1) {
      const job = await current().runs.claim('w', ['script'], 5000);
      if (!job) break;
      order.push(job.id);
      const owned = { jobId: job.id, attempt: job.attempt, worker: 'w' };
      await current().runs.complete(owned, { outcome: { kind: 'success' }, at: 5000 });
    }
    return order;
  };

  it('gives jobs of the kinds that are asked for, the first queued first', async () => {
    const { runs } = current();
    const [deploying = ''] = await queued(1, [planned('c', 'deploy')], 1000);
    const later = await queued(1, many(2), 3000);
    const sooner = await queued(1, many(2), 2000);
    expect(await runs.claim('w', [], 5000)).toBeNull();
    expect(await oneSlot(9)).toEqual([...sooner, ...later]);
    expect(await runs.claim('w', ['image', 'deploy'], 5000)).toMatchObject({ id: deploying, state: 'running' });
  });

  it('serves one job of a repository second at the latest, behind 100 of another', async () => {
    const hundred = await queued(1, many(100));
    expect((await oneSlot(1))[0]).toBe(hundred[0]);
    const [single] = await queued(2, many(1), 9000);
    expect((await oneSlot(2)).indexOf(single ?? '')).toBeLessThan(2);
    const [next] = await queued(2, many(1), 9000);
    expect((await oneSlot(2)).includes(next ?? '')).toBe(true);
    expect(await oneSlot(200)).toHaveLength(97);
  });

  it('gives the next slot to the repository that has the fewest', async () => {
    const { runs } = current();
    await queued(1, many(10));
    const repositories: number[] = [];
    for (let i = 0; i < 3; i += 1) repositories.push((await runs.claim('w', ['script'], 5000)) ? 1 : 0);
    const two = await queued(2, many(4), 9000);
    for (const id of two.slice(0, 3)) expect((await runs.claim('w', ['script'], 5000))?.id).toBe(id);
    expect(repositories).toEqual([1, 1, 1]);
  });

  it('puts deployments and what they wait for before everything else', async () => {
    const [low] = await queued(1, [{ ...planned('a'), priority: 0 }], 1000);
    const [middle] = await queued(2, [{ ...planned('a'), priority: 1 }], 2000);
    const [high] = await queued(2, [{ ...planned('a'), priority: 2 }], 3000);
    expect(await oneSlot(9)).toEqual([high, middle, low]);
  });

  it('holds back a job until it is due, and nothing behind it', async () => {
    const { runs } = current();
    const [first = '', second = ''] = await queued(1, many(2));
    await runs.claim('w', ['script'], 3000);
    const owned = { jobId: first, attempt: 1, worker: 'w' };
    await runs.again(owned, { outcome: null, by: 'platform', why: 'x', note: 'x', notBefore: 6000, at: 3000 });
    expect(await runs.nextDue(3000)).toBe(6000);
    expect(await oneSlot(9)).toEqual([second]);
    expect(await runs.claim('w', ['script'], 5999)).toBeNull();
    expect(await runs.claim('w', ['script'], 6000)).toMatchObject({ id: first, attempt: 2 });
    expect(await runs.nextDue(3000)).toBeNull();
  });

  it('gives no job twice to servers that ask at once', async () => {
    const { runs } = current();
    const ids = [...(await queued(1, many(20))), ...(await queued(2, many(20)))];
    const claims = Array.from({ length: 50 }, (_, i) => runs.claim(`w${i % 3}`, ['script'], 5000));
    const claimed = (await Promise.all(claims)).flatMap((job) => (job ? [job.id] : []));
    expect(new Set(claimed).size).toBe(claimed.length);
    expect([...claimed, ...(await oneSlot(99))].sort()).toEqual(ids.sort());
  });
}
