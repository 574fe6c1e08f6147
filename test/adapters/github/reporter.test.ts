import { describe, expect, it } from '@jest/globals';
import { notDeployed } from '#src/adapters/github/report/deployed.ts';
import { createReporter } from '#src/adapters/github/reporter.ts';
import { refusedKey } from '#src/model/button.ts';
import type { Job } from '#src/model/run.ts';
import { useNock } from '#test/nock.ts';
import { failure, holding, reporters, states, success, tell } from './reporter-support.ts';
import { smallGitHub } from './small-github.ts';
import { plannedOf } from '#test/model/samples.ts';
import {
  deployment,
  earlier,
  ended,
  job,
  memoryRuns,
  memoryTold,
  openTestGitHub,
  running,
  silent,
  until,
  view,
} from './support.ts';

const nock = useNock();
const { reporter, open } = reporters();

it('shows every job at once', async () => {
  const hub = smallGitHub(nock);
  const skipped = ended('docs', { kind: 'skipped', reason: 'Only on main.' }, { startedAt: null });
  const held = holding(view([running('lint'), job('test', { state: 'waiting' }), skipped]));
  await tell(await reporter(held));
  expect(states(hub.checks)).toEqual([
    ['docs', 'completed', 'skipped'],
    ['lint', 'in_progress', null],
    ['test', 'queued', null],
  ]);
  expect(hub.checks.find((check) => check.name === 'docs')?.output.title).toBe('Skipped: Only on main.');
  expect(hub.bodies.find((body) => body['name'] === 'lint')).toMatchObject({
    head_sha: 'a'.repeat(40),
    external_id: 'lint',
    details_url: 'https://ci.example/runs/run1/lint',
    output: { text: expect.stringContaining('the log') },
  });
});

it('tells only what differs', async () => {
  const hub = smallGitHub(nock);
  const held = holding(view([running('lint'), job('test')]));
  const it = await reporter(held);
  await tell(it);
  await tell(it);
  held.view = view([ended('lint', success), job('test')]);
  await tell(it);
  expect(hub.requests.map((call) => call.split(' ')[0])).toEqual(['POST', 'POST', 'PATCH']);
  expect(states(hub.checks)).toEqual([
    ['lint', 'completed', 'success'],
    ['test', 'queued', null],
  ]);
});

it('shows the last press that was refused, on the attempt on which it was', async () => {
  const hub = smallGitHub(nock);
  const told = memoryTold();
  const held = holding(view([ended('lint', failure)]));
  const it = await reporter(held, told);
  await tell(it);
  await told.set(refusedKey({ id: 'lint', attempt: 1 }), '@eve pressed `Retry`, and it was refused: @eve may not.');
  held.view = view([ended('lint', failure)]);
  await tell(it);
  expect(hub.checks[0]?.output.summary).toMatch(
    /^⚠️ @\u200Beve pressed `Retry`, and it was refused: @\u200Beve may not\.\n\n/,
  );
  held.view = view([running('lint', { attempt: 2 })]);
  await tell(it);
  expect(hub.checks.at(-1)?.output.summary).not.toContain('refused');
});

it('refreshes the end of a growing log, without being told', async () => {
  const hub = smallGitHub(nock);
  const held = holding(view([running('lint')]));
  const it = await reporter(held, memoryTold(), 20);
  await tell(it);
  held.excerpt = 'the log grew';
  await until(() => hub.checks[0]?.output.text?.includes('grew') ?? false);
});

