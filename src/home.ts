import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { AppCredentials } from './settings.ts';
import { SettingsError } from './settings.ts';

/** The data folder, SLIPWAY_HOME. */
export interface Home {
  readonly path: string;
  readonly database: string;
  /** Key with which links are signed; made at the first start. */
  readonly linkKey: Buffer;
  /** Credentials that the set-up page stored, or null. */
  readApp(): AppCredentials | null;
  saveApp(credentials: AppCredentials): void;
  /** Lets another server have the folder. */
  close(): void;
}

/**
 * Opens the data folder, and makes it if need be, for nobody but the server's user. Throws SettingsError if it can't be
 * used, or another server still uses it after `patienceMs`: one that is being replaced may be about to end.
 */
export function openHome(path: string, patienceMs = 5_000): Home {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const lock = lockFolder(path, patienceMs);
    const key = keyOrUnlock(path, lock);
    return {
      path,
      database: join(path, 'slipway.db'),
      linkKey: key,
      readApp: () => readApp(join(path, 'app.json')),
      saveApp: (credentials) => writePrivate(join(path, 'app.json'), JSON.stringify(credentials)),
      close: () => lock.close(),
    };
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    throw new SettingsError(`SLIPWAY_HOME names ${path}, which can't be used: ${(error as Error).message}.`);
  }
}

/**
 * A second server would take this one's running jobs for orphans and remove their containers. SQLite's lock, because
 * the kernel releases it however the process ends.
 */
function lockFolder(path: string, patienceMs: number): DatabaseSync {
  const lock = new DatabaseSync(join(path, 'lock'), { timeout: patienceMs });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (!(error as Error).message.includes('locked')) throw error;
    throw new SettingsError(
      `SLIPWAY_HOME names ${path}, which another Slipway uses: stop that one, or give this one a folder of its own.`,
    );
  }
}

function keyOrUnlock(path: string, lock: DatabaseSync): Buffer {
  try {
    return linkKey(join(path, 'link.key'));
  } catch (error) {
    lock.close();
    throw error;
  }
}

const keyBytes = 32;

function linkKey(file: string): Buffer {
  const known = readIfThere(file);
  if (known !== null) {
    const key = Buffer.from(known.trim(), 'hex');
    if (key.length === keyBytes) return key;
    throw new SettingsError(
      `SLIPWAY_HOME holds ${file}, which is damaged: restore it, or remove it to have a new one; links given out become invalid then.`,
    );
  }
  const key = randomBytes(keyBytes);
  writePrivate(file, key.toString('hex'));
  return key;
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

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Whole or not at all, and for the server's user only. */
function writePrivate(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}
