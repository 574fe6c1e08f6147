import { describe, expect, it } from '@jest/globals';
import { useNock } from '#test/nock.ts';
import { failure, holding, reporters, states, success, tell } from './reporter-support.ts';
import { smallGitHub, type Trouble } from './small-github.ts';
import { ended, memoryTold, running, until, view } from './support.ts';

const nock = useNock();
const { reporter } = reporters();

describe('whatever is lost, GitHub ends up right', () => {
  const secondary = { status: 403, message: 'secondary rate limit', headers: { 'retry-after': '1' } };
  const creations = /^POST .*check-runs$/;
  const updates = /^PATCH/;
  const several = (pattern: RegExp, trouble: Trouble, times: number) =>
    Array.from({ length: times }, () => [pattern, trouble] as const);

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
    first.close();
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
