import { expect, it } from '@jest/globals';
import type { Store } from '#src/engine/store.ts';
import type { Step } from '#src/model/run.ts';
import { planned, plannedRun, push, shop } from './store-fixtures.ts';

/** The part of the Store's contract that is about jobs. */
export function jobsContract(current: () => Store): void {
  const sha = 'a'.repeat(40);
  const one = async () => {
    const { id, jobs } = await plannedRun(current(), push(sha), [planned('test')]);
    return { runId: id, jobId: jobs[0] ?? '' };
  };

  it('gives queued jobs to workers, oldest first, of the kinds they take', async () => {
    const { runs } = current();
    const { jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b'), planned('c', 'deploy')]);
    expect(await runs.claim('w', ['script', 'deploy'], 5000)).toBeNull();
    await runs.queue(jobs[1] ?? '', 3000);
    await runs.queue(jobs[0] ?? '', 3001);
    await runs.queue(jobs[2] ?? '', 2000);
    const claimed = await runs.claim('w', ['script'], 5000);
    expect(claimed).toMatchObject({ plan: { key: 'b' }, state: 'running', queuedAt: 3000, startedAt: 5000 });
    expect(await runs.claim('w', ['script', 'image'], 5001)).toMatchObject({ plan: { key: 'a' } });
    expect(await runs.claim('w', ['script'], 5002)).toBeNull();
    expect(await runs.claim('w', [], 5002)).toBeNull();
    expect(await runs.claim('w', ['deploy'], 5003)).toMatchObject({ plan: { key: 'c' } });
  });

  it('queues only what waits', async () => {
    const { runs } = current();
    const { jobId } = await one();
    await runs.queue(jobId, 2000);
    await runs.queue(jobId, 9000);
    expect(await runs.job(jobId)).toMatchObject({ state: 'queued', queuedAt: 2000 });
    await runs.claim('w', ['script'], 3000);
    await runs.queue(jobId, 9000);
    expect(await runs.job(jobId)).toMatchObject({ state: 'running' });
    expect(await runs.job('unknown')).toBeNull();
  });

  it('keeps the steps and the progress of a running job, and of no other', async () => {
    const { runs } = current();
    const { jobId, runId } = await one();
    await runs.progress(jobId, { progress: 'too early' });
    expect((await runs.job(jobId))?.progress).toBeNull();
    await runs.queue(jobId, 2000);
    await runs.claim('w', ['script'], 3000);
    const steps = manySteps(1200);
    await runs.progress(jobId, { steps, progress: '1 of 2 pods' });
    await runs.progress(jobId, { progress: '2 of 2 pods' });
    expect(await runs.job(jobId)).toMatchObject({ steps, progress: '2 of 2 pods' });
    const done = steps.slice(0, 3).map((step): Step => ({ ...step, state: 'completed', exitCode: 1, logEnd: 2 ** 33 }));
    await runs.progress(jobId, { steps: done });
    expect((await runs.view(runId))?.jobs[0]?.steps).toEqual(done);
    await runs.complete(jobId, { outcome: { kind: 'success' }, at: 4000 });
    await runs.progress(jobId, { steps: [], progress: 'too late' });
    expect(await runs.job(jobId)).toMatchObject({ steps: done, progress: '2 of 2 pods' });
  });

  it('completes a job from any state', async () => {
    const { runs } = current();
    const { jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b')]);
    const [a = '', b = ''] = jobs;
    await runs.complete(b, { outcome: { kind: 'skipped', reason: 'a failed' }, at: 4000 });
    await runs.queue(a, 2000);
    await runs.claim('w', ['script'], 3000);
    const annotations = [
      { path: 'src/ü.ts', startLine: 1, endLine: 1, level: 'failure', message: 'x'.repeat(9) },
    ] as const;
    const tests = { total: 3, failed: 1, skipped: 0, failures: ['größer als 🙂'] };
    await runs.complete(a, {
      outcome: { kind: 'failure', reason: 'exit code 1' },
      annotations,
      tests,
      artifacts: 'ref',
      at: 4000,
    });
    expect(await runs.job(a)).toMatchObject({
      state: 'completed',
      outcome: { kind: 'failure', reason: 'exit code 1' },
      annotations,
      tests,
      startedAt: 3000,
      finishedAt: 4000,
    });
    expect(await runs.job(b)).toMatchObject({ state: 'completed', annotations: [], tests: null, startedAt: null });
  });

  it('keeps the archive that a job left', async () => {
    const { runs } = current();
    const { jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b')]);
    const [a = '', b = ''] = jobs;
    await runs.complete(a, { outcome: { kind: 'success' }, artifacts: 'ref', at: 4000 });
    await runs.complete(b, { outcome: { kind: 'success' }, at: 4000 });
    expect(await runs.artifacts(a)).toBe('ref');
    expect(await runs.artifacts(b)).toBeNull();
    expect(await runs.artifacts('nothing')).toBeNull();
  });

  it('plans a completed run without jobs anew', async () => {
    const { runs } = current();
    const { run } = await runs.create({ repository: shop, trigger: push(sha), pullRequest: null, at: 1000 });
    await runs.restart(run.id, [], 2000);
    await runs.finish(run.id, { kind: 'broken', reason: 'GitHub is down.' }, [], 3000);
    await runs.restart(run.id, [], 4000);
    expect(await runs.get(run.id)).toMatchObject({ state: 'pending', outcome: null, finishedAt: null });
    expect(await runs.unfinished()).toContain(run.id);

    const planned1 = await plannedRun(current(), push(sha, 'other'), [planned('a')]);
    await runs.finish(planned1.id, { kind: 'success' }, [], 3000);
    await runs.restart(planned1.id, [], 4000);
    expect((await runs.get(planned1.id))?.state).toBe('completed');
  });

  it('starts completed jobs over, and the run with them', async () => {
    const { runs } = current();
    const { id, jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b'), planned('c')]);
    const [a = '', b = '', c = ''] = jobs;
    for (const job of [a, b]) {
      await runs.queue(job, 2000);
      await runs.claim('w', ['script'], 3000);
      await runs.progress(job, { steps: manySteps(2), progress: 'x' });
      await runs.complete(job, { outcome: { kind: 'failure', reason: 'x' }, artifacts: 'ref', at: 4000 });
    }
    await runs.finish(id, { kind: 'failure', reason: 'a, b' }, [], 5000);
    await runs.restart(id, [a, c], 6000);

    const view = await runs.view(id);
    expect(view?.run).toMatchObject({ state: 'running', outcome: null, startedAt: 6000, finishedAt: null });
    expect(view?.jobs[0]).toMatchObject({
      state: 'waiting',
      attempt: 2,
      outcome: null,
      steps: [],
      progress: null,
      queuedAt: null,
      startedAt: null,
      finishedAt: null,
    });
    expect(view?.jobs[1]).toMatchObject({ state: 'completed', attempt: 1 });
    expect(view?.jobs[2]).toMatchObject({ state: 'waiting', attempt: 1 });
    expect(await runs.unfinished()).toEqual([id]);
  });

  it('leaves a finished run alone when there is nothing to start over', async () => {
    const { runs } = current();
    const { id } = await plannedRun(current(), push(sha), [planned('a')]);
    const other = await plannedRun(current(), push('b'.repeat(40)), [planned('a')]);
    await runs.complete(other.jobs[0] ?? '', { outcome: { kind: 'success' }, at: 4000 });
    await runs.finish(id, { kind: 'success' }, [], 5000);
    await runs.restart(id, [], 6000);
    await runs.restart(id, other.jobs, 6000);
    expect(await runs.get(id)).toMatchObject({ state: 'completed', finishedAt: 5000 });
    expect(await runs.job(other.jobs[0] ?? '')).toMatchObject({ state: 'completed', attempt: 1 });
  });

  it('puts the jobs of a worker that is gone back to their place in the queue', async () => {
    const { runs } = current();
    const { jobs } = await plannedRun(current(), push(sha), [planned('a'), planned('b'), planned('c')]);
    for (const [i, job] of jobs.entries()) await runs.queue(job, 2000 + i);
    await runs.claim('gone', ['script'], 3000);
    await runs.claim('alive', ['script'], 3000);
    await runs.progress(jobs[0] ?? '', { steps: manySteps(2) });
    const back = await runs.requeue('gone');
    expect(back.map((job) => [job.id, job.state, job.attempt, job.steps.length, job.startedAt])).toEqual([
      [jobs[0], 'queued', 2, 0, null],
    ]);
    expect(await runs.job(jobs[1] ?? '')).toMatchObject({ state: 'running', attempt: 1 });
    expect(await runs.claim('new', ['script'], 4000)).toMatchObject({ id: jobs[0], attempt: 2 });
    expect((await runs.requeue(null)).map((job) => job.id)).toEqual([jobs[0], jobs[1]]);
    expect(await runs.requeue(null)).toEqual([]);
  });
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
