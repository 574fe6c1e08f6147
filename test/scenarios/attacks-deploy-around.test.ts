import { describe, expect, it } from '@jest/globals';
import { environmentActions } from '#src/web-actions.ts';
import { gates, patches, pushMain, says, sha, waitsFor } from './gates.ts';
import { ended, idOf, type World } from './held.ts';
import { outcomes, repository } from './world.ts';

/** Staging runs the commit `a`. */
async function staged(keys: string, more: Parameters<typeof gates>[1] = {}): Promise<World> {
  const s = await gates(keys, more);
  await ended(s, await pushMain(s, 'a'));
  return s;
}

describe('a promotion is no way around', () => {
  it('approvals, and not for who made the change', async () => {
    const s = await staged('approvals: 1', { forge: { authors: { [sha('a')]: ['carol'] } } });
    const run = idOf(await says(s, 'bob', '/promote staging production'));
    await waitsFor(s, run, 'approval', /not @bob or @carol/);
    for (const who of ['bob', 'carol', 'eve']) {
      expect(await says(s, who, '/approve production')).toMatch(/may not approve/);
    }
    expect(patches(s)).toBe(0);
    await says(s, 'ada', '/approve production');
    expect(outcomes(await ended(s, run))['deploy production']).toBe('success');
  });

  it.each([
    ['a window', 'windows: { days: mon, hours: "09:00-09:01", zone: UTC }', 'ada', /takes deployments .* only/],
    ['a protected check', 'protect: e2e', 'ada', /has not ended: `e2e`/],
    ['the rule on who may', 'allow: { people: [max] }', 'ada', /@ada may not deploy to production/],
    ['a lock', '', 'bob', /locked by @ada/],
  ])('%s', async (_what, keys, actor, reason) => {
    const s = await staged(keys, { clock: { now: () => Date.UTC(2026, 10, 21, 12) } });
    if (keys === '') await says(s, 'ada', '/lock production');
    expect(await says(s, actor, '/promote staging production')).toMatch(reason);
    expect(patches(s)).toBe(0);
  });
});

describe("the operator's rule, tightened since,", () => {
  it('keeps who could before from rolling back, promoting, deploying and locking', async () => {
    let strict = false;
    const max = { permission: null, people: ['max'], teams: [] };
    const s = await staged('', { policy: { deployers: () => (strict ? max : null) } });
    for (const letter of ['a', 'b']) await ended(s, idOf(await says(s, 'ada', `/deploy production ${sha(letter)}`)));
    strict = true;
    const commands = ['/rollback production', '/rollback production --force', '/promote staging production'];
    for (const command of [...commands, `/deploy production ${sha('a')}`, '/lock production']) {
      expect(await says(s, 'ada', command)).toMatch(/The operator's file lets only @max deploy to production/);
    }
    expect(patches(s)).toBe(2);
  });
});

describe("a stranger's commit", () => {
  it("isn't deployed by its SHA, its ref or a hidden name, whoever asks", async () => {
    const strange = { compare: () => ({ ahead: 1, behind: 0, commits: [] }) };
    const s = await gates('', { forge: strange, refs: { 'refs/heads/main': sha('a'), 'refs/pull/7/head': sha('d') } });
    const actions = environmentActions(s.parts, async () => {});
    for (const ref of [sha('d'), 'refs/pull/7/head', 'pull/7/head', 'refs/heads/../pull/7/head', 'main^{/x}', '-d']) {
      expect(await actions.deploy(repository, { environment: 'production', ref })).toMatchObject({ kind: 'unknown' });
      expect(await says(s, 'max', `/deploy production ${ref}`)).toMatch(/^Refused/);
    }
    expect(patches(s)).toBe(0);
  });
});

describe('values behind --', () => {
  it('are values: of no prototype, no variable of ours, and no script', async () => {
    const s = await gates('');
    const values = '__proto__=x constructor=y sha="$(touch pwned)" actor=max';
    const view = await ended(s, idOf(await says(s, 'ada', `/deploy production ${sha('b')} -- ${values}`)));
    const { trigger } = view.run;
    expect(trigger).toMatchObject({ actor: 'ada', sha: sha('b') });
    if (trigger.kind !== 'deploy') throw new Error('no deployment');
    expect(Object.keys(trigger.params ?? {})).toEqual(['__proto__', 'constructor', 'sha', 'actor']);
    expect(Object.getPrototypeOf({ ...trigger.params })).toBe(Object.prototype);
    expect(s.builder.requests.at(-1)?.build.args).toEqual({ COMMIT: sha('b') });
    expect(outcomes(view)['deploy production']).toBe('success');
  });
});
