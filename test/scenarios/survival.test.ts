import { describe, expect, it } from '@jest/globals';
import { PlatformError } from '#src/model/outcome.ts';
import { ended, held, idOf, until, viewOf } from './held.ts';
import { outcomes, pullRequest, push, repository, scenario, trigger } from './world.ts';

const one = 'jobs: { work: { image: node, run: work } }';

const pull = {
  number: 3,
  state: 'open',
  title: 'A change',
  sha: 'a1',
  branch: 'feature',
  base: 'main',
  fork: false,
  author: 'ada',
} as const;

describe('a newer push to a pull request', () => {
  it('ends the runs of the commits before it, and says which commit came', async () => {
    const work = held();
    const s = await scenario({ commits: { a1: { 'slipway.yml': one }, b2: { 'slipway.yml': one } }, ...work });
    const first = idOf(await s.engine.intake(trigger(pullRequest('a1', { at: 1_000 }))));
    await work.begun(1);
    const second = idOf(await s.engine.intake(trigger(pullRequest('b2', { at: 2_000 }))));
    const view = await ended(s, first);
    expect(outcomes(view)).toEqual({ work: 'cancelled: Cancelled: a newer commit, b2, was pushed to #3.' });
    expect(view.run.outcome?.kind).toBe('cancelled');
    await work.begun(2);
    work.letGo();
    expect((await ended(s, second)).run.outcome).toEqual({ kind: 'success' });
  });

  it('is not undone by a late word of the commit before', async () => {
    const s = await scenario({ commits: { a1: { 'slipway.yml': one }, b2: { 'slipway.yml': one } } });
    const second = await s.play(trigger(pullRequest('b2', { at: 2_000 })));
    const first = await s.play(trigger(pullRequest('a1', { at: 1_000 })));
    expect(second.run.outcome).toEqual({ kind: 'success' });
    expect(first.run.outcome?.kind).toBe('cancelled');
    expect(s.executor.requests).toHaveLength(1);
  });

  it('ends nothing where the operator switched that off', async () => {
    const work = held();
    const s = await scenario({
      commits: { a1: { 'slipway.yml': one }, b2: { 'slipway.yml': one } },
      cancelSuperseded: false,
      ...work,
    });
    const first = idOf(await s.engine.intake(trigger(pullRequest('a1', { at: 1_000 }))));
    await work.begun(1);
    await s.engine.intake(trigger(pullRequest('b2', { at: 2_000 })));
    expect((await viewOf(s, first)).run.cancel).toBeNull();
  });

  it('leaves a fork of another pull request alone', async () => {
    const work = held();
    const s = await scenario({ commits: { a1: { 'slipway.yml': one }, b2: { 'slipway.yml': one } }, ...work });
    const fork = idOf(await s.engine.intake(trigger(pullRequest('a1', { number: 8, fork: true, at: 1_000 }))));
    await s.engine.intake(trigger(pullRequest('b2', { at: 2_000 })));
    expect((await viewOf(s, fork)).run.cancel).toBeNull();
  });

  it('ends the older commit of a fork', async () => {
    const s = await scenario({ commits: { a1: { 'slipway.yml': one }, b2: { 'slipway.yml': one } }, ...held() });
    const first = idOf(await s.engine.intake(trigger(pullRequest('a1', { number: 8, fork: true, at: 1_000 }))));
    await s.engine.intake(trigger(pullRequest('b2', { number: 8, fork: true, at: 2_000 })));
    expect((await ended(s, first)).run.outcome?.kind).toBe('cancelled');
  });

  it('ends a retry before it begins', async () => {
    let tries = 0;
    const s = await scenario({
      commits: { a1: { 'slipway.yml': one }, b2: { 'slipway.yml': one } },
      repeatsItself: true,
      script: (_script, { request }) => {
        tries += 1;
        if (request.runId === first) throw new PlatformError('The registry does not answer.');
        return 0;
      },
    });
    let first = '';
    const store = s.store.runs;
    first = (await store.create({ repository, trigger: pullRequest('a1', { at: 1_000 }), pullRequest: 3, at: 1 })).run
      .id;
    await s.engine.driveAll();
    await until(async () => (await viewOf(s, first)).jobs[0]?.attempt === 2);
    await s.play(trigger(pullRequest('b2', { at: 2_000 })));
    const view = await ended(s, first);
    expect(view.run.outcome?.kind).toBe('cancelled');
    expect(view.jobs[0]).toMatchObject({ attempt: 2, outcome: { kind: 'cancelled' } });
    expect(view.jobs[0]?.earlier).toMatchObject([{ by: 'platform', outcome: { kind: 'broken' } }]);
    expect(tries).toBe(2);
  });
});

