import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { PlatformError } from '#src/model/outcome.ts';
import { ended, idOf, until, viewOf } from './held.ts';
import {
  a1,
  a2,
  arrives,
  byEve,
  lastComment,
  lastReaction,
  main,
  ofFork,
  pipeline,
  press,
  pull,
  say,
  staysHeld,
  world,
} from './strange.ts';
import { outcomes, pullRequest, push, repository, trigger } from './world.ts';

describe("a stranger's pull request", () => {
  it('runs nothing, and says why, until a maintainer approves it', async () => {
    const s = await world();
    const run = await arrives(s, a1);
    expect(run.trust).toEqual({
      trusted: false,
      reason: '@eve has no write permission on acme/shop (GitHub reports "read").',
      approval: 'needed',
      approvedBy: null,
      remarks: [],
    });
    await staysHeld(s, run.id);
    expect(await say(s, 'ada', `/ok-to-test ${a1}`)).toBe(`Run ${run.id} is approved.`);
    expect(lastReaction(s)).toBe('rocket');
    const view = await ended(s, run.id);
    expect(outcomes(view)).toEqual({ test: 'success' });
    expect(view.run.trust).toMatchObject({ trusted: false, approval: 'given', approvedBy: 'ada' });
    expect(s.executor.requests.map(({ trusted }) => trusted)).toEqual([false]);
    expect(await s.store.audit.list(null, 5)).toMatchObject([
      { actor: 'ada', action: 'ok-to-test command', subject: `#3 ${a1}`, decision: 'allowed' },
    ]);
  });

  it('is approved by the button, once, by who may', async () => {
    const s = await world();
    const run = await arrives(s, a1);
    expect(await press(s, 'tim', run)).toContain('needs write permission');
    expect(await press(s, 'eve', run)).toContain('needs write permission');
    expect(await press(s, 'ada', run, { sha: a2 })).toBe('The check run is none of ours.');
    await staysHeld(s, run.id);
    expect(await press(s, 'max', run)).toBe(`Run ${run.id} is approved.`);
    expect(await press(s, 'max', run)).toBe(`Run ${run.id} is approved.`);
    expect(await press(s, 'ada', run)).toBe(`Run ${run.id} does not wait for approval any more.`);
    await ended(s, run.id);
    expect((await s.store.audit.list(null, 9)).map((it) => `${it.actor} ${it.action} ${it.decision}`)).toEqual([
      'max approve button allowed',
      'eve approve button refused',
      'tim approve button refused',
    ]);
    expect(s.executor.requests).toHaveLength(1);
  });

  it('waits again when it is pushed to: an approval is for one commit', async () => {
    const s = await world();
    const first = await arrives(s, a1);
    await say(s, 'ada', `/ok-to-test ${a1}`);
    await ended(s, first.id);
    s.forge.setPullRequest(pull(a2));
    const second = await arrives(s, a2);
    expect(second.trust?.approval).toBe('needed');
    expect(await say(s, 'ada', `/ok-to-test ${a1}`)).toContain(`What waits is ${a2}`);
    expect(await press(s, 'ada', first)).toBe(`Run ${first.id} is approved.`);
    await s.engine.driveAll();
    expect((await viewOf(s, second.id)).run).toMatchObject({ state: 'pending', trust: { approval: 'needed' } });
    expect(s.executor.requests).toHaveLength(1);
  });

  it('is not approved if its head has moved since it was looked at', async () => {
    const s = await world();
    const run = await arrives(s, a1);
    s.forge.setPullRequest(pull(a2));
    await say(s, 'ada', `/ok-to-test ${a1}`);
    expect(lastComment(s)).toContain(`has moved to ${a2} since`);
    expect(lastComment(s)).toContain(`/ok-to-test ${a2}`);
    expect(await press(s, 'ada', run)).toContain('has moved');
    await staysHeld(s, run.id);
    const second = await arrives(s, a2);
    await ended(s, run.id);
    await say(s, 'ada', `/ok-to-test ${a1}`);
    expect(lastComment(s)).toContain(`What waits is ${a2}`);
    await staysHeld(s, second.id);
  });

  it('does not run because it is re-run', async () => {
    const s = await world();
    const run = await arrives(s, a1);
    const again = (externalId: string | null) =>
      s.engine.intake({ kind: 'rerun', repository, sha: a1, actor: 'ada', externalId });
    expect(await again(null)).toContain("waits for a maintainer's approval");
    expect(await again(run.id)).toContain("waits for a maintainer's approval");
    await staysHeld(s, run.id);
    await say(s, 'ada', '/cancel');
    await ended(s, run.id);
    expect(await again(null)).toBe('The run is planned anew.');
    await staysHeld(s, run.id);
  });

  it('starts nothing ahead', async () => {
    const s = await world();
    await s.play(trigger(push(main)));
    await say(s, 'ada', `/ok-to-test ${(await arrives(s, a1)).trigger.sha}`);
    await until(async () => s.executor.requests.length === 2);
    const expected = [...s.executor.expected];
    s.forge.setPullRequest(pull(a2));
    const run = await arrives(s, a2);
    await s.engine.driveAll();
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(s.executor.expected).toEqual(expected);
    await say(s, 'ada', `/ok-to-test ${a2}`);
    await ended(s, run.id);
    expect(s.executor.expected).toEqual([...expected, 'node']);
  });

  it('has nothing started ahead for what others run later', async () => {
    const evil = { 'slipway.yml': 'jobs: { test: { image: evil, run: test } }' };
    const own = { 'slipway.yml': pipeline };
    const s = await world({ commits: { [main]: own, [a1]: evil, [a2]: own } });
    await s.play(trigger(push(main)));
    const run = await arrives(s, a1);
    await say(s, 'ada', `/ok-to-test ${a1}`);
    await ended(s, run.id);
    await s.play(trigger(push(a2)));
    expect(s.executor.expected).toEqual(['node']);
  });

  it('stays held, and approved, over restarts of the server', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-strangers-'));
    const database = join(folder, 'slipway.db');
    const first = await world({ database });
    const run = await arrives(first, a1);
    await staysHeld(first, run.id);
    await first.close();
    const second = await world({ database });
    await staysHeld(second, run.id);
    // The server dies when the approval is stored, before anything else; then the delivery comes again.
    expect(await second.store.runs.approve(run.id, 'ada')).toBe(true);
    await second.close();
    const third = await world({ database });
    expect(outcomes(await ended(third, run.id))).toEqual({ test: 'success' });
    expect(await say(third, 'ada', `/ok-to-test ${a1}`)).toBe(`Run ${run.id} is approved.`);
    expect(await say(third, 'ada', `/ok-to-test ${a1}`)).toBe(`Run ${run.id} is approved.`);
    expect(await third.store.audit.list(null, 5)).toHaveLength(1);
    expect(third.executor.requests).toHaveLength(1);
    await third.close();
    rmSync(folder, { recursive: true });
  });

  it('that was closed or pushed anew is not waited for any more', async () => {
    const s = await world();
    const run = await arrives(s, a1);
    await s.engine.intake({ kind: 'pull_request_closed', repository, number: 3, at: Date.now() });
    expect((await ended(s, run.id)).run.outcome?.kind).toBe('cancelled');
    await say(s, 'ada', `/ok-to-test ${a1}`);
    expect(lastComment(s)).toMatch(/^Nothing of this pull request waits for approval\./);
    expect(await press(s, 'ada', run)).toBe('The run does not wait for approval.');
    expect(s.executor.requests).toEqual([]);
  });

  it('is not approved while it is closed', async () => {
    const s = await world({ forge: { pullRequests: [pull(a1, { state: 'closed' })] } });
    const run = await arrives(s, a1);
    await say(s, 'ada', `/ok-to-test ${a1}`);
    expect(lastComment(s)).toContain('is closed');
    await staysHeld(s, run.id);
  });

  it('is never deployed, also by who may deploy', async () => {
    const environments =
      'environments: { live: { stable: 0s, rollout: [{ deployment: shop/api, container: api, image: i }] } }';
    const own = pull(a1, { fork: false });
    const files = { 'slipway.yml': `jobs: { i: { build: { image: r.example/i } } }\n${environments}` };
    const s = await world({ commits: { [main]: files, [a1]: files }, forge: { pullRequests: [own] } });
    const run = await arrives(s, a1, byEve);
    await say(s, 'ada', '/deploy live');
    expect(lastComment(s)).toContain("A stranger's commit is never deployed. @eve has no write permission");
    await say(s, 'ada', `/ok-to-test ${a1}`);
    await ended(s, run.id);
    expect(s.builder.requests.map(({ tags }) => tags)).toEqual([[]]);
    expect(s.cluster.patches).toEqual([]);
  });
});

