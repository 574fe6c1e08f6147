import { randomBytes, randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { AppCredentials } from './settings.ts';
import { SettingsError } from './settings.ts';

/** The data folder, SLIPWAY_HOME. */
export interface Home {
  readonly path: string;
  /** File of the embedded database. */
  readonly database: string;
  /** Folder for what one server must have alone (mirrors, trees): `path` itself, or one in it. */
  readonly own: string;
  /**
   * Text that names this installation and the server's slot in it: the same after a restart, and never that of another
   * server that runs.
   */
  readonly place: string;
  /** Key with which links are signed; made at the first start. */
  readonly linkKey: Buffer;
  /** Credentials that the set-up page stored, or null. */
  readApp(): AppCredentials | null;
  saveApp(credentials: AppCredentials): void;
  /** Lets another server have the folder, or the slot. */
  close(): void;
}

export interface HomeOptions {
  /** Servers on one PostgreSQL share the folder; otherwise one server has it. */
  readonly shared?: boolean;
  /** How long to wait for a server that is being replaced and may be about to end. */
  readonly patienceMs?: number;
}

/**
 * Opens the data folder, and makes it if need be, for nobody but the server's user. Throws SettingsError if it can't be
 * used, or another server still uses it with which it can't be shared.
 */
export function openHome(path: string, { shared = false, patienceMs = 5_000 }: HomeOptions = {}): Home {
  const locks: DatabaseSync[] = [];
  held.add(locks);
  const close = () => {
    for (const lock of locks.splice(0).toReversed()) lock.close();
    held.delete(locks);
  };
  try {
    makeFolder(resolve(path));
    locks.push(lockFolder(path, shared, patienceMs));
    const slot = shared ? takeSlot(path, locks) : 0;
    const own = slot === 0 ? path : join(path, `server-${slot}`);
    makeFolder(own);
    return {
      path,
      database: join(path, 'slipway.db'),
      own,
      place: `${installationId(path)}/${slot}`,
      linkKey: linkKey(join(path, 'link.key')),
      readApp: () => readApp(join(path, 'app.json')),
      saveApp: (credentials) => {
        const file = join(path, 'app.json');
        writeWhole(file, JSON.stringify(credentials), renameSync);
      },
      close,
    };
  } catch (error) {
    close();
    if (error instanceof SettingsError) throw error;
    throw new SettingsError(
      `SLIPWAY_HOME names ${path}, which can't be used: ${(error as Error).message}. Name a folder on a disk that the server's user may write.`,
    );
  }
}

/** A lock that nobody refers to would be collected, and so released. */
const held = new Set<DatabaseSync[]>();

/** One by one, for the user only: on a path where nothing can be made (/proc/x) Node's recursive way never ends. */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another server may have made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}

/**
 * A server with a database of its own would take another's running jobs for orphans and remove their containers, so it
 * has the folder alone. Servers on one database hold it together. SQLite's locks, because the kernel releases them
 * however the process ends.
 */
function lockFolder(path: string, shared: boolean, patienceMs: number): DatabaseSync {
  const lock = lockFile(join(path, 'lock'), shared, patienceMs);
  if (lock !== null) return lock;
  throw new SettingsError(
    shared
      ? `SLIPWAY_HOME names ${path}, which another Slipway uses without DATABASE_URL: stop that one, or give this one a folder of its own.`
      : `SLIPWAY_HOME names ${path}, which another Slipway uses: stop that one, or give this one a folder of its own.`,
  );
}

const mostSlots = 100;

/** The first that nobody has. Adds its lock. */
function takeSlot(path: string, locks: DatabaseSync[]): number {
  for (let slot = 0; slot < mostSlots; slot += 1) {
    const lock = lockFile(join(path, `lock-${slot}`), false, 0);
    if (lock === null) continue;
    locks.push(lock);
    return slot;
  }
  throw new SettingsError(`SLIPWAY_HOME names ${path}, which ${mostSlots} servers use already: stop some of them.`);
}

/** Null if another has it so that this one can't. The lock is held until it is closed. */
function lockFile(file: string, shared: boolean, patienceMs: number): DatabaseSync | null {
  const lock = new DatabaseSync(file, { timeout: patienceMs });
  try {
    // A transaction that has read holds a lock that others may hold as well.
    lock.exec(shared ? 'BEGIN; SELECT count(*) FROM sqlite_schema' : 'BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if ((error as Error).message.includes('locked')) return null;
    throw error;
  }
}

/** Tells the installations apart that use one Docker engine or one database. Made once, read by the executor too. */
function installationId(path: string): string {
  const file = join(path, 'installation');
  const id = readOrMake(file, randomUUID).trim();
  if (id !== '') return id;
  throw new SettingsError(
    `SLIPWAY_HOME holds ${file}, which is empty: restore it, or remove it to have a new one; containers of before are strange then.`,
  );
}

const keyBytes = 32;

function linkKey(file: string): Buffer {
  const key = Buffer.from(readOrMake(file, () => randomBytes(keyBytes).toString('hex')).trim(), 'hex');
  if (key.length === keyBytes) return key;
  throw new SettingsError(
    `SLIPWAY_HOME holds ${file}, which is damaged: restore it, or remove it to have a new one; links given out become invalid then.`,
  );
}

function readApp(file: string): AppCredentials | null {
  const text = readIfThere(file);
  if (text === null) return null;
  try {
    const { appId, privateKey, webhookSecret } = JSON.parse(text) as AppCredentials;
    if (Number.isInteger(appId) && privateKey && webhookSecret) return { appId, privateKey, webhookSecret };
  } catch {
    // Said below.
  }
  throw new SettingsError(
    `SLIPWAY_HOME holds ${file}, which is damaged: set APP_ID, PRIVATE_KEY_PATH and WEBHOOK_SECRET, or remove it to register the App anew.`,
  );
}

/** What the file holds; if there is none, it is made. The same for all that start at once. */
function readOrMake(file: string, make: () => string): string {
  const known = readIfThere(file);
  if (known !== null) return known;
  try {
    // A link, unlike a renaming, never takes the place of another's file.
    writeWhole(file, make(), linkSync);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(file, 'utf8');
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Whole or not at all, and for the server's user only. */
function writeWhole(file: string, text: string, put: (from: string, to: string) => void): void {
  const draft = `${file}.${randomUUID()}.new`;
  try {
    writeFileSync(draft, text, { mode: 0o600, flush: true });
    put(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
}
