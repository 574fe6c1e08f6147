import { createHmac, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { PlatformError } from '#src/model/outcome.ts';

/** A master key. Nothing is encrypted with it itself: `derive` makes of it a key for each purpose. */
export interface MasterKey {
  /** Names the key without giving it away: 8 hex digits. */
  readonly id: string;
  /** Key material (HKDF-SHA-256) for this purpose. */
  derive(purpose: string, bytes: number): Buffer;
}

/** The keys of this installation. */
export interface KeyRing {
  /** All keys, newest first; empty if there is none yet. PlatformError if a key is damaged or others may read it. */
  all(): readonly MasterKey[];
  /** The key that encrypts. Makes the file if there may be one; otherwise PlatformError says which setting is missing. */
  newest(): MasterKey;
  /** Where the keys come from, for sentences: `the file /etc/slipway/secret.key`. */
  readonly where: string;
}

export interface KeyOptions {
  /** Keys in a text, or null. */
  readonly given: string | null;
  /** Path of the file that the operator names, or null. */
  readonly file: string | null;
  /** The installation's own file, for where neither is given. Servers that share a database would each make one: there it isn't used. */
  readonly own: { readonly path: string; readonly isUsed: boolean };
}

/**
 * The keys as the settings say. A file is read again whenever it changed, so a new key is known without a restart.
 * PlatformError if both settings are there.
 */
export function openKeys({ given, file, own }: KeyOptions): KeyRing {
  if (given !== null && file !== null) {
    throw new PlatformError('SLIPWAY_SECRET_KEY and SLIPWAY_SECRET_KEY_FILE are both set: set one of them.');
  }
  if (given !== null) {
    const keys = parseKeys(given, 'SLIPWAY_SECRET_KEY');
    return { all: () => keys, newest: () => first(keys), where: 'SLIPWAY_SECRET_KEY' };
  }
  if (file !== null) {
    const read = keyFile(file);
    const all = () => read() ?? fail(`SLIPWAY_SECRET_KEY_FILE names ${file}, but there is no such file.`);
    return { all, newest: () => first(all()), where: `the file ${file}` };
  }
  const { path } = own;
  if (!own.isUsed) {
    const missing = () => {
      const hint = existsSync(path)
        ? ` The key of this server alone is in ${path}: SLIPWAY_SECRET_KEY_FILE may name it.`
        : '';
      return fail(
        `This server has no key for secrets. Servers that share a database need the same one: set SLIPWAY_SECRET_KEY or SLIPWAY_SECRET_KEY_FILE on each (a key is made by: head -c 32 /dev/urandom | base64).${hint}`,
      );
    };
    return { all: () => [], newest: missing, where: 'SLIPWAY_SECRET_KEY' };
  }
  const read = keyFile(path);
  const newest = () => {
    const known = read();
    if (known !== null) return first(known);
    makeKeyFile(path);
    return first(read() ?? []);
  };
  return { all: () => read() ?? [], newest, where: `the file ${path}` };
}

/** Keys of a text: one a line (or with commas or blanks between), base64 or hex; lines that begin with # are remarks. */
export function parseKeys(text: string, where: string): readonly MasterKey[] {
  const words = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .flatMap((line) => line.split(/[\s,]+/))
    .filter((word) => word !== '');
  if (words.length === 0) fail(`${where} holds no key. It is 32 random bytes, as: head -c 32 /dev/urandom | base64`);
  const keys = words.map((word, index) => {
    const bytes = keyBytes(word);
    if (bytes !== null) return masterKey(bytes);
    return fail(
      `${where}: key ${index + 1} isn't 32 bytes in base64 (44 characters) or hex (64). A key is made by: head -c 32 /dev/urandom | base64`,
    );
  });
  return [...new Map(keys.map((key) => [key.id, key])).values()];
}

const keyLength = 32;

function keyBytes(word: string): Buffer | null {
  if (/^[0-9a-f]{64}$/i.test(word)) return Buffer.from(word, 'hex');
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(word)) return null;
  const bytes = Buffer.from(word, 'base64');
  return bytes.length === keyLength ? bytes : null;
}

function masterKey(bytes: Buffer): MasterKey {
  return {
    id: createHmac('sha256', bytes).update('slipway key id').digest('hex').slice(0, 8),
    derive: (purpose, length) => Buffer.from(hkdfSync('sha256', bytes, '', purpose, length)),
  };
}

/** Reads the file as often as it changes. Null as long as there is none. */
function keyFile(path: string): () => readonly MasterKey[] | null {
  let known: { readonly stamp: string; readonly keys: readonly MasterKey[] } | null = null;
  return () => {
    try {
      const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (stat === undefined) return null;
      const stamp = [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join();
      if (known?.stamp === stamp) return known.keys;
      refuseReaders(path, Number(stat.mode), Number(stat.uid));
      const keys = parseKeys(readFileSync(path, 'utf8'), `The key file ${path}`);
      known = { stamp, keys };
      return keys;
    } catch (error) {
      if (error instanceof PlatformError) throw error;
      return fail(`The key file ${path} can't be read: ${(error as Error).message}.`);
    }
  };
}

/**
 * Whether others may read or change a key file, by its mode and its owner's number. Of root's files the group may read: so a
 * cluster mounts secrets for a server that isn't root.
 */
export function isOpenToOthers(mode: number, uid: number): boolean {
  return (mode & (uid === 0 ? 0o037 : 0o077)) !== 0;
}

function refuseReaders(path: string, mode: number, uid: number): void {
  if (!isOpenToOthers(mode, uid)) return;
  fail(
    `The key file ${path} is open to other users (mode ${(mode & 0o777).toString(8).padStart(3, '0')}): run "chmod 600 ${path}". If others use this machine, consider the key as known to them: put a new one first and run "slipway secret rotate".`,
  );
}

/** Whole or not at all, never in another's place, and on the disk before anything is encrypted with it. */
function makeKeyFile(path: string): void {
  const draft = `${path}.${randomUUID()}.new`;
  try {
    writeFileSync(draft, `${randomBytes(keyLength).toString('base64')}\n`, { mode: 0o600, flush: true });
    linkSync(draft, path);
    const folder = openSync(dirname(path), 'r');
    fsyncSync(folder);
    closeSync(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') fail(`The key file ${path} can't be made: ${message}.`);
  } finally {
    rmSync(draft, { force: true });
  }
}

function first(keys: readonly MasterKey[]): MasterKey {
  return keys[0] ?? fail('There is no key for secrets.');
}

function fail(message: string): never {
  throw new PlatformError(message, { retry: 'never' });
}
