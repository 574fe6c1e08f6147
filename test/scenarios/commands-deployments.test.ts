import { describe, expect, it } from '@jest/globals';
import type { ReleaseEvent } from '#src/model/event.ts';
import {
  comment,
  deploys,
  head,
  main,
  older,
  onIssue,
  opened,
  options,
  patched,
  pipeline,
  pull,
  pushed,
  reactions,
  replies,
  say,
  world,
} from './commanding.ts';
import { ended, idOf, until, type World } from './held.ts';
import { outcomes, repository } from './world.ts';

const digests = (s: World): readonly string[] => s.cluster.patches.map((it) => it.split('@')[1] ?? '');
/** Each commit's image has a digest of its own. */
const commits = Object.fromEntries(
  [main, older, head].map((sha) => {
    const image = 'image: registry.example/acme/shop';
    return [sha, { 'slipway.yml': pipeline.replace(image, `${image}, args: { COMMIT: "${sha}" }`) }];
  }),
);

/** Three versions in staging, the newest last. */
async function history() {
  const s = await world({ commits });
  await opened(s);
  for (const sha of [main, older, head]) {
    await pushed(s, sha);
    await deploys(s, `/deploy staging ${sha}`);
  }
  return s;
}

describe('/rollback', () => {
  it.each([
    ['/rollback staging', older],
    ['/rollback STAGING', older],
    ['/rollback staging 1', older],
    ['/rollback staging 2', main],
    [`/rollback staging ${main.slice(0, 8)}`, main],
  ])('%s restores %s', async (body, sha) => {
    const s = await history();
    const view = await deploys(s, body);
    expect(view.run.trigger).toMatchObject({ kind: 'deploy', mode: 'rollback', environment: 'staging', sha });
    expect(outcomes(view)).toEqual({ 'deploy staging': 'success' });
    const before = digests(s).slice(0, -1)[[main, older, head].indexOf(sha)];
    expect(digests(s).at(-1)).toBe(before);
    expect(replies(s).at(-1)).toContain('Rolls back `staging`');
  });

  it('looks up no file and no commit, and asks GitHub for the role alone', async () => {
    const s = await history();
    const asked: string[] = [];
    for (const name of ['pullRequest', 'commit', 'compare', 'authors', 'checks', 'openPullRequest'] as const) {
      s.forge[name] = async () => {
        asked.push(name);
        throw new Error(`${name} was asked for`);
      };
    }
    await deploys(s, '/rollback staging');
    expect(asked).toEqual([]);
  });

  it('again goes further back, never to what was rolled back from', async () => {
    const s = await history();
    await deploys(s, '/rollback staging');
    const { run } = await deploys(s, '/rollback staging');
    expect(run.trigger.sha).toBe(main);
  });

  it('twice told is done once, though another version runs by then', async () => {
    const s = await history();
    const event = comment('/rollback staging');
    await ended(s, idOf(await s.engine.intake(event)));
    const count = s.cluster.patches.length;
    await s.engine.intake(event);
    // Also where what was answered is forgotten.
    await s.store.told.remove('command ');
    await s.engine.intake(event);
    expect((await s.store.runs.unfinished()).length).toBe(0);
    expect(s.cluster.patches).toHaveLength(count);
  });

  it.each([
    ['/rollback nowhere', /Nothing was deployed to an environment `nowhere`/],
    ['/rollback stagging', /Did you mean `staging`/],
    ['/rollback staging 9', /There are not 9 steps/],
    ['/rollback staging v9', /`v9` never was healthy here/],
    [`/rollback staging ${head}`, /is what runs here now/],
  ])('%s is refused', async (body, reason) => {
    const s = await history();
    expect(await say(s, body)).toMatch(/^Refused/);
    expect(replies(s).at(-1)).toMatch(reason);
    expect(reactions(s).at(-1)).toBe('confused');
  });

  it('never skips permission or a lock; a maintainer goes over it, and that is written down', async () => {
    const s = await history();
    await say(s, '/lock staging --sticky a freeze', { actor: 'bob' });
    await say(s, '/rollback staging');
    expect(replies(s).at(-1)).toMatch(/locked.*@bob.*a freeze/);
    await say(s, '/rollback staging --force');
    expect(replies(s).at(-1)).toMatch(/locked.*@bob/);
    expect(replies(s).at(-1)).not.toContain('To go over it');
    await say(s, '/rollback staging', { actor: 'max' });
    expect(replies(s).at(-1)).toMatch(/locked.*@bob.*To go over it: \/rollback staging --force\./);
    const view = await deploys(s, '/rollback staging --force', { actor: 'max' });
    expect(outcomes(view)).toEqual({ 'deploy staging': 'success' });
    const audit = await s.store.audit.list(null, 20);
    expect(audit.find((it) => it.action === 'rollback command' && it.decision === 'allowed')).toMatchObject({
      actor: 'max',
      subject: 'staging',
      reason: expect.stringContaining('lock') as unknown,
    });
  });

  it('ends what is under way and what waits', async () => {
    const base = options();
    let slow = false;
    const s = await world({
      commits,
      cluster: {
        ...base.cluster!,
        behave: () => (slow ? [] : [{ afterMs: 0 }]),
      },
    });
    await opened(s);
    for (const sha of [main, older]) {
      await pushed(s, sha);
      await deploys(s, `/deploy staging ${sha}`);
    }
    slow = true;
    const under = idOf(await say(s, '/deploy staging'));
    await until(async () => s.cluster.patches.length === 3);
    slow = false;
    const back = idOf(await say(s, `/rollback staging ${main}`));
    const view = await ended(s, under);
    expect(outcomes(view)['deploy staging']).toMatch(/^cancelled: Cancelled by @ada, who rolls staging back/);
    expect(outcomes(await ended(s, back))).toEqual({ 'deploy staging': 'success' });
  });
});

