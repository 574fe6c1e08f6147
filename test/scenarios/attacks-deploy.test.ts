import { describe, expect, it } from '@jest/globals';
import { type GatesOptions, gates, heldRollouts, patches, release, says, sha, waitsFor } from './gates.ts';
import { ended, idOf, until, viewOf, type World } from './held.ts';
import { outcomes, pullRequest, push, repository, tag, trigger } from './world.ts';
import { environmentActions } from '#src/web-actions.ts';

const pull = {
  number: 3,
  state: 'open',
  title: 'A change',
  sha: sha('c'),
  branch: 'feature',
  base: 'main',
  fork: false,
  author: 'ada',
} as const;

const onPull = { number: 3, onPullRequest: true };

/** A pull request of ada's whose head is the commit `c`. */
async function withPull(keys: string, more: Partial<GatesOptions> = {}): Promise<World> {
  return await gates(keys, { ...more, forge: { pullRequests: [pull], ...more.forge } });
}

async function press(s: World, runId: string, key: string, identifier: string, actor: string): Promise<string> {
  const { run, jobs } = await viewOf(s, runId);
  const externalId = jobs.find(({ plan }) => plan.key === key)?.id ?? '';
  return await s.engine.intake({ kind: 'button', repository, sha: run.trigger.sha, actor, externalId, identifier });
}

describe('an approval', () => {
  it("isn't one of what began to wait after it was written", async () => {
    const s = await gates('approvals: 1');
    const good = await release(s, 'a');
    await waitsFor(s, good, 'approval');
    const at = Date.now() - 60_000;
    expect(await says(s, 'bob', '/approve production', { at })).toMatch(/after .* written/);
    expect((await viewOf(s, good)).run.state).toBe('running');
    // What bob looks at is taken away, and something else put in its place, before his word is heard.
    await says(s, 'ada', '/reject production');
    await ended(s, good);
    const bad = await release(s, 'b');
    await waitsFor(s, bad, 'approval');
    expect(await says(s, 'bob', '/approve', { at, ...onPull })).toMatch(/^Refused/);
    expect(await says(s, 'bob', '/approve production', { at })).toMatch(/^Refused/);
    expect(patches(s)).toBe(0);
    await says(s, 'bob', '/approve production');
    await ended(s, bad);
    expect(patches(s)).toBe(1);
  });

  it("isn't given by who pushed the commit under another's name", async () => {
    const s = await withPull('approvals: 1', { forge: { authors: { [sha('c')]: ['ada'] } } });
    await s.play(trigger(pullRequest(sha('b'), { actor: 'max', at: Date.now() - 20_000 })));
    await s.play(trigger(pullRequest(sha('c'), { actor: 'bob', at: Date.now() - 10_000 })));
    const run = idOf(await says(s, 'ada', `/deploy production ${sha('c')}`, onPull));
    await waitsFor(s, run, 'approval');
    // The one pushed the commit, the other one before it.
    for (const who of ['bob', 'max']) {
      expect(await says(s, who, '/approve production', onPull)).toMatch(new RegExp(`@${who} may not approve`));
    }
    expect(patches(s)).toBe(0);
    await says(s, 'carol', '/approve production', onPull);
    expect(outcomes(await ended(s, run))['deploy production']).toBe('success');
  });
});

