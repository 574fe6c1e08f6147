import { describe, expect, it } from '@jest/globals';
import { PlatformError } from '#src/model/outcome.ts';
import {
  comment,
  commentedAt,
  deploys,
  foreign,
  head,
  main,
  older,
  onIssue,
  opened,
  patched,
  pull,
  pushed,
  pushedAt,
  reactions,
  replies,
  say,
  world,
} from './commanding.ts';
import { outcomes, pullRequest, repository, tag, trigger } from './world.ts';

describe('several commands in one comment', () => {
  it('are carried out in order, and answered once', async () => {
    const s = await world();
    await opened(s);
    await say(s, 'Go:\n/lock staging mine\n/deploy stagging\n> /deploy production\n/unlock staging\n');
    expect(reactions(s)).toEqual(['eyes', 'confused']);
    expect(replies(s)).toHaveLength(1);
    expect(replies(s)[0]).toContain('`/deploy stagging`\n\nThe pipeline file of `main` has no environment `stagging`');
    expect(replies(s)[0]).toContain('Did you mean `staging`?');
    expect(await s.store.locks.of(repository.id)).toEqual([]);
  });

  it('that say nothing wrong get no comment', async () => {
    const s = await world();
    await opened(s);
    await say(s, '/lock staging\n/unlock staging');
    expect(reactions(s)).toEqual(['eyes', 'rocket']);
    expect(replies(s)).toEqual([]);
  });

  it('deploy to several environments, each once, however often GitHub tells it', async () => {
    const s = await world();
    await opened(s);
    const event = comment('/deploy staging\n/deploy asked');
    await s.engine.intake(event);
    await s.engine.intake(event);
    const runs = (await s.store.runs.list({ limit: 10 })).filter((run) => run.trigger.kind === 'deploy');
    expect(runs).toHaveLength(2);
  });

  it('go on where GitHub failed, and do nothing twice', async () => {
    const s = await world();
    await opened(s);
    const event = comment('/lock staging mine\n/deploy staging');
    s.forge.failure = new PlatformError('GitHub is down.');
    await expect(s.engine.intake(event)).rejects.toThrow('GitHub is down.');
    s.forge.failure = null;
    await s.engine.intake(event);
    const audit = await s.store.audit.list(null, 50);
    expect(audit.filter((it) => it.action === 'lock')).toHaveLength(1);
    expect(reactions(s).at(-1)).toBe('rocket');
  });
});

it.each(['before', 'after'])('a server that dies %s it has written down its answer deploys once', async (when) => {
  let dies = true;
  const s = await world({
    store: (store) => ({
      ...store,
      told: {
        ...store.told,
        async set(key, value) {
          if (when === 'after') await store.told.set(key, value);
          if (dies && key.startsWith('command ')) throw new PlatformError('It died.');
          if (when === 'before') await store.told.set(key, value);
        },
      },
    }),
  });
  await opened(s);
  const event = comment('/deploy staging');
  await expect(s.engine.intake(event)).rejects.toThrow('It died.');
  dies = false;
  // The head moves meanwhile: what was accepted stays so.
  s.forge.setPullRequest({ ...pull, sha: older });
  await opened(s, older, commentedAt + 5_000);
  await s.engine.intake(event);
  const runs = (await s.store.runs.list({ limit: 10 })).filter((run) => run.trigger.kind === 'deploy');
  expect(runs.map((run) => run.trigger.sha)).toEqual([head]);
  expect(reactions(s).at(-1)).toBe('rocket');
});

it('what is answered, and the eyes, hold up nothing; handled again, a command is only answered', async () => {
  const s = await world();
  await opened(s);
  const never = new Promise<void>(() => undefined);
  const before = { ...s.forge };
  s.forge.react = () => never;
  s.forge.comment = () => never;
  const tells: (() => Promise<void>)[] = [];
  const wrong = comment('/deploy stagging\n/lock staging mine');
  expect(await s.engine.intake(wrong, (tell) => tells.push(tell))).toMatch(/^Refused: .*Locked/s);
  const next = await s.engine.intake(comment('/deploy production', { actor: 'bob' }), (tell) => tells.push(tell));
  expect(tells).toHaveLength(2);
  expect(next).toMatch(/^Refused: /);
  // The server dies before anything was told. The lock is gone by then, and isn't taken again.
  Object.assign(s.forge, before);
  await s.engine.intake(comment('/unlock staging'));
  await s.engine.intake(wrong);
  expect(await s.store.locks.of(repository.id)).toEqual([]);
  expect(replies(s).at(-1)).toContain('Did you mean `staging`?');
  expect(reactions(s).at(-1)).toBe('confused');
});