describe('a second /rollback while the first is under way', () => {
  async function underWay() {
    const base = options();
    let slow = false;
    const s = await world({
      commits,
      cluster: { ...base.cluster!, behave: () => (slow ? [] : [{ afterMs: 0 }]) },
    });
    await opened(s);
    for (const sha of [main, older, head]) {
      await pushed(s, sha);
      await deploys(s, `/deploy staging ${sha}`);
    }
    slow = true;
    const first = idOf(await say(s, '/rollback staging'));
    await until(async () => s.cluster.patches.length === 4);
    slow = false;
    return { s, first };
  }

  it.each(['/rollback staging', '/rollback staging 1'])(
    '%s is refused: it would lead to what is left',
    async (body) => {
      const { s, first } = await underWay();
      expect(await say(s, body, { actor: 'max' })).toMatch(/^Refused/);
      expect(replies(s).at(-1)).toMatch(new RegExp(`being rolled back already, to ${older.slice(0, 7)}, as @.*ada`));
      expect(s.cluster.patches).toHaveLength(4);
      const named = idOf(await say(s, `/rollback staging ${main}`, { actor: 'max' }));
      expect(outcomes(await ended(s, named))).toEqual({ 'deploy staging': 'success' });
      expect(outcomes(await ended(s, first))['deploy staging']).toMatch(/^cancelled/);
    },
  );
});

describe('/promote', () => {
  it('deploys the very images, and builds nothing', async () => {
    const s = await world({ commits });
    await opened(s);
    await deploys(s, '/deploy staging');
    const builds = s.builder.requests.length;
    const view = await deploys(s, '/promote staging production');
    expect(outcomes(view)).toEqual({ 'deploy production': 'success' });
    expect(patched(s)).toEqual(['staging/api', 'shop/api']);
    expect(new Set(digests(s)).size).toBe(1);
    expect(s.builder.requests).toHaveLength(builds);
  });

  it.each([
    ['/promote production staging', /Nothing healthy runs in `production`/],
    ['/promote staging staging', /not to itself/],
    ['/promote staging produktion', /Did you mean `production`/],
    ['/promote stagging production', /Did you mean `staging`/],
  ])('%s is refused', async (body, reason) => {
    const s = await world();
    await opened(s);
    await deploys(s, '/deploy staging');
    await say(s, body);
    expect(replies(s).at(-1)).toMatch(reason);
  });
});