describe('a commit that is the head again', () => {
  const commits = { a1: { 'slipway.yml': one }, b2: { 'slipway.yml': one } };

  it.each([
    ['one event', [pullRequest('a1', { at: 3_000 })]],
    [
      'the push and the pull request',
      [push('a1', 'feature'), pullRequest('a1')].map((t, i) => ({ ...t, at: 3_000 + i })),
    ],
  ])('runs after all, and the commit between is ended: %s', async (_name, events) => {
    const work = held();
    const s = await scenario({ commits, forge: { pullRequests: [pull] }, ...work });
    const first = idOf(await s.engine.intake(trigger(pullRequest('a1', { at: 1_000 }))));
    await work.begun(1);
    const second = idOf(await s.engine.intake(trigger(pullRequest('b2', { at: 2_000 }))));
    expect((await ended(s, first)).run.outcome?.kind).toBe('cancelled');
    await work.begun(2);
    for (const event of events) await s.engine.intake(trigger(event));
    expect((await ended(s, second)).run.outcome?.kind).toBe('cancelled');
    await work.begun(3);
    work.letGo();
    const view = await ended(s, first);
    expect(view.run.outcome).toEqual({ kind: 'success' });
    expect(view.jobs[0]?.earlier).toMatchObject([{ why: 'its commit is the head again' }]);
  });

  it('is not mistaken for one of which a word comes late', async () => {
    const s = await scenario({ commits, ...held() });
    const first = idOf(await s.engine.intake(trigger(pullRequest('a1', { at: 1_000 }))));
    const second = idOf(await s.engine.intake(trigger(pullRequest('b2', { at: 3_000 }))));
    await ended(s, first);
    await s.engine.intake(trigger(pullRequest('a1', { at: 2_000 })));
    expect((await viewOf(s, first)).run.state).toBe('completed');
    expect((await viewOf(s, second)).run.cancel).toBeNull();
  });

  it('stays it when the word of the commit between comes twice', async () => {
    const s = await scenario({ commits });
    const first = await s.play(trigger(pullRequest('a1', { at: 1_000 })));
    await s.play(trigger(pullRequest('b2', { at: 2_000 })));
    expect(first.run.outcome).toEqual({ kind: 'success' });
    await s.engine.intake(trigger(pullRequest('a1', { at: 3_000 })));
    await s.engine.intake({ kind: 'rerun', repository, sha: 'a1', actor: 'ada', externalId: null });
    await s.engine.intake(trigger(pullRequest('b2', { at: 2_000 })));
    expect((await ended(s, first.run.id)).run.outcome).toEqual({ kind: 'success' });
  });

  it('runs also if its jobs are just being stopped', async () => {
    const work = held();
    const s = await scenario({ commits, ...work });
    const first = idOf(await s.engine.intake(trigger(pullRequest('a1', { at: 1_000 }))));
    await work.begun(1);
    const cancellation = { reason: 'Cancelled: a newer commit was pushed.', by: 'slipway' } as const;
    await s.store.runs.cancel(first, cancellation);
    await expect(s.engine.intake(trigger(pullRequest('a1', { at: 3_000 })))).rejects.toThrow(/is being cancelled/);
    await s.engine.cancel(first, cancellation);
    await ended(s, first);
    await s.engine.intake(trigger(pullRequest('a1', { at: 3_000 })));
    await work.begun(2);
    work.letGo();
    expect((await ended(s, first)).run.outcome).toEqual({ kind: 'success' });
  });
});

