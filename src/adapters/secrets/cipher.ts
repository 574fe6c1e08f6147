import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { PlatformError } from '#src/model/outcome.ts';
import { type SecretLimits, type SecretScope, scopeWords } from '#src/model/secret.ts';
import type { KeyRing, MasterKey } from './keys.ts';

/** Where a ciphertext stands: it opens there only, so that whoever may write the database can't move it or widen its limits. */
export interface CipherPlace {
  readonly scope: SecretScope;
  readonly name: string;
  readonly limits: SecretLimits;
}

const cipher = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
const format = /^v1:([0-9a-f]{8}):([A-Za-z0-9_-]+)$/;

/** `v1:KEYID:` and, in base64url, nonce, ciphertext and tag of AES-256-GCM. */
export function encrypt(key: MasterKey, place: CipherPlace, value: Buffer): string {
  const nonce = randomBytes(nonceBytes);
  const gcm = createCipheriv(cipher, aesKey(key), nonce, { authTagLength: tagBytes }).setAAD(additionalData(place));
  const sealed = Buffer.concat([nonce, gcm.update(value), gcm.final(), gcm.getAuthTag()]);
  return `v1:${key.id}:${sealed.toString('base64url')}`;
}

/** The value. PlatformError, without anything of it, if the key is missing or the text isn't what was encrypted here. */
export function decrypt(keys: KeyRing, place: CipherPlace, text: string): Buffer {
  const id = keyIdOf(text);
  const all = keys.all();
  const key = all.find((one) => one.id === id);
  if (id !== null && key === undefined) {
    const known = all.length === 0 ? 'there is none' : `there is ${all.map((one) => one.id).join(', ')}`;
    throw new PlatformError(
      `${wordsOf(place)} is encrypted with the key ${id}, which is missing (${known}). The operator puts that key back (behind the newest), or sets the secret again.`,
      { retry: 'never', cause: new Error(`The keys are read from ${keys.where}.`) },
    );
  }
  const sealed = Buffer.from(format.exec(text)?.[2] ?? '', 'base64url');
  try {
    if (key === undefined || sealed.toString('base64url') !== format.exec(text)?.[2]) throw new Error('format');
    const end = sealed.length - tagBytes;
    const gcm = createDecipheriv(cipher, aesKey(key), sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
    gcm.setAAD(additionalData(place)).setAuthTag(sealed.subarray(end));
    return Buffer.concat([gcm.update(sealed.subarray(nonceBytes, end)), gcm.final()]);
  } catch {
    throw new PlatformError(
      `${wordsOf(place)} can't be opened${id === null ? '' : ` with the key ${id}`}: what the database holds was changed, or moved from another secret. Set the secret again, and find out who wrote to the database.`,
      { retry: 'never' },
    );
  }
}

/** Id of the key with which this was encrypted, or null if it is no ciphertext. */
export function keyIdOf(text: string): string | null {
  return format.exec(text)?.[1] ?? null;
}

function wordsOf({ name, scope }: CipherPlace): string {
  return `The secret ${name} of ${scopeWords(scope)}`;
}

function aesKey(key: MasterKey): Buffer {
  return key.derive('slipway secret v1', 32);
}

/** The same bytes for the same place only, however the names are written. */
function additionalData({ scope, name, limits }: CipherPlace): Buffer {
  const place =
    scope.kind === 'owner'
      ? [scope.owner]
      : scope.kind === 'repository'
        ? [scope.repository]
        : [scope.repository, scope.environment];
  const parts = [scope.kind, place.map((part) => part.toLowerCase()), name, limits.branches, limits.events];
  return Buffer.from(JSON.stringify(parts));
}
