import { describe, expect, it } from '@jest/globals';
import { useNock } from '#test/nock.ts';
import { failure, holding, reporters, states, success, tell } from './reporter-support.ts';
import { smallGitHub, type Trouble } from './small-github.ts';
import { plannedOf } from '#test/model/samples.ts';
import { pino } from 'pino';
import { deployment, ended, memoryRuns, memoryTold, running, until, view } from './support.ts';

const nock = useNock();
const { reporter } = reporters();

const several = (pattern: RegExp, trouble: Trouble, times: number) =>
  Array.from({ length: times }, () => [pattern, trouble] as const);

const logTo = (lines: string[]) =>
  pino({ level: 'error' }, { write: (line) => void lines.push((JSON.parse(line) as { msg: string }).msg) });

describe('whatever is lost, GitHub ends up right', () => {
  const secondary = { status: 403, message: 'secondary rate limit', headers: { 'retry-after': '1' } };
  const creations = /^POST .*check-runs$/;
  const updates = /^PATCH/;

  it.each([
    ['the creation fails before it arrives', several(creations, 'lost before', 3)],
    ['the answer to the creation is lost', several(creations, 'lost after', 1)],
    ['a gateway fails after the creation', several(creations, '502 after', 1)],
    ['GitHub is down for a while', several(creations, { status: 503 }, 4)],
    ['a secondary limit', several(creations, secondary, 1)],
    ['429', several(updates, { status: 429, headers: { 'retry-after': '1' } }, 1)],
    ['an update fails', several(updates, { status: 500 }, 3)],
    ['the answer to an update is lost', several(updates, 'lost after', 2)],
    ['the list fails too', [...several(creations, 'lost after', 1), ...several(/^GET .*commits/, { status: 502 }, 5)]],
    ['everything at once', [...several(creations, '502 after', 1), ...several(updates, 'lost after', 2)]],
  ])('%s', async (_what, troubles) => {
    const hub = smallGitHub(nock, troubles);
    const held = holding(view([running('lint')]));
    const it = await reporter(held);
    await tell(it);
    const annotations = Array.from({ length: 120 }, (_, i) => ({
      path: 'a.js',
      startLine: i + 1,
      endLine: i + 1,
      level: 'failure' as const,
      message: 'no',
    }));
    held.view = view([ended('lint', failure, { annotations })]);
    await tell(it);
    expect(hub.left).toEqual([]);
    expect(states(hub.checks)).toEqual([['lint', 'completed', 'failure']]);
    expect(hub.checks[0]?.output.annotations_count).toBe(120);
  });

  it.each([
    ['a creation', several(creations, 'lost after', 1)],
    ['an update', several(updates, 'lost after', 1)],
  ])('the server dies during %s, and its successor goes on', async (_what, troubles) => {
    const hub = smallGitHub(nock, troubles);
    const told = memoryTold();
    const held = holding(view([running('lint')]));
    const first = await reporter(held, told);
    first.report('run1');
    await until(() => hub.requests.length === 1);
    await first.close();
    held.view = view([ended('lint', success)]);
    const second = await reporter(held, told);
    await second.resume();
    await second.flush(20_000);
    expect(states(hub.checks)).toEqual([['lint', 'completed', 'success']]);
  });

  it('a run that was told to the end is not told again after a restart', async () => {
    const hub = smallGitHub(nock);
    const told = memoryTold();
    const held = holding(view([ended('lint', success)]));
    await tell(await reporter(held, told));
    const calls = hub.requests.length;
    const second = await reporter(held, told);
    await second.resume();
    await second.flush(20_000);
    expect(hub.requests).toHaveLength(calls);
  });

  it.each([
    ['at once', view([ended('lint', failure)])],
    ['while it runs', view([running('lint')])],
  ])('annotations that GitHub refuses do not keep the end from being shown (created %s)', async (_what, first) => {
    const hub = smallGitHub(nock);
    const annotations = Array.from({ length: 60 }, () => ({
      path: 'odd',
      startLine: 1,
      endLine: 1,
      level: 'notice' as const,
      message: 'no',
    }));
    const held = holding(view([ended('lint', failure, { annotations })]));
    const it = await reporter(held);
    if (first.jobs[0]?.state === 'running') {
      held.view = first;
      await tell(it);
      held.view = view([ended('lint', failure, { annotations })]);
    }
    hub.left.push([/check-runs/, { status: 422, message: 'Invalid request.' }]);
    await tell(it);
    expect(states(hub.checks)).toEqual([['lint', 'completed', 'failure']]);
  });

  it('one job that GitHub refuses for good holds up no other, and its end is tried once more', async () => {
    const hub = smallGitHub(nock, several(creations, { status: 422, message: 'No commit found' }, 1));
    const held = holding(view([running('lint'), running('test')]));
    const it = await reporter(held);
    await tell(it);
    expect(states(hub.checks)).toEqual([['test', 'in_progress', null]]);
    held.view = view([ended('lint', success), ended('test', success)]);
    await tell(it);
    expect(states(hub.checks)).toEqual([
      ['lint', 'completed', 'success'],
      ['test', 'completed', 'success'],
    ]);
  });
});

