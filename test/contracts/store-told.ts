import { expect, it } from '@jest/globals';
import type { Store } from '#src/engine/store.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { deploy, planned, plannedRun, pullRequest, push, shop } from './store-fixtures.ts';

/** The part of the Store's contract that is about what is still to be told, the end of runs, and what may be forgotten. */
export function toldContract(current: () => Store): void {
  const sha = 'a'.repeat(40);
  const commit = (i: number) => `${i}`.padStart(40, '0');

  it('raises the version with every change of a state, and with nothing else', async () => {
    const { runs } = current();
    const { id, jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b')]);
    const [a = '', b = ''] = jobs;
    const owned = { jobId: a, attempt: 1, worker: 'w' };
    const raised = async (work: () => Promise<unknown>) => {
      const before = (await runs.get(id))?.version ?? 0;
      await work();
      return ((await runs.get(id))?.version ?? 0) > before;
    };
    const again = { outcome: null, by: 'retry', why: 'x', note: null, notBefore: null, at: 3 } as const;
    const changes: (() => Promise<unknown>)[] = [
      () => runs.note(id, 'Waits.'),
      () => runs.noteJob(a, 'Waits.'),
      () => runs.queue(a, 1),
      () => runs.claim('w', ['script'], 2),
      () => runs.again(owned, again),
      () => runs.claim('w', ['script'], 2),
      () => runs.cancelJob(b, { reason: 'x', by: 'person' }),
      () => runs.drop(b, { kind: 'success' }, 4),
      () => runs.complete({ ...owned, attempt: 2 }, { outcome: { kind: 'success' }, at: 4 }),
      () => runs.cancel(id, { reason: 'x', by: 'person' }),
      () => runs.finish(id, { kind: 'success' }, [], 5),
      () => runs.restart(id, [a], 'x', 6),
    ];
    for (const change of changes) expect([change.toString(), await raised(change)]).toEqual([change.toString(), true]);
    expect(await raised(() => runs.finish(id, { kind: 'success' }, [], 7))).toBe(false);
    await runs.queue(a, 8);
    await runs.claim('w', ['script'], 8);
    expect(await raised(() => runs.progress({ ...owned, attempt: 3 }, { steps: [], progress: 'x' }))).toBe(false);
    expect(await raised(() => runs.complete(owned, { outcome: { kind: 'success' }, at: 9 }))).toBe(false);
  });

  it('names the runs that are not wholly told, oldest first', async () => {
    const { runs } = current();
    const first = await plannedRun(current(), push(sha), [planned('a')]);
    const second = await plannedRun(current(), push(sha, 'b'), [planned('a')]);
    expect(await runs.untold(9)).toEqual([first.id, second.id]);
    expect(await runs.untold(1)).toEqual([first.id]);
    const seen = (await runs.get(first.id))?.version ?? 0;
    await runs.queue(first.jobs[0] ?? '', 2000);
    await runs.told(first.id, seen);
    expect(await runs.untold(9)).toEqual([first.id, second.id]);
    await runs.told(first.id, seen + 1);
    await runs.told(first.id, seen);
    expect(await runs.untold(9)).toEqual([second.id]);
  });

  it('asks for the end of a run once, keeps its note and what its pull request has unfinished', async () => {
    const { runs } = current();
    const create = async (trigger: Parameters<typeof runs.create>[0]['trigger']) =>
      (await runs.create({ repository: shop, trigger, pullRequest: 7, at: 1000 })).run.id;
    const id = await create(pullRequest(sha, 7, 'topic'));
    const asked = await create(deploy(sha, '1'));
    expect((await runs.unfinishedOfPullRequest(shop.id, 7)).map((run) => run.id)).toEqual([id, asked]);
    await runs.finish(asked, { kind: 'success' }, [], 2000);
    expect(await runs.exists(shop.id, sha, 'refs/heads/topic')).toBe(true);
    expect(await runs.exists(shop.id, sha, 'refs/heads/other')).toBe(false);
    await runs.note(id, 'Waits for "deploy".');
    expect(await runs.cancel(id, { reason: 'A newer push.', by: 'slipway' })).toBe(true);
    expect(await runs.cancel(id, { reason: 'Cancelled by @ada.', by: 'person' })).toBe(true);
    expect(await runs.cancel(id, { reason: 'A newer push.', by: 'slipway' })).toBe(false);
    const cancel = { reason: 'Cancelled by @ada.', by: 'person' };
    expect(await runs.get(id)).toMatchObject({ cancel, note: 'Waits for "deploy".' });
    await runs.finish(id, { kind: 'cancelled', reason: 'x' }, [], 3000);
    expect(await runs.cancel(id, { reason: 'x', by: 'person' })).toBe(false);
    expect(await runs.get(id)).toMatchObject({ note: null });
    expect(await runs.unfinishedOfPullRequest(shop.id, 7)).toEqual([]);
  });

  it('removes old runs, but not what is still needed', async () => {
    const { runs, deployments } = current();
    const ids: string[] = [];
    const jobs: string[] = [];
    for (let i = 0; i < 8; i += 1) {
      const made = await plannedRun(current(), push(commit(i)), [planned('a')]);
      ids.push(made.id);
      jobs.push(made.jobs[0] ?? '');
      if (i === 5) continue;
      await runs.drop(made.jobs[0] ?? '', { kind: 'success' }, 1000 + i);
      await runs.finish(made.id, { kind: 'success' }, [], 1000 + i);
      if (i !== 4) await runs.told(made.id, (await runs.get(made.id))?.version ?? 0);
    }
    const deployment = (id: string, runId: string, createdAt: number, state: DeploymentRecord['state']) =>
      deployments.save({
        id,
        runId,
        createdAt,
        state,
        repositoryId: shop.id,
        repository: 'acme/shop',
        environment: 'staging',
        sha,
        jobId: 'j',
        actor: 'ada',
        description: '',
        changes: [],
        updatedAt: createdAt,
        patchedAt: null,
        details: {},
      });
    await deployment('d1', ids[1] ?? '', 1, 'error');
    await deployment('d2', ids[2] ?? '', 2, 'success');
    await deployment('d3', ids[3] ?? '', 3, 'failure');
    expect(await runs.prune({ before: null, keep: null, limit: 9 })).toEqual([]);
    expect(await runs.prune({ before: 1000, keep: 8, limit: 9 })).toEqual([]);
    expect(await runs.prune({ before: null, keep: 7, limit: 9 })).toEqual([
      { runId: ids[0], jobs: [{ id: jobs[0], attempts: 1 }] },
    ]);
    expect((await runs.prune({ before: 9000, keep: 1, limit: 1 })).map((gone) => gone.runId)).toEqual([ids[1]]);
    expect((await runs.prune({ before: 9000, keep: null, limit: 9 })).map((gone) => gone.runId)).toEqual([
      ids[3],
      ids[6],
    ]);
    expect((await runs.list({ limit: 99 })).map((run) => run.id)).toEqual([ids[7], ids[5], ids[4], ids[2]]);
    expect(await runs.job(jobs[0] ?? '')).toBeNull();
  });
}
