import { describe, expect, it } from '@jest/globals';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { outcomes, pullRequest, push, repository, scenario, tag, trigger } from './world.ts';

const pipeline = `
jobs:
  lint: { image: node, run: lint }
  test: { image: node, run: [install, test], needs: lint, matrix: { node: [22, 24] } }
  report: { image: node, run: report, needs: test, if: always() }
`;

const fails = (name: string) => (script: string) => (script === name ? 1 : 0);

describe('a push', () => {
  it('runs its jobs in the order of their needs', async () => {
    const s = await scenario({ commits: { a1: { 'slipway.yml': pipeline } } });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome).toEqual({ kind: 'success' });
    expect(outcomes(view)).toEqual({
      lint: 'success',
      'test (node 22)': 'success',
      'test (node 24)': 'success',
      report: 'success',
    });
    expect(s.executor.requests.map((r) => r.key)[0]).toBe('lint');
    expect(s.executor.requests.at(-1)?.key).toBe('report');
    expect(s.reporter.reported).toContain(view.run.id);
  });

  it('skips what needs a failed job, says why, and still runs always()', async () => {
    const s = await scenario({ commits: { a1: { 'slipway.yml': pipeline } }, script: fails('lint') });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome).toMatchObject({ kind: 'failure', reason: 'lint' });
    const ended = outcomes(view);
    expect(ended['lint']).toMatch(/^failure: /);
    expect(ended['test (node 22)']).toMatch(/^skipped: .*lint/);
    expect(ended['report']).toBe('success');
  });

  it('keeps the platform apart from the user', async () => {
    const s = await scenario({
      commits: { a1: { 'slipway.yml': pipeline } },
      script: () => {
        throw new PlatformError('The Docker engine does not answer.');
      },
    });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome).toMatchObject({ kind: 'broken', reason: 'lint, report' });
    expect(outcomes(view)['lint']).toBe('broken: The Docker engine does not answer.');
  });

  it('runs no more jobs at once than there is room for', async () => {
    let running = 0;
    let most = 0;
    const beside: (() => void)[] = [];
    const jobs = Array.from({ length: 6 }, (_, i) => `  j${i}: { image: node, run: work }`).join('\n');
    const s = await scenario({
      commits: { a1: { 'slipway.yml': `jobs:\n${jobs}\n` } },
      jobs: 2,
      script: async () => {
        running += 1;
        most = Math.max(most, running);
        // Each goes on once another runs beside it, however slow the machine is.
        await new Promise<void>((resolve) => {
          beside.push(resolve);
          if (beside.length === 2) for (const goOn of beside.splice(0)) goOn();
        });
        await new Promise((resolve) => setTimeout(resolve, 5));
        running -= 1;
        return 0;
      },
    });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome).toEqual({ kind: 'success' });
    expect(most).toBe(2);
  });

  it('hands artifacts to the jobs that need them', async () => {
    const s = await scenario({
      commits: {
        a1: {
          'slipway.yml': `
jobs:
  make: { image: node, run: make, artifacts: [out.txt] }
  use: { image: node, run: use, needs: make }
`,
        },
      },
      script: (script, step) => {
        if (script === 'make') step.files.set('out.txt', 'made');
        return script === 'use' && step.files.get('out.txt') !== 'made' ? 1 : 0;
      },
    });
    expect(outcomes(await s.play(trigger(push('a1'))))).toEqual({ make: 'success', use: 'success' });
  });

  it('turns output into annotations and test reports into a summary', async () => {
    const s = await scenario({
      commits: {
        a1: { 'slipway.yml': 'jobs: { test: { image: node, run: test, reports: { junit: r.xml } } }', 'a.ts': '' },
      },
      script: (_script, step) => {
        step.write('a.ts(3,5): error TS2322: Wrong.\n');
        step.files.set(
          'r.xml',
          '<testsuite><testcase name="adds"><failure message="no"/></testcase><testcase name="b"/></testsuite>',
        );
        return 1;
      },
    });
    const [job] = (await s.play(trigger(push('a1')))).jobs;
    expect(job?.annotations).toContainEqual(expect.objectContaining({ path: 'a.ts', startLine: 3 }));
    expect(job?.tests).toMatchObject({ total: 2, failed: 1, failures: ['adds'] });
  });
});

