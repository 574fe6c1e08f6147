import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { type Cost, createLimiter } from '#src/adapters/github/limiter.ts';

const write: Cost = { points: 5, content: false, priority: 1, patienceMs: null };
const create: Cost = { ...write, content: true };
const read: Cost = { ...write, points: 1 };

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** Starts tasks that end after `ms`, and counts those that were started. */
function start(limiter: ReturnType<typeof createLimiter>, count: number, cost: Cost, ms = 0) {
  const seen = { started: 0, ended: 0, most: 0 };
  for (let i = 0; i < count; i += 1) {
    void limiter.run(cost, async () => {
      seen.started += 1;
      seen.most = Math.max(seen.most, seen.started - seen.ended);
      await new Promise((resolve) => setTimeout(resolve, ms));
      seen.ended += 1;
    });
  }
  return seen;
}

it('lets a burst through, twenty at a time', async () => {
  const seen = start(createLimiter(), 60, create, 100);
  expect(seen.started).toBe(20);
  await jest.advanceTimersByTimeAsync(400);
  expect(seen).toEqual({ started: 60, ended: 60, most: 20 });
});

it.each([
  ['60 creations', create, 60, 80],
  ['70 creations that people wait for', { ...create, priority: 0 }, 70, 80],
  ['75 signs', { ...create, priority: 0, sign: true }, 75, 80],
  ['850 points of writing', write, 170, 180],
  ['850 points of reading', read, 850, 900],
] as const)('keeps to %s a minute', async (_what, cost, minute, limit) => {
  const seen = start(createLimiter(), limit * 2, cost);
  await jest.advanceTimersByTimeAsync(59_000);
  expect(seen.started).toBe(minute);
  await jest.advanceTimersByTimeAsync(2_000);
  expect(seen.started).toBe(Math.min(2 * minute, limit * 2));
});

it('keeps to 420 creations an hour, and lets updates pass meanwhile', async () => {
  const limiter = createLimiter();
  const seen = start(limiter, 600, create);
  await jest.advanceTimersByTimeAsync(20 * 60_000);
  expect(seen.started).toBe(420);
  expect(start(limiter, 10, write).started).toBe(10);
  await jest.advanceTimersByTimeAsync(60 * 60_000);
  expect(seen.started).toBe(600);
});

it.each([
  ['a minute', 1, 300, 10],
  ['an hour', 20, 2_000, 60],
])('what people wait for has a share of its own of the creations of %s', async (_what, minutes, others, share) => {
  const limiter = createLimiter();
  start(limiter, others, create);
  start(limiter, others, { ...create, priority: 2 });
  await jest.advanceTimersByTimeAsync(minutes * 60_000 - 2_000);
  const people = start(limiter, 100, { ...create, priority: 0 });
  await jest.advanceTimersByTimeAsync(1_000);
  expect(people.started).toBe(share);
});

it('a sign that a command was heard comes at once, however many were answered before', async () => {
  const limiter = createLimiter();
  start(limiter, 200, { ...create, priority: 0 });
  await jest.advanceTimersByTimeAsync(30_000);
  const eyes = start(limiter, 1, { ...create, priority: 0, sign: true });
  expect(eyes.started).toBe(1);
});

it('starts nothing while paused', async () => {
  const limiter = createLimiter();
  limiter.pause(Date.now() + 30_000);
  const seen = start(limiter, 3, read);
  await jest.advanceTimersByTimeAsync(29_999);
  expect(seen.started).toBe(0);
  await jest.advanceTimersByTimeAsync(1);
  expect(seen.started).toBe(3);
});

it('lets a person go first', async () => {
  const limiter = createLimiter();
  limiter.pause(Date.now() + 1000);
  const order: number[] = [];
  for (const priority of [2, 1, 0, 1, 2, 0] as const) {
    void limiter.run({ ...write, priority }, async () => void order.push(priority));
  }
  await jest.advanceTimersByTimeAsync(1000);
  expect(order).toEqual([0, 0, 1, 1, 2, 2]);
});

it('gives up when waiting is no longer worth it, with a sentence', async () => {
  const limiter = createLimiter();
  limiter.pause(Date.now() + 3_600_000);
  const answer = limiter.run({ ...write, patienceMs: 60_000 }, async () => 1).catch((error: Error) => error.message);
  await jest.advanceTimersByTimeAsync(60_000);
  expect(await answer).toMatch(/rate limit is used up/);
});

it('a task that fails frees its place', async () => {
  const limiter = createLimiter();
  const fails = Array.from({ length: 40 }, () => limiter.run(read, () => Promise.reject(new Error('no'))));
  const results = await Promise.allSettled(fails);
  expect(results.every((it) => it.status === 'rejected')).toBe(true);
});
