import { describe, expect, it } from '@jest/globals';
import { buttonsOf, environmentMark, refusedKey } from '#src/model/button.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { Job, RunView } from '#src/model/run.ts';
import {
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
  replies,
  say,
  world,
} from './commanding.ts';
import { ended, idOf, until, viewOf, type World } from './held.ts';
import { outcomes, pullRequest, repository, tag, trigger } from './world.ts';

/** Each commit's image has a digest of its own. */
const commits = Object.fromEntries(
  [main, older, head].map((sha) => {
    const image = 'image: registry.example/acme/shop';
    return [sha, { 'slipway.yml': pipeline.replace(image, `${image}, args: { COMMIT: "${sha}" }`) }];
  }),
);

function jobOf(view: RunView, key: string): Job {
  const job = view.jobs.find(({ plan }) => plan.key === key);
  if (job === undefined) throw new Error(`There is no job ${key}.`);
  return job;
}

/** Presses the button with this label, which has to be there. */
async function press(s: World, view: RunView, key: string, label: string, actor = 'ada'): Promise<string> {
  const job = jobOf(await viewOf(s, view.run.id), key);
  const button = buttonsOf(job).find((it) => it.label === label);
  if (button === undefined) throw new Error(`No button ${label}: ${JSON.stringify(buttonsOf(job))}`);
  return await pressed(s, view, job.id, button.identifier, actor);
}

async function pressed(s: World, view: RunView, job: string, identifier: string, actor = 'ada'): Promise<string> {
  const { sha } = view.run.trigger;
  return await s.engine.intake({ kind: 'button', repository, sha, actor, externalId: job, identifier });
}

const lastAudit = async (s: World) => (await s.store.audit.list(null, 1))[0];

