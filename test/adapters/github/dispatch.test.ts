import { createRequire } from 'node:module';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { WebhookDefinition } from '@octokit/webhooks-examples';
import { type Dispatcher, type DispatcherOptions, openDispatcher } from '#src/adapters/github/dispatch.ts';
import type { Intake } from '#src/engine/ports.ts';
import type { Delivery } from '#src/engine/store.ts';
import type { Event } from '#src/model/event.ts';
import { openTestGitHub, silent, until } from './support.ts';

const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly WebhookDefinition[];
const example = (name: string, index: number) => examples.find((it) => it.name === name)?.examples[index] as object;
const push = example('push', 4);
const open: Dispatcher[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((it) => it.close()));
});

function memoryDeliveries() {
  const all: Delivery[] = [];
  const results = new Map<string, string>();
  let asked = 0;
  return {
    results,
    asked: () => asked,
    add(guid: string, event: string, payload: unknown) {
      const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
      all.push({ guid, event, body: Buffer.from(text), receivedAt: 0 });
    },
    async pending(limit: number) {
      asked += 1;
      return all.filter((it) => !results.has(it.guid)).slice(0, limit);
    },
    async finish(guid: string, result: string) {
      if (results.has(guid)) throw new Error(`${guid} was finished twice`);
      results.set(guid, result);
    },
  };
}

async function dispatcher(
  store: ReturnType<typeof memoryDeliveries>,
  intake: Intake,
  change: Partial<DispatcherOptions> = {},
) {
  const made = await openDispatcher({
    github: await openTestGitHub(),
    store,
    intake,
    resolve: async () => null,
    logger: silent,
    retryMs: [1, 1, 1],
    ...change,
  });
  open.push(made);
  made.wake();
  return made;
}

/** A push to a repository of its own. */
function pushTo(repository: number): object {
  const payload = structuredClone(push) as { repository: { id: number } };
  payload.repository.id = repository;
  return payload;
}

it('feeds what is stored to the handlers, and keeps what came of it', async () => {
  const store = memoryDeliveries();
  store.add('g1', 'push', push);
  store.add('g2', 'star', example('star', 0));
  store.add('g3', 'ping', example('ping', 0));
  const events: Event[] = [];
  await dispatcher(store, async (event) => `Run ${events.push(event)} was started.`);
  await until(() => store.results.size === 3);
  expect(events).toEqual([expect.objectContaining({ kind: 'trigger' })]);
  expect(Object.fromEntries(store.results)).toEqual({
    g1: 'Run 1 was started.',
    g2: 'Ignored: Slipway doesn\'t use the event "star".',
    g3: 'Ignored: GitHub can reach Slipway.',
  });
});

it('keeps the order within a repository, and each is handled once', async () => {
  const store = memoryDeliveries();
  const seen: number[] = [];
  const it = await dispatcher(store, async (event) => {
    if (event.kind === 'trigger') {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
      seen.push(Number(event.trigger.title));
    }
    return 'done';
  });
  for (let i = 0; i < 200; i += 1) {
    const payload = structuredClone(push) as { head_commit: { message: string } };
    payload.head_commit.message = String(i);
    store.add(`g${i}`, 'push', payload);
    it.wake();
    if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await until(() => store.results.size === 200);
  expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i));
});

it('tries a failed delivery again, and lets others pass meanwhile', async () => {
  const store = memoryDeliveries();
  store.add('bad', 'push', pushTo(1));
  store.add('good', 'push', pushTo(1));
  let failures = 2;
  const order: string[] = [];
  await dispatcher(store, async () => {
    failures -= 1;
    if (failures === 1 || failures === -1) throw new Error('The database is away.');
    order.push('done');
    return 'done';
  });
  await until(() => store.results.size === 2);
  expect([...store.results]).toEqual([
    ['good', 'done'],
    ['bad', 'done'],
  ]);
});

it('gives a poisoned delivery up at last, with the error', async () => {
  const store = memoryDeliveries();
  store.add('bad', 'push', push);
  let tries = 0;
  await dispatcher(store, async () => {
    tries += 1;
    throw new Error('The planner has a bug.');
  });
  await until(() => store.results.size === 1);
  expect(tries).toBe(4);
  expect(store.results.get('bad')).toBe('Failed: The planner has a bug.');
});

it('one that hangs holds up no other repository', async () => {
  const store = memoryDeliveries();
  store.add('slow', 'push', pushTo(1));
  store.add('quick', 'push', pushTo(2));
  let release: () => void = () => undefined;
  await dispatcher(store, async (event) => {
    if (event.kind === 'trigger' && event.repository.id === 1) await new Promise<void>((done) => (release = done));
    return 'done';
  });
  await until(() => store.results.has('quick'));
  expect(store.results.has('slow')).toBe(false);
  release();
  await until(() => store.results.has('slow'));
});

const titled = (title: string) => ({ ...push, head_commit: { id: '1'.repeat(40), message: title } });
const titleOf = (event: Event) => (event.kind === 'trigger' ? event.trigger.title : '');