it('a reaction that fails stops nothing', async () => {
  const s = await world();
  await opened(s);
  s.forge.react = async () => {
    throw new PlatformError('GitHub is busy.');
  };
  expect((await deploys(s, '/deploy staging')).run.outcome).toEqual({ kind: 'success' });
  expect(patched(s)).toEqual(['staging/api']);
});

it("other bots' commands stay unanswered", async () => {
  const s = await world();
  expect(await say(s, '/lgtm\n/assign @ada\n/etc/passwd')).toBe('The comment holds no command.');
  expect([reactions(s), replies(s)]).toEqual([[], []]);
});

it('a slip is answered with what was meant', async () => {
  const s = await world();
  await say(s, '/depoly staging');
  expect(replies(s)).toEqual([expect.stringContaining('Did you mean `/deploy`?')]);
  expect(reactions(s)).toEqual(['eyes', 'confused']);
});

it("the operator's aliases are commands", async () => {
  const s = await world({ policy: { aliases: () => ({ '.deploy': '/deploy', '.ship': '/deploy staging' }) } });
  await opened(s);
  expect((await deploys(s, '.deploy staging')).run.outcome).toEqual({ kind: 'success' });
  await say(s, '.ship');
  await say(s, '/help', { actor: 'eve' });
  expect(replies(s).at(-1)).toContain('`.ship` for `/deploy staging`');
  expect(reactions(s)).toEqual(['eyes', 'rocket', 'eyes', 'rocket', 'eyes', 'rocket']);
});

describe('the commit that a command is about', () => {
  it('is the head that the comment was written about, if it still is', async () => {
    const s = await world();
    await opened(s, older, pushedAt - 60_000);
    await opened(s);
    const { run } = await deploys(s, '/deploy staging');
    expect(run.trigger.sha).toBe(head);
  });

  it('is asked for if it moved since, with both commits, and then deployed by its name', async () => {
    const s = await world();
    await opened(s, older);
    s.forge.setPullRequest(pull);
    await opened(s, head, commentedAt + 5_000);
    expect(await say(s, '/deploy staging')).toMatch(/^Refused/);
    expect(replies(s)[0]).toContain(`it was \`${older}\`, and now it is \`${head}\``);
    expect(replies(s)[0]).toContain(`\`/deploy staging ${head}\``);
    expect(patched(s)).toEqual([]);
    expect((await deploys(s, `/deploy staging ${head}`)).run.trigger.sha).toBe(head);
    // And the one that was meant, too.
    expect((await deploys(s, `/deploy staging ${older.slice(0, 10)}`)).run.trigger.sha).toBe(older);
  });

  it('is unclear in the second of the push', async () => {
    const s = await world();
    await opened(s, older);
    await opened(s, head, commentedAt);
    await say(s, '/deploy staging');
    expect(replies(s)[0]).toContain('has moved, or may have');
  });

  it('is unclear if GitHub tells another head than Slipway has heard of', async () => {
    const s = await world();
    await opened(s, older);
    await say(s, '/deploy staging');
    expect(replies(s)[0]).toContain(older);
    expect(replies(s)[0]).toContain(head);
  });
});

