import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { UserError } from '#src/model/outcome.ts';
import { isRepositoryName, LONGEST_SECRET, secretValueProblem } from '#src/model/secret.ts';
import type { MasterKey } from './keys.ts';

const cipher = 'aes-256-gcm';
const publicBytes = 32;
const tagBytes = 16;
const prefix = 'sealed:v1:';
/** What stands before the 32 bytes in the DER forms of X25519 keys: https://www.rfc-editor.org/rfc/rfc8410 */
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const spki = Buffer.from('302a300506032b656e032100', 'hex');

/** The public key with which anybody seals values for the repository (`owner/name`), as one line: `seal-key:v1:OWNER/REPO:KEY`. */
export function sealKey(key: MasterKey, repository: string): string {
  return `seal-key:v1:${repository.toLowerCase()}:${rawPublic(privateKey(key, repository)).toString('base64url')}`;
}

/**
 * Seals a value so that only the server opens it, and only for this repository: `sealed:v1:` and, in base64url, an
 * ephemeral X25519 key, ciphertext and tag. UserError if the key is none, or another repository's.
 */
export function seal(publicKey: string, repository: string, value: string): string {
  const [, owner, raw = ''] = /^seal-key:v1:([^:]+):([A-Za-z0-9_-]{43})$/.exec(publicKey.trim()) ?? [];
  if (owner === undefined) throw new UserError('What was given as the seal key is none: it begins with seal-key:v1:.');
  if (owner !== repository.toLowerCase()) {
    throw new UserError(`The seal key belongs to ${owner}, not to ${repository}.`);
  }
  const problem = secretValueProblem(value);
  if (problem !== null) throw new UserError(problem);
  const ephemeral = generateKeyPairSync('x25519').privateKey;
  return sealWith(ephemeral, Buffer.from(raw, 'base64url'), repository, Buffer.from(value));
}

/** As `seal`, with an ephemeral key that is given: it must never be used twice. */
export function sealWith(ephemeral: KeyObject, to: Buffer, repository: string, value: Buffer): string {
  const from = rawPublic(ephemeral);
  const { key, nonce } = agree(ephemeral, to, from, to);
  const gcm = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes }).setAAD(boundTo(repository));
  return prefix + Buffer.concat([from, gcm.update(value), gcm.final(), gcm.getAuthTag()]).toString('base64url');
}

/** The value of a sealed text, by whichever key opens it. UserError, without anything of the value, if none does. */
export function unseal(keys: readonly MasterKey[], repository: string, text: string): string {
  const sealed = bytesOf(text);
  if (!isRepositoryName(repository)) throw otherSeal(repository);
  for (const key of keys) {
    const value = unsealWith(privateKey(key, repository), repository, sealed);
    if (value === null) continue;
    const decoded = value.toString();
    const problem = secretValueProblem(decoded);
    if (problem === null && Buffer.from(decoded).equals(value)) return decoded;
    throw new UserError(`A sealed value of ${repository} can't be used: ${problem ?? 'it is no text in UTF-8.'}`);
  }
  throw otherSeal(repository);
}

/** https://www.rfc-editor.org/rfc/rfc7748 leaves it open; what all could have sealed is worth nothing, so Node refuses it. */
function unsealWith(own: KeyObject, repository: string, sealed: Buffer): Buffer | null {
  const end = sealed.length - tagBytes;
  try {
    const from = sealed.subarray(0, publicBytes);
    const { key, nonce } = agree(own, from, from, rawPublic(own));
    const gcm = createDecipheriv(cipher, key, nonce, { authTagLength: tagBytes });
    gcm.setAAD(boundTo(repository)).setAuthTag(sealed.subarray(end));
    return Buffer.concat([gcm.update(sealed.subarray(publicBytes, end)), gcm.final()]);
  } catch {
    return null;
  }
}

function bytesOf(text: string): Buffer {
  const longest = prefix.length + Math.ceil(((publicBytes + LONGEST_SECRET + tagBytes) * 4) / 3);
  if (!text.startsWith(prefix)) {
    const version = /^sealed:(\w{1,20}):/.exec(text)?.[1];
    throw new UserError(
      version === undefined
        ? `This is no sealed value: it would begin with ${prefix}. Make one by: slipway seal OWNER/REPO`
        : `This sealed value has the form ${version}, which this version of Slipway doesn't know. Seal it again by: slipway seal OWNER/REPO`,
    );
  }
  const body = text.length > longest ? '' : text.slice(prefix.length);
  const bytes = Buffer.from(body, 'base64url');
  // One text for one value: what decodes to the same otherwise isn't taken.
  if (bytes.toString('base64url') !== body || bytes.length <= publicBytes + tagBytes) {
    throw new UserError(
      'This sealed value is damaged: copy the whole line that "slipway seal" printed, without line breaks.',
    );
  }
  return bytes;
}

function otherSeal(repository: string): UserError {
  return new UserError(
    `A sealed value can't be opened for ${repository}: it was sealed for another repository or with another key, or was changed. Seal it again by: slipway seal ${repository}`,
  );
}

/** A key for this pair only, so that its nonce never repeats. */
function agree(
  own: KeyObject,
  other: Buffer,
  from: Buffer,
  to: Buffer,
): { readonly key: Buffer; readonly nonce: Buffer } {
  const publicKey = createPublicKey({ key: Buffer.concat([spki, other]), format: 'der', type: 'spki' });
  const secret = diffieHellman({ privateKey: own, publicKey });
  const bytes = Buffer.from(hkdfSync('sha256', secret, Buffer.concat([from, to]), 'slipway sealed v1', 44));
  return { key: bytes.subarray(0, 32), nonce: bytes.subarray(32) };
}

function privateKey(key: MasterKey, repository: string): KeyObject {
  const raw = key.derive(`slipway seal v1 ${repository.toLowerCase()}`, 32);
  return createPrivateKey({ key: Buffer.concat([pkcs8, raw]), format: 'der', type: 'pkcs8' });
}

function rawPublic(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-publicBytes);
}

function boundTo(repository: string): Buffer {
  return Buffer.from(repository.toLowerCase());
}
