import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { arrive, type Standing } from '#src/model/deploy/arrival.ts';
import { lockInTheWay } from '#src/model/deploy/locks.ts';
import '../seeded.ts';

/** `1` waits for its needs, `1q` stands in the queue, `1l` is locked out, `1L` was until now, `1a` waits for approval, `1*` runs. */
function line(text: string): readonly Standing[] {
  return text.split(' ').map((word): Standing => {
    const runId = word.replace(/\D/g, '');
    const mark = word.replace(/\d/g, '');
    const gate = ({ q: 'queue', l: 'lock', L: 'lock', W: 'window', a: 'approval' } as const)[mark] ?? null;
    return { jobId: `j${runId}`, runId, state: mark === '*' ? 'running' : 'waiting', gate, free: mark !== 'l' };
  });
}

describe('what arrives at the line of an environment', () => {
  it.each<[string, string, string, boolean, boolean, string]>([
    ['comes alone', '1', '1', true, true, ''],
    ['isn’t there', '1', '9', true, true, ''],
    ['leaves the others alone', '1q 2', '2', false, true, ''],
    ['lets those go first that were locked out until now', '1L 2W 3', '3', false, true, 'before 1,2'],
    ['passes those that are locked out', '1l 2', '2', false, true, ''],
    ['passes those that wait for approval', '1a 2', '2', false, true, ''],
    ['passes those that wait for their needs', '1 2', '2', false, true, ''],
    ['takes the place of all that wait', '1q 2a 3l 4', '4', true, true, 'replaces 1,2,3'],
    ['leaves what runs', '1* 2q 3', '3', true, true, 'replaces 2'],
    ['leaves what has not come yet', '1 2', '2', true, true, ''],
    ['is too late', '1 2q', '1', true, true, 'outdated by 2'],
    ['is too late while the newer runs', '1 2*', '1', true, true, 'outdated by 2'],
    ['is not too late where all get their turn', '1 2q', '1', false, true, ''],
    ['is not too late as a rollback', '1 2q', '1', true, false, ''],
    ['is not too late while the newer waits for its needs', '1 2', '1', true, true, ''],
  ])('%s', (_name, text, me, newest, yields, answer) => {
    const { outdatedBy, replaced, before } = arrive(line(text), `j${me}`, { newest, yields });
    const words = [
      ...(outdatedBy === null ? [] : [`outdated by ${outdatedBy}`]),
      ...(replaced.length === 0 ? [] : [`replaces ${replaced.map((it) => it.slice(1)).join()}`]),
      ...(before.length === 0 ? [] : [`before ${before.map((it) => it.runId).join()}`]),
    ];
    expect(words.join('; ')).toBe(answer);
  });

  it('never replaces what runs or itself', () => {
    const words = fc.array(fc.constantFrom('', 'q', 'l', 'L', 'W', 'a', '*'), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(words, fc.nat(5), fc.boolean(), fc.boolean(), (marks, me, newest, yields) => {
        const all = line(marks.map((mark, index) => `${index}${mark}`).join(' '));
        const { replaced, before } = arrive(all, `j${me}`, { newest, yields });
        const touched = [...replaced, ...before.map((it) => it.jobId)];
        expect(touched).not.toContain(`j${me}`);
        expect(all.some((it) => touched.includes(it.jobId) && it.state === 'running')).toBe(false);
        expect(all.findIndex((it) => touched.includes(it.jobId))).toBeLessThan(me + 1);
      }),
    );
  });
});

/** A deployment in the small world below. */
interface Deployment {
  readonly id: number;
  /** Null: it happens by itself. */
  readonly by: string | null;
  state: 'new' | 'locked' | 'queued' | 'running' | 'done';
}

/**
 * The queue and the lock of one environment, by the rules that the engine follows: who is locked out stands in no line; who
 * comes lets those stand first that were locked out until now.
 */
