import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { Delivery } from '#dev/github/webhooks.ts';
import { makeSlip, type Slip } from './away-support.ts';

let slip: Slip;

beforeEach(async () => {
  slip = await makeSlip();
});

afterEach(async () => {
  const { violations } = slip.town.github.world;
  await slip[Symbol.asyncDispose]();
  expect(violations).toEqual([]);
});

/** More deliveries as this one, with ids and GUIDs of their own. */
function more(delivery: Delivery | undefined, count: number, change: Partial<Delivery> = {}): void {
  const { webhooks, world } = slip.town.github;
  if (!delivery) throw new Error('There is no delivery to copy.');
  for (let i = 0; i < count; i += 1)
    webhooks.deliveries.push({ ...delivery, id: world.id(), guid: randomUUID(), ...change });
}

/** Commits that were pushed while nobody listened. */
async function pushes(count: number): Promise<string[]> {
  const { town } = slip;
  const shas: string[] = [];
  for (let i = 0; i < count; i += 1) {
    shas.push(await town.commit('a.txt', `${shas.length} ${Math.random()}`));
    await town.push('main');
  }
  await town.github.webhooks.idle();
  return shas;
}

it('takes in what failed while the server was down, oldest first, once', async () => {
  const { town } = slip;
  slip.up = false;
  const [first, second] = await pushes(2);
  await town.git('tag', 'v1');
  await town.push('v1');
  await town.git('checkout', '--quiet', '-b', 'topic');
  const third = await town.commit('b.txt', 'b');
  await town.push('topic');
  await town.github.people.openPullRequest('acme/shop', { title: 'More', head: 'topic' });
  await slip.settled();
  slip.up = true;
  const catchUp = slip.start();
  // Three pushes, the tag's, the pull request, and the App's installation; what would be ignored isn't fetched.
  expect(await catchUp.look()).toEqual({ deliveries: 5, redelivered: 0, runs: 0, complete: true });
  await slip.settled();
  expect(slip.runs).toEqual([
    `refs/heads/main ${first}`,
    `refs/heads/main ${second}`,
    `refs/tags/v1 ${second}`,
    `refs/heads/topic ${third}`,
  ]);
  expect(await catchUp.look()).toMatchObject({ deliveries: 0, complete: true });
  expect(slip.triggers).toHaveLength(5);
});

it('reads several pages, and not again what it has seen', async () => {
  slip.up = false;
  const { webhooks } = slip.town.github;
  await pushes(1);
  const [pushed] = webhooks.deliveries.filter(({ event }) => event === 'push');
  // As many failures as make three pages.
  more(pushed, 230);
  slip.up = true;
  slip.requests();
  const catchUp = slip.start();
  expect(await catchUp.look()).toMatchObject({ deliveries: 231, complete: true });
  await slip.settled();
  expect(slip.runs).toHaveLength(1);
  const lists = () => slip.requests().filter((it) => it === 'GET /app/hook/deliveries 200').length;
  expect(lists()).toBe(3);
  // Hours later nothing of it is read again.
  for (const delivery of webhooks.deliveries) Object.assign(delivery, { at: delivery.at - 3_600_000 });
  expect(await catchUp.look()).toMatchObject({ deliveries: 0, complete: true });
  expect(lists()).toBe(1);
});

it('leaves alone what was redelivered meanwhile, twice', async () => {
  slip.up = false;
  await pushes(1);
  slip.up = true;
  const { webhooks } = slip.town.github;
  for (const failed of webhooks.deliveries.filter(({ event }) => event === 'push')) {
    webhooks.redeliver(failed);
    webhooks.redeliver(failed);
  }
  await slip.settled();
  expect(slip.runs).toHaveLength(1);
  expect(await slip.start().look()).toMatchObject({ deliveries: 0, complete: true });
  expect(slip.triggers).toHaveLength(1);
});

it('takes what an earlier attempt and its redelivery failed to bring, once', async () => {
  slip.up = false;
  await pushes(1);
  const { webhooks } = slip.town.github;
  for (const failed of webhooks.deliveries.filter(({ event }) => event === 'push')) webhooks.redeliver(failed);
  await webhooks.idle();
  slip.up = true;
  expect(await slip.start().look()).toMatchObject({ deliveries: 1 });
  await slip.settled();
  expect(slip.runs).toHaveLength(1);
});

