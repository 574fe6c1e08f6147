import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqliteDatabase, SqliteStatement } from 'kysely';
import { PlatformError } from '#src/model/outcome.ts';
import { storable } from './text.ts';

/** Statements kept prepared. Texts with a variable number of parameters could otherwise pile up. */
const preparedLimit = 300;

/** How long a statement waits for another process that is writing, in milliseconds. */
const busyTimeout = 5_000;

/**
 * node:sqlite in the shape that Kysely's SqliteDialect expects (better-sqlite3's), with statements
 * prepared once. Everything that SQLite refuses comes out as a PlatformError.
 */
export class Sqlite implements SqliteDatabase {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, SqliteStatement>();

  /** Opens or makes the file, readable by its owner only. `:memory:` keeps everything in memory. */
  constructor(path: string) {
    this.#path = path;
    this.#db = this.#guard(() => {
      if (path !== ':memory:') {
        mkdirSync(dirname(path), { recursive: true });
        closeSync(openSync(path, 'a', 0o600));
      }
      const db = new DatabaseSync(path, { timeout: busyTimeout, enableForeignKeyConstraints: true });
      db.exec('PRAGMA journal_mode = WAL');
      db.exec('PRAGMA synchronous = FULL');
      return db;
    });
  }

  prepare(sql: string): SqliteStatement {
    const known = this.#prepared.get(sql);
    if (known) return known;
    // A transaction that reads first and writes later fails if another process wrote in between; so each is a writer from its start.
    const text = sql === 'begin' ? 'begin immediate' : sql;
    const statement = this.#guard(() => this.#statement(this.#db.prepare(text), sql === 'rollback'));
    if (this.#prepared.size >= preparedLimit) this.#prepared.clear();
    this.#prepared.set(sql, statement);
    return statement;
  }

  /** Runs `work` as one transaction, without yielding. The caller must hold Kysely's connection. */
  transaction<T>(work: () => T): T {
    return this.#guard(() => {
      this.#db.exec('begin immediate');
      try {
        const result = work();
        this.#db.exec('commit');
        return result;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('rollback');
        throw error;
      }
    });
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #statement(statement: StatementSync, rollsBack: boolean): SqliteStatement {
    return {
      reader: statement.columns().length > 0,
      all: (parameters) => this.#guard(() => statement.all(...bindable(parameters))),
      run: (parameters) => {
        // A full disk has rolled it back already; failing again would hide why.
        if (rollsBack && !this.#db.isTransaction) return nothing;
        return this.#guard(() => statement.run(...bindable(parameters)));
      },
      iterate: (parameters) => statement.iterate(...bindable(parameters)),
    };
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof PlatformError) throw error;
      throw new PlatformError(`The database ${this.#path} failed: ${explain(error)}`, { cause: error });
    }
  }
}

const nothing = { changes: 0, lastInsertRowid: 0 };

type Bindable = null | number | bigint | string | Uint8Array;

function bindable(parameters: readonly unknown[]): Bindable[] {
  // node:sqlite stores NULL for what it doesn't know (a Date, say), so such a value must not get this far.
  for (const value of parameters) {
    const type = typeof value;
    if (value === null || type === 'string' || type === 'number' || type === 'bigint' || value instanceof Uint8Array) {
      continue;
    }
    throw new TypeError(`A ${type} can't be stored.`);
  }
  return parameters.map(storable) as Bindable[];
}

/** Result codes: https://sqlite.org/rescode.html (the low byte is the primary one). */
function explain(error: unknown): string {
  const { message = String(error), errcode = 0 } = error as { message?: string; errcode?: number };
  switch (errcode & 0xff) {
    case 5:
    case 6:
      return `${message}. Another process has kept it locked for ${busyTimeout / 1000} s; see which one has it open.`;
    case 8:
      return `${message}. Give the server's user the right to write the file and its folder.`;
    case 10:
      return `${message}. Reading or writing the disk failed; look at the system's log.`;
    case 11:
    case 26:
      return `${message}. The file is damaged or no SQLite database; restore it from a backup.`;
    case 13:
      return `${message}. Free some space; nothing that was acknowledged is lost.`;
    default:
      return message;
  }
}