function world(count: (id: number) => string | null, total: number) {
  const all: Deployment[] = Array.from({ length: total }, (_, id) => ({ id, by: count(id), state: 'new' }));
  let line: Deployment[] = [];
  let lock: string | null = null;
  const begun: number[] = [];

  function isLocked({ by }: Deployment): boolean {
    const locks = lock === null ? [] : [{ environment: 'e', owner: lock, reason: '', at: 0 }];
    return lockInTheWay(locks, 'e', { login: by, overLock: false, role: null }) !== null;
  }

  function standings(): readonly Standing[] {
    return all
      .filter((it) => it.state !== 'done')
      .map((it) => ({
        jobId: String(it.id),
        runId: String(it.id),
        state: it.state === 'running' ? 'running' : 'waiting',
        gate: it.state === 'locked' ? 'lock' : it.state === 'queued' ? 'queue' : null,
        free: !isLocked(it),
      }));
  }

  /** The engine looks at it: any number of times, in any order. */
  function drive(id: number): void {
    const me = all[id];
    if (me === undefined || me.state === 'running' || me.state === 'done') return;
    if (isLocked(me)) {
      me.state = 'locked';
      line = line.filter((it) => it !== me);
      return;
    }
    const { before } = arrive(standings(), String(id), { newest: false, yields: true });
    for (const it of [...before.map(({ jobId }) => all[Number(jobId)]), me]) {
      if (it !== undefined && !line.includes(it)) line.push(it);
    }
    me.state = 'queued';
    if (line[0] !== me || all.some((it) => it.state === 'running')) return;
    me.state = 'running';
    begun.push(me.id);
  }

  return {
    all,
    begun,
    drive,
    isLocked,
    setLock: (owner: string | null) => void (lock = owner),
    end(): void {
      const running = all.find((it) => it.state === 'running');
      if (running === undefined) return;
      running.state = 'done';
      line = line.filter((it) => it !== running);
    },
  };
}

describe('the queue and the lock of an environment', () => {
  const people = fc.infiniteStream(fc.constantFrom(null, 'ada', 'bob'));
  const step = fc.oneof(
    fc.record({ what: fc.constant('drive' as const), id: fc.nat(5) }),
    fc.record({ what: fc.constant('end' as const) }),
    fc.record({ what: fc.constant('lock' as const), owner: fc.constantFrom(null, 'ada', 'bob') }),
  );

  it('never let two run at once, nor anybody whom the lock keeps; and all get their turn in the end', () => {
    fc.assert(
      fc.property(people, fc.array(step, { maxLength: 60 }), (people, steps) => {
        const owners = Array.from({ length: 6 }, () => people.next().value ?? null);
        const it = world((id) => owners[id] ?? null, 6);
        for (const step of steps) {
          const before = it.begun.length;
          if (step.what === 'drive') it.drive(step.id);
          else if (step.what === 'end') it.end();
          else it.setLock(step.owner);
          expect(it.all.filter(({ state }) => state === 'running').length).toBeLessThan(2);
          const fresh = it.begun.slice(before).map((id) => it.all[id]);
          expect(fresh.some((one) => one !== undefined && it.isLocked(one))).toBe(false);
        }
        it.setLock(null);
        for (let round = 0; round < 20; round += 1) {
          for (const { id } of it.all) it.drive(id);
          it.end();
        }
        expect(it.all.every(({ state }) => state === 'done')).toBe(true);
      }),
    );
  });

  it('serve in the order in which they came, whoever is looked at first after the lock', () => {
    const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 });
    fc.assert(
      fc.property(order, (order) => {
        const it = world(() => null, 6);
        it.setLock('bob');
        for (const { id } of it.all) it.drive(id);
        it.setLock(null);
        for (let round = 0; round < 12; round += 1) {
          for (const id of order) it.drive(id);
          it.end();
        }
        expect(it.begun).toEqual([0, 1, 2, 3, 4, 5]);
      }),
    );
  });

  it('let the owner of the lock pass those who wait for it', () => {
    const it = world((id) => (id === 2 ? 'bob' : null), 3);
    it.setLock('bob');
    for (const id of [0, 1, 2]) it.drive(id);
    expect(it.begun).toEqual([2]);
    it.end();
    it.setLock(null);
    for (const id of [1, 0]) it.drive(id);
    expect(it.begun).toEqual([2, 0]);
  });
});
