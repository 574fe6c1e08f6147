import { createRequire } from 'node:module';
import { expect, it } from '@jest/globals';
import type { WebhookDefinition } from '@octokit/webhooks-examples';
import { openDispatcher } from '#src/adapters/github/dispatch.ts';
import type { Delivery } from '#src/engine/store.ts';
import { type Event, runKey, type Trigger } from '#src/model/event.ts';
import { openTestGitHub, silent, until } from './support.ts';

const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly WebhookDefinition[];

function example(name: string, index: number): unknown {
  return structuredClone(examples.find((it) => it.name === name)?.examples[index]);
}

interface Push {
  after: string;
  ref: string;
  head_commit: { id: string };
  repository: { id: number; pushed_at: number };
}
interface PullRequest {
  action: string;
  number: number;
  pull_request: { updated_at: string; head: { sha: string; ref: string } };
}

const start = Date.UTC(2026, 0, 1) / 1000;

/** Pushes to three branches of two repositories with a pull request each, as GitHub sends them. */
function story(): readonly Omit<Delivery, 'receivedAt'>[] {
  const all: Omit<Delivery, 'receivedAt'>[] = [];
  const add = (event: string, payload: unknown) =>
    all.push({ guid: `guid-${all.length}`, event, body: Buffer.from(JSON.stringify(payload)) });
  for (let i = 0; i < 24; i += 1) {
    const sha = i.toString(16).padStart(40, '0').replace(/^0/, 'a');
    const branch = `topic-${i % 3}`;
    const push = example('push', 4) as Push;
    const ref = i % 8 === 7 ? `refs/tags/v${i}` : `refs/heads/${branch}`;
    Object.assign(push, { ref, after: sha, head_commit: { ...push.head_commit, id: sha } });
    Object.assign(push.repository, { id: 1 + (i % 2), pushed_at: start + i });
    add('push', push);
    if (i % 8 === 7) continue;
    const pull = example('pull_request', 0) as PullRequest;
    const synchronized = { ...pull, action: 'synchronize', number: i % 3 };
    pull.pull_request.updated_at = new Date((start + i) * 1000).toISOString();
    Object.assign(pull.pull_request.head, { sha, ref: branch });
    add('pull_request', synchronized);
  }
  return all;
}

/** Numbers from 0 up to 1, the same for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Delivers in this order, a GUID that is known is turned away as the store does it. */
async function deliver(deliveries: readonly Omit<Delivery, 'receivedAt'>[], next: () => number) {
  const stored: Delivery[] = [];
  const done = new Set<string>();
  const runs = new Set<string>();
  const newest = new Map<string, Trigger>();
  const dispatcher = await openDispatcher({
    github: await openTestGitHub(),
    store: {
      pending: async (limit) => stored.filter(({ guid }) => !done.has(guid)).slice(0, limit),
      async finish(guid) {
        done.add(guid);
      },
    },
    async intake(event: Event) {
      if (next() < 0.1) throw new Error('The database is away.');
      if (event.kind !== 'trigger') return 'nothing';
      const { repository, trigger } = event;
      const key = runKey(trigger);
      runs.add(`${repository.id} ${key} ${trigger.sha}`);
      const before = newest.get(`${repository.id} ${key}`);
      if ((trigger.at ?? 0) >= (before?.at ?? 0)) newest.set(`${repository.id} ${key}`, trigger);
      return 'done';
    },
    resolve: async () => null,
    logger: silent,
    retryMs: Array.from({ length: 50 }, () => 1),
  });
  for (const delivery of deliveries) {
    if (!stored.some(({ guid }) => guid === delivery.guid)) stored.push({ ...delivery, receivedAt: 0 });
    dispatcher.wake();
    if (next() < 0.2) await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => done.size === stored.length);
  await dispatcher.close();
  return {
    runs: [...runs].sort(),
    newest: [...newest].map(([key, { sha }]) => `${key} ${sha}`).sort(),
  };
}

it.each([1, 2, 3, 4, 5, 6])(
  'any order, with doubles, makes the same runs and names the same newest: seed %i',
  async (seed) => {
    const next = random(seed);
    const ordered = story();
    const expected = await deliver(ordered, () => 1);
    const doubled = [...ordered, ...ordered.filter(() => next() < 0.5)];
    const shuffled = doubled
      .map((delivery) => ({ delivery, place: next() }))
      .sort((a, b) => a.place - b.place)
      .map(({ delivery }) => delivery);
    expect(await deliver(shuffled, next)).toEqual(expected);
    expect(expected.runs.length).toBeGreaterThan(20);
  },
);