it('goes on where GitHub failed in the middle, without a word more than one', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(line) });
  slip.up = false;
  await pushes(1);
  const { webhooks } = slip.town.github;
  const [pushed] = webhooks.deliveries.filter(({ event }) => event === 'push');
  more(pushed, 120);
  slip.up = true;
  let asked = 0;
  slip.town.github.faults = ({ path }) => {
    if (path !== '/app/hook/deliveries') return null;
    asked += 1;
    return asked > 1 ? { kind: 'status', status: 502 } : null;
  };
  const catchUp = slip.start({ logger });
  expect(await catchUp.look()).toEqual({ deliveries: 0, redelivered: 0, runs: 0, complete: false });
  expect(await catchUp.look()).toMatchObject({ complete: false });
  slip.town.github.faults = null;
  expect(await catchUp.look()).toMatchObject({ deliveries: 121, complete: true });
  const said = lines.map((line) => JSON.parse(line) as { level: number; msg: string });
  expect(said.filter(({ level }) => level === 40)).toHaveLength(1);
  expect(said.at(-1)?.msg).toBe('121 deliveries were missed and taken in.');
}, 20_000);

it('keeps what it fetched before GitHub failed, and fetches the rest the next time', async () => {
  slip.up = false;
  const shas = await pushes(6);
  slip.up = true;
  let asked = 0;
  slip.town.github.faults = ({ path }) => {
    if (!/^\/app\/hook\/deliveries\/\d+$/.test(path)) return null;
    asked += 1;
    return asked > 4 ? { kind: 'reset' } : null;
  };
  const catchUp = slip.start();
  expect(await catchUp.look()).toMatchObject({ deliveries: 4, complete: false });
  slip.town.github.faults = null;
  expect(await catchUp.look()).toMatchObject({ deliveries: 2, complete: true });
  await slip.settled();
  expect(slip.runs).toEqual(shas.map((sha) => `refs/heads/main ${sha}`));
}, 20_000);

it('lets one that GitHub can not show keep back no other', async () => {
  slip.up = false;
  const [first, second] = await pushes(2);
  slip.up = true;
  const { deliveries } = slip.town.github.webhooks;
  const failing = deliveries.find(({ event }) => event === 'push')?.id;
  slip.town.github.faults = ({ path }) => (path.endsWith(`/${failing}`) ? { kind: 'status', status: 500 } : null);
  const catchUp = slip.start();
  expect(await catchUp.look()).toMatchObject({ deliveries: 1, complete: false });
  slip.town.github.faults = null;
  expect(await catchUp.look()).toMatchObject({ deliveries: 1, complete: true });
  await slip.settled();
  expect(slip.runs).toEqual([`refs/heads/main ${second}`, `refs/heads/main ${first}`]);
});

it('asks once for another delivery where GitHub has lost the payload', async () => {
  slip.up = false;
  const [sha] = await pushes(1);
  slip.town.github.faults = ({ method, path }) =>
    method === 'GET' && /^\/app\/hook\/deliveries\/\d+$/.test(path) ? { kind: 'status', status: 404 } : null;
  const catchUp = slip.start();
  expect(await catchUp.look()).toMatchObject({ deliveries: 0, redelivered: 1, complete: true });
  await slip.settled();
  // It failed as well.
  expect(slip.runs).toEqual([]);
  expect(await catchUp.look()).toMatchObject({ deliveries: 0, redelivered: 0 });
  slip.town.github.faults = null;
  expect(await catchUp.look()).toMatchObject({ deliveries: 1 });
  await slip.settled();
  expect(slip.runs).toEqual([`refs/heads/main ${sha}`]);
});

it('takes for its own only what came since it began: another database may have had the rest', async () => {
  await pushes(1);
  await slip.settled();
  const { webhooks } = slip.town.github;
  const [answered] = webhooks.deliveries.filter(({ event }) => event === 'push');
  more(answered, 1, { at: Date.now() - 60_000 });
  const catchUp = slip.start();
  expect(await catchUp.look()).toMatchObject({ deliveries: 0, complete: true });
  // The database is put back from a copy, and lacks what was answered since.
  more(answered, 1, { at: Date.now() + 5_000 });
  expect(await catchUp.look()).toMatchObject({ deliveries: 1 });
});

it('ends at once, also while GitHub does not answer', async () => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  slip.town.github.faults = () => {
    resolve();
    return { kind: 'hang' };
  };
  const catchUp = slip.start({ reconcile: true });
  const look = catchUp.look();
  await asked;
  const began = Date.now();
  await catchUp.close();
  expect(await look).toMatchObject({ complete: false });
  expect(Date.now() - began).toBeLessThan(5_000);
});

it('looks by itself when it is opened, and never twice at once', async () => {
  slip.up = false;
  await pushes(1);
  slip.up = true;
  slip.requests();
  const catchUp = slip.start({ everyMs: 3_600_000 });
  const looks = await Promise.all([catchUp.look(), catchUp.look(), catchUp.look()]);
  expect(looks.map(({ deliveries }) => deliveries)).toEqual([1, 1, 1]);
  expect(slip.requests().filter((it) => it.startsWith('GET /app/hook/deliveries '))).toHaveLength(1);
});