it('coalesces what changes quickly, but never a new state', async () => {
  const hub = smallGitHub(nock);
  const held = holding(view([running('lint')]));
  const it = await reporter(held);
  it.report('run1');
  await until(() => hub.checks.length === 1);
  for (let step = 0; step < 50; step += 1) {
    held.view = view([running('lint', { progress: `line ${step}` })]);
    it.report('run1');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(hub.requests).toHaveLength(1);
  held.view = view([ended('lint', failure)]);
  it.report('run1');
  await until(() => hub.checks[0]?.status === 'completed');
  expect(hub.requests).toHaveLength(2);
});

describe('a re-run', () => {
  it('gets a check run of its own', async () => {
    const hub = smallGitHub(nock);
    const held = holding(view([ended('lint', failure)]));
    const it = await reporter(held);
    await tell(it);
    const again = [earlier(1, 'person', '@ada re-ran it', failure)];
    held.view = view([job('lint', { attempt: 2, earlier: again })]);
    await tell(it);
    held.view = view([ended('lint', success, { attempt: 2, earlier: again })]);
    await tell(it);
    expect(states(hub.checks)).toEqual([
      ['lint', 'completed', 'failure'],
      ['lint', 'completed', 'success'],
    ]);
  });

  it('takes over a check run that never came to its end', async () => {
    const hub = smallGitHub(nock);
    const held = holding(view([running('lint')]));
    const it = await reporter(held);
    await tell(it);
    const again = [earlier(1, 'person', '@ada re-ran it')];
    held.view = view([ended('lint', success, { attempt: 2, earlier: again })]);
    await tell(it);
    expect(states(hub.checks)).toEqual([['lint', 'completed', 'success']]);
  });

  it('does not take the earlier attempt for its own lost creation', async () => {
    const hub = smallGitHub(nock);
    const held = holding(view([ended('lint', failure)]));
    const it = await reporter(held);
    await tell(it);
    hub.left.push([/^POST/, 'lost before']);
    const again = [earlier(1, 'person', '@ada re-ran it', failure)];
    held.view = view([ended('lint', success, { attempt: 2, earlier: again })]);
    await tell(it);
    expect(states(hub.checks)).toEqual([
      ['lint', 'completed', 'failure'],
      ['lint', 'completed', 'success'],
    ]);
  });
});

describe('an attempt that Slipway repeats by itself', () => {
  const again = [earlier(1, 'platform', 'the Docker engine restarted'), earlier(2, 'retry', 'retry 1 of 2', failure)];

  it('is shown where it was, and never completed in between', async () => {
    const hub = smallGitHub(nock);
    const held = holding(view([running('lint')]));
    const it = await reporter(held);
    await tell(it);
    held.view = view([job('lint', { attempt: 2, earlier: again.slice(0, 1), note: 'Runs again in 10 s.' })]);
    await tell(it);
    expect(states(hub.checks)).toEqual([['lint', 'queued', null]]);
    expect(hub.checks[0]?.output.title).toBe('Queued: runs again in 10 s.');
    held.view = view([running('lint', { attempt: 3, earlier: again })]);
    await tell(it);
    held.view = view([ended('lint', success, { attempt: 3, earlier: again })]);
    await tell(it);
    expect(states(hub.checks)).toEqual([['lint', 'completed', 'success']]);
    expect(hub.bodies.map((body) => body['status'])).toEqual(['in_progress', 'queued', 'in_progress', 'completed']);
  });

  it('is found again also if attempts between were never told', async () => {
    const hub = smallGitHub(nock);
    const held = holding(view([running('lint')]));
    const it = await reporter(held);
    await tell(it);
    held.view = view([ended('lint', success, { attempt: 3, earlier: again })]);
    await tell(it);
    expect(states(hub.checks)).toEqual([['lint', 'completed', 'success']]);
  });

  it('goes on with its deployment', async () => {
    const hub = smallGitHub(nock);
    const plan = deployment('production');
    const held = holding(view([running('d', { plan })]));
    const it = await reporter(held);
    await tell(it);
    held.view = view([job('d', { plan, attempt: 2, earlier: again.slice(0, 1) })]);
    await tell(it);
    held.view = view([ended('d', success, { plan, attempt: 2, earlier: again.slice(0, 1) })]);
    await tell(it);
    expect(hub.deployments.map((made) => made.statuses.map(({ state }) => state))).toEqual([
      ['in_progress', 'queued', 'success'],
    ]);
  });
});

it('an end that was not told before a person asked again is told first', async () => {
  const hub = smallGitHub(nock);
  const plan = deployment('staging');
  const held = holding(view([running('d', { plan })]));
  const it = await reporter(held);
  await tell(it);
  const again = [earlier(1, 'person', '@ada re-ran it', failure)];
  held.view = view([running('d', { plan, attempt: 2, earlier: again })]);
  await tell(it);
  expect(states(hub.checks)).toEqual([
    ['deploy staging', 'completed', 'failure'],
    ['deploy staging', 'in_progress', null],
  ]);
  expect(hub.deployments.map((made) => made.statuses.at(-1)?.state)).toEqual(['inactive', 'in_progress']);
});

it('a word that was lost is found by looking', async () => {
  const hub = smallGitHub(nock);
  const held = holding(view([running('lint')]));
  const it = await reporter(held, memoryTold(), 60_000, { lookMs: 10 });
  await it.resume();
  await until(() => hub.checks.length === 1);
  held.view = view([ended('lint', success)]);
  await until(() => hub.checks[0]?.status === 'completed');
});

describe('the run itself', () => {
  it('a broken pipeline file', async () => {
    const hub = smallGitHub(nock);
    const diagnostics = [
      {
        severity: 'error' as const,
        code: 'unknown-key',
        message: 'Unknown key "jbos".',
        hint: 'Did you mean "jobs"?',
        at: { file: 'slipway.yml', line: 1, column: 1, endLine: 1, endColumn: 5 },
      },
    ];
    const outcome = { kind: 'failure' as const, reason: 'slipway.yml has a mistake.' };
    await tell(await reporter(holding(view([], { state: 'completed', outcome, diagnostics }))));
    expect(states(hub.checks)).toEqual([['slipway', 'completed', 'failure']]);
    expect(hub.bodies[0]).toMatchObject({
      external_id: 'run:run1',
      output: {
        title: 'slipway.yml has 1 mistake',
        annotations: [
          { path: 'slipway.yml', start_line: 1, start_column: 1, end_column: 5, annotation_level: 'failure' },
        ],
      },
    });
  });

  it('nothing found to run', async () => {
    const hub = smallGitHub(nock);
    const outcome = { kind: 'neutral' as const, reason: 'Nothing to run was found.\njobs:\n  test:\n    run: make' };
    await tell(await reporter(holding(view([], { state: 'completed', outcome, pipelineFile: null }))));
    expect(states(hub.checks)).toEqual([['slipway', 'completed', 'neutral']]);
    expect(hub.checks[0]?.output.title).toBe('Nothing to run was found.');
    expect(hub.checks[0]?.output.summary).toContain('```text\njobs:\n  test:\n    run: make\n```');
  });

  it('turns green once the file is read again and has jobs', async () => {
    const hub = smallGitHub(nock);
    const outcome = { kind: 'broken' as const, reason: 'The repository could not be fetched.' };
    const held = holding(view([], { state: 'completed', outcome }));
    const it = await reporter(held);
    await tell(it);
    expect(states(hub.checks)).toEqual([['slipway', 'completed', 'cancelled']]);
    held.view = view([running('lint')]);
    await tell(it);
    expect(states(hub.checks)).toEqual([
      ['lint', 'in_progress', null],
      ['slipway', 'completed', 'success'],
    ]);
  });

  it('says nothing while it is not planned', async () => {
    const hub = smallGitHub(nock);
    await tell(await reporter(holding(view([], { state: 'pending' }))));
    expect(hub.requests).toEqual([]);
  });
});

describe('deployments', () => {
  const plan = deployment('production');
  const at = (change: Partial<Job>) => view([job('d', { plan, ...change })]);

  it('go from queued to success, with the rollout as the description', async () => {
    const hub = smallGitHub(nock);
    const held = holding(at({ state: 'waiting' }));
    const it = await reporter(held);
    await tell(it);
    expect(hub.deployments).toEqual([]);
    held.view = at({});
    await tell(it);
    held.view = at({ state: 'running', startedAt: 1, progress: '1 of 3 pods are new' });
    await tell(it);
    held.view = view([ended('d', success, { plan, progress: '3 of 3 pods are new' })]);
    await tell(it);
    expect(hub.deployments).toHaveLength(1);
    expect(hub.deployments[0]?.request).toEqual({
      ref: 'a'.repeat(40),
      environment: 'production',
      production_environment: true,
      transient_environment: false,
      description: 'Add a basket',
      payload: { run: 'run1', job: 'd', attempt: 1, mode: 'deploy', images: {} },
      auto_merge: false,
      required_contexts: [],
    });
    expect(hub.deployments[0]?.statuses).toEqual([
      expect.objectContaining({ state: 'queued', description: 'Queued', log_url: 'https://ci.example/runs/run1/d' }),
      expect.objectContaining({ state: 'in_progress', description: '1 of 3 pods are new' }),
      expect.objectContaining({
        state: 'success',
        description: '3 of 3 pods are new',
        environment_url: 'https://shop.example',
      }),
    ]);
    expect(states(hub.checks)).toEqual([['deploy production', 'completed', 'success']]);
  });

  it.each([
    ['the answer to the creation is lost', /^POST .*deployments$/, 'lost after' as const],
    ['the creation is lost', /^POST .*deployments$/, 'lost before' as const],
    ['a status fails', /statuses$/, { status: 502 }],
  ])('%s: one deployment, and the right end', async (_what, pattern, trouble) => {
    const hub = smallGitHub(nock, [[pattern, trouble]]);
    const held = holding(view([ended('d', { kind: 'failure', reason: 'x'.repeat(200) }, { plan })]));
    await tell(await reporter(held));
    expect(hub.deployments).toHaveLength(1);
    expect(hub.deployments[0]?.statuses.at(-1)).toMatchObject({ state: 'failure', description: `${'x'.repeat(139)}…` });
  });

  it('cancelled before it started, it does not stay queued', async () => {
    const hub = smallGitHub(nock);
    const held = holding(at({}));
    const it = await reporter(held);
    await tell(it);
    held.view = view([ended('d', { kind: 'cancelled', reason: 'Ada asked for it.' }, { plan, startedAt: null })]);
    await tell(it);
    expect(hub.deployments[0]?.statuses.map((status) => status.state)).toEqual(['queued', 'error']);
  });

  it('that never were queued are not made', async () => {
    const hub = smallGitHub(nock);
    const skipped = ended('d', { kind: 'skipped', reason: 'Only on tags.' }, { plan, startedAt: null });
    await tell(await reporter(holding(view([skipped]))));
    expect(hub.deployments).toEqual([]);
  });
});

it('two runs are told side by side', async () => {
  const hub = smallGitHub(nock, [[/^POST/, { status: 403, message: 'no', headers: { 'retry-after': '1' } }]]);
  const views = new Map([
    ['run1', view([ended('a', success)])],
    ['run2', view([ended('b', success, { plan: plannedOf('b') })], { id: 'run2' })],
  ]);
  const it = createReporter({
    github: await openTestGitHub(),
    runs: memoryRuns(() => [...views.values()]),
    told: memoryTold(),
    detailsUrl: () => 'https://ci.example/',
    excerpt: async () => '',
    deployed: async () => notDeployed,
    logger: silent,
    retryMs: 1,
  });
  open.push(it);
  it.report('run1');
  it.report('run2');
  await it.flush(20_000);
  expect(hub.checks.map((check) => check.name).sort()).toEqual(['a', 'b']);
});

it('a flush gives up at its deadline', async () => {
  smallGitHub(
    nock,
    Array.from({ length: 1000 }, () => [/^POST/, { status: 500 }] as const),
  );
  const it = await reporter(holding(view([ended('lint', success)])));
  it.report('run1');
  await it.flush(50);
});