describe('the pipeline file', () => {
  it.each([
    [
      'has mistakes',
      { 'slipway.yml': 'jobs:\n  a: { image: x, run: y, colour: red }\n' },
      'failure',
      /slipway\.yml has a mistake/,
      ['2:26'],
    ],
    ['is missing and nothing is found', { 'README.md': 'hi' }, 'neutral', /slipway\.yml/, []],
    ["can't be read", new UserError('The commit is gone.'), 'failure', /gone/, []],
    ["can't be fetched", new PlatformError('GitHub is down.'), 'broken', /GitHub is down/, []],
  ])('%s: the run ends and says so', async (_name, files, kind, reason, places) => {
    const s = await scenario({ commits: { a1: files } });
    const view = await s.play(trigger(push('a1')));
    expect(view.jobs).toEqual([]);
    expect(view.run.outcome).toMatchObject({ kind, reason: expect.stringMatching(reason) as unknown });
    expect(view.run.diagnostics.map((d) => `${d.at.line}:${d.at.column}`)).toEqual(places);
  });

  it('is not needed: what a repository has is run', async () => {
    const s = await scenario({
      commits: { a1: { 'package.json': '{"scripts":{"test":"x"}}', 'package-lock.json': '{}' } },
    });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome).toEqual({ kind: 'success' });
    expect(view.jobs.length).toBeGreaterThan(0);
  });

  it('gives skipped jobs for [skip ci]', async () => {
    const s = await scenario({ commits: { a1: { 'slipway.yml': pipeline } }, messages: { a1: 'Docs [skip ci]' } });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome?.kind).toBe('skipped');
    expect(outcomes(view)['lint']).toContain('[skip ci]');
    expect(s.executor.requests).toEqual([]);
  });
});

describe('one head commit', () => {
  const pull = {
    number: 3,
    state: 'open',
    title: 'A change',
    sha: 'a1',
    branch: 'feature',
    base: 'main',
    fork: false,
    author: 'ada',
  } as const;

  it.each([
    ['push first', [push('a1', 'feature'), pullRequest('a1')]],
    ['pull request first', [pullRequest('a1'), push('a1', 'feature')]],
  ])('makes one run: %s', async (_name, triggers) => {
    const s = await scenario({ commits: { a1: { 'slipway.yml': pipeline } }, forge: { pullRequests: [pull] } });
    for (const each of triggers) await s.play(trigger(each));
    const runs = await s.store.runs.list({ limit: 10 });
    expect(runs).toHaveLength(1);
    expect(runs[0]).toMatchObject({ pullRequest: 3, trigger: { kind: 'pull_request' } });
  });

  it('learns of a pull request that is opened later', async () => {
    const s = await scenario({ commits: { a1: { 'slipway.yml': pipeline } } });
    await s.play(trigger(push('a1', 'feature')));
    await s.engine.intake(trigger(pullRequest('a1')));
    const runs = await s.store.runs.list({ limit: 10 });
    expect(runs.map((r) => r.pullRequest)).toEqual([3]);
  });

  it('still runs for the branch that it reaches by fast-forward, and for its tag', async () => {
    const s = await scenario({ commits: { a1: { 'slipway.yml': pipeline } } });
    await s.play(trigger(pullRequest('a1')));
    await s.play(trigger(push('a1')));
    await s.play(trigger(tag('a1')));
    expect(await s.store.runs.list({ limit: 10 })).toHaveLength(3);
  });
});

