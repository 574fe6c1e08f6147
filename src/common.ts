import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import type { Logger } from 'pino';
import type { SecretKeeper } from './adapters/secrets/secrets.ts';
import type { Clock, Executor, Logs } from './engine/ports.ts';
import type { Space } from './engine/space.ts';
import type { Store } from './engine/store.ts';
import type { Home } from './home.ts';
import type { Operator } from './operator.ts';
import type { Settings } from './settings.ts';
import type { webApp } from './web/app.ts';

/** What the server has with and without an App. */
export interface Common {
  readonly settings: Settings;
  readonly home: Home;
  readonly operator: Operator;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly store: Store;
  readonly secrets: SecretKeeper;
  readonly space: Space;
  readonly logs: Logs;
  /** Where people reach the server. */
  readonly baseUrl: string;
  readonly hooks: Partial<Hooks>;
}

/** Stands between the engine and its parts; tests make things fail there. */
export interface Hooks {
  store(store: Store): Store;
  executor(executor: Executor): Executor;
}

/** An Express app is a listener; its types say otherwise under exactOptionalPropertyTypes. */
export function listenerOf(app: ReturnType<typeof webApp>): RequestListener {
  return app as unknown as RequestListener;
}

export function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