describe('who is a stranger', () => {
  it.each([
    ['a reader, from a branch of the repository', byEve, {}, 'needed'],
    ['a triager, from a branch', { actor: 'tim', author: { login: 'tim', bot: false } }, {}, 'needed'],
    ['an App, from a branch', { actor: 'x[bot]', author: { login: 'x[bot]', bot: true } }, {}, 'trusted'],
    ['an App, from a fork', { ...ofFork, actor: 'x[bot]', author: { login: 'x[bot]', bot: true } }, {}, 'needed'],
    ['a writer, from a branch', {}, {}, 'trusted'],
    ['a writer, from a fork', { ...ofFork, actor: 'ada', author: { login: 'ada', bot: false } }, {}, 'none'],
    ['a writer, from a fork that eve pushed to', { ...ofFork, author: { login: 'ada', bot: false } }, {}, 'needed'],
    ['who has left GitHub', { ...byEve, author: { login: 'ghost', bot: false } }, {}, 'needed'],
    ['a contributor, where newcomers wait', ofFork, { approval: 'first-time', association: 'CONTRIBUTOR' }, 'none'],
    ['a newcomer, where newcomers wait', ofFork, { approval: 'first-time', association: 'FIRST_TIMER' }, 'needed'],
    ['a newcomer, where nobody waits', ofFork, { approval: 'never' }, 'none'],
    ['a reader, where nobody waits', byEve, { approval: 'never' }, 'none'],
  ] as const)('%s', async (_what, change, { approval = 'always', association = 'NONE' }: Rule, expected) => {
    const s = await world({
      policy: { strangers: () => ({ approval, network: 'private' }) },
      forge: { roles: { ada: 'write', eve: 'read', tim: 'triage' }, pullRequests: [pull(a1, { association })] },
    });
    const { trust } = await arrives(s, a1, change);
    expect(trust?.trusted ? 'trusted' : trust?.approval).toBe(expected);
  });

  interface Rule {
    readonly approval?: 'always' | 'first-time' | 'never';
    readonly association?: string;
  }

  it('is asked of GitHub now: who lost the right since is one', async () => {
    const s = await world();
    s.forge.setRole('ada', 'read');
    expect((await arrives(s, a1, {})).trust?.approval).toBe('needed');
  });

  it('runs without what only trusted runs get, where nobody waits', async () => {
    const s = await world({ policy: { strangers: () => ({ approval: 'never', network: 'none' }) } });
    await s.play(trigger(pullRequest(a1, byEve)));
    expect(s.executor.requests.map(({ trusted }) => trusted)).toEqual([false]);
  });

  it('is found out for a push, too, if it belongs to a pull request', async () => {
    const own = pull(a1, { fork: false });
    const s = await world({ forge: { pullRequests: [own] } });
    const id = idOf(await s.engine.intake(trigger({ ...push(a1, 'feature') })));
    await until(async () => (await viewOf(s, id)).run.trust !== null);
    await staysHeld(s, id);
    expect(idOf(await s.engine.intake(trigger(pullRequest(a1, byEve))))).toBe(id);
    await staysHeld(s, id);
  });

  const fromMain = pullRequest(a1, { ...byEve, branch: 'main', base: 'release' });

  it('is nobody who opens a pull request from the default branch', async () => {
    const s = await world();
    const { run } = await s.play(trigger(push(a1)));
    expect(idOf(await s.engine.intake(trigger(fromMain)))).toBe(run.id);
    expect((await viewOf(s, run.id)).run).toMatchObject({
      trigger: { kind: 'push', branch: 'main', ref: 'refs/heads/main' },
      pullRequest: 3,
      trust: { trusted: true },
    });
  });

  it('has nothing built, and so deployed, of the default branch: its pushes have', async () => {
    const s = await world();
    expect(await s.engine.intake(trigger(fromMain))).toBe('main is built by its pushes alone.');
    expect(await s.store.runs.list({ limit: 9 })).toEqual([]);
    const { run } = await s.play(trigger(push(a1)));
    expect(run).toMatchObject({ trigger: { kind: 'push' }, trust: { trusted: true } });
    expect(s.executor.requests).toHaveLength(1);
  });

  it('is not the one who pushed the default branch anew, by opening a pull request from it', async () => {
    const s = await world();
    const { run } = await s.play(trigger({ ...push(a1), at: 1_000 }));
    expect(await s.engine.intake(trigger({ ...fromMain, at: 9_000 }))).toBe(`Known already as run ${run.id}.`);
    expect((await viewOf(s, run.id)).run.trigger.at).toBe(run.trigger.at);
  });

  it('is nobody whose commit was pushed before there was a pull request', async () => {
    const s = await world({ forge: { pullRequests: [] } });
    const id = (await s.play(trigger(push(a1, 'feature')))).run.id;
    expect(idOf(await s.engine.intake(trigger(pullRequest(a1, byEve))))).toBe(id);
    expect((await viewOf(s, id)).run.trust?.trusted).toBe(true);
  });
});