describe('what is gone', () => {
  it('a check run that somebody deleted is made anew', async () => {
    const hub = smallGitHub(nock);
    const held = holding(view([running('lint')]));
    const it = await reporter(held);
    await tell(it);
    hub.checks.length = 0;
    held.view = view([ended('lint', success)]);
    await tell(it);
    expect(states(hub.checks)).toEqual([['lint', 'completed', 'success']]);
  });

  it('a deployment that somebody deleted is made anew', async () => {
    const hub = smallGitHub(nock);
    const plan = deployment('production');
    const held = holding(view([running('d', { plan })]));
    const it = await reporter(held);
    await tell(it);
    hub.deployments.length = 0;
    held.view = view([ended('d', success, { plan })]);
    await tell(it);
    expect(hub.deployments.map((made) => made.statuses.map(({ state }) => state))).toEqual([['success']]);
  });

  it('a repository out of reach is said once, and forgets nothing', async () => {
    const hub = smallGitHub(nock);
    const told = memoryTold();
    const held = holding(view([running('lint'), running('test')]));
    const lines: string[] = [];
    const it = await reporter(held, told, 60_000, { logger: logTo(lines) });
    await tell(it);
    hub.left.push(...several(/check-runs/, { status: 404, message: 'Not Found' }, 4));
    held.view = view([ended('lint', success), ended('test', success)]);
    await tell(it);
    expect(hub.left).toEqual([]);
    expect(lines.filter((line) => line.includes('refuses'))).toHaveLength(1);
    expect(held.runs.versions.get('run1')).toBe(held.view.run.version);
    held.view = view([ended('lint', success), ended('test', failure)]);
    await tell(it);
    expect(hub.checks).toHaveLength(2);
  });

  it('a commit that is gone is said once, and dropped', async () => {
    const message = `No commit found for SHA: ${'a'.repeat(40)}`;
    const hub = smallGitHub(nock, several(/^POST/, { status: 422, message }, 3));
    const annotations = [{ path: 'a', startLine: 1, endLine: 1, level: 'notice' as const, message: 'no' }];
    const held = holding(view(['a', 'b', 'c'].map((key) => ended(key, failure, { annotations }))));
    const lines: string[] = [];
    await tell(await reporter(held, memoryTold(), 60_000, { logger: logTo(lines) }));
    expect(hub.requests).toHaveLength(3);
    expect(lines).toEqual([expect.stringMatching(/refuses .* No commit found .* The commit is gone from GitHub/)]);
    expect(await held.runs.untold(10)).toEqual([]);
  });

  it('credentials that GitHub does not take now lose nothing', async () => {
    const hub = smallGitHub(nock, several(/^POST/, { status: 401, message: 'Bad credentials' }, 3));
    const held = holding(view([ended('lint', success)]));
    await tell(await reporter(held));
    expect(states(hub.checks)).toEqual([['lint', 'completed', 'success']]);
  }, 30_000);
});

it('a check run whose creation was not answered is found behind a hundred others, and by another name', async () => {
  const hub = smallGitHub(nock, several(/^POST .*check-runs$/, 'lost after', 1));
  const other = { name: 'other', head_sha: '', external_id: 'x', status: 'queued', output: { title: '', summary: '' } };
  for (let id = 1; id <= 130; id += 1)
    hub.checks.push({ ...other, id, output: { ...other.output, annotations_count: 0 } });
  const held = holding(view([running('lint')]));
  const it = await reporter(held);
  it.report('run1');
  await until(() => hub.checks.length === 131);
  const plan = plannedOf('lint (renamed)');
  held.view = view([ended('lint', success, { plan })]);
  await tell(it);
  expect(hub.checks).toHaveLength(131);
  expect(hub.checks.at(-1)?.status).toBe('completed');
});

it('a request that GitHub carries out late makes nothing twice, and comes after no newer one', async () => {
  const hub = smallGitHub(nock, [
    [/^POST .*check-runs$/, { late: 40 }],
    [/^PATCH/, { late: 40 }],
  ]);
  const held = holding(view([running('lint')]));
  const it = await reporter(held, memoryTold(), 60_000, { settleMs: 200 });
  await tell(it);
  held.view = view([running('lint', { note: 'new' })]);
  it.report('run1');
  await until(() => hub.left.length === 0);
  held.view = view([ended('lint', success)]);
  await tell(it);
  expect(states(hub.checks)).toEqual([['lint', 'completed', 'success']]);
});

it('who closes waits for the answers under way, and begins nothing more', async () => {
  const hub = smallGitHub(nock, [[/^POST/, { slow: 100 }]]);
  const told = memoryTold();
  const held = holding(view([running('lint')]));
  const it = await reporter(held, told);
  it.report('run1');
  await until(() => hub.requests.length === 1);
  held.view = view([ended('lint', success)]);
  it.report('run1');
  await it.close();
  expect(told.values.get('check/lint/1')).toContain('"creating":false');
  expect(states(hub.checks)).toEqual([['lint', 'in_progress', null]]);
  const next = await reporter(held, told);
  await next.resume();
  await next.flush(20_000);
  expect(states(hub.checks)).toEqual([['lint', 'completed', 'success']]);
  expect(hub.requests.map((call) => call.split(' ')[0])).toEqual(['POST', 'PATCH']);
});

it('takes up ten thousand runs, a few at a time', async () => {
  const hub = smallGitHub(nock);
  const views = Array.from({ length: 10_000 }, (_, i) => view([], { id: `run${i}`, state: 'pending' }));
  const runs = memoryRuns(() => views);
  let open = 0;
  let most = 0;
  const told = memoryTold();
  const counting = {
    ...runs,
    untold: async (limit: number) =>
      views
        .filter(({ run }) => !runs.versions.has(run.id))
        .map(({ run }) => run.id)
        .slice(0, limit),
    view: async (id: string) => {
      open += 1;
      most = Math.max(most, open);
      await Promise.resolve();
      open -= 1;
      return views[Number(id.slice(3))] ?? null;
    },
  };
  const it = await reporter(holding(views[0] ?? view([])), told, 60_000, { runs: counting });
  await it.resume();
  await it.flush(20_000);
  expect(runs.versions.size).toBe(10_000);
  expect(most).toBeLessThanOrEqual(8);
  expect(hub.requests).toEqual([]);
}, 30_000);
