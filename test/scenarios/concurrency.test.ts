import { describe, expect, it } from '@jest/globals';
import { PlatformError } from '#src/model/outcome.ts';
import { ended, held, idOf, until, viewOf, type World } from './held.ts';
import { outcomes, push, repository, scenario, trigger } from './world.ts';

describe('a concurrency group', () => {
  const of = (more: string, run = 'work') =>
    `concurrency: { group: deploy${more} }\njobs: { work: { image: node, run: ${run} } }\n`;
  const commitsOf = (text: string) =>
    Object.fromEntries(['a1', 'b2', 'c3'].map((sha) => [sha, { 'slipway.yml': text }]));

  it('of runs lets one after the other, and of those that wait the newest only', async () => {
    const work = held();
    const s = await scenario({ commits: commitsOf(of('')), ...work });
    const [a, b, c] = [
      idOf(await s.engine.intake(trigger(push('a1')))),
      await begunWith(s, work, 1, 'b2'),
      await begunWith(s, work, 1, 'c3'),
    ];
    expect((await ended(s, b)).run.cancel?.reason).toContain(`the newer run ${c} took its place`);
    await until(async () => (await viewOf(s, c)).run.note !== null);
    expect((await viewOf(s, c)).run.note).toBe(`Waits for run ${a} in the concurrency group "deploy".`);
    expect(work.began).toHaveLength(1);
    work.letGo();
    expect((await ended(s, a)).run.outcome).toEqual({ kind: 'success' });
    await work.begun(2);
    work.letGo();
    expect((await ended(s, c)).run.outcome).toEqual({ kind: 'success' });
  });

  it('of runs with `queue: max` lets all of them have their turn', async () => {
    const s = await scenario({ commits: commitsOf(of(', queue: max')) });
    const views = await Promise.all(['a1', 'b2', 'c3'].map((sha) => s.play(trigger(push(sha)))));
    expect(views.map((view) => view.run.outcome?.kind)).toEqual(['success', 'success', 'success']);
  });

  it('of runs with `cancel-in-progress` ends the run that has it', async () => {
    const work = held();
    const s = await scenario({ commits: commitsOf(of(', cancel-in-progress: true')), ...work });
    const a = idOf(await s.engine.intake(trigger(push('a1'))));
    const b = await begunWith(s, work, 1, 'b2');
    expect((await ended(s, a)).run.cancel?.reason).toContain(`Cancelled by the newer run ${b}`);
    await work.begun(2);
    work.letGo();
    expect((await ended(s, b)).run.outcome).toEqual({ kind: 'success' });
  });

  it.each([
    ['fails', () => 1, 'failure'],
    [
      "can't be run",
      () => {
        throw new PlatformError('The registry is away.');
      },
      'broken',
    ],
  ])('is left by a job that %s, and the next goes on', async (_name, script, kind) => {
    const text = 'jobs: { work: { image: node, run: work, concurrency: deploy } }';
    const s = await scenario({ commits: commitsOf(text), script });
    expect((await s.play(trigger(push('a1')))).run.outcome?.kind).toBe(kind);
    expect((await s.play(trigger(push('b2')))).run.outcome?.kind).toBe(kind);
  });

  it('is kept by a job that is retried', async () => {
    let running = 0;
    let most = 0;
    let tries = 0;
    const text = 'jobs: { work: { image: node, run: work, retry: 2, concurrency: { group: deploy, queue: max } } }';
    const s = await scenario({
      commits: commitsOf(text),
      script: async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return ++tries % 3 === 0 ? 0 : 1;
      },
    });
    const views = await Promise.all(['a1', 'b2', 'c3'].map((sha) => s.play(trigger(push(sha)))));
    expect(views.map((view) => view.run.outcome?.kind)).toEqual(['success', 'success', 'success']);
    expect(most).toBe(1);
  });

  it('never lets two runs wait for each other for ever', async () => {
    const work = held();
    const circle = (mine: string, other: string) =>
      `concurrency: { group: ${mine} }\njobs:\n  work: { image: node, run: ${mine} }\n  next: { image: node, run: x, needs: work, concurrency: ${other} }\n`;
    const s = await scenario({
      commits: { a1: { 'slipway.yml': circle('x', 'y') }, b2: { 'slipway.yml': circle('y', 'x') } },
      ...work,
    });
    const ids = [
      idOf(await s.engine.intake(trigger(push('a1')))),
      idOf(await s.engine.intake(trigger(push('b2')))),
    ] as const;
    await work.begun(2);
    for (const each of ['x', 'y']) work.letGo(each);
    await work.begun(3);
    const isFirst = (await viewOf(s, ids[0])).run.state === 'running';
    const refused = await ended(s, isFirst ? ids[1] : ids[0]);
    expect(outcomes(refused)['next']).toMatch(/failure: .*neither would ever end/);
    work.letGo('x');
    expect((await ended(s, isFirst ? ids[0] : ids[1])).run.outcome).toEqual({ kind: 'success' });
  });

  it('is not blocked by a job whose needs a person restarts while it waits', async () => {
    const work = held();
    const text =
      'jobs: { first: { image: node, run: first, concurrency: { group: g, queue: max } }, second: { image: node, run: second, needs: first, concurrency: { group: g, queue: max } } }';
    const s = await scenario({
      commits: {
        a1: { 'slipway.yml': text },
        b2: { 'slipway.yml': 'jobs: { work: { image: node, run: work, concurrency: { group: g, queue: max } } }' },
      },
      ...work,
    });
    const a = idOf(await s.engine.intake(trigger(push('a1'))));
    await work.begun(1);
    const b = idOf(await s.engine.intake(trigger(push('b2'))));
    await until(async () => ((await viewOf(s, b)).jobs[0]?.note ?? null) !== null);
    work.letGo('first');
    await work.begun(2);
    const [first] = (await viewOf(s, a)).jobs;
    await until(async () => ((await viewOf(s, a)).jobs[1]?.note ?? null) !== null);
    await s.engine.intake({ kind: 'rerun', repository, sha: 'a1', actor: 'ada', externalId: first?.id ?? '' });
    await until(async () => ((await viewOf(s, a)).jobs[0]?.note ?? null) !== null);
    work.letGo('work');
    await work.begun(3);
    work.letGo('first');
    await work.begun(4);
    work.letGo('second');
    expect((await ended(s, a)).run.outcome).toEqual({ kind: 'success' });
    expect((await ended(s, b)).run.outcome).toEqual({ kind: 'success' });
  });
});

/** A push, once so many steps began. */
async function begunWith(s: World, work: ReturnType<typeof held>, count: number, sha: string): Promise<string> {
  await work.begun(count);
  const id = idOf(await s.engine.intake(trigger(push(sha))));
  await until(async () => (await viewOf(s, id)).run.state !== 'pending');
  await until(async () => {
    const { note, state } = (await viewOf(s, id)).run;
    return note !== null || state === 'completed' || work.began.length > count;
  });
  return id;
}
