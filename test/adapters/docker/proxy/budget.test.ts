import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { lockByName } from '#src/adapters/docker/build/lock.ts';
import { openBudget } from '#src/adapters/docker/proxy/budget.ts';
import type { Engine } from '#src/adapters/docker/proxy/engine.ts';
import { JOB } from './world.ts';

const MiB = 1024 ** 2;
const whole = JOB.limits.memory;

interface One {
  memory: number;
  pids: number;
  state: 'created' | 'running' | 'paused' | 'exited';
  readonly left: string;
}

/** An engine that has these containers, and is slow to start one. */
function world(...given: readonly Partial<One>[]) {
  const all = new Map<string, One>(
    given.map((one, i) => [`c${i}`, { memory: whole / 4, pids: 32, state: 'created', left: 'memory pids', ...one }]),
  );
  const ask: Engine['ask'] = async (method, path, body) => {
    await sleep(1);
    const [, id, verb] = /^\/containers\/(c\d+)\/(\w+)$/.exec(path) ?? [];
    const one = id === undefined ? undefined : all.get(id);
    if (verb === 'update' && one && method === 'POST') {
      const { Memory, PidsLimit } = body as { Memory: number; PidsLimit: number };
      Object.assign(one, { memory: Memory, pids: PidsLimit });
      return { status: 200, json: {} };
    }
    if (one) return { status: 200, json: inspected(one) };
    if (!path.startsWith('/containers/json?')) return { status: 404, json: null };
    expect(decodeURIComponent(path)).toContain(`"slipway.inner=${JOB.labels['slipway.inner']}"`);
    const running = [...all].filter(([, { state }]) => state === 'running' || state === 'paused');
    return { status: 200, json: running.map(([Id]) => ({ Id })) };
  };
  const budget = openBudget({ ask } as Engine, lockByName(), JOB);
  const start = (id: string) =>
    budget.start(id, async () => {
      await sleep(2);
      (all.get(id) as One).state = 'running';
      return 'started' as const;
    });
  const sum = (name: 'memory' | 'pids') =>
    [...all.values()].filter(({ state }) => state !== 'created' && state !== 'exited').reduce((n, c) => n + c[name], 0);
  return { all, budget, start, sum };
}

function inspected({ memory, pids, state, left }: One) {
  return {
    HostConfig: { Memory: memory, PidsLimit: pids },
    State: { Running: state === 'running', Paused: state === 'paused' },
    Config: { Labels: { 'slipway.limits': left } },
  };
}

describe('what all containers of a job have together', () => {
  it("is never more than the job's, however many are started at once", async () => {
    const { all, start, sum } = world(...Array.from({ length: 40 }, () => ({})));
    await Promise.all([...all.keys()].map(start));
    const running = [...all.values()].filter(({ state }) => state === 'running');
    expect(running.length).toBeGreaterThan(5);
    expect(running.length).toBeLessThan(40);
    expect(sum('memory')).toBeLessThanOrEqual(whole);
    expect(sum('pids')).toBeLessThanOrEqual(JOB.limits.pids);
  });

  it('is given to who asks while it lasts, and a paused one keeps it', async () => {
    const asked = { memory: (whole / 4) * 3, left: 'pids' };
    const { all, start } = world(asked, asked, { memory: whole / 4, left: '' });
    expect(await start('c0')).toBe('started');
    const refusal = await start('c1');
    expect(refusal).toMatchObject({ kind: 'refusal', status: 409 });
    const { message } = refusal as { message: string };
    expect(message).toContain(
      'together can have 2048 MiB of memory. 512 MiB are left, and this one is to have 1536 MiB',
    );
    expect(message).toMatch(/`--memory`.*`mem_limit`/);
    expect(await start('c2')).toBe('started');
    (all.get('c0') as One).state = 'paused';
    expect(await start('c1')).toMatchObject({ kind: 'refusal' });
    (all.get('c0') as One).state = 'exited';
    expect(await start('c1')).toBe('started');
  });

  it('counts processes too', async () => {
    const { start } = world({ pids: 500, left: 'memory' }, { pids: 13, left: 'memory' }, { pids: 12, left: 'memory' });
    expect(await start('c0')).toBe('started');
    expect(await start('c1')).toMatchObject({
      message: expect.stringMatching(/512 of processes. 12 are left.*pids_limit/),
    });
    expect(await start('c2')).toBe('started');
  });

  it('bounds an update of one that runs; less is always right', async () => {
    const { budget, start } = world({ memory: whole / 2, left: '' }, { memory: whole / 2, left: '' });
    await Promise.all([start('c0'), start('c1')]);
    const update = (limits: object) => budget.update('c0', { ...limits }, async () => 'changed');
    expect(await update({ Memory: whole / 2 + 1 })).toMatchObject({ kind: 'refusal' });
    expect(await update({ PidsLimit: JOB.limits.pids })).toMatchObject({ kind: 'refusal' });
    expect(await update({ Memory: whole / 2 - 1 })).toBe('changed');
    expect(await update({})).toBe('changed');
  });

  it('has a place for one build at a time, which gets what is left', async () => {
    const { budget, start } = world({ memory: (whole / 4) * 3, left: '' }, { memory: whole / 4, left: '' });
    await start('c0');
    let now = 0;
    const given: number[] = [];
    const signal = new AbortController().signal;
    const build = () =>
      budget.build(whole / 2, signal, async (memory) => {
        given.push(memory);
        expect(++now).toBe(1);
        // What the build has, no container gets.
        expect(await start('c1')).toMatchObject({ kind: 'refusal' });
        now--;
        return 'built';
      });
    expect(await Promise.all([build(), build(), build()])).toEqual(['built', 'built', 'built']);
    expect(given).toEqual([whole / 4, whole / 4, whole / 4]);
    expect(await start('c1')).toBe('started');
    expect(await build()).toMatchObject({ kind: 'refusal', message: expect.stringContaining('0 MiB are left') });
    expect(await budget.build(MiB, AbortSignal.abort(), async () => 'built')).toBeNull();
  });
});
