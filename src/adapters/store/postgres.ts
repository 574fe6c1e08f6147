import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type { Client, ClientConfig, Pool, PoolClient, default as Driver } from 'pg';
import type { Logger } from 'pino';
import { PlatformError } from '#src/model/outcome.ts';
import { storable } from './text.ts';

/** Connections of one server. PostgreSQL has 100 by default, for all of its users. */
const poolSize = 10;
const connectMs = 10_000;

export interface PostgresOptions {
  readonly url: string;
  readonly log: Logger | undefined;
  /** How long a statement may take, a wait for another's lock included. */
  readonly statementMs?: number;
}

/**
 * A pool of `pg` in the shape that Kysely's PostgresDialect expects. Every failure comes out as a PlatformError that
 * names the database without its password. Broken connections are replaced, so it outlives the database's restart.
 */
export class Postgres implements PostgresPool {
  /** `postgres://user@host:port/database`, for messages. */
  readonly where: string;
  readonly #pool: Pool;
  readonly #connect: () => Client;
  #closed: Promise<void> | null = null;

  private constructor(pg: typeof Driver, { url, log, statementMs = 15_000 }: PostgresOptions) {
    const config: ClientConfig = {
      connectionString: url,
      application_name: 'slipway',
      keepAlive: true,
      connectionTimeoutMillis: connectMs,
      statement_timeout: statementMs,
      // PostgreSQL's own deadline comes first; this one is for a connection that is dead without knowing it.
      query_timeout: statementMs + 5_000,
      idle_in_transaction_session_timeout: 3_000,
      types: { getTypeParser: (oid, format) => parserOf(pg.types, oid, format) },
    };
    this.where = nameOf(() => new pg.Client(config));
    this.#connect = () => new pg.Client(config);
    this.#pool = new pg.Pool({ ...config, max: poolSize, allowExitOnIdle: true });
    this.#pool.on('error', (error) => log?.warn(`The database ${this.where} ended a connection: ${error.message}`));
    // One that is lost while it is in use tells so by its query; without a listener it would end the process.
    this.#pool.on('connect', (client) => client.on('error', () => {}));
  }

  /** Loads the driver; doesn't connect yet. PlatformError if the address can't be understood. */
  static async load(options: PostgresOptions): Promise<Postgres> {
    const { default: pg } = await import('pg');
    return new Postgres(pg, options);
  }

  async connect(): Promise<PostgresPoolClient> {
    const client = await this.guard(() => this.#pool.connect());
    // Kysely's type wants cursors too, which it uses only where it is given a driver for them.
    return new Connection(this, client) as unknown as PostgresPoolClient;
  }

  /** A connection beside the pool, not yet opened. */
  single(): Client {
    return this.#connect();
  }

  async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.failure(error);
    }
  }

  failure(error: unknown): PlatformError {
    if (error instanceof PlatformError) return error;
    return new PlatformError(`The database ${this.where} failed: ${explain(error)}`, { cause: error });
  }

  /** Ends all connections when they are done, or after some seconds. */
  end(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      const timer = setTimeout(resolve, 5_000);
      void this.#pool
        .end()
        .catch(() => {})
        .finally(() => {
          clearTimeout(timer);
          resolve();
        });
    });
    return this.#closed;
  }
}

/** What Kysely uses of a connection. */
class Connection {
  readonly #postgres: Postgres;
  readonly #client: PoolClient;
  #broken = false;

  constructor(postgres: Postgres, client: PoolClient) {
    this.#postgres = postgres;
    this.#client = client;
  }

  async query(sql: string, parameters: readonly unknown[]): Promise<unknown> {
    try {
      return await this.#client.query(sql, parameters.map(storable));
    } catch (error) {
      // What PostgreSQL refused has a code of five characters; after anything else (a deadline, a lost connection) the
      // connection may still be busy with this query, and is not given to another.
      if (!/^[0-9A-Z]{5}$/.test((error as { code?: string }).code ?? '')) this.#broken = true;
      throw this.#postgres.failure(error);
    }
  }

  release(): void {
    this.#client.release(this.#broken);
  }
}

/** 64-bit integers and sums as numbers: ours are times, counts and GitHub's ids, all below 2^53. */
function parserOf(known: (typeof Driver)['types'], oid: number, format?: 'text' | 'binary') {
  const numbers: readonly number[] = [known.builtins.INT8, known.builtins.NUMERIC];
  if (format !== 'binary' && numbers.includes(oid)) return Number;
  return known.getTypeParser(oid, format ?? 'text');
}

/** The address as the driver understood it. The driver's own errors would show the whole of it. */
function nameOf(make: () => Client): string {
  try {
    const { user, host, port, database } = make();
    // An unescaped slash in the password has made its rest the database's name.
    if (database?.includes('@')) throw new Error('no database has such a name');
    return `postgres://${user ?? ''}@${host}${host.startsWith('/') ? '' : `:${port}`}/${database ?? ''}`;
  } catch {
    throw new PlatformError(
      "DATABASE_URL can't be understood. It reads postgres://USER:PASSWORD@HOST:5432/DATABASE; write signs like # / ? % @ : in the password as %23 %2F %3F %25 %40 %3A, and see that the files it names for TLS are there.",
    );
  }
}

/** Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const advice: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: start PostgreSQL, or correct DATABASE_URL.',
  ENOENT: 'Nothing listens there: start PostgreSQL, or correct DATABASE_URL.',
  ENOTFOUND: 'No such host is known: correct DATABASE_URL, or see to the name service.',
  EAI_AGAIN: 'The name service gave no answer: see to it.',
  ETIMEDOUT: 'It gave no answer: see that it runs, and that the network leads there.',
  '28P01': 'Correct the password in DATABASE_URL.',
  '28000': "Let this user in by the server's pg_hba.conf, or correct DATABASE_URL.",
  '3D000': 'Create the database, or correct DATABASE_URL.',
  '42501': 'Give the user of DATABASE_URL the right to it, best as the owner of the database.',
  '53100': 'Free some space on its disk; nothing that was acknowledged is lost.',
  '53300': 'Raise max_connections, or end what else is connected: each Slipway takes up to 12.',
  '25006': 'This is a stand-by or read-only: let DATABASE_URL name the primary.',
  '57014': 'It took too long: see whether the database is overloaded, or whether something holds a lock.',
  '57P01': 'It is being stopped or restarted.',
  '57P02': 'It crashed and is recovering.',
  '57P03': 'It is starting or stopping.',
};

function explain(error: unknown): string {
  const { message, code = '', errors } = error as { message: string; code?: string; errors?: readonly Error[] };
  // A name with several addresses fails with several errors and no message.
  const text = message || errors?.map((one) => one.message).join(', ') || code;
  const what = text.endsWith('.') ? text.slice(0, -1) : text;
  return `${what}. ${advice[code] ?? adviceByText(text)}`.trimEnd();
}

function adviceByText(text: string): string {
  if (text.startsWith('timeout exceeded when trying to connect')) {
    return `All connections were busy for ${connectMs / 1000} s, or it gave no answer: see whether it is overloaded.`;
  }
  if (text.startsWith('Cannot use a pool after')) return 'The store is closed.';
  if (/terminated|timeout|ECONNRESET|EPIPE/.test(text)) return 'The connection was lost: see whether PostgreSQL runs.';
  if (/SSL|certificate/i.test(text)) return 'Set sslmode and sslrootcert in DATABASE_URL as the server wants them.';
  return '';
}