describe('Deploy', () => {
  it("deploys the pull request's head", async () => {
    const s = await world();
    const view = await opened(s);
    const run = await ended(s, idOf(await press(s, view, 'deployment plan', 'Deploy staging')));
    expect(run.run.trigger).toMatchObject({
      kind: 'deploy',
      via: 'button',
      environment: 'staging',
      sha: head,
      number: 3,
    });
    expect(outcomes(run)['deploy staging']).toBe('success');
  });

  it('pressed twice, or told twice, deploys once, and again once that is over', async () => {
    const s = await world();
    const view = await opened(s);
    const answers = await Promise.all([
      press(s, view, 'deployment plan', 'Deploy staging'),
      press(s, view, 'deployment plan', 'Deploy staging'),
    ]);
    expect(new Set(answers).size).toBe(1);
    await ended(s, idOf(answers[0]));
    expect(await press(s, view, 'deployment plan', 'Deploy staging')).not.toBe(answers[0]);
  });

  it.each([
    ['by a reader', 'eve', 'Deploy staging', {}, /@eve may not deploy/],
    ['of a head that is none any more', 'ada', 'Deploy staging', { sha: older }, /isn't the head .* any more/],
    ['of a closed pull request', 'ada', 'Deploy staging', { state: 'closed' }, /closed/],
    ['by who may not deploy there', 'ada', 'Deploy asked', { lock: true }, /locked.*@max/],
  ] as const)('%s is refused on the pull request, and written down', async (_what, actor, label, change, reason) => {
    const s = await world();
    const view = await opened(s);
    if ('lock' in change) await say(s, '/lock --all', { actor: 'max' });
    s.forge.setPullRequest({ ...pull, ...change });
    expect(await press(s, view, 'deployment plan', label, actor)).toMatch(reason);
    expect(replies(s).at(-1)).toMatch(
      new RegExp(`^@${actor} pressed a button on \`deployment plan\`, and it was refused: `),
    );
    expect(replies(s).at(-1)).toMatch(reason);
    expect(await lastAudit(s)).toMatchObject({ actor, decision: 'refused' });
    expect(patched(s)).toEqual([]);
  });

  it('to an environment that the default branch has no more is refused', async () => {
    const s = await world();
    const view = await opened(s);
    const { id } = jobOf(view, 'deployment plan');
    expect(await pressed(s, view, id, `deploy:${environmentMark('gone')}`)).toContain(
      'has the environment of that button no more',
    );
  });

  it("is never there for a stranger's commit", async () => {
    const s = await world({ policy: { strangers: () => ({ approval: 'never', network: 'private' }) } });
    const fork = { fork: true, ref: 'refs/pull/3/head', actor: 'eve', author: { login: 'eve', bot: false } };
    const view = await s.play(trigger(pullRequest(head, fork)));
    expect(view.jobs.map(({ plan }) => plan.key)).toEqual(['lint', 'image']);
    expect(await pressed(s, view, jobOf(view, 'lint').id, `deploy:${environmentMark('staging')}`)).toContain(
      'never deployed',
    );
    expect(patched(s)).toEqual([]);
  });
});

describe('Approve and Reject', () => {
  async function waits(): Promise<{ s: World; view: RunView }> {
    const s = await world();
    await opened(s);
    const id = idOf(await say(s, '/deploy asked'));
    await until(async () => (await viewOf(s, id)).jobs.some((job) => job.gate?.kind === 'approval'));
    return { s, view: await viewOf(s, id) };
  }

  it('let it go on, for who may', async () => {
    const { s, view } = await waits();
    await press(s, view, 'deploy asked', 'Approve');
    expect(replies(s).at(-1)).toMatch(/^@ada pressed a button on `deploy asked`, and it was refused: /);
    expect(patched(s)).toEqual([]);
    await press(s, view, 'deploy asked', 'Approve', 'bob');
    expect(outcomes(await ended(s, view.run.id))['deploy asked']).toBe('success');
  });

  it('end it', async () => {
    const { s, view } = await waits();
    await press(s, view, 'deploy asked', 'Reject', 'bob');
    expect(outcomes(await ended(s, view.run.id))['deploy asked']).toBe('cancelled: Rejected by @bob.');
  });
});

describe('Roll back', () => {
  async function twice(): Promise<{ s: World; first: RunView; second: RunView }> {
    const s = await world({ commits });
    await opened(s);
    await pushed(s, main);
    const first = await deploys(s, `/deploy staging ${main}`);
    const second = await deploys(s, '/deploy staging');
    return { s, first, second };
  }

  it('goes back from what runs now, once', async () => {
    const { s, second } = await twice();
    const back = await press(s, second, 'deploy staging', 'Roll back');
    const view = await ended(s, idOf(back));
    expect(view.run.trigger).toMatchObject({ mode: 'rollback', via: 'button', sha: main });
    expect(patched(s)).toHaveLength(3);
    expect(await press(s, second, 'deploy staging', 'Roll back')).toContain("isn't what runs in `staging` any more");
    expect(patched(s)).toHaveLength(3);
  });

  it('of what was replaced is refused', async () => {
    const { s, first } = await twice();
    expect(await press(s, first, 'deploy staging', 'Roll back')).toContain("isn't what runs in `staging` any more");
    expect(replies(s).at(-1)).toContain('`/rollback staging`');
  });

  it('is refused to readers', async () => {
    const { s, second } = await twice();
    expect(await press(s, second, 'deploy staging', 'Roll back', 'eve')).toContain('@eve may not deploy');
  });
});

describe('Promote', () => {
  it('deploys the same images to what comes next', async () => {
    const s = await world({ commits });
    await opened(s);
    const view = await deploys(s, '/deploy staging');
    const run = await ended(s, idOf(await press(s, view, 'deploy staging', 'Promote: production')));
    expect(run.run.trigger).toMatchObject({ mode: 'promote', environment: 'production', via: 'button' });
    expect(outcomes(run)).toEqual({ 'deploy production': 'success' });
    expect(new Set(s.cluster.patches.map((it) => it.split('@')[1])).size).toBe(1);
  });

  it('is refused once something else runs there', async () => {
    const s = await world({ commits });
    await opened(s);
    await pushed(s, main);
    const view = await deploys(s, '/deploy staging');
    await deploys(s, `/deploy staging ${main}`);
    expect(await press(s, view, 'deploy staging', 'Promote: production')).toContain(
      "isn't what runs in `staging` any more",
    );
  });
});

describe('A press that is refused where there is no pull request', () => {
  const cases: readonly (readonly [string, (s: World) => Promise<RunView>, string, string, string])[] = [
    ['on what was asked for on an issue', deployedOnIssue, 'deploy staging', 'roll-back', 'Roll back'],
    ["on a tag's run", (s) => s.play(trigger(tag(main))), 'lint', 'retry-failed', 'Retry failed jobs'],
  ];

  it.each(cases)('%s is shown on the check run, until the job runs again', async (_what, begin, key, button, label) => {
    const s = await world({ script: () => (key === 'lint' ? 1 : 0) });
    const view = await begin(s);
    expect(view.run.pullRequest).toBeNull();
    const said = replies(s).length;
    const job = jobOf(view, key);
    await pressed(s, view, job.id, button, 'eve');
    const line = await s.store.told.get(refusedKey(job));
    expect(line).toMatch(
      new RegExp(`^@eve pressed .${label}. at \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC, and it was refused: .`),
    );
    expect((await viewOf(s, view.run.id)).run.version).toBeGreaterThan(view.run.version);
    expect(s.reporter.reported.at(-1)).toBe(view.run.id);
    expect(replies(s)).toHaveLength(said);
    expect(await s.store.told.get(refusedKey({ ...job, attempt: 2 }))).toBeNull();
  });

  async function deployedOnIssue(s: World): Promise<RunView> {
    return await ended(s, idOf(await s.engine.intake(onIssue('/deploy staging main'))));
  }
});

it('a refusal that GitHub cannot be told of now is not asked again, when it could be accepted', async () => {
  const s = await world();
  const view = await opened(s);
  s.forge.comment = async () => {
    throw new PlatformError('GitHub is down.');
  };
  expect(await press(s, view, 'deployment plan', 'Deploy staging', 'eve')).toContain('@eve may not deploy');
  expect(await s.store.told.get(refusedKey(jobOf(view, 'deployment plan')))).toContain('@eve pressed');
});

it('Retry deploys nothing for who may not deploy there', async () => {
  const base = options();
  const s = await world({ cluster: { ...base.cluster!, refuse: () => new UserError('Not now.') } });
  await opened(s);
  const view = await deploys(s, '/deploy vault', { actor: 'rob' });
  expect(await press(s, view, 'deploy vault', 'Retry failed jobs')).toContain('@ada may not deploy');
  expect(replies(s).at(-1)).toContain('@ada may not deploy');
});
