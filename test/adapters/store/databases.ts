import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PostgresCluster, startPostgres } from '#dev/postgres.ts';

/** Where a store is opened: what `openStore` takes beside the clock. */
export type Place = { readonly path: string } | { readonly url: string };

export interface Databases {
  readonly name: string;
  /** What the databases need for as long as the file's tests run. */
  start(): Promise<void>;
  end(): Promise<void>;
  /** A new database and what removes it. */
  make(): Promise<{ readonly place: Place; readonly remove: () => Promise<void> }>;
}

const sqlite: Databases = {
  name: 'SQLite',
  async start() {},
  async end() {},
  async make() {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-store-'));
    return { place: { path: join(folder, 'slipway.db') }, remove: () => rm(folder, { recursive: true }) };
  },
};

let cluster: PostgresCluster | null = null;

const postgres: Databases = {
  name: 'PostgreSQL',
  async start() {
    cluster = await startPostgres();
  },
  async end() {
    await cluster?.dispose();
    cluster = null;
  },
  async make() {
    if (cluster === null) throw new Error('The cluster is not started.');
    // The cluster takes its databases with it.
    return { place: { url: await cluster.createDatabase() }, async remove() {} };
  },
};

/** Both kinds of database, for what every store must do. */
export const databases: readonly Databases[] = [sqlite, postgres];
