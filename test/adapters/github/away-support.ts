import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openCatchUp, type CatchUpOptions } from '#src/adapters/github/catch-up.ts';
import { deliveryRoute } from '#src/adapters/github/deliveries.ts';
import { openDispatcher } from '#src/adapters/github/dispatch.ts';
import type { Delivery } from '#src/engine/store.ts';
import { type Event, runKey, type Trigger } from '#src/model/event.ts';
import { makeTown, type Town } from '#test/dev/github/town.ts';
import { memoryTold, openTestGitHub, silent } from './support.ts';
import { runOf } from '#test/model/samples.ts';

/** A server that receives, dispatches and catches up as the product does, on stores in memory, and makes runs as its engine does. */
export interface Slip extends AsyncDisposable {
  readonly town: Town;
  /** `kind name sha` of every run, in the order in which they were made. */
  readonly runs: string[];
  readonly triggers: Trigger[];
  /** What came of each delivery, by GUID. */
  readonly results: Map<string, string>;
  /** What is stored of what was told and seen. */
  readonly told: Map<string, string>;
  /** False: what is sent to it fails. */
  up: boolean;
  /** Throws instead of making a run. */
  broken: boolean;
  /** Added to the time. */
  aheadMs: number;
  /** A process that begins: opens a catch-up that looks only when asked, with the stores as they are. */
  start(change?: Partial<CatchUpOptions>): ReturnType<typeof openCatchUp>;
  /** Waits until all that was received is dispatched. */
  settled(): Promise<void>;
  /** Requests to REST since the last call, as `operation status`. */
  requests(): string[];
}

export async function makeSlip(): Promise<Slip> {
  const town = await makeTown();
  const github = await openTestGitHub({
    appId: town.app.id,
    privateKey: town.app.privateKey,
    host: town.github.host,
    protocol: 'http',
  });
  const all: Delivery[] = [];
  const results = new Map<string, string>();
  const told = memoryTold();
  const runs = new Map<string, string>();
  const triggers: Trigger[] = [];
  const made: Trigger[] = [];
  const ofKey = async (_repositoryId: number, name: string) =>
    made.filter((trigger) => runKey(trigger) === name).map(runOf);
  const open: { close(): Promise<void> }[] = [];
  const key = (repositoryId: number, sha: string, name: string) => `${repositoryId} ${sha} ${name}`;
  const deliveries = {
    async add(delivery: Delivery) {
      if (all.some(({ guid }) => guid === delivery.guid)) return false;
      all.push(delivery);
      return true;
    },
    pending: async (limit: number) => all.filter(({ guid }) => !results.has(guid)).slice(0, limit),
    async finish(guid: string, result: string) {
      results.set(guid, result);
    },
    missing: async (guids: readonly string[]) => guids.filter((guid) => !all.some((it) => it.guid === guid)),
  };
  const server = createServer();
  const slip: Slip = {
    town,
    get runs() {
      return [...runs.values()];
    },
    triggers,
    results,
    told: told.values,
    up: true,
    broken: false,
    aheadMs: 0,
    start(change = {}) {
      const catchUp = openCatchUp({
        github,
        store: { deliveries, told, runs: { exists: async (...of) => runs.has(key(...of)), ofKey } },
        intake,
        wake: () => dispatcher.wake(),
        everyMs: null,
        reconcile: false,
        clock: { now: () => Date.now() + slip.aheadMs },
        logger: silent,
        settleMs: 0,
        ...change,
      });
      open.push(catchUp);
      return catchUp;
    },
    async settled() {
      await town.github.webhooks.idle();
      const deadline = Date.now() + 20_000;
      while (all.some(({ guid }) => !results.has(guid))) {
        if (Date.now() > deadline) throw new Error('Deliveries are not handled.');
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    requests: () =>
      town.github.world.exchanges
        .splice(0)
        .filter(({ operation }) => !operation?.endsWith('/access_tokens'))
        .map(({ operation, status }) => `${operation} ${status}`),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(open.map((it) => it.close()));
      await dispatcher.close();
      server.closeAllConnections();
      server.close();
      await town[Symbol.asyncDispose]();
    },
  };
  const dispatcher = await openDispatcher({
    github,
    store: deliveries,
    intake,
    resolve: async () => null,
    logger: silent,
    retryMs: [1, 1],
  });
  const route = deliveryRoute({
    path: '/hook',
    secret: 'secret',
    store: deliveries,
    onStored: dispatcher.wake,
    next: (_request, response) => response.writeHead(404).end(),
    logger: silent,
  });
  server.on('request', (request, response) => {
    if (slip.up) route(request, response);
    else response.writeHead(502).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  town.app.hook.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return slip;

  async function intake(event: Event): Promise<string> {
    if (slip.broken) throw new Error('The database is away.');
    if (event.kind !== 'trigger') return 'done';
    const { repository, trigger } = event;
    triggers.push(trigger);
    const name = key(repository.id, trigger.sha, runKey(trigger));
    if (runs.has(name)) return 'Known already.';
    made.push(trigger);
    runs.set(name, `${runKey(trigger)} ${trigger.sha}`);
    return 'A run.';
  }
}
