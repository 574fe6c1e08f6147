import { expect, it } from '@jest/globals';
import type { Owned, Store } from '#src/engine/store.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { Job, Step } from '#src/model/run.ts';
import { planned, plannedRun, push, shop } from './store-fixtures.ts';

const success: Outcome = { kind: 'success' };
const failure: Outcome = { kind: 'failure', reason: 'exit code 1' };

/** The part of the Store's contract that is about jobs. */
export function jobsContract(current: () => Store): void {
  const sha = 'a'.repeat(40);
  const one = async () => {
    const { id, jobs } = await plannedRun(current(), push(sha), [planned('test')]);
    return { runId: id, jobId: jobs[0] ?? '' };
  };
  /** Queues the job and lets `w` claim it. */
  const begin = async (jobId: string, worker = 'w'): Promise<Owned> => {
    await current().runs.queue(jobId, 2000);
    const job = await current().runs.claim(worker, ['script'], 3000);
    expect(job?.id).toBe(jobId);
    return ownedBy(job, worker);
  };

  it('queues only what waits', async () => {
    const { runs } = current();
    const { jobId } = await one();
    await runs.noteJob(jobId, 'Waits for the group "x".');
    expect(await runs.job(jobId)).toMatchObject({ state: 'waiting', note: 'Waits for the group "x".' });
    await runs.queue(jobId, 2000);
    await runs.queue(jobId, 9000);
    await runs.noteJob(jobId, 'too late');
    expect(await runs.job(jobId)).toMatchObject({ state: 'queued', queuedAt: 2000, note: null });
    await runs.claim('w', ['script'], 3000);
    await runs.queue(jobId, 9000);
    expect(await runs.job(jobId)).toMatchObject({ state: 'running', worker: 'w' });
    expect(await runs.job('unknown')).toBeNull();
  });

  it('keeps the steps and the progress of a running job, and of no other', async () => {
    const { runs } = current();
    const { jobId, runId } = await one();
    expect(await runs.progress({ jobId, attempt: 1, worker: 'w' }, { progress: 'too early' })).toBe(false);
    const owned = await begin(jobId);
    const steps = manySteps(1200);
    expect(await runs.progress(owned, { steps, progress: '1 of 2 pods' })).toBe(true);
    await runs.progress(owned, { progress: '2 of 2 pods' });
    expect(await runs.job(jobId)).toMatchObject({ steps, progress: '2 of 2 pods' });
    const done = steps.slice(0, 3).map((step): Step => ({ ...step, state: 'completed', exitCode: 1, logEnd: 2 ** 33 }));
    await runs.progress(owned, { steps: done });
    expect((await runs.view(runId))?.jobs[0]?.steps).toEqual(done);
    await runs.complete(owned, { outcome: success, at: 4000 });
    expect(await runs.progress(owned, { steps: [], progress: 'too late' })).toBe(false);
    expect(await runs.job(jobId)).toMatchObject({ steps: done, progress: '2 of 2 pods' });
  });

  it('keeps what a job ended with', async () => {
    const { runs } = current();
    const { jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b')]);
    const [a = '', b = ''] = jobs;
    expect(await runs.drop(b, { kind: 'skipped', reason: 'a failed' }, 4000)).toBe(true);
    expect(await runs.drop(b, success, 4000)).toBe(false);
    const owned = await begin(a);
    expect(await runs.drop(a, success, 4000)).toBe(false);
    const annotations = [{ path: 'src/ü.ts', startLine: 1, endLine: 1, level: 'failure', message: 'x' }] as const;
    const tests = { total: 3, failed: 1, skipped: 0, failures: ['größer als 🙂'] };
    expect(await runs.complete(owned, { outcome: failure, annotations, tests, artifacts: 'ref', at: 4000 })).toBe(true);
    expect(await runs.job(a)).toMatchObject({
      state: 'completed',
      outcome: failure,
      annotations,
      tests,
      worker: null,
      startedAt: 3000,
      finishedAt: 4000,
    });
    expect(await runs.job(b)).toMatchObject({ state: 'completed', annotations: [], tests: null, startedAt: null });
    expect(await runs.artifacts(a)).toBe('ref');
    expect(await runs.artifacts(b)).toBeNull();
    expect(await runs.artifacts('nothing')).toBeNull();
  });

  it('hears neither an earlier attempt nor another server', async () => {
    const { runs } = current();
    const { jobId } = await one();
    const owned = await begin(jobId);
    const next = { outcome: failure, by: 'retry', why: 'retry 1 of 2', note: 'x', notBefore: null, at: 4000 } as const;
    await runs.again(owned, next);
    await runs.claim('w', ['script'], 5000);
    const before = await runs.job(jobId);
    for (const wrong of [owned, { jobId, attempt: 2, worker: 'v' }, { jobId: 'x', attempt: 2, worker: 'w' }]) {
      expect(await runs.complete(wrong, { outcome: success, at: 6000 })).toBe(false);
      expect(await runs.again(wrong, next)).toBe(false);
      expect(await runs.unclaim(wrong)).toBe(false);
      expect(await runs.progress(wrong, { steps: manySteps(1), progress: 'x' })).toBe(false);
    }
    expect(await runs.job(jobId)).toEqual(before);
    expect(await runs.complete({ jobId, attempt: 2, worker: 'w' }, { outcome: success, at: 6000 })).toBe(true);
  });

  it('starts a job over in its place of the queue, and remembers its last 20 attempts', async () => {
    const { runs } = current();
    const { jobId } = await one();
    let owned = await begin(jobId);
    await runs.progress(owned, { steps: manySteps(2), progress: 'x' });
    for (let i = 1; i <= 22; i += 1) {
      const why = `retry ${i}`;
      await runs.again(owned, {
        outcome: null,
        by: 'platform',
        why,
        note: 'Tried again soon.',
        notBefore: 5000,
        at: 4000,
      });
      const queued = { state: 'queued', attempt: i + 1, queuedAt: 2000, steps: [], progress: null, worker: null };
      expect(await runs.job(jobId)).toMatchObject({ ...queued, note: 'Tried again soon.', notBefore: 5000 });
      owned = ownedBy(await runs.claim('w', ['script'], 5000), 'w');
    }
    const job = await runs.job(jobId);
    expect(job?.note).toBeNull();
    expect(job?.earlier.map((attempt) => attempt.attempt)).toEqual(Array.from({ length: 20 }, (_, i) => i + 3));
    expect(job?.earlier[0]).toEqual({
      attempt: 3,
      outcome: null,
      by: 'platform',
      why: 'retry 3',
      startedAt: 5000,
      finishedAt: 4000,
    });
  });

  it('takes back a claim that never began', async () => {
    const { runs } = current();
    const { jobId } = await one();
    expect(await runs.unclaim(await begin(jobId))).toBe(true);
    expect(await runs.job(jobId)).toMatchObject({
      state: 'queued',
      attempt: 1,
      queuedAt: 2000,
      startedAt: null,
      earlier: [],
    });
  });

  it('asks for the end of a job once; a person may ask after Slipway did', async () => {
    const { runs } = current();
    const { jobId } = await one();
    expect(await runs.cancelJob(jobId, { reason: 'A newer one.', by: 'slipway' })).toBe(true);
    expect(await runs.cancelJob(jobId, { reason: 'Another.', by: 'slipway' })).toBe(false);
    expect(await runs.cancelJob(jobId, { reason: 'Cancelled by @ada.', by: 'person' })).toBe(true);
    expect(await runs.cancelJob(jobId, { reason: 'Cancelled by @bob.', by: 'person' })).toBe(false);
    expect((await runs.job(jobId))?.cancel).toEqual({ reason: 'Cancelled by @ada.', by: 'person' });
    await runs.drop(jobId, success, 4000);
    expect(await runs.cancelJob(jobId, { reason: 'x', by: 'person' })).toBe(false);
  });

  it('plans a completed run without jobs anew', async () => {
    const { runs } = current();
    const { run } = await runs.create({ repository: shop, trigger: push(sha), pullRequest: null, at: 1000 });
    await runs.restart(run.id, [], 'x', 2000);
    await runs.cancel(run.id, { reason: 'x', by: 'person' });
    await runs.finish(run.id, { kind: 'broken', reason: 'GitHub is down.' }, [], 3000);
    await runs.restart(run.id, [], 'x', 4000);
    expect(await runs.get(run.id)).toMatchObject({ state: 'pending', outcome: null, finishedAt: null, cancel: null });
    expect(await runs.unfinished()).toContain(run.id);
  });

  it('starts completed jobs over, and the run with them, cancelled no more', async () => {
    const { runs } = current();
    const { id, jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b'), planned('c')]);
    const [a = '', b = '', c = ''] = jobs;
    for (const job of [a, b]) {
      const owned = await begin(job);
      await runs.progress(owned, { steps: manySteps(2), progress: 'x' });
      await runs.cancelJob(job, { reason: 'x', by: 'person' });
      await runs.complete(owned, { outcome: failure, artifacts: 'ref', at: 4000 });
    }
    await runs.cancel(id, { reason: 'x', by: 'person' });
    await runs.finish(id, failure, [], 5000);
    expect((await runs.get(id))?.state).toBe('running');
    await runs.drop(c, success, 4500);
    await runs.finish(id, failure, [], 5000);
    expect((await runs.get(id))?.state).toBe('completed');
    await runs.restart(id, [a], '@ada re-ran it', 6000, 'ada');

    const view = await runs.view(id);
    expect(view?.run).toMatchObject({
      state: 'running',
      outcome: null,
      startedAt: 6000,
      finishedAt: null,
      cancel: null,
    });
    const cleared = { outcome: null, steps: [], progress: null, queuedAt: null, startedAt: null, finishedAt: null };
    expect(view?.jobs[0]).toMatchObject({ state: 'waiting', attempt: 2, cancel: null, ...cleared });
    const earlier = {
      attempt: 1,
      outcome: failure,
      by: 'person',
      why: '@ada re-ran it',
      login: 'ada',
      startedAt: 3000,
      finishedAt: 4000,
    };
    expect(view?.jobs[0]?.earlier).toEqual([earlier]);
    expect(view?.jobs[1]).toMatchObject({ state: 'completed', attempt: 1 });
    expect(await runs.unfinished()).toEqual([id]);
  });

  it('gives the jobs of a server that is gone to its heir, in the same attempt', async () => {
    const { runs } = current();
    const { jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b'), planned('c')]);
    const [a = '', b = ''] = jobs;
    const owned = await begin(a, 'gone');
    await begin(b, 'alive');
    await runs.progress(owned, { steps: manySteps(2) });
    const got = await runs.inherit('gone', 'heir');
    expect(got.map((job) => [job.id, job.state, job.attempt, job.worker, job.steps.length])).toEqual([
      [a, 'running', 1, 'heir', 2],
    ]);
    expect(await runs.complete(owned, { outcome: success, at: 4000 })).toBe(false);
    expect((await runs.inherit(null, 'heir')).map((job) => job.id)).toEqual([b]);
    expect(await runs.inherit(null, 'heir')).toEqual([]);
    expect(await runs.running([`${a}-1`, `${a}-2`, `${jobs[2]}-1`, 'x'])).toEqual(new Set([`${a}-1`]));
  });
}

function ownedBy(job: Job | null, worker: string): Owned {
  return { jobId: job?.id ?? '', attempt: job?.attempt ?? 0, worker };
}

function manySteps(count: number): Step[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    name: `Schritt ${index}`,
    state: 'running',
    exitCode: null,
    startedAt: 1_700_000_000_000 + index,
    finishedAt: null,
    logStart: 3 * 2 ** 32 + index,
    logEnd: null,
  }));
}