describe('order', () => {
  it('is asked for at once', async () => {
    const s = await world();
    await opened(s);
    await say(s, '/deploy production');
    expect(replies(s).at(-1)).toMatch(/staging/);
    expect(reactions(s)).toEqual(['eyes', 'confused']);
    await deploys(s, '/deploy staging');
    expect((await deploys(s, '/deploy production')).run.outcome).toEqual({ kind: 'success' });
  });
});

describe('/lock and /unlock', () => {
  it("keep everybody out but the lock's owner", async () => {
    const s = await world();
    await opened(s);
    await say(s, '/lock staging a release');
    await say(s, '/deploy staging', { actor: 'bob' });
    expect(replies(s).at(-1)).toMatch(/locked.*@ada/);
    expect((await deploys(s, '/deploy staging')).run.outcome).toEqual({ kind: 'success' });
    await say(s, '/lock staging mine', { actor: 'bob' });
    expect(replies(s).at(-1)).toMatch(/is locked already, by @ada .*`a release`.*\/unlock staging --force/);
    await say(s, '/unlock staging', { actor: 'bob' });
    expect(replies(s).at(-1)).toMatch(/stays locked.*@ada/);
    await say(s, '/unlock staging --force', { actor: 'bob' });
    expect(replies(s).at(-1)).toContain('Only a maintainer');
    expect(await s.store.locks.of(repository.id)).toHaveLength(1);
    await say(s, '/unlock staging --force', { actor: 'max' });
    expect(await s.store.locks.of(repository.id)).toEqual([]);
    await say(s, '/unlock staging');
    expect(replies(s).at(-1)).toContain("`staging` isn't locked.");
  });

  it.each([
    ['/lock staging', 3, 'ada'],
    ['/lock staging --sticky', null, 'ada'],
    ['/lock --all an incident', 3, 'max'],
  ])('%s ends with the pull request #%s', async (body, number, actor) => {
    const s = await world();
    await say(s, body, { actor });
    expect(await s.store.locks.of(repository.id)).toMatchObject([{ owner: actor, pullRequest: number }]);
    await s.engine.intake({ kind: 'pull_request_closed', repository, number: 3 });
    expect(await s.store.locks.of(repository.id)).toHaveLength(number === null ? 1 : 0);
  });

  it('of an issue, and of a closed pull request, stay', async () => {
    const s = await world({ forge: { pullRequests: [{ ...pull, state: 'closed' }] } });
    await s.engine.intake(onIssue('/lock staging'));
    await say(s, '/lock production');
    expect((await s.store.locks.of(repository.id)).map((it) => it.pullRequest)).toEqual([null, null]);
  });

  it('--all locks every environment', async () => {
    const s = await world();
    await opened(s);
    await say(s, '/lock --all an incident', { actor: 'max' });
    await say(s, '/deploy staging');
    expect(replies(s).at(-1)).toMatch(/locked.*@max/);
    await say(s, '/unlock --all', { actor: 'max' });
    expect((await deploys(s, '/deploy staging')).run.outcome).toEqual({ kind: 'success' });
  });
});

