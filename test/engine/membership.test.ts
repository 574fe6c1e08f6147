import { expect, it } from '@jest/globals';
import { createMembership } from '#src/engine/membership.ts';
import type { Worker, WorkerStore } from '#src/engine/store.ts';
import { PlatformError } from '#src/model/outcome.ts';

const silent = { info() {}, warn() {}, error() {} };
const leaseMs = 1_000_000;

/** A whole lease and a bit, as somebody sees it who looks all the time. */
async function aLease(watch: { at: number }, ...servers: { look(): Promise<void> }[]): Promise<void> {
  for (let i = 0; i <= 5; i += 1) {
    for (const server of servers) await server.look();
    watch.at += leaseMs / 5 + 1;
  }
  for (const server of servers) await server.look();
}

function memory(): WorkerStore & { failing: boolean; ownersOfJobs: string[] } {
  const rows = new Map<string, Worker>();
  let leader: string | null = null;
  return {
    failing: false,
    async enter(worker) {
      rows.set(worker.id, { ...worker, beats: (rows.get(worker.id)?.beats ?? 0) + 1 });
    },
    async beat(id) {
      if (this.failing) throw new PlatformError('The database is away.');
      const row = rows.get(id);
      if (row) rows.set(id, { ...row, beats: row.beats + 1 });
      return row !== undefined;
    },
    async all() {
      return [...rows.values()];
    },
    async owners() {
      return this.ownersOfJobs;
    },
    ownersOfJobs: [],
    async remove(id) {
      rows.delete(id);
      if (leader === id) leader = null;
    },
    async leader() {
      return leader;
    },
    async lead(id, instead) {
      if (leader !== instead) return false;
      leader = id;
      return true;
    },
  };
}

function server(store: WorkerStore, id: string, options: { place?: string; watch: { at: number }; takes?: boolean }) {
  const seen = { dead: [] as string[], leads: false, terms: 0, lost: 0 };
  const membership = createMembership({
    workers: store,
    id,
    place: options.place ?? id,
    engine: async () => 'engine',
    leaseMs,
    watch: () => options.watch.at,
    log: silent,
    onDead: async (dead) => {
      if (options.takes === false) return false;
      seen.dead.push(dead.id);
      return true;
    },
    onLead(signal) {
      seen.leads = true;
      seen.terms += 1;
      signal.addEventListener('abort', () => (seen.leads = false));
    },
    onLost: () => (seen.lost += 1),
  });
  return { ...membership, seen };
}

it('has one leader, and another once that one is silent for longer than the lease', async () => {
  const store = memory();
  const watch = { at: 0 };
  const [a, b, c] = ['a', 'b', 'c'].map((id) => server(store, id, { watch })) as [
    ReturnType<typeof server>,
    ReturnType<typeof server>,
    ReturnType<typeof server>,
  ];
  for (const one of [a, b, c]) await one.start();
  expect([a, b, c].map((one) => one.seen.leads)).toEqual([true, false, false]);
  watch.at += leaseMs / 2;
  await b.look();
  expect(b.seen.dead).toEqual([]);
  await aLease(watch, b, c);
  expect([b.seen.dead, c.seen.dead]).toEqual([['a'], []]);
  expect([b.seen.leads, c.seen.leads]).toEqual([true, false]);
  for (const one of [a, b, c]) await one.stop();
});

it('lets go of everything when the others took it for dead, and takes part again', async () => {
  const store = memory();
  const watch = { at: 0 };
  const a = server(store, 'a', { watch });
  const b = server(store, 'b', { watch });
  await a.start();
  await b.start();
  await aLease(watch, b);
  expect(b.seen).toMatchObject({ dead: ['a'], leads: true });
  await a.look();
  expect(a.seen).toMatchObject({ lost: 1, leads: false });
  await a.look();
  await b.look();
  expect(a.seen.lost).toBe(1);
  expect((await store.all()).map((worker) => worker.id).sort()).toEqual(['a', 'b']);
  await a.stop();
  await b.stop();
});

it('takes nobody for dead because the database was away, or because it stood still itself', async () => {
  const store = memory();
  const watch = { at: 0 };
  const a = server(store, 'a', { watch });
  const b = server(store, 'b', { watch });
  await a.start();
  await b.start();
  store.failing = true;
  watch.at += 10 * leaseMs;
  await expect(b.look()).rejects.toThrow('away');
  store.failing = false;
  await b.look();
  expect(b.seen.dead).toEqual([]);
  watch.at += 10 * leaseMs;
  await b.look();
  expect(b.seen.dead).toEqual([]);
  await a.stop();
  await b.stop();
});

it('takes the place of an earlier process at once, and leaves a dead server to who reaches its containers', async () => {
  const store = memory();
  const watch = { at: 0 };
  const before = server(store, 'before', { place: 'home', watch });
  await before.start();
  await before.stop();
  const far = server(store, 'far', { watch, takes: false });
  await far.start();
  await aLease(watch, far);
  expect((await store.all()).map((worker) => worker.id)).toContain('before');
  const next = server(store, 'next', { place: 'home', watch });
  await next.start();
  expect(next.seen.dead).toEqual(['before']);
  expect((await store.all()).map((worker) => worker.id).sort()).toEqual(['far', 'next']);
  await far.stop();
  await next.stop();
});

it('takes over from a server that nobody knows, as the leader', async () => {
  const store = memory();
  const watch = { at: 0 };
  const leader = server(store, 'leader', { watch });
  const other = server(store, 'other', { watch });
  await leader.start();
  await other.start();
  store.ownersOfJobs = ['unknown', 'other'];
  await other.look();
  await leader.look();
  expect([leader.seen.dead, other.seen.dead]).toEqual([['unknown'], []]);
  await leader.stop();
  await other.stop();
});