describe('closing a pull request', () => {
  const closed = { kind: 'pull_request_closed', repository, number: 3 } as const;

  it('ends what runs for it, and says so', async () => {
    const work = held();
    const s = await scenario({ commits: { a1: { 'slipway.yml': one } }, ...work });
    const id = idOf(await s.engine.intake(trigger(pullRequest('a1', { at: 1_000 }))));
    await work.begun(1);
    expect(await s.engine.intake({ ...closed, at: 2_000 })).toContain('a run was cancelled');
    expect(outcomes(await ended(s, id))).toEqual({ work: 'cancelled: Cancelled: pull request #3 was closed.' });
  });

  it('ends nothing that was pushed after it was opened again', async () => {
    const s = await scenario({ commits: { a1: { 'slipway.yml': one } }, ...held() });
    const id = idOf(await s.engine.intake(trigger(pullRequest('a1', { at: 3_000 }))));
    await s.engine.intake({ ...closed, at: 2_000 });
    expect((await viewOf(s, id)).run.cancel).toBeNull();
  });

  it('is undone by opening it again', async () => {
    const work = held();
    const s = await scenario({ commits: { a1: { 'slipway.yml': one } }, ...work });
    const id = idOf(await s.engine.intake(trigger(pullRequest('a1', { at: 1_000 }))));
    await work.begun(1);
    await s.engine.intake({ ...closed, at: 2_000 });
    await ended(s, id);
    await s.engine.intake(trigger(pullRequest('a1', { at: 3_000 })));
    await work.begun(2);
    work.letGo();
    expect((await ended(s, id)).run.outcome).toEqual({ kind: 'success' });
  });
});

describe('/cancel', () => {
  const comment = (actor: string) =>
    ({
      kind: 'comment',
      repository,
      number: 3,
      commentId: 77,
      actor,
      body: '/cancel',
      at: Date.now() + 10_000,
    }) as const;

  it('by somebody with the right ends the runs, names who asked, and is written down', async () => {
    const work = held();
    const s = await scenario({
      commits: { a1: { 'slipway.yml': one } },
      forge: { roles: { ada: 'write' } },
      ...work,
    });
    const id = idOf(await s.engine.intake(trigger(pullRequest('a1'))));
    await work.begun(1);
    await s.engine.intake(comment('ada'));
    const view = await ended(s, id);
    expect(view.run.cancel).toEqual({ reason: 'Cancelled by @ada.', by: 'person' });
    expect(outcomes(view)).toEqual({ work: 'cancelled: Cancelled by @ada.' });
    expect(s.forge.reactions.map((it) => it.reaction)).toEqual(['eyes', 'rocket']);
    expect(s.forge.comments).toEqual([]);
    expect(await s.store.audit.list(null, 5)).toMatchObject([
      { actor: 'ada', action: 'cancel command', subject: '#3', decision: 'allowed' },
    ]);
  });

  it('by somebody without it is refused with the reason, and nothing ends', async () => {
    const work = held();
    const s = await scenario({ commits: { a1: { 'slipway.yml': one } }, forge: { roles: { eve: 'read' } }, ...work });
    const id = idOf(await s.engine.intake(trigger(pullRequest('a1'))));
    await work.begun(1);
    await s.engine.intake(comment('eve'));
    expect((await viewOf(s, id)).run.cancel).toBeNull();
    expect(s.forge.reactions.map((it) => it.reaction)).toEqual(['eyes', 'confused']);
    expect(s.forge.comments[0]?.body).toMatch(/@eve may not cancel: that needs write permission.*"read"/);
    work.letGo();
    expect((await ended(s, id)).run.outcome).toEqual({ kind: 'success' });
  });

  it('that is carried out a second time, because the server died, says nothing else than before', async () => {
    const work = held();
    const s = await scenario({ commits: { a1: { 'slipway.yml': one } }, forge: { roles: { ada: 'write' } }, ...work });
    const id = idOf(await s.engine.intake(trigger(pullRequest('a1'))));
    await work.begun(1);
    await s.engine.intake(comment('ada'));
    await ended(s, id);
    await s.engine.intake(comment('ada'));
    expect(s.forge.comments).toEqual([]);
    expect(new Set(s.forge.reactions.map((r) => r.reaction))).toEqual(new Set(['eyes', 'rocket']));
  });

  it('says that there is nothing to cancel', async () => {
    const s = await scenario({ commits: {}, forge: { roles: { ada: 'write' } } });
    await s.engine.intake(comment('ada'));
    expect(s.forge.comments[0]?.body).toBe('Nothing runs for this pull request.');
  });
});

