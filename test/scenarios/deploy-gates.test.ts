import { describe, expect, it } from '@jest/globals';
import type { CheckState } from '#src/engine/ports-forge.ts';
import { ended, idOf, viewOf } from './held.ts';
import { deployJob, gates, heldRollouts, lookAgain, patches, pushMain, release, says, sha, waitsFor } from './gates.ts';
import { outcomes, repository } from './world.ts';

async function audited(s: Awaited<ReturnType<typeof gates>>, action: string): Promise<readonly string[]> {
  const all = await s.store.audit.list('acme/shop', 100);
  return all
    .filter((it) => it.action === action)
    .map((it) => `${it.actor} ${it.decision}`)
    .toReversed();
}

describe('an approval', () => {
  it('is waited for, not by who pushed, and counts each person once', async () => {
    const s = await gates('approvals: 2', { forge: { authors: { [sha('a')]: ['carol'] } } });
    const run = await release(s, 'a');
    const job = await waitsFor(s, run, 'approval');
    expect(job.gate).toMatchObject({ gate: 'start', needed: 2, given: [] });
    expect(job.note).toBe(
      'Waits for 2 approvals by people with write permission, but not @ada or @carol. To approve: /approve production.',
    );
    for (const who of ['ada', 'carol', 'eve']) await says(s, who, '/approve production');
    await says(s, 'bob', '/approve production');
    await says(s, 'BOB', '/approve production');
    await waitsFor(s, run, 'approval', /1 so far, by @bob/);
    expect(patches(s)).toBe(0);
    await says(s, 'max', '/approve');
    await says(s, 'max', '/approve production');
    expect(outcomes(await ended(s, run))).toMatchObject({ 'deploy production': 'success' });
    // Who approves twice is written down once.
    const said = ['ada refused', 'carol refused', 'eve refused', 'bob allowed', 'max allowed'];
    expect(await audited(s, 'approve deployment')).toEqual(said);
  });

  it('that is refused ends the deployment', async () => {
    const s = await gates('approvals: 1');
    const run = await release(s, 'a');
    await waitsFor(s, run, 'approval');
    await says(s, 'eve', '/reject production');
    await says(s, 'bob', '/reject production');
    const view = await ended(s, run);
    expect(outcomes(view)['deploy production']).toBe('cancelled: Rejected by @bob.');
    expect(view.run.outcome?.kind).toBe('cancelled');
    expect(await audited(s, 'reject deployment')).toEqual(['eve refused', 'bob allowed']);
    expect(patches(s)).toBe(0);
  });

  it('is never given by who had the deployment run again', async () => {
    const s = await gates('approvals: 1');
    const run = await release(s, 'a');
    const job = await waitsFor(s, run, 'approval');
    await says(s, 'carol', '/reject production');
    await ended(s, run);
    await s.engine.intake({ kind: 'rerun', repository, sha: sha('a'), actor: 'bob', externalId: job.id });
    await waitsFor(s, run, 'approval', /but not @ada or @bob/);
    expect(await says(s, 'bob', '/approve production')).toMatch(/^Refused/);
    await says(s, 'carol', '/approve production');
    expect(outcomes(await ended(s, run))).toMatchObject({ 'deploy production': 'success' });
  });

  it('is waited for as long as GitHub does not tell who made the change', async () => {
    const s = await gates('approvals: 1');
    const run = await release(s, 'a');
    await waitsFor(s, run, 'approval');
    await s.store.approvals.add({
      jobId: (await deployJob(s, run))?.id ?? '',
      attempt: 1,
      gate: 'start',
      login: 'bob',
      decision: 'approve',
      at: 0,
    });
    s.forge.failure = new Error('GitHub is away.');
    await lookAgain(s);
    await waitsFor(s, run, 'approval', /Waits to find out who made the change/);
    expect(patches(s)).toBe(0);
    s.forge.failure = null;
    await lookAgain(s);
    expect(outcomes(await ended(s, run))).toMatchObject({ 'deploy production': 'success' });
  });
});

