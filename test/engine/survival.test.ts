import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import { BegunElsewhere } from '#src/engine/errors.ts';
import type { RunStore, Store } from '#src/engine/store.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { Job } from '#src/model/run.ts';
import { outcomes, push, scenario, trigger } from '#test/scenarios/world.ts';

const one = { 'slipway.yml': 'jobs: { work: { image: node, run: work } }' };

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function database(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-survival-'));
  folders.push(folder);
  return join(folder, 'slipway.db');
}

/** A store of which some methods of the runs are others. */
function withRuns(change: (runs: RunStore) => Partial<RunStore>): (store: Store) => Store {
  return (store) => ({ ...store, runs: { ...store.runs, ...change(store.runs) } });
}

/** The first of these calls is carried out, and its answer lost. */
function losesAnswer<A extends readonly unknown[], T>(
  method: (...args: A) => Promise<T>,
  when: (answer: T) => boolean,
) {
  let lost = false;
  return async (...args: A): Promise<T> => {
    const answer = await method(...args);
    if (lost || !when(answer)) return answer;
    lost = true;
    throw new PlatformError('The connection to the database was lost.');
  };
}

/** A step that stands until its job is stopped or the process is gone. */
function standing() {
  const { promise: begun, resolve } = Promise.withResolvers<string>();
  return {
    begun,
    script: async (_script: string, step: { signal: AbortSignal; request: { jobId: string } }) => {
      resolve(step.request.jobId);
      if (!step.signal.aborted) await new Promise((end) => step.signal.addEventListener('abort', end, { once: true }));
      return 143;
    },
  };
}

it('goes on with a job whose claim was stored and never answered', async () => {
  const s = await scenario({
    commits: { a1: one },
    store: withRuns((runs) => ({
      claim: losesAnswer(
        (...args: Parameters<RunStore['claim']>) => runs.claim(...args),
        (job) => job !== null,
      ),
    })),
  });
  const view = await s.play(trigger(push('a1')));
  expect(view.run.outcome).toEqual({ kind: 'success' });
  expect(s.executor.requests).toHaveLength(1);
  expect(view.jobs[0]?.attempt).toBe(1);
});

it('goes on with a job that was claimed and could not be read then', async () => {
  let failures = 2;
  const s = await scenario({
    commits: { a1: one },
    store: withRuns((runs) => ({
      job: async (id) => {
        failures -= 1;
        if (failures >= 0) throw new PlatformError('The database is locked.');
        return await runs.job(id);
      },
    })),
  });
  const view = await s.play(trigger(push('a1')));
  expect(view.run.outcome).toEqual({ kind: 'success' });
  expect(s.executor.requests).toHaveLength(1);
});

it('heeds that the end of a job was asked for when nobody worked at it', async () => {
  const path = database();
  const work = standing();
  const before = await scenario({ commits: { a1: one }, database: path, worker: 'one', ...work });
  await before.engine.intake(trigger(push('a1')));
  const jobId = await work.begun;
  // The server dies between the cancellation's storing and its being followed.
  await before.store.runs.cancelJob(jobId, { reason: 'Cancelled by the newer run.', by: 'slipway' });
  const { runId } = (await before.store.runs.job(jobId)) as Job;
  await before.close();

  const after = await scenario({ commits: { a1: one }, database: path, worker: 'two', ...standing() });
  await after.engine.completed(runId);
  const view = await after.store.runs.view(runId);
  expect(view && outcomes(view)).toEqual({ work: 'cancelled: Cancelled by the newer run.' });
});

it('heeds a cancellation that is stored at the moment of the claim', async () => {
  const s = await scenario({
    commits: { a1: one },
    ...standing(),
    store: withRuns((runs) => ({
      claim: async (...args) => {
        const job = await runs.claim(...args);
        if (job) await runs.cancelJob(job.id, { reason: 'Cancelled by the newer run.', by: 'slipway' });
        return job;
      },
    })),
  });
  expect(outcomes(await s.play(trigger(push('a1'))))).toEqual({ work: 'cancelled: Cancelled by the newer run.' });
});

it('does not retry a job of which the end was asked for just when it failed', async () => {
  const s = await scenario({
    commits: { a1: { 'slipway.yml': 'jobs: { work: { image: node, run: work, retry: 3 } }' } },
    script: async (_script, { request }) => {
      await s.store.runs.cancelJob(request.jobId, { reason: 'Cancelled by the newer run.', by: 'slipway' });
      return 1;
    },
  });
  const view = await s.play(trigger(push('a1')));
  expect(view.jobs[0]).toMatchObject({ attempt: 1, outcome: { kind: 'failure' } });
});

it('goes on with what it claimed while other servers took it for dead', async () => {
  const work = standing();
  let times = 0;
  const s = await scenario({
    commits: { a1: one },
    script: async (script, step) => {
      times += 1;
      return times === 1 ? await work.script(script, step) : 0;
    },
  });
  const playing = s.play(trigger(push('a1')));
  await work.begun;
  s.engine.lose();
  const view = await playing;
  expect(view.run.outcome).toEqual({ kind: 'success' });
  expect(view.jobs[0]?.attempt).toBe(1);
  expect(times).toBe(2);
});

it('goes on with a run of which a job is restarted just when it ends', async () => {
  let restarted = false;
  const s = await scenario({
    commits: { a1: one },
    store: withRuns((runs) => ({
      finish: async (id, ...rest) => {
        const jobs = (await runs.view(id))?.jobs ?? [];
        if (!restarted)
          await runs.restart(
            id,
            jobs.map((job) => job.id),
            '@ada re-ran it',
            Date.now(),
          );
        restarted = true;
        await runs.finish(id, ...rest);
      },
    })),
  });
  const view = await s.play(trigger(push('a1')));
  expect(view.run).toMatchObject({ state: 'completed', outcome: { kind: 'success' } });
  expect(view.jobs[0]?.attempt).toBe(2);
});

it('goes on with an attempt that a server which stood still began in the meantime, as the same attempt', async () => {
  let begun = 0;
  const s = await scenario({
    commits: { a1: one },
    repeatsItself: true,
    script: (_script, { request }) => {
      begun += 1;
      s.executor.left.set(request.jobId, { begun: 0, script: () => 0 });
      throw new BegunElsewhere();
    },
  });
  const view = await s.play(trigger(push('a1')));
  expect(outcomes(view)).toEqual({ work: 'success' });
  expect(view.jobs[0]).toMatchObject({ attempt: 1, earlier: [] });
  expect(begun).toBe(1);
});
