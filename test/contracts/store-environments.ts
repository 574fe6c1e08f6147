import { expect, it } from '@jest/globals';
import type { Store } from '#src/engine/store.ts';
import type { DeploymentDetails, DeploymentRecord, Lock } from '#src/engine/store-deployments.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import { deploy, planned, plannedRun, push, repositoryNamed, shop } from './store-fixtures.ts';

/** The part of the Store's contract that is about environments: gates, deployments, approvals, locks and heads. */
export function environmentsContract(current: () => Store, reopen: () => Promise<Store>): void {
  const sha = 'a'.repeat(40);
  const approval: JobGate = { kind: 'approval', gate: 'start', needed: 2, given: ['ada'] };

  it('keeps what a waiting job waits for, until it waits no more', async () => {
    const { runs } = current();
    const { id, jobs } = await plannedRun(current(), deploy(sha, '1'), [
      planned('a', 'deploy'),
      planned('b', 'deploy'),
    ]);
    const [a = '', b = ''] = jobs;
    const version = async () => (await runs.get(id))?.version ?? 0;
    expect(await runs.job(a)).toMatchObject({ gate: null, report: '' });
    await runs.noteJob(a, 'Waits for approval.', approval);
    expect(await runs.job(a)).toMatchObject({ note: 'Waits for approval.', gate: approval });
    const noted = await version();
    await runs.noteJob(a, 'Waits for approval.', approval);
    expect(await version()).toBe(noted);
    await runs.noteJob(a, 'Waits for approval.', { ...approval, given: ['ada', 'bob'] });
    expect(await version()).toBeGreaterThan(noted);
    await runs.noteJob(a, 'Waits for its turn.');
    expect(await runs.job(a)).toMatchObject({ note: 'Waits for its turn.', gate: null });
    await runs.noteJob(a, null, { kind: 'queue', position: 1 });
    await runs.queue(a, 2000);
    expect(await runs.job(a)).toMatchObject({ state: 'queued', gate: null });
    await runs.noteJob(b, null, approval);
    await runs.drop(b, { kind: 'failure', reason: 'x' }, 3000);
    expect(await runs.job(b)).toMatchObject({ state: 'completed', gate: null });
  });

  it('keeps what a running job reports and waits for; the report outlives it, but not another attempt', async () => {
    const { runs } = current();
    const { id, jobs } = await plannedRun(current(), deploy(sha, '1'), [planned('a', 'deploy')]);
    const [jobId = ''] = jobs;
    await runs.queue(jobId, 2000);
    await runs.claim('w', ['deploy'], 3000);
    const owned = { jobId, attempt: 1, worker: 'w' };
    const before = (await runs.get(id))?.version ?? 0;
    await runs.progress(owned, { report: '| pods |', progress: 'half' });
    expect((await runs.get(id))?.version).toBe(before);
    await runs.progress(owned, { gate: { ...approval, gate: 'step 2' } });
    expect((await runs.get(id))?.version).toBe(before + 1);
    await runs.progress(owned, { gate: { ...approval, gate: 'step 2' } });
    await runs.progress(owned, {});
    expect((await runs.get(id))?.version).toBe(before + 1);
    expect(await runs.job(jobId)).toMatchObject({
      gate: { gate: 'step 2' },
      report: '| pods |',
      progress: 'half',
    });
    await runs.again(owned, { outcome: null, by: 'platform', why: 'x', note: null, notBefore: null, at: 4000 });
    expect(await runs.job(jobId)).toMatchObject({ gate: null, report: '' });
    await runs.claim('w', ['deploy'], 5000);
    const next = { ...owned, attempt: 2 };
    await runs.progress(next, { report: 'later', gate: approval });
    await runs.complete(next, { outcome: { kind: 'success' }, at: 6000 });
    expect(await runs.job(jobId)).toMatchObject({ gate: null, report: 'later' });
    await runs.restart(id, [jobId], '@ada re-ran it', 7000);
    expect(await runs.job(jobId)).toMatchObject({ gate: null, report: '' });
    await runs.queue(jobId, 7000);
    await runs.claim('w', ['deploy'], 7000);
    await runs.complete(
      { ...owned, attempt: 3 },
      { outcome: { kind: 'neutral', reason: '' }, report: 'ünd', at: 8000 },
    );
    expect((await runs.job(jobId))?.report).toBe('ünd');
  });

  it('names what is being deployed in a repository', async () => {
    const { runs } = current();
    const first = await plannedRun(current(), deploy(sha, '1'), [planned('a'), planned('b', 'deploy')]);
    const second = await plannedRun(current(), deploy(sha, '2'), [planned('b', 'deploy')]);
    const over = await plannedRun(current(), deploy(sha, '3'), [planned('b', 'deploy')]);
    await runs.drop(over.jobs[0] ?? '', { kind: 'success' }, 2000);
    const { run } = await runs.create({
      repository: repositoryNamed('acme/other', 5),
      trigger: deploy(sha, '1'),
      pullRequest: null,
      at: 1000,
    });
    await runs.plan(run.id, {
      jobs: [planned('b', 'deploy')],
      diagnostics: [],
      concurrency: null,
      pipelineFile: 'f',
      at: 1000,
    });
    const deploying = await runs.deploying(shop.id);
    expect(deploying.map(({ run: of, job }) => [of.id, job.id])).toEqual([
      [first.id, first.jobs[1]],
      [second.id, second.jobs[0]],
    ]);
    expect(deploying[0]?.job).toEqual(await runs.job(first.jobs[1] ?? ''));
    expect(await runs.deploying(1)).toEqual([]);
  });

  it('tells a run again when it is touched', async () => {
    const { runs } = current();
    const { id } = await plannedRun(current(), push(sha), [planned('a')]);
    await runs.told(id, (await runs.get(id))?.version ?? 0);
    expect(await runs.untold(9)).toEqual([]);
    await runs.touch(id);
    expect(await runs.untold(9)).toEqual([id]);
    await runs.touch('unknown');
  });

  const record = (id: string, createdAt: number, more: Partial<DeploymentRecord> = {}): DeploymentRecord => ({
    id,
    repositoryId: shop.id,
    repository: 'Acme/Shop',
    environment: 'staging',
    sha,
    runId: 'r',
    jobId: `job-${id}`,
    actor: 'ada',
    state: 'success',
    description: 'Healthy.',
    changes: [],
    createdAt,
    updatedAt: createdAt,
    patchedAt: null,
    details: {},
    ...more,
  });
  const preview = (number: number, removedAt?: number): DeploymentDetails => ({
    preview: {
      cluster: null,
      namespace: `pr-${number}`,
      number,
      expiresAt: 9000,
      ...(removedAt === undefined ? {} : { removedAt }),
    },
  });

  it('keeps all of a deployment, and knows environments and repositories by their newest spelling', async () => {
    const { deployments } = current();
    const details: DeploymentDetails = {
      mode: 'rollback',
      title: 'Größe',
      tag: 'v1',
      number: null,
      images: { image: 'ghcr.io/acme/shop@sha256:1' },
      params: { a: 'b' },
      restores: 'd0',
      healthyAt: 2000,
    };
    const full = record('d1', 1000, { details });
    await deployments.save(full);
    await deployments.save(record('d2', 2000, { environment: 'Staging', repository: 'acme/store' }));
    await deployments.save(record('d3', 1500, { environment: 'preview/pr-7', state: 'failure' }));
    await deployments.save(record('d4', 3000, { repositoryId: 5, repository: 'Acme/else', environment: 'production' }));
    const again = (await reopen()).deployments;
    expect(await again.get('d1')).toEqual(full);
    expect(await again.get('unknown')).toBeNull();
    expect(await again.environments(shop.id)).toEqual(['preview/pr-7', 'Staging']);
    expect(await again.environments(1)).toEqual([]);
    expect((await again.list(shop.id, 'STAGING', 9)).map((one) => one.id)).toEqual(['d2', 'd1']);
    expect((await again.lastHealthy(shop.id, 'staging', 'd2'))?.id).toBe('d1');
    expect(await again.repositories()).toEqual([
      { repositoryId: 5, repository: 'Acme/else' },
      { repositoryId: shop.id, repository: 'acme/store' },
    ]);
  });

  it('has a healthy deployment take the place of what was healthy in its environment', async () => {
    const { runs, deployments } = current();
    const old = await plannedRun(current(), deploy(sha, '1'), [planned('a', 'deploy')]);
    await runs.told(old.id, (await runs.get(old.id))?.version ?? 0);
    const was = record('d1', 1000, { runId: old.id, environment: 'Staging', details: { title: 'x' } });
    const next = record('d4', 4000);
    const others = [
      record('d2', 2000, { state: 'failure' }),
      record('d3', 3000, { environment: 'production' }),
      record('d5', 3000, { repositoryId: 5 }),
    ];
    for (const one of [was, next, ...others]) await deployments.save(one);
    const inactive = { ...was, state: 'inactive', details: { title: 'x', rolledBack: true } } as const;
    expect(await deployments.supersede(next, true)).toEqual([inactive]);
    expect(await deployments.get('d1')).toEqual(inactive);
    for (const one of [next, ...others]) expect(await deployments.get(one.id)).toEqual(one);
    expect(await runs.untold(9)).toEqual([old.id]);
    expect(await deployments.supersede(next, false)).toEqual([]);
    const last = record('d6', 5000);
    await deployments.save(last);
    expect(await deployments.supersede(last, false)).toEqual([{ ...next, state: 'inactive' }]);
  });

  it('knows the previews that are there, and retires them', async () => {
    const { runs, deployments } = current();
    const { id: runId } = await plannedRun(current(), push(sha), [planned('a')]);
    await runs.told(runId, (await runs.get(runId))?.version ?? 0);
    const at = (number: number) => ({ environment: `preview/pr-${number}`, details: preview(number) });
    await deployments.save(record('p1', 1000, { ...at(1), state: 'failure' }));
    await deployments.save(record('p2', 2000, { ...at(1), runId }));
    await deployments.save(record('p3', 3000, { ...at(2), state: 'failure' }));
    await deployments.save(record('p4', 4000, { environment: 'preview/pr-2', state: 'queued' }));
    await deployments.save(record('p5', 5000, { ...at(3), state: 'inactive' }));
    await deployments.save(record('p6', 6000, { ...at(4), state: 'failure', details: preview(4, 6500) }));
    await deployments.save(record('d1', 7000));
    const there = async () => (await deployments.previews()).map((one) => one.id);
    expect(await there()).toEqual(['p3', 'p2']);
    await deployments.retire('p2', 'The pull request is closed.', 8000);
    expect(await deployments.get('p2')).toMatchObject({
      state: 'inactive',
      description: 'The pull request is closed.',
      updatedAt: 8000,
      details: { preview: { namespace: 'pr-1', removedAt: 8000 } },
    });
    expect(await runs.untold(9)).toEqual([runId]);
    await deployments.retire('p3', 'x', 8000);
    expect(await deployments.get('p3')).toMatchObject({ state: 'failure', description: 'Healthy.' });
    await deployments.retire('unknown', 'x', 8000);
    // What failed before p2 took its place is the same namespace.
    await deployments.retire('p1', 'x', 8000);
    expect(await there()).toEqual([]);
  });

  it('keeps the runs to which an environment may go back, and forgets what failed with its run', async () => {
    const { runs, deployments, heads } = current();
    const ended = async (request: string) => {
      const { id, jobs } = await plannedRun(current(), deploy(sha, request), [planned('a', 'deploy')]);
      await runs.drop(jobs[0] ?? '', { kind: 'success' }, 1000);
      await runs.finish(id, { kind: 'success' }, [], 1000);
      await runs.told(id, (await runs.get(id))?.version ?? 0);
      return id;
    };
    const ids: string[] = [];
    for (let i = 0; i < 12; i += 1) {
      const runId = await ended(`${i}`);
      ids.push(runId);
      const environment = i % 2 === 0 ? 'staging' : 'Staging';
      await deployments.save(record(`d${i}`, i, { runId, environment, state: i === 11 ? 'success' : 'inactive' }));
    }
    const gone: string[] = [];
    const others: [string, Partial<DeploymentRecord>][] = [
      ['failed', { state: 'failure' }],
      ['removed', { environment: 'preview/pr-1', state: 'inactive', details: preview(1, 50) }],
      ['left', { environment: 'preview/pr-2', state: 'failure', details: preview(2) }],
      ['stays', { environment: 'preview/pr-3', details: preview(3) }],
    ];
    for (const [id, more] of others) {
      const runId = await ended(id);
      gone.push(runId);
      await deployments.save(record(id, 100, { runId, ...more }));
    }
    const newest = await ended('newest');
    const head = { repositoryId: shop.id, number: 7, sha, at: 1000, receivedAt: 1000 };
    for (const at of [1000, 2000, 3000]) await heads.record({ ...head, at, receivedAt: at });
    await heads.record({ ...head, number: 8 });

    const pruned = (await runs.prune({ before: 2500, keep: null, limit: 99 })).map((one) => one.runId);
    expect(pruned.sort()).toEqual([...ids.slice(0, 2), ...gone.slice(0, 3)].sort());
    expect((await runs.list({ limit: 99 })).map((run) => run.id)).toEqual([
      newest,
      gone[3],
      ...ids.slice(2).toReversed(),
    ]);
    expect((await deployments.list(shop.id, 'staging', 99)).map((one) => one.id)).toEqual(
      Array.from({ length: 12 }, (_, i) => `d${11 - i}`),
    );
    expect(await deployments.environments(shop.id)).toEqual(['preview/pr-2', 'preview/pr-3', 'Staging']);
    expect((await heads.of(shop.id, 7)).map((one) => one.at)).toEqual([3000]);
    expect(await heads.of(shop.id, 8)).toHaveLength(1);
  });

  it('takes one word of each person at each gate, whatever its case, and forgets it with the job', async () => {
    const { runs, approvals } = current();
    const { id, jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b')]);
    const [jobId = '', other = ''] = jobs;
    await plannedRun(current(), push(sha, 'newer'), []);
    const word = { jobId, attempt: 1, gate: 'start', login: 'Ada', decision: 'approve', at: 2000 } as const;
    const added = await Promise.all([1, 2, 3].map(() => approvals.add(word)));
    expect(added.filter(Boolean)).toHaveLength(1);
    expect(await approvals.add({ ...word, login: 'ada', decision: 'reject', at: 3000 })).toBe(false);
    expect(await approvals.add({ ...word, login: 'bob', decision: 'reject', at: 1000 })).toBe(true);
    expect(await approvals.add({ ...word, gate: 'step 2', at: 4000 })).toBe(true);
    expect(await approvals.add({ ...word, attempt: 2, at: 5000 })).toBe(true);
    expect(await approvals.of(jobId, 1)).toEqual([
      { ...word, login: 'bob', decision: 'reject', at: 1000 },
      word,
      { ...word, gate: 'step 2', at: 4000 },
    ]);
    expect(await approvals.of(jobId, 2)).toHaveLength(1);
    expect(await approvals.of(other, 1)).toEqual([]);
    for (const job of jobs) await runs.drop(job, { kind: 'success' }, 6000);
    await runs.finish(id, { kind: 'success' }, [], 6000);
    await runs.told(id, (await runs.get(id))?.version ?? 0);
    expect(await runs.prune({ before: 9000, keep: null, limit: 9 })).toHaveLength(1);
    expect(await approvals.of(jobId, 1)).toEqual([]);
  });

  it('gives a lock to one, and tells the others whose it is', async () => {
    const { locks } = current();
    const lock: Lock = {
      repositoryId: shop.id,
      environment: 'Production',
      owner: 'Ada',
      reason: 'Größe',
      pullRequest: 7,
      at: 1000,
    };
    expect(await locks.take(lock)).toEqual(lock);
    expect(await locks.take({ ...lock, environment: 'production', owner: 'bob' })).toEqual(lock);
    const contenders = Array.from({ length: 10 }, (_, i) => ({ ...lock, environment: 'x', owner: `u${i}` }));
    const owners = new Set((await Promise.all(contenders.map((one) => locks.take(one)))).map((one) => one.owner));
    expect(owners.size).toBe(1);
    const whole = { ...lock, environment: '', reason: '', pullRequest: null };
    expect(await locks.take(whole)).toEqual(whole);
    expect(await locks.take({ ...lock, repositoryId: 5, owner: 'bob' })).toMatchObject({ owner: 'bob' });
    expect((await locks.of(shop.id)).map((one) => one.environment)).toEqual(['', 'Production', 'x']);
    expect(await locks.release(shop.id, 'production', 'bob')).toBe(false);
    expect(await locks.release(shop.id, 'PRODUCTION', 'ada')).toBe(true);
    expect(await locks.release(shop.id, 'production', null)).toBe(false);
    expect(await locks.release(shop.id, '', null)).toBe(true);
    expect((await locks.closed(shop.id, 7)).map((one) => one.environment)).toEqual(['x']);
    expect(await locks.closed(shop.id, 7)).toEqual([]);
    expect(await locks.of(shop.id)).toEqual([]);
    expect(await (await reopen()).locks.of(5)).toHaveLength(1);
  });

  it('knows the heads of a pull request in the order of their time, however they arrive', async () => {
    const { heads } = current();
    const head = (letter: string, at: number | null, receivedAt: number, number = 7) => ({
      repositoryId: shop.id,
      number,
      sha: letter.repeat(40),
      at,
      receivedAt,
    });
    const told = [
      head('a', 1000, 1500),
      head('c', 3000, 3100),
      head('b', 2000, 3200),
      // Pushed back to an earlier commit.
      head('a', 4000, 4100),
      // Within the same second.
      head('d', 4000, 4200),
    ];
    for (const one of told) await heads.record(one);
    for (const one of told) await heads.record({ ...one, receivedAt: one.receivedAt + 10_000 });
    await heads.record(head('e', 1000, 1500, 8));
    const letters = async (number: number) => (await heads.of(shop.id, number)).map((one) => one.sha[0]).join('');
    expect(await letters(7)).toBe('abcad');
    expect((await heads.of(shop.id, 7))[1]).toEqual(head('b', 2000, 3200));
    expect(await letters(8)).toBe('e');
    expect(await heads.of(1, 7)).toEqual([]);
    for (const letter of ['f', 'f', 'a', 'f']) await heads.record(head(letter, null, 9000));
    expect(await letters(7)).toBe('abcadfaf');
    for (let i = 0; i < 60; i += 1) await heads.record(head(`${i % 10}`, 10_000 + i, 10_000));
    expect(await letters(7)).toBe('0123456789'.repeat(5));
  });
}