describe('re-run', () => {
  it('starts one job over, and what it held up', async () => {
    let healthy = false;
    const s = await scenario({
      commits: { a1: { 'slipway.yml': pipeline } },
      script: (script) => (script === 'lint' && !healthy ? 1 : 0),
    });
    const first = await s.play(trigger(push('a1')));
    healthy = true;
    const lint = first.jobs.find((job) => job.plan.key === 'lint');
    const answer = await s.engine.intake({
      kind: 'rerun',
      repository,
      sha: 'a1',
      actor: 'ada',
      externalId: lint?.id ?? '',
    });
    expect(answer).toContain('lint');
    await s.engine.completed(first.run.id);
    const view = await s.store.runs.view(first.run.id);
    expect(view?.run.outcome).toEqual({ kind: 'success' });
    expect(view?.jobs.map((job) => [job.plan.key, job.attempt])).toEqual([
      ['lint', 2],
      ['test (node 22)', 2],
      ['test (node 24)', 2],
      ['report', 1],
    ]);
  });

  it('of the suite starts all failed ones over', async () => {
    let healthy = false;
    const s = await scenario({
      commits: { a1: { 'slipway.yml': pipeline } },
      script: (script) => (script === 'test' && !healthy ? 1 : 0),
    });
    const first = await s.play(trigger(push('a1')));
    healthy = true;
    await s.engine.intake({ kind: 'rerun', repository, sha: 'a1', actor: 'ada', externalId: null });
    await s.engine.completed(first.run.id);
    const view = await s.store.runs.view(first.run.id);
    expect(view?.run.outcome).toEqual({ kind: 'success' });
    expect(view?.jobs.map((job) => job.attempt)).toEqual([1, 2, 2, 1]);
  });

  it('reads the pipeline file anew when there were no jobs', async () => {
    const commits: Record<string, Record<string, string> | Error> = { a1: new PlatformError('GitHub is down.') };
    const s = await scenario({ commits });
    const first = await s.play(trigger(push('a1')));
    expect(first.run.outcome?.kind).toBe('broken');
    commits['a1'] = { 'slipway.yml': pipeline };
    await s.engine.intake({ kind: 'rerun', repository, sha: 'a1', actor: 'ada', externalId: null });
    await s.engine.completed(first.run.id);
    expect((await s.store.runs.get(first.run.id))?.outcome).toEqual({ kind: 'success' });
  });

  it('by the button is for people with write permission', async () => {
    const s = await scenario({
      commits: { a1: { 'slipway.yml': pipeline } },
      script: fails('lint'),
      forge: { roles: { ada: 'write', eve: 'read' } },
    });
    const { jobs } = await s.play(trigger(push('a1')));
    const press = async (actor: string) =>
      await s.engine.intake({
        kind: 'button',
        repository,
        sha: 'a1',
        actor,
        externalId: jobs[0]?.id ?? '',
        identifier: 'retry-failed',
      });
    expect(await press('eve')).toContain('may not');
    expect(await press('ada')).toContain('lint');
  });
});

it('cancels what still runs, with the reason', async () => {
  const started = Promise.withResolvers<void>();
  const s = await scenario({
    commits: { a1: { 'slipway.yml': pipeline } },
    script: async (_script, { signal }) => {
      started.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return 143;
    },
  });
  const playing = s.play(trigger(push('a1')));
  await started.promise;
  const [run] = await s.store.runs.list({ limit: 1 });
  await s.engine.cancel(run?.id ?? '', { reason: 'Ada cancelled it.', by: 'person' });
  const view = await playing;
  expect(view.run.outcome?.kind).toBe('cancelled');
  expect(outcomes(view)['lint']).toBe('cancelled: Ada cancelled it.');
});

it('runs nothing until what an earlier server left is cleared away, and takes events meanwhile', async () => {
  const s = await scenario({
    commits: { a1: { 'slipway.yml': pipeline } },
    executorFailure: new PlatformError("Docker can't be reached."),
  });
  const playing = s.play(trigger(push('a1')));
  const planned = async () => (await s.store.runs.list({ limit: 1 }))[0]?.state === 'running';
  while (!(await planned())) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(s.executor.requests).toEqual([]);
  s.executor.failure = null;
  expect((await playing).run.outcome).toEqual({ kind: 'success' });
});

it('lets the executor prepare for what the run before began with', async () => {
  const text = `
jobs:
  lint: { image: node, run: lint }
  other: { image: node, run: other }
  database: { image: served, run: test, services: { db: postgres } }
  late: { image: late, run: late, needs: lint }
`;
  const s = await scenario({ commits: { a1: { 'slipway.yml': text }, b2: { 'slipway.yml': text } } });
  await s.play(trigger(push('a1')));
  expect(s.executor.expected).toEqual([]);
  await s.play(trigger(push('b2')));
  expect(s.executor.expected).toEqual(['node']);
});
