import { describe, expect, it } from '@jest/globals';
import { PlatformError } from '#src/model/outcome.ts';
import { gates, type GatesOptions, patches, pipelineWith, release, says, sha, waitsFor } from './gates.ts';
import { ended, idOf, viewOf, type World } from './held.ts';
import { outcomes, repository } from './world.ts';

/** GitHub's "Re-run" on the deployment's check run, or on the run's where it has no jobs. */
async function rerun(s: World, runId: string, actor: string): Promise<string> {
  const { run, jobs } = await viewOf(s, runId);
  const externalId = jobs.find(({ plan }) => plan.work.kind === 'deploy')?.id ?? runId;
  return await s.engine.intake({ kind: 'rerun', repository, sha: run.trigger.sha, actor, externalId });
}

async function deployed(s: World, actor: string, command: string): Promise<string> {
  const id = idOf(await says(s, actor, command));
  await ended(s, id);
  return id;
}

const outcome = async (s: World, runId: string) => outcomes(await ended(s, runId))['deploy production'];

/** The default branch's file has other keys of production once `tighten` was called. */
async function tightened(before: string, after: string, more: Partial<GatesOptions> = {}) {
  const refs: Record<string, string> = { 'refs/heads/main': sha('a') };
  const files = (keys: string) => ({ 'slipway.yml': pipelineWith(keys) });
  const commits = { a: files(before), b: files(before), c: files(before), d: files(after) };
  const s = await gates(before, {
    refs,
    commits: Object.fromEntries(Object.entries(commits).map(([letter, it]) => [sha(letter), it])),
    ...more,
  });
  return { s, tighten: () => void (refs['refs/heads/main'] = sha('d')) };
}

describe('a deployment that is run again is the wish of who runs it again', () => {
  it("and doesn't pass the lock of who asked for it first", async () => {
    const s = await gates('');
    const first = await deployed(s, 'carol', `/deploy production ${sha('a')}`);
    await says(s, 'carol', '/lock production nobody but me');
    await rerun(s, first, 'bob');
    expect(await outcome(s, first)).toMatch(/^failure: production is locked by @carol/);
    expect(patches(s)).toBe(1);
    await rerun(s, first, 'carol');
    expect(await outcome(s, first)).toBe('success');
  });

  it("and doesn't go over a lock as the maintainer did", async () => {
    const s = await gates('');
    await deployed(s, 'ada', `/deploy production ${sha('a')}`);
    await deployed(s, 'ada', `/deploy production ${sha('b')}`);
    await says(s, 'carol', '/lock production');
    const back = await deployed(s, 'max', '/rollback production --force');
    expect(await outcome(s, back)).toBe('success');
    await deployed(s, 'carol', `/deploy production ${sha('b')}`);
    for (const who of ['bob', 'max']) {
      await rerun(s, back, who);
      expect(await outcome(s, back)).toMatch(/^failure: production is locked by @carol/);
    }
    expect(patches(s)).toBe(4);
  });

  it('and is approved neither by them nor by who asked first', async () => {
    const s = await gates('approvals: 1');
    const run = await release(s, 'a');
    await waitsFor(s, run, 'approval');
    await says(s, 'bob', '/approve production');
    expect(await outcome(s, run)).toBe('success');
    await rerun(s, run, 'bob');
    await waitsFor(s, run, 'approval', /not @ada or @bob/);
    for (const who of ['bob', 'ada']) expect(await says(s, who, '/approve production')).toMatch(/may not approve/);
    expect(patches(s)).toBe(1);
    await says(s, 'carol', '/approve production');
    expect(await outcome(s, run)).toBe('success');
  });

  it.each([
    ['approvals', 'approvals: 1'],
    ['an order', 'after: staging'],
    ['a protected check', 'protect: e2e'],
  ])('and goes by no rules of a time before there was %s', async (_what, keys) => {
    const { s, tighten } = await tightened('', keys);
    const run = await release(s, 'a');
    expect(await outcome(s, run)).toBe('success');
    tighten();
    expect(await rerun(s, run, 'ada')).toMatch(/rules of `production` have changed .*`\/deploy production a{40}`/);
    expect(patches(s)).toBe(1);
  });

  it('and is for those whom the environment lets now', async () => {
    const { s, tighten } = await tightened('', 'allow: { people: [max] }');
    const run = await release(s, 'a');
    await ended(s, run);
    await deployed(s, 'ada', `/deploy production ${sha('b')}`);
    const back = await deployed(s, 'ada', '/rollback production');
    tighten();
    for (const id of [run, back]) expect(await rerun(s, id, 'ada')).toMatch(/@ada may not deploy to production/);
    expect(patches(s)).toBe(3);
    expect(await rerun(s, back, 'max')).toMatch(/^Starts over/);
    expect(await outcome(s, back)).toBe('success');
  });

  it("and isn't begun for others where it failed before it was planned", async () => {
    const commits: Record<string, Record<string, string> | Error> = {
      [sha('a')]: { 'slipway.yml': pipelineWith('allow: { people: [max] }') },
      [sha('b')]: new PlatformError('GitHub is away.'),
    };
    const s = await gates('', { commits });
    const run = await deployed(s, 'max', `/deploy production ${sha('b')}`);
    commits[sha('b')] = { 'slipway.yml': pipelineWith('') };
    expect(await rerun(s, run, 'bob')).toMatch(/asked for by @max/);
    await ended(s, run);
    expect(patches(s)).toBe(0);
    expect(await rerun(s, run, 'max')).toMatch(/planned anew/);
    expect(await outcome(s, run)).toBe('success');
  });
});