it('the cancel button ends the whole run for who may, and for nobody else', async () => {
  const work = held();
  const s = await scenario({
    commits: {
      a1: { 'slipway.yml': 'jobs: { work: { image: node, run: work }, next: { image: node, run: x, needs: work } }' },
    },
    forge: { roles: { ada: 'write', eve: 'triage' } },
    ...work,
  });
  const id = idOf(await s.engine.intake(trigger(push('a1'))));
  await work.begun(1);
  const [job] = (await viewOf(s, id)).jobs;
  const press = (actor: string) =>
    s.engine.intake({
      kind: 'button',
      repository,
      sha: 'a1',
      actor,
      externalId: job?.id ?? '',
      identifier: 'cancel',
    });
  expect(await press('eve')).toContain('may not');
  expect((await viewOf(s, id)).run.cancel).toBeNull();
  expect(await press('ada')).toContain('is being cancelled');
  expect(await s.store.audit.list(null, 5)).toMatchObject([
    { actor: 'ada', action: 'cancel button', subject: `run ${id}`, decision: 'allowed' },
    { actor: 'eve', action: 'cancel button', subject: `run ${id}`, decision: 'refused' },
  ]);
  const cancelled = 'cancelled: Cancelled by @ada.';
  expect(outcomes(await ended(s, id))).toEqual({ work: cancelled, next: cancelled });
});

describe('a job that ran before', () => {
  it('with `retry: N` shows each attempt and ends as the last one', async () => {
    let tries = 0;
    const s = await scenario({
      commits: { a1: { 'slipway.yml': 'jobs: { work: { image: node, run: work, retry: 2 } }' } },
      script: () => (++tries < 3 ? 1 : 0),
    });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome).toEqual({ kind: 'success' });
    expect(view.jobs[0]).toMatchObject({
      attempt: 3,
      earlier: [
        { attempt: 1, by: 'retry', why: 'retry 1 of 2', outcome: { kind: 'failure' } },
        { attempt: 2, by: 'retry', why: 'retry 2 of 2', outcome: { kind: 'failure' } },
      ],
    });
  });

  it('is not retried further than the file says', async () => {
    const s = await scenario({
      commits: { a1: { 'slipway.yml': 'jobs: { work: { image: node, run: work, retry: 1 } }' } },
      script: () => 1,
    });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome?.kind).toBe('failure');
    expect(view.jobs[0]?.attempt).toBe(2);
  });

  it("is tried again after a pause when the engine restarted, and it isn't the user's failure", async () => {
    let tries = 0;
    const s = await scenario({
      commits: { a1: { 'slipway.yml': one } },
      repeatsItself: true,
      script: () => {
        tries += 1;
        if (tries === 1) throw new PlatformError('The Docker engine restarted while the job ran.', { retry: 'once' });
        return 0;
      },
    });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome).toEqual({ kind: 'success' });
    expect(view.jobs[0]?.earlier).toMatchObject([
      { by: 'platform', why: 'the Docker engine restarted', outcome: { kind: 'broken' } },
    ]);
    const { earlier, startedAt } = view.jobs[0] ?? {};
    expect((startedAt ?? 0) - (earlier?.[0]?.finishedAt ?? 0)).toBeGreaterThanOrEqual(1_000);
  });
});