describe('a deployment', () => {
  const keys = 'allow: { people: [ada, max] }\napprovals: { count: 1, people: [max] }';

  it('is cancelled by who may deploy there or asked for it, not by whoever may write', async () => {
    const rollouts = heldRollouts();
    const s = await withPull(keys, { sleep: rollouts.sleep });
    await s.play(trigger(pullRequest(sha('c'))));
    rollouts.hold();
    const run = idOf(await says(s, 'ada', `/deploy production ${sha('c')}`, onPull));
    await waitsFor(s, run, 'approval');
    const refused = /@bob may not cancel .*@bob may not deploy to production/;
    expect(await says(s, 'bob', '/cancel', onPull)).toMatch(refused);
    expect(await press(s, run, 'deploy production', 'cancel', 'bob')).toMatch(refused);
    await says(s, 'max', '/approve production', onPull);
    await until(async () => patches(s) === 1);
    expect(await says(s, 'bob', '/cancel', onPull)).toMatch(refused);
    expect(await press(s, run, 'deploy production', 'cancel', 'bob')).toMatch(refused);
    expect((await viewOf(s, run)).run.cancel).toBeNull();
    await says(s, 'ada', '/cancel', onPull);
    rollouts.letGo();
    expect((await ended(s, run)).run.outcome?.kind).toBe('cancelled');
  });

  it("doesn't stand in others' way for ever: maintainers cancel it", async () => {
    const s = await gates('allow: { people: [ada] }\napprovals: { count: 1, people: [carol] }');
    const run = await release(s, 'a');
    await waitsFor(s, run, 'approval');
    expect(await press(s, run, 'deploy production', 'cancel', 'bob')).toMatch(/@bob may not cancel/);
    expect(await press(s, run, 'deploy production', 'cancel', 'max')).toMatch(/is being cancelled/);
    expect((await ended(s, run)).run.outcome?.kind).toBe('cancelled');
  });

  it("isn't in the way of cancelling the rest", async () => {
    const s = await withPull(keys, { script: () => 0 });
    const run = idOf(await says(s, 'ada', `/deploy production ${sha('c')}`, onPull));
    await waitsFor(s, run, 'approval');
    const other = idOf(await says(s, 'bob', `/deploy staging ${sha('c')}`, onPull));
    await ended(s, other);
    const more = await s.store.runs.create({
      repository,
      trigger: pullRequest(sha('b')),
      pullRequest: 3,
      at: Date.now() - 1_000,
    });
    expect(await says(s, 'bob', '/cancel', onPull)).toContain(more.run.id);
    expect((await viewOf(s, run)).run.cancel).toBeNull();
    expect(s.forge.comments.at(-1)?.body).toMatch(/@bob may not cancel/);
  });
});

describe('a name', () => {
  it.each([
    ['the branch of the pull request', 'feature', pullRequest(sha('d'), { actor: 'bob' })],
    ['another branch', 'release', { ...push(sha('d'), 'release'), actor: 'bob' }],
    ['a tag', 'v9', { ...tag(sha('d'), 'v9'), actor: 'bob' }],
  ])('that was moved after the comment was written deploys nothing: %s', async (_what, name, moved) => {
    const at = Math.floor(Date.now() / 1000) * 1000 - 60_000;
    const refs = { 'refs/heads/main': sha('a'), [moved.ref]: sha('d') };
    const s = await withPull('', { refs });
    await s.play(trigger(pullRequest(sha('c'), { at: at - 60_000 })));
    await s.play(trigger({ ...moved, at: at + 1_000 }));
    const before = patches(s);
    s.forge.setPullRequest({ ...pull, sha: name === 'feature' ? sha('d') : sha('c') });
    expect(await says(s, 'ada', `/deploy production ${name}`, { ...onPull, at })).toMatch(/moved.*d{40}/);
    expect(patches(s)).toBe(before);
    const again = await says(s, 'ada', `/deploy production ${name}`, { ...onPull, at: at + 10_000 });
    expect(outcomes(await ended(s, idOf(again)))['deploy production']).toBe('success');
  });
});

describe('a lock', () => {
  it('of the whole repository is no way to lock what somebody may not lock by its name', async () => {
    const s = await gates('allow: { people: [ada] }');
    expect(await says(s, 'bob', '/lock production')).toMatch(/@bob may not deploy to production/);
    expect(await says(s, 'bob', '/lock --all')).toMatch(/@bob may not deploy to production/);
    expect(await s.store.locks.of(repository.id)).toEqual([]);
    for (const who of ['ada', 'max']) {
      expect(await says(s, who, '/lock --all')).toMatch(/^Locked/);
      await says(s, who, '/unlock --all');
    }
  });

  it("isn't passed or taken off by who writes the environment or a name in other letters", async () => {
    const s = await gates('');
    await says(s, 'bob', '/lock PRODUCTION');
    expect(await says(s, 'ada', '/deploy Production main')).toMatch(/locked by @bob/);
    expect(await says(s, 'ada', '/unlock pRoduction')).toMatch(/stays locked/);
    expect(await says(s, 'ada', '/unlock production --force')).toMatch(/stays locked/);
    expect(await says(s, 'BOB', '/unlock Production')).toMatch(/^Unlocked/);
  });

  it("of the server's operator isn't that of somebody who is called so on GitHub", async () => {
    const s = await gates('', { forge: { roles: { operator: 'write' } } });
    const actions = environmentActions(s.parts, async () => {});
    await actions.lock(repository, { environment: 'production', reason: 'an incident' });
    expect(await says(s, 'operator', `/deploy production ${sha('a')}`)).toMatch(/is locked/);
    expect(await says(s, 'operator', '/unlock production')).toMatch(/stays locked/);
    expect(patches(s)).toBe(0);
    // Nor is anybody called by what is said of it.
    expect(s.forge.comments[0]?.body).toMatch(/locked by @\(operator\)/);
  });
});