describe('what people are answered', () => {
  it('holds up nothing of the repository, and its delivery is not finished before', async () => {
    const store = memoryDeliveries();
    const count = 40;
    for (let i = 0; i < count; i += 1) store.add(`wrong ${i}`, 'push', titled('wrong'));
    store.add('rollback', 'push', titled('rollback'));
    const answers = Promise.withResolvers<void>();
    await dispatcher(store, async (event, later) => {
      if (titleOf(event) === 'wrong') later?.(() => answers.promise);
      return titleOf(event);
    });
    await until(() => store.results.size > 0);
    expect([...store.results]).toEqual([['rollback', 'rollback']]);
    answers.resolve();
    await until(() => store.results.size === count + 1);
  });

  it('is told again if it failed, in the words of the one who handled it', async () => {
    const store = memoryDeliveries();
    store.add('g', 'push', push);
    let times = 0;
    await dispatcher(store, async (_event, later) => {
      later?.(async () => {
        times += 1;
        if (times < 3) throw new Error('GitHub is down.');
      });
      return 'done';
    });
    await until(() => store.results.size === 1);
    expect([times, store.results.get('g')]).toEqual([3, 'done']);
  });

  it('is waited for by close, so long as that waits, and told once by whoever follows', async () => {
    const store = memoryDeliveries();
    const github = await openTestGitHub();
    const seen: string[] = [];
    const answers = Promise.withResolvers<void>();
    const take =
      (by: string): Intake =>
      async (event, later) => {
        seen.push(`${by} ${titleOf(event)}`);
        later?.(() => answers.promise);
        return by;
      };
    store.add('g1', 'push', titled('one'));
    const first = await dispatcher(store, take('first'), { github });
    await until(() => seen.length === 1);
    await first.close(1);
    const second = await dispatcher(store, take('second'), { github });
    store.add('g2', 'push', titled('two'));
    second.wake();
    await until(() => seen.length === 2);
    answers.resolve();
    await until(() => store.results.size === 2);
    expect(seen).toEqual(['first one', 'second two']);
    expect(store.results.get('g1')).toBe('first');
  });

  it('is told by the next process if this one died over it', async () => {
    const store = memoryDeliveries();
    store.add('g', 'push', push);
    const told: string[] = [];
    const stuck = Promise.withResolvers<void>();
    const dead = await dispatcher(store, async (_event, later) => {
      later?.(() => stuck.promise);
      told.push('dead');
      return 'done';
    });
    await until(() => told.length === 1);
    await dead.close(1);
    await dispatcher(store, async (_event, later) => {
      later?.(async () => void told.push('next'));
      return 'done';
    });
    await until(() => store.results.size === 1);
    expect(told).toEqual(['dead', 'next']);
    stuck.resolve();
  });
});

it.each([
  ['not JSON', 'payload=%7B', /^Ignored: the body is no JSON object\.$/],
  ['JSON, but nothing', 'null', /^Ignored: the body is no JSON object\.$/],
  ['JSON, but no object', '"x"', /^Ignored: the body is no JSON object\.$/],
  ['not as documented', '{"ref":"refs/heads/x"}', /^Ignored: the payload is not as documented/],
])('finishes a body that is %s at once', async (_what, text, result) => {
  const store = memoryDeliveries();
  store.add('g', 'push', text);
  await dispatcher(store, async () => 'done');
  await until(() => store.results.size === 1);
  expect(store.results.get('g')).toMatch(result);
});

it.each([
  ['the commit', '2'.repeat(40), 'done'],
  ['nothing', null, 'Ignored: refs/tags/simple-tag names no commit.'],
])('resolves a tag whose payload does not name its commit: %s', async (_what, sha, result) => {
  const store = memoryDeliveries();
  store.add('g', 'push', { ...example('push', 0), head_commit: null });
  const shas: string[] = [];
  await dispatcher(
    store,
    async (event) => {
      if (event.kind === 'trigger') shas.push(event.trigger.sha);
      return 'done';
    },
    { resolve: async (_repository, ref) => (ref === 'refs/tags/simple-tag' ? sha : 'wrong') },
  );
  await until(() => store.results.size === 1);
  expect(store.results.get('g')).toBe(result);
  expect(shas).toEqual(sha === null ? [] : [sha]);
});

it('comes back when the store was away', async () => {
  const store = memoryDeliveries();
  store.add('g', 'push', push);
  let away = 1;
  const broken = {
    ...store,
    async finish(guid: string, result: string) {
      away -= 1;
      if (away >= 0) throw new Error('The database is away.');
      await store.finish(guid, result);
    },
  };
  await dispatcher(broken, async () => 'done');
  await until(() => store.results.size === 1);
});

it('follows a dispatcher that still works: nothing is handled twice, and the order is kept', async () => {
  const store = memoryDeliveries();
  const github = await openTestGitHub();
  const seen: string[] = [];
  let release: () => void = () => undefined;
  const slow = new Promise<void>((done) => (release = done));
  const take = (by: string) => async (event: Event) => {
    if (event.kind === 'trigger') seen.push(`${by} ${event.trigger.title}`);
    if (by === 'first') await slow;
    return 'done';
  };
  store.add('g1', 'push', titled('one'));
  store.add('g2', 'push', titled('two'));
  const first = await dispatcher(store, take('first'), { github });
  await until(() => seen.length === 1);
  await first.close(1);
  const second = await dispatcher(store, take('second'), { github });
  store.add('g3', 'push', titled('three'));
  second.wake();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(seen).toEqual(['first one']);
  release();
  await until(() => store.results.size === 3);
  expect(seen).toEqual(['first one', 'second two', 'second three']);
});

it('tells when an installation changed', async () => {
  const store = memoryDeliveries();
  store.add('g', 'installation_repositories', example('installation_repositories', 0));
  let told = 0;
  await dispatcher(store, async () => 'done', { onInstallation: () => (told += 1) });
  await until(() => store.results.size === 1);
  expect(told).toBe(1);
});

it('takes nothing new once it is closed', async () => {
  const store = memoryDeliveries();
  const it = await dispatcher(store, async () => 'done');
  await it.close();
  store.add('g', 'push', push);
  it.wake();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(store.results.size).toBe(0);
});