describe('/deploy ENV REF', () => {
  it.each([
    ['a branch', 'main', { branch: 'main', sha: main }],
    ['a branch in full', 'refs/heads/main', { branch: 'main', sha: main }],
    ['a tag', 'v1', { tag: 'v1', sha: main, branch: '' }],
    ['a commit of the default branch', main, { sha: main }],
    ['the beginning of a head of the pull request', head.slice(0, 8), { sha: head, branch: 'feature' }],
  ])('takes %s', async (_what, ref, expected) => {
    const s = await world({
      forge: { commits: { [main]: main, [head.slice(0, 8)]: head } },
    });
    await opened(s);
    const { run } = await deploys(s, `/deploy staging ${ref}`);
    expect(run.trigger).toMatchObject({ kind: 'deploy', environment: 'staging', ...expected });
    expect(run.outcome).toEqual({ kind: 'success' });
    expect(replies(s).at(-1)).toContain(`Deploys to \`staging\`: \`${run.trigger.sha.slice(0, 12)}\``);
  });

  it('hands the values on', async () => {
    const s = await world();
    await opened(s);
    const { run } = await deploys(s, '/deploy staging main -- colour=green');
    expect(run.trigger).toMatchObject({ params: { colour: 'green' } });
  });

  it.each([
    ['a commit of a stranger', foreign, /isn't known to be on a branch or tag.*stranger/],
    ['a ref of pull requests', 'refs/pull/4/head', /no name of a branch, tag or commit/],
    ['a ref of pull requests, in short', 'pull/4/head', /no name of a branch, tag or commit/],
    ['an expression of git', 'main~1', /no name/],
    ['an option of git', '-x', /no name/],
    ['a branch that is not there', 'nowhere', /has no branch, tag or commit `nowhere`/],
    ['too few digits', 'c0ffe', /at least|at least 7 digits|name at least 7 digits/],
    ['a commit that is not there', 'c0ffee1', /has no branch, tag or commit `c0ffee1`/],
  ])('refuses %s', async (_what, ref, reason) => {
    const s = await world();
    await opened(s);
    expect(await say(s, `/deploy staging ${ref}`)).toMatch(/^Refused/);
    expect(replies(s)[0]).toMatch(reason);
    expect(patched(s)).toEqual([]);
  });

  it('refuses what a fork has pushed, though there was a run of it', async () => {
    const fork = { fork: true, number: 4, ref: 'refs/pull/4/head', actor: 'eve', author: { login: 'eve', bot: false } };
    const s = await world({ policy: { strangers: () => ({ approval: 'never', network: 'private' }) } });
    await opened(s);
    await s.play(trigger(pullRequest(foreign, fork)));
    await say(s, `/deploy staging ${foreign}`);
    expect(replies(s)[0]).toContain("isn't known to be on a branch or tag");
    // Nor by a comment on its own pull request.
    s.forge.setPullRequest({ ...pull, number: 4, fork: true, sha: foreign, author: 'eve' });
    await say(s, `/deploy staging ${foreign}`, { number: 4 });
    expect(replies(s)[1]).toContain("isn't known to be on a branch or tag");
    await say(s, '/deploy staging', { number: 4 });
    expect(replies(s)[2]).toContain('comes from a fork');
    // But the fork's pull request may be where main is deployed from.
    expect((await deploys(s, '/deploy staging main', { number: 4 })).run.trigger.sha).toBe(main);
  });

  it('takes a commit that somebody with write permission pushed to a branch', async () => {
    const s = await world();
    await opened(s);
    await pushed(s, foreign);
    expect((await deploys(s, `/deploy staging ${foreign}`)).run.trigger.sha).toBe(foreign);
  });

  it('tells a branch and a tag of one name apart', async () => {
    const s = await world({ refs: { 'refs/heads/main': main, 'refs/heads/v2': head, 'refs/tags/v2': main } });
    await opened(s);
    await say(s, '/deploy staging v2');
    expect(replies(s)[0]).toContain('write `refs/heads/v2` or `refs/tags/v2`');
    expect((await deploys(s, '/deploy staging refs/tags/v2')).run.trigger).toMatchObject({ sha: main, tag: 'v2' });
  });
});

describe('on an issue', () => {
  it.each([
    ['/deploy staging', /On an issue, name what is to be deployed.*`\/deploy staging main`/],
    ['/plan staging', /On an issue, name the commit/],
    ['/retry', /is about a pull request, and this is an issue/],
    ['/run lint', /is about a pull request/],
    ['/cancel', /is about a pull request/],
    [`/ok-to-test ${head}`, /is about a pull request/],
    ['/approve', /Name the environment|No deployment/],
  ])('%s is refused with why', async (body, reason) => {
    const s = await world();
    expect(await s.engine.intake(onIssue(body))).toMatch(/^Refused/);
    expect(s.forge.comments).toEqual([{ number: 9, body: expect.stringMatching(reason) as unknown }]);
  });

  it('a branch is deployed, and the run is told', async () => {
    const s = await world();
    const result = await s.engine.intake(onIssue('/deploy staging main'));
    expect(result).toMatch(/^Run \w+ deploys\./);
    expect(s.forge.comments[0]?.number).toBe(9);
    expect(replies(s)[0]).toMatch(/Deploys to `staging`.*https:\/\/slipway.example\/runs\//);
    const [run] = await s.store.runs.list({ limit: 1 });
    expect(run?.trigger).toMatchObject({ number: null, branch: 'main' });
    expect(run?.pullRequest).toBeNull();
  });
});

describe('who may', () => {
  it.each([
    ['/deploy staging', 'eve', /@eve may not deploy/],
    ['/deploy staging', 'nobody', /"none"/],
    ['/deploy vault', 'ada', /@ada may not deploy to.*vault/],
    ['/lock staging', 'eve', /@eve may not deploy/],
    ['/lock --all', 'rob', /needs write permission/],
    ['/rollback staging', 'eve', /Nothing was deployed|@eve may not/],
    ['/cancel', 'eve', /@eve may not cancel/],
    ['/retry', 'eve', /@eve may not run jobs again/],
    ['/run lint', 'eve', /@eve may not run jobs again/],
    ['/where', 'nobody', /needs read permission/],
    ['/plan staging', 'nobody', /needs read permission/],
  ])('%s by %s is refused', async (body, actor, reason) => {
    const s = await world();
    await opened(s);
    expect(await say(s, body, { actor })).toMatch(/^Refused/);
    expect(replies(s)[0]).toMatch(reason);
    expect(reactions(s)).toEqual(['eyes', 'confused']);
    expect((await s.store.audit.list(null, 1))[0]).toMatchObject({ actor, decision: 'refused' });
    expect(patched(s)).toEqual([]);
  });

  it('is the team that the environment names, whatever their role', async () => {
    const s = await world();
    await opened(s);
    const view = await deploys(s, '/deploy vault', { actor: 'rob' });
    expect(outcomes(view)).toMatchObject({ 'deploy vault': 'success' });
    expect((await s.store.audit.list(null, 50)).find((it) => it.action === 'deploy command')).toMatchObject({
      actor: 'rob',
      subject: 'vault',
      decision: 'allowed',
    });
  });

  it("is whom the operator names, beside the repository's own rule", async () => {
    const s = await world({ policy: { deployers: () => ({ permission: null, people: ['bob'], teams: [] }) } });
    await opened(s);
    await say(s, '/deploy staging');
    expect(replies(s)[0]).toContain('@ada may not deploy');
    expect((await deploys(s, '/deploy staging', { actor: 'bob' })).run.outcome).toEqual({ kind: 'success' });
  });
});

it('/help lists commands and environments, to everybody', async () => {
  const s = await world();
  await say(s, '/HELP', { actor: 'mallory' });
  expect(replies(s)[0]).toContain('| `/rollback ENV [N\\|SHA\\|TAG] [--force]` |');
  expect(replies(s)[0]).toContain('| `production` after `staging` |');
  expect(replies(s)[0]).toContain('the team `acme/release`');
});

it('/where shows what runs where, with locks', async () => {
  const s = await world();
  await opened(s);
  await deploys(s, '/deploy staging');
  await say(s, '/lock production a freeze\n/where');
  expect(replies(s).at(-1)).toContain(`| **staging** |`);
  expect(replies(s).at(-1)).toContain('a freeze');
});

it('/plan shows what would change', async () => {
  const s = await world();
  await opened(s);
  await say(s, '/plan staging');
  expect(replies(s)[0]).toContain('staging');
  expect(patched(s)).toEqual([]);
});

describe('a tag', () => {
  it('that was moved deploys by its name alone', async () => {
    const on = `on: { tag: "v*" }\n    rollout: [{ deployment: shop/api`;
    const { pipeline } = await import('./commanding.ts');
    const file = { 'slipway.yml': pipeline.replace('after: staging\n    rollout: [{ deployment: shop/api', on) };
    const s = await world({ commits: { [main]: file, [head]: file } });
    expect(outcomes(await s.play(trigger(tag(main, 'v7'))))).toMatchObject({ 'deploy production': 'success' });
    const again = await s.play(trigger(tag(head, 'v7')));
    expect(outcomes(again)['deploy production']).toMatch(/^failure: The tag `v7` was moved/);
    expect(patched(s)).toEqual(['shop/api']);
  });
});
