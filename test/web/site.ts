import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLogs } from '#src/adapters/logs/logs.ts';
import { openStore } from '#src/adapters/store/store.ts';
import type { Logs } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import { type WebParts, webApp } from '#src/web/app.ts';
import { type Changes, createChanges } from '#src/web/changes.ts';
import { createLinks, createSigner, type Links } from '#src/web/signer.ts';

export interface Site extends AsyncDisposable {
  readonly url: string;
  readonly store: Store;
  readonly logs: Logs;
  readonly changes: Changes;
  /** Absolute addresses. */
  readonly links: Links;
  readonly errors: unknown[];
  /** Ends the connections that are open, as a proxy or a network would. */
  dropConnections(): void;
}

export const operatorToken = 'an operator token, long enough';

/** The pages on a port of their own, over an empty store and real log files. */
export async function openSite(overrides: Partial<WebParts> = {}): Promise<Site> {
  const home = await mkdtemp(join(tmpdir(), 'slipway-web-'));
  const clock = { now: () => Date.now() };
  const store = overrides.store ?? (await openStore({ path: ':memory:', clock }));
  const logs = overrides.logs ?? openLogs({ home });
  const changes = createChanges();
  const signer = createSigner(Buffer.alloc(32, 7));
  const errors: unknown[] = [];
  const app = webApp({
    store,
    logs,
    changes,
    signer,
    clock,
    baseUrl: '',
    operatorToken,
    checks: {},
    sealKey: async (repository) => `seal-key:v1:${repository}`,
    cancel: async () => {},
    environments: null,
    setup: null,
    version: '0.1.0',
    onError: (error) => errors.push(error),
    ...overrides,
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    store,
    logs,
    changes,
    links: createLinks(url, signer),
    errors,
    dropConnections: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await store.close();
      await rm(home, { recursive: true });
    },
  };
}