describe('a rollback', () => {
  it('is for those whom the environment lets now, whatever was the rule at the last deployment', async () => {
    const { s, tighten } = await tightened('', 'allow: { people: [max] }');
    await deployed(s, 'ada', `/deploy production ${sha('a')}`);
    await deployed(s, 'ada', `/deploy production ${sha('b')}`);
    tighten();
    expect(await says(s, 'ada', '/rollback production')).toMatch(/@ada may not deploy to production/);
    expect(patches(s)).toBe(2);
    await deployed(s, 'max', '/rollback production');
    expect(patches(s)).toBe(3);
  });

  it("goes by the last deployment's rule where git doesn't answer", async () => {
    const commits: Record<string, Record<string, string> | Error> = Object.fromEntries(
      ['a', 'b'].map((it) => [sha(it), { 'slipway.yml': pipelineWith('allow: { people: [max] }') }]),
    );
    const s = await gates('', { commits });
    await deployed(s, 'max', `/deploy production ${sha('a')}`);
    await deployed(s, 'max', `/deploy production ${sha('b')}`);
    commits[sha('a')] = new PlatformError('GitHub is away.');
    expect(await says(s, 'ada', '/rollback production')).toMatch(/@ada may not deploy to production/);
    await deployed(s, 'max', '/rollback production');
    expect(patches(s)).toBe(3);
  });

  it('that is told twice is one, however the environment is written', async () => {
    let dies = true;
    const s = await gates('', {
      store: (store) => ({
        ...store,
        told: {
          ...store.told,
          set: async (key, value) => {
            if (dies && key.startsWith('command ')) throw new PlatformError('The server dies here.');
            await store.told.set(key, value);
          },
        },
      }),
    });
    dies = false;
    for (const letter of ['a', 'b', 'c']) await deployed(s, 'ada', `/deploy production ${sha(letter)}`);
    dies = true;
    const again = { commentId: 77, at: Date.now() };
    await expect(says(s, 'ada', '/rollback PRODUCTION', again)).rejects.toThrow('dies');
    dies = false;
    const [run] = await s.store.runs.list({ repository: 'acme/shop', limit: 1 });
    expect(await outcome(s, run?.id ?? '')).toBe('success');
    expect(idOf(await says(s, 'ada', '/rollback PRODUCTION', again))).toBe(run?.id);
    expect(patches(s)).toBe(4);
  });
});
