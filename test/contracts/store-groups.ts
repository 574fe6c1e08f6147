import { expect, it } from '@jest/globals';
import type { Store } from '#src/engine/store.ts';
import { planned, plannedRun, push } from './store-fixtures.ts';

/** The part of the Store's contract that is about concurrency groups and the servers. */
export function groupsContract(current: () => Store): void {
  const enter = async (holder: string, group = 'g') => {
    const line = await current().groups.enter(7, group, `run:${holder}`, holder);
    return line.map((entry) => (entry.holds ? `${entry.runId}!` : entry.runId)).join(' ');
  };
  const leave = async (holder: string) => (await current().groups.leave(`run:${holder}`)).join(' ');

  it('gives a group to one after another, in the order they came', async () => {
    expect(await enter('a')).toBe('a!');
    expect(await enter('b')).toBe('a! b');
    expect(await enter('c')).toBe('a! b c');
    expect(await enter('b')).toBe('a! b c');
    expect(await enter('a', 'other')).toBe('a!');
    expect(await leave('b')).toBe('');
    expect(await leave('a')).toBe('c');
    expect(await enter('d')).toBe('c d');
    expect(await enter('c')).toBe('c! d');
    expect(await leave('nobody')).toBe('');
    expect((await current().groups.enter(8, 'g', 'run:z', 'z'))[0]?.holds).toBe(true);
    const line = await current().groups.line(7, 'g');
    expect(line.map((entry) => [entry.holder, entry.holds])).toEqual([
      ['run:c', true],
      ['run:d', false],
    ]);
    expect(await current().groups.line(7, 'unknown')).toEqual([]);
  });

  it('passes over what ended without leaving', async () => {
    const { runs, groups } = current();
    const over = await plannedRun(current(), push('a'.repeat(40)), [planned('a')]);
    await groups.enter(7, 'g', `run:${over.id}`, over.id);
    expect(await enter('b')).toBe(`${over.id}! b`);
    await runs.drop(over.jobs[0] ?? '', { kind: 'success' }, 1);
    await runs.finish(over.id, { kind: 'success' }, [], 2);
    expect((await groups.line(7, 'g')).map((entry) => entry.runId)).toEqual(['b']);
    expect(await enter('b')).toBe('b!');
  });

  it('has one holder when many come at once, and forgets nobody', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `r${i}`);
    await Promise.all(names.map((name) => enter(name)));
    const served: string[] = [];
    const waiting = new Set(names);
    while (waiting.size > 0) {
      const lines = await Promise.all([...waiting].map((name) => enter(name)));
      const holders = new Set(lines.flatMap((line) => line.split(' ').filter((name) => name.endsWith('!'))));
      const [holder = ''] = holders;
      expect(holders.size).toBe(1);
      served.push(holder.slice(0, -1));
      await leave(holder.slice(0, -1));
      waiting.delete(holder.slice(0, -1));
    }
    expect(served.sort()).toEqual(names.sort());
  });

  it('keeps one holder and forgets nobody on a walk at random', async () => {
    let seed = 20_261_121;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const line: string[] = [];
    let holder = '';
    const answers: string[] = [];
    const expected: string[] = [];
    for (let i = 0; i < 300; i += 1) {
      const name = `r${random(8)}`;
      if (random(3) > 0) {
        if (!line.includes(name)) line.push(name);
        if (holder === '' && line[0] === name) holder = name;
        answers.push(await enter(name));
        expected.push(line.map((one) => (one === holder ? `${one}!` : one)).join(' '));
      } else {
        const stood = line.includes(name);
        if (stood) line.splice(line.indexOf(name), 1);
        if (holder === name) holder = '';
        answers.push(await leave(name));
        expected.push(stood && holder === '' ? (line[0] ?? '') : '');
      }
    }
    expect(answers).toEqual(expected);
  });

  it('knows which runs as a whole keep the jobs of a run waiting', async () => {
    const { groups } = current();
    await groups.enter(1, 'x', 'run:a', 'a');
    await groups.enter(1, 'y', 'run:b', 'b');
    await groups.enter(1, 'z', 'job:b1', 'b');
    await groups.enter(1, 'y', 'job:a1', 'a');
    await groups.enter(1, 'z', 'job:a2', 'a');
    await groups.enter(2, 'x', 'job:c1', 'c');
    await groups.enter(1, 'x', 'run:d', 'd');
    expect(await groups.heldUpBy('a')).toEqual(['b']);
    for (const run of ['b', 'c', 'd']) expect(await groups.heldUpBy(run)).toEqual([]);
    await groups.enter(1, 'x', 'job:b2', 'b');
    expect(await groups.heldUpBy('b')).toEqual(['a']);
    await groups.leave('job:a1');
    expect(await groups.heldUpBy('a')).toEqual([]);
  });

  it('knows who owns running jobs', async () => {
    const { runs, workers } = current();
    const { jobs } = await plannedRun(current(), push('a'.repeat(40)), [planned('a'), planned('b'), planned('c')]);
    expect(await workers.owners()).toEqual([]);
    for (const job of jobs) await runs.queue(job, 1000);
    for (const worker of ['x', 'y', 'y']) await runs.claim(worker, ['script'], 2000);
    expect([...(await workers.owners())].sort()).toEqual(['x', 'y']);
  });

  it('knows the servers, and which one of them leads', async () => {
    const { workers } = current();
    await workers.enter({ id: 'a', place: '/a', engine: null });
    await workers.enter({ id: 'b', place: '/b', engine: 'e' });
    expect([await workers.beat('a'), await workers.beat('a'), await workers.beat('x')]).toEqual([true, true, false]);
    await workers.enter({ id: 'a', place: '/a', engine: 'e' });
    expect(await workers.all()).toEqual([
      { id: 'a', place: '/a', engine: 'e', beats: 2 },
      { id: 'b', place: '/b', engine: 'e', beats: 0 },
    ]);
    expect(await workers.leader()).toBeNull();
    const both = await Promise.all([workers.lead('a', null), workers.lead('b', null)]);
    expect(both.filter(Boolean)).toHaveLength(1);
    const [first, second] = both[0] ? ['a', 'b'] : ['b', 'a'];
    expect(await workers.leader()).toBe(first);
    expect(await workers.lead(second ?? '', 'x')).toBe(false);
    expect(await workers.lead(second ?? '', first ?? '')).toBe(true);
    await workers.remove(second ?? '');
    expect(await workers.leader()).toBeNull();
    expect(await workers.lead(second ?? '', null)).toBe(false);
    expect(await workers.beat(second ?? '')).toBe(false);
  });
}