describe('a lock', () => {
  it('keeps what happens by itself until it is released, first come first served', async () => {
    const s = await gates('');
    await says(s, 'bob', '/lock production release in progress');
    const first = await release(s, 'a');
    const job = await waitsFor(s, first, 'lock');
    expect(job.note).toMatch(/^production is locked by @bob since .*release in progress.*\/unlock production\.$/);
    const second = await release(s, 'b');
    await waitsFor(s, second, 'lock');
    await says(s, 'ada', '/unlock production');
    await says(s, 'ada', '/unlock production --force');
    await waitsFor(s, first, 'lock');
    expect(patches(s)).toBe(0);
    await says(s, 'max', '/unlock production --force');
    await ended(s, first);
    await ended(s, second);
    const deployed = await s.store.deployments.list(repository.id, 'production', 10);
    expect(deployed.map((it) => it.sha[0])).toEqual(['b', 'a']);
    expect(await audited(s, 'lock')).toEqual(['bob allowed']);
    expect(await audited(s, 'unlock')).toEqual(['ada refused']);
    expect(await audited(s, 'unlock by force')).toEqual(['ada refused', 'max allowed']);
  });

  it('lets the commands of its owner pass those who wait for it, and refuses those of others', async () => {
    const s = await gates('');
    await says(s, 'bob', '/lock --all');
    const waiting = await release(s, 'a');
    await waitsFor(s, waiting, 'lock');
    const refused = await says(s, 'ada', `/deploy production ${sha('b')}`);
    expect(refused).toMatch(/^Refused/);
    expect(s.forge.comments.at(-1)?.body).toMatch(/All of the repository.* locked by @bob/);
    const own = idOf(await says(s, 'bob', `/deploy production ${sha('b')}`));
    expect(outcomes(await ended(s, own))).toMatchObject({ 'deploy production': 'success' });
    await waitsFor(s, waiting, 'lock');
    await says(s, 'bob', '/unlock --all');
    expect(outcomes(await ended(s, waiting))).toMatchObject({ 'deploy production': 'success' });
  });

  it('of a pull request ends with it', async () => {
    const pull = { number: 3, state: 'open', title: 'A change', sha: sha('c') } as const;
    const about = { branch: 'feature', base: 'main', fork: false, author: 'bob' } as const;
    const s = await gates('', { forge: { roles: { bob: 'write' }, pullRequests: [{ ...pull, ...about }] } });
    await says(s, 'bob', '/lock production', { number: 3, onPullRequest: true });
    const run = await release(s, 'a');
    await waitsFor(s, run, 'lock');
    await s.engine.intake({ kind: 'pull_request_closed', repository, number: 3 });
    expect(outcomes(await ended(s, run))).toMatchObject({ 'deploy production': 'success' });
    expect(await s.store.locks.of(repository.id)).toEqual([]);
  });
});

describe('a window', () => {
  it('is waited for to the minute', async () => {
    let now = Date.UTC(2026, 10, 21, 12);
    const s = await gates('windows: { days: mon-fri, hours: "09:00-17:00", zone: Europe/Berlin }', {
      clock: { now: () => now },
    });
    const run = await release(s, 'a');
    const job = await waitsFor(s, run, 'window');
    expect(job.gate?.until).toBe(Date.UTC(2026, 10, 23, 8));
    expect(job.note).toMatch(/The next opens Mon 2026-11-23, 09:00 \(Europe\/Berlin\)\.$/);
    now = Date.UTC(2026, 10, 23, 7, 59, 59);
    await lookAgain(s);
    await waitsFor(s, run, 'window');
    // A second later it looks by itself.
    now = Date.UTC(2026, 10, 23, 7, 59, 59, 990);
    await lookAgain(s);
    now = Date.UTC(2026, 10, 23, 8);
    expect(outcomes(await ended(s, run))).toMatchObject({ 'deploy production': 'success' });
  });
});

describe('a protected check', () => {
  it('is waited for, and then goes or ends the deployment', async () => {
    const checks: CheckState[] = [{ name: 'e2e', by: 'other', state: 'pending' }];
    const s = await gates('protect: e2e', { checks });
    const good = await release(s, 'a');
    await waitsFor(s, good, 'checks', /Waits for the check `e2e` \(other\), for an hour at most\./);
    checks[0] = { name: 'e2e', by: 'other', state: 'success' };
    await lookAgain(s);
    expect(outcomes(await ended(s, good))).toMatchObject({ 'deploy production': 'success' });
    checks.push({ name: 'e2e', by: 'another', state: 'skipped' });
    const bad = await ended(s, await release(s, 'b'));
    expect(outcomes(bad)['deploy production']).toMatch(/^failure: The check `e2e` by another was skipped/);
    expect(await audited(s, 'deploy')).toEqual(['ada allowed', 'ada refused']);
  });

  it('is given up after an hour', async () => {
    let now = Date.UTC(2026, 10, 21, 12);
    const s = await gates('protect: e2e', { clock: { now: () => now } });
    const run = await release(s, 'a');
    await waitsFor(s, run, 'checks');
    now += 3_600_000;
    await lookAgain(s);
    expect(outcomes(await ended(s, run))['deploy production']).toMatch(/had not succeeded on aaaaaaa after an hour/);
  });

  it('holds a deployment back while GitHub is away', async () => {
    const s = await gates('protect: image', { checks: [{ name: 'image', by: 'slipway', state: 'success' }] });
    s.forge.failure = new Error('GitHub is away.');
    const run = await release(s, 'a');
    await waitsFor(s, run, 'checks', /Waits to find out how the checks `image` stand\./);
    s.forge.failure = null;
    await lookAgain(s);
    expect(outcomes(await ended(s, run))).toMatchObject({ 'deploy production': 'success' });
  });
});