describe('when GitHub can not say who it is', () => {
  it('the run waits, with what is the matter, and goes on when it can', async () => {
    const s = await world({ repeatsItself: true });
    s.forge.failure = new PlatformError('GitHub is down.');
    const id = idOf(await s.engine.intake(trigger(pullRequest(a1, ofFork))));
    await until(async () => (await viewOf(s, id)).run.note !== null);
    const { run } = await viewOf(s, id);
    expect(run).toMatchObject({ state: 'pending', trust: null });
    expect(run.note).toContain('GitHub is down. Slipway tries again by itself');
    s.forge.failure = null;
    await s.engine.driveAll();
    await until(async () => (await viewOf(s, id)).run.trust !== null);
    await until(async () => (await viewOf(s, id)).run.note === null);
    await staysHeld(s, id);
  });

  it("and never can, it ends as the platform's failure, and a re-run asks again", async () => {
    const s = await world();
    s.forge.failure = new PlatformError('GitHub is down.');
    const { run, jobs } = await s.play(trigger(pullRequest(a1, byEve)));
    expect(run.outcome).toEqual({ kind: 'broken', reason: 'GitHub is down.' });
    expect({ jobs, trust: run.trust }).toEqual({ jobs: [], trust: null });
    s.forge.failure = null;
    await s.engine.intake({ kind: 'rerun', repository, sha: a1, actor: 'eve', externalId: null });
    await until(async () => (await viewOf(s, run.id)).run.trust !== null);
    await staysHeld(s, run.id);
  });
});

