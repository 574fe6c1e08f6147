import { describe, expect, it } from '@jest/globals';
import { exitCode, jobLine, lineSplitter, summary } from '#src/cli/display.ts';
import { localPlan } from '#src/cli/run.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { Plan, PlannedJob } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { jobOf, plannedOf } from '#test/model/samples.ts';

const build = { context: '.', dockerfile: 'Dockerfile', image: 'r/a', target: null, args: {} };

function planned(key: string, change: Partial<PlannedJob> = {}): PlannedJob {
  return plannedOf(key, { id: key.split(' ')[0] ?? key, ...change });
}

function job(key: string, outcome: Outcome | null, change: Partial<Job> = {}): Job {
  const times = { startedAt: 1_000, finishedAt: outcome === null ? null : 3_500 };
  return { ...jobOf(key, {}, outcome), ...(outcome === null ? { state: 'running' } : {}), ...times, ...change };
}

describe('jobLine', () => {
  const step = {
    index: 0,
    name: 'npm ci',
    state: 'running',
    exitCode: null,
    startedAt: 0,
    finishedAt: null,
    logStart: 0,
    logEnd: null,
  } as const;
  it.each([
    [job('test', { kind: 'success' }), '✔ test (2.5 s)'],
    [job('test', { kind: 'failure', reason: 'exit 1' }), '✘ test (2.5 s): exit 1'],
    [
      job('test', { kind: 'failure', reason: 'Exit 1.' }, { plan: planned('test', { continueOnError: true }) }),
      '✘ test (2.5 s): Exit 1. It may fail (continue-on-error).',
    ],
    [job('test', { kind: 'broken', reason: 'engine down' }), '! test (2.5 s): engine down'],
    [job('test', { kind: 'skipped', reason: 'lint failed' }, { startedAt: null }), '○ test: lint failed'],
    [job('test', null, { steps: [step] }), '▸ test (4.0 s): npm ci'],
    [job('test', null, { startedAt: -121_000 }), '▸ test (2 m 6 s)'],
    [job('test', null, { startedAt: 4_900 }), '▸ test (0.1 s)'],
  ])('%#', (given, expected) => {
    expect(jobLine(given, 5_000)).toBe(expected);
  });
});

it.each([
  [{ kind: 'success' }, 0],
  [{ kind: 'skipped', reason: '' }, 0],
  [{ kind: 'neutral', reason: 'nothing to run' }, 1],
  [{ kind: 'failure', reason: '' }, 1],
  [{ kind: 'timed_out', reason: '' }, 1],
  [{ kind: 'cancelled', reason: '' }, 1],
  [{ kind: 'broken', reason: '' }, 2],
] as const)('%j exits with %i', (outcome, code) => {
  expect(exitCode({ run: { outcome } as Run, jobs: [] })).toBe(code);
});

it('says only why if nothing ran', () => {
  const run = { outcome: { kind: 'neutral', reason: 'Nothing found.' }, createdAt: 0, finishedAt: 9 } as Run;
  expect(summary({ run, jobs: [] }, 0)).toEqual(['Nothing found.']);
});

it('sums up', () => {
  const run = { outcome: { kind: 'failure', reason: 'test' }, createdAt: 0, finishedAt: 4_000 } as Run;
  const jobs = [job('lint', { kind: 'success' }), job('test', { kind: 'failure', reason: 'exit 1' })];
  expect(summary({ run, jobs }, 0)).toEqual(['  ✔ lint (2.5 s)', '  ✘ test (2.5 s): exit 1', 'failure: test (4.0 s)']);
});

it('splits bytes into lines wherever they are cut', () => {
  const bytes = Buffer.from('größe\r\n🙂 two\nrest');
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const split = lineSplitter();
    const lines = [...split.push(bytes.subarray(0, cut)), ...split.push(bytes.subarray(cut))];
    expect([...lines, split.rest()]).toEqual(['größe', '🙂 two', 'rest']);
  }
});

describe('localPlan', () => {
  const plan: Plan = {
    concurrency: null,
    jobs: [
      planned('lint'),
      planned('test (node 22)', { needs: ['lint'] }),
      planned('test (node 24)', { needs: ['lint'] }),
      planned('image', { needs: ['test (node 22)', 'test (node 24)'], work: { kind: 'image', build, tags: ['v1'] } }),
      planned('docs'),
      planned('deploy production', {
        needs: ['image'],
        work: { kind: 'deploy', environment: 'production', url: null, rollout: [] },
      }),
      planned('docs (production, step 2)', { heldBy: 'deploy production' }),
      planned('deployment plan', { work: { kind: 'plan' } }),
    ],
  };
  const keys = (names: readonly string[]) => localPlan(plan, names).jobs.map((each) => each.key);

  it('chooses by id or key, with what is needed', () => {
    expect(keys(['test (node 22)'])).toEqual(['lint', 'test (node 22)']);
    expect(keys(['test'])).toEqual(['lint', 'test (node 22)', 'test (node 24)']);
    expect(keys(['image'])).toEqual(['lint', 'test (node 22)', 'test (node 24)', 'image']);
    expect(keys(['docs'])).toEqual(['docs']);
    expect(keys([])).toHaveLength(8);
  });

  it('pushes nothing and deploys nothing', () => {
    const { jobs } = localPlan(plan, []);
    expect(jobs.find((each) => each.key === 'image')?.work).toMatchObject({ tags: [] });
    expect(jobs.filter((each) => each.skip?.includes('deploys nothing')).map((each) => each.key)).toEqual([
      'deploy production',
      'docs (production, step 2)',
      'deployment plan',
    ]);
  });

  it('names the jobs that there are', () => {
    expect(() => keys(['tests'])).toThrow(/no job "tests".*lint, test \(node 22\)/);
  });
});