describe('the environment before', () => {
  it('must run the same digest, and be healthy', async () => {
    const s = await gates('after: staging');
    const early = await ended(s, await release(s, 'a'));
    expect(outcomes(early)['deploy production']).toBe(
      'failure: production takes what is healthy in staging. Nothing healthy is known of staging. Deploy it there first: /deploy staging aaaaaaa.',
    );
    await ended(s, await pushMain(s, 'b'));
    const other = await ended(s, await release(s, 'c'));
    expect(outcomes(other)['deploy production']).toMatch(/staging runs bbbbbbb and not ccccccc\./);
    s.cluster.change('staging/api', { available: 0 });
    const ill = await ended(s, await release(s, 'b'));
    expect(outcomes(ill)['deploy production']).toMatch(/staging runs bbbbbbb, but it isn't healthy there: /);
    s.cluster.change('staging/api', { available: 2 });
    const again = await s.engine.intake({
      kind: 'rerun',
      repository,
      sha: sha('b'),
      actor: 'ada',
      externalId: ill.jobs.at(-1)?.id ?? '',
    });
    expect(again).toMatch(/^Starts over/);
    expect(outcomes(await ended(s, ill.run.id))).toMatchObject({ 'deploy production': 'success' });
  });

  it('is waited for while it gets the same commit', async () => {
    const rollouts = heldRollouts();
    const s = await gates('after: staging', { sleep: rollouts.sleep });
    rollouts.hold();
    const staging = await pushMain(s, 'a');
    const run = await release(s, 'a');
    await waitsFor(s, run, 'order', /Waits until staging is healthy with aaaaaaa/);
    rollouts.letGo();
    await ended(s, staging);
    await lookAgain(s);
    expect(outcomes(await ended(s, run))).toMatchObject({ 'deploy production': 'success' });
  });
});

describe('the queue of an environment', () => {
  it('gives each its turn, in order, and shows the positions', async () => {
    const rollouts = heldRollouts();
    const s = await gates('', { sleep: rollouts.sleep });
    rollouts.hold();
    const a = await release(s, 'a');
    await waitsForState(s, a, 'running');
    const b = await release(s, 'b');
    expect((await waitsFor(s, b, 'queue')).note).toBe(`Waits for run ${a} in the queue of production (next).`);
    const c = await release(s, 'c');
    const third = await waitsFor(s, c, 'queue');
    expect(third.note).toBe(`Waits for run ${a} in the queue of production (2nd).`);
    expect(third.gate).toEqual({ kind: 'queue', position: 2 });
    rollouts.letGo();
    for (const run of [a, b, c]) expect((await ended(s, run)).run.outcome).toEqual({ kind: 'success' });
    const deployed = await s.store.deployments.list(repository.id, 'production', 10);
    expect(deployed.map((it) => it.sha[0])).toEqual(['c', 'b', 'a']);
  });

  it('is left by what is cancelled while it waits', async () => {
    const rollouts = heldRollouts();
    const s = await gates('', { sleep: rollouts.sleep });
    rollouts.hold();
    const a = await release(s, 'a');
    await waitsForState(s, a, 'running');
    const b = await release(s, 'b');
    await waitsFor(s, b, 'queue');
    const c = await release(s, 'c');
    await waitsFor(s, c, 'queue', /2nd/);
    await s.engine.cancel(b, { reason: 'Cancelled by @ada.', by: 'person' });
    await ended(s, b);
    await lookAgain(s);
    expect((await waitsFor(s, c, 'queue', /next/)).gate).toEqual({ kind: 'queue', position: 1 });
    rollouts.letGo();
    expect((await ended(s, c)).run.outcome).toEqual({ kind: 'success' });
  });

  it('lets only the newest of those that wait have its turn, if it says so, wherever they wait', async () => {
    const s = await gates('approvals: 1\nqueue: newest');
    const a = await release(s, 'a');
    await waitsFor(s, a, 'approval');
    const b = await release(s, 'b');
    expect(outcomes(await ended(s, a))['deploy production']).toBe(
      `cancelled: Cancelled: the newer run ${b} took its place in the queue of production.`,
    );
    await waitsFor(s, b, 'approval');
    await says(s, 'bob', '/approve production');
    expect((await ended(s, b)).run.outcome).toEqual({ kind: 'success' });
  });
});

describe('a tag', () => {
  it('that was moved is not deployed by itself, and is by name', async () => {
    const s = await gates('', {
      forge: { roles: { ada: 'write' }, commits: { va: sha('b'), [sha('b')]: sha('b') } },
    });
    await ended(s, await release(s, 'a'));
    const moved = await s.engine.intake({
      kind: 'trigger',
      repository,
      trigger: { kind: 'tag', sha: sha('b'), tag: 'va', ref: 'refs/tags/va', actor: 'ada', title: '' },
    });
    const view = await ended(s, /run (\w+)/i.exec(moved)?.[1] ?? '');
    expect(outcomes(view)['deploy production']).toMatch(
      /^failure: The tag `va` was moved: it named aaaaaaa before, and names bbbbbbb now\. .*\/deploy production va\.$/,
    );
    expect(patches(s)).toBe(1);
  });
});

async function waitsForState(s: Awaited<ReturnType<typeof gates>>, runId: string, state: string): Promise<void> {
  while ((await deployJob(s, runId))?.state !== state) {
    await viewOf(s, runId);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