describe('/approve and /reject', () => {
  async function asks(): Promise<{ s: World; id: string }> {
    const s = await world();
    await opened(s);
    const id = idOf(await say(s, '/deploy asked'));
    await until(async () => (await s.store.runs.deploying(repository.id)).some(({ job }) => job.gate !== null));
    return { s, id };
  }

  it.each(['/approve', '/approve asked', '/APPROVE Asked'])('%s lets what waits go on', async (body) => {
    const { s, id } = await asks();
    expect(patched(s)).toEqual([]);
    await say(s, body, { actor: 'bob', at: Date.now() });
    expect(reactions(s).at(-1)).toBe('rocket');
    expect(outcomes(await ended(s, id))['deploy asked']).toBe('success');
  });

  it('are never the word of who asked, or of the author', async () => {
    const { s } = await asks();
    await say(s, '/approve', { at: Date.now() });
    expect(reactions(s).at(-1)).toBe('confused');
    expect(replies(s).at(-1)).toMatch(/@ada/);
    expect(patched(s)).toEqual([]);
  });

  it.each(['/reject', '/reject asked', '/reject asked not yet', '/reject not yet'])('%s ends it', async (body) => {
    const { s, id } = await asks();
    await say(s, body, { actor: 'bob', at: Date.now() });
    const outcome = outcomes(await ended(s, id))['deploy asked'];
    expect(outcome).toMatch(/^cancelled: Rejected by @bob/);
    expect(outcome?.includes('not yet')).toBe(body.endsWith('yet'));
    expect(patched(s)).toEqual([]);
  });

  it('say what waits, if it is something else', async () => {
    const { s } = await asks();
    await say(s, '/approve staging', { actor: 'bob', at: Date.now() });
    expect(replies(s).at(-1)).toBe('No deployment to `staging` waits for approval. Waiting: `asked`.');
    await say(s, '/approve askd', { actor: 'bob', at: Date.now() });
    expect(replies(s).at(-1)).toContain('Did you mean `asked`?');
  });

  it('of an issue name the environment', async () => {
    const { s, id } = await asks();
    await s.engine.intake(onIssue('/approve', { actor: 'bob', at: Date.now() }));
    expect(replies(s).at(-1)).toContain('Name the environment');
    await s.engine.intake(onIssue('/approve asked', { actor: 'bob', at: Date.now() }));
    expect(outcomes(await ended(s, id))['deploy asked']).toBe('success');
  });

  it('ask which, where several wait', async () => {
    const file = pipeline.replace(
      '    stable: 0s\n    allow: { teams: [acme/release] }',
      '    stable: 0s\n    approvals: 1',
    );
    const s = await world({ commits: { [main]: { 'slipway.yml': file }, [head]: { 'slipway.yml': file } } });
    await opened(s);
    await say(s, '/deploy asked\n/deploy vault');
    await until(async () => (await s.store.runs.deploying(repository.id)).filter(({ job }) => job.gate).length === 2);
    await say(s, '/approve', { actor: 'bob', at: Date.now() });
    expect(replies(s).at(-1)).toMatch(/Several deployments wait for approval: to `(asked|vault)` and `(asked|vault)`/);
  });
});

describe('a release', () => {
  const event = (change: Partial<ReleaseEvent> = {}): ReleaseEvent => ({
    kind: 'release',
    repository,
    releaseId: 5,
    tag: 'v1',
    name: 'One',
    prerelease: false,
    actor: 'ada',
    ...change,
  });
  const on = pipeline.replace('  vault:\n    stable: 0s', '  vault:\n    stable: 0s\n    on: { release: true }');

  it('deploys its tag to the environments that say so, once', async () => {
    const s = await world({ commits: { [main]: { 'slipway.yml': on } } });
    const result = await s.engine.intake(event());
    expect(result).toMatch(/^Run \w+ deploys to vault\.$/);
    expect(await s.engine.intake(event())).toBe(result);
    const view = await ended(s, idOf(result));
    expect(view.run.trigger).toMatchObject({
      via: 'release',
      tag: 'v1',
      request: 'release:5',
      sha: main,
      title: 'One',
    });
    expect(outcomes(view)['deploy vault']).toBe('success');
  });

  it.each([
    ['of a tag that is not there', event({ tag: 'v9' }), /names no commit/],
    ['before its time', event({ prerelease: true }), /pre-release/],
  ])('%s deploys nothing', async (_what, given, answer) => {
    const s = await world({ commits: { [main]: { 'slipway.yml': on } } });
    expect(await s.engine.intake(given)).toMatch(answer);
  });

  it('deploys nothing where no environment wants it', async () => {
    const s = await world();
    expect(await s.engine.intake(event())).toBe('No environment is deployed to by releases.');
  });
});