describe('a change to what decides what runs', () => {
  const other = 'jobs: { test: { image: node, run: steal } }';

  it.each([
    ['slipway.yml', { 'slipway.yml': other }, ["slipway.yml, which decides what runs, isn't the same as on main."]],
    ['nothing', { 'slipway.yml': pipeline, 'a.js': 'x' }, []],
    [
      'a file of another name',
      { 'slipway.yaml': other },
      [
        "slipway.yaml, which decides what runs, isn't on main.",
        'slipway.yml, which decides what runs on main, is missing.',
      ],
    ],
    [
      'what is found without one',
      { 'package.json': '{"scripts":{"test":"steal"}}' },
      [
        expect.stringContaining('package.json, which decides what runs') as unknown,
        expect.stringContaining('slipway.yml, which decides what runs on main, is missing') as unknown,
      ],
    ],
  ])('%s is pointed out before and after the approval', async (_what, files, remarks) => {
    const s = await world({ commits: { [main]: { 'slipway.yml': pipeline }, [a1]: files } });
    const run = await arrives(s, a1);
    const found = run.trust?.remarks.filter((remark) => /slipway|package\.json/.test(remark)) ?? [];
    expect(found).toEqual(remarks);
    await say(s, 'ada', `/ok-to-test ${a1}`);
    const { diagnostics } = (await ended(s, run.id)).run;
    const pointed = diagnostics.filter(({ code }) => code === 'changed-by-stranger');
    expect(pointed.map(({ message }) => message)).toEqual(run.trust?.remarks);
    expect(pointed.every(({ severity, at }) => severity === 'warning' && at.line === 1)).toBe(true);
  });

  it("of somebody with write permission is nobody's business", async () => {
    const s = await world({ commits: { [main]: { 'slipway.yml': pipeline }, [a1]: { 'slipway.yml': other } } });
    const view = await s.play(trigger(pullRequest(a1)));
    expect(view.run.diagnostics).toEqual([]);
  });

  it('with mistakes is held and pointed out as well', async () => {
    const broken = { 'slipway.yml': 'jobs: { a: { colour: red } }' };
    const s = await world({ commits: { [main]: { 'slipway.yml': pipeline }, [a1]: broken } });
    const run = await arrives(s, a1);
    expect(run.trust?.remarks).toHaveLength(1);
    await say(s, 'ada', `/ok-to-test ${a1}`);
    const view = await ended(s, run.id);
    expect(view.run.outcome?.kind).toBe('failure');
    expect(view.run.diagnostics.map(({ code }) => code)).toContain('changed-by-stranger');
  });
});

it("a stranger's concurrency groups are apart from those of the repository's own people", async () => {
  const grouped = `concurrency: { group: deploy, cancel-in-progress: true }\n${pipeline}`;
  const files = { 'slipway.yml': grouped };
  const s = await world({
    commits: { [main]: files, [a1]: files },
    policy: { strangers: () => ({ approval: 'never', network: 'private' }) },
  });
  const { run } = await s.play(trigger(pullRequest(a1, byEve)));
  expect(run.concurrency?.group).toBe('fork #3: deploy');
  expect((await s.play(trigger(push(main)))).run.concurrency?.group).toBe('deploy');
});
