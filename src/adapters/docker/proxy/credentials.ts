import { parse } from './engine.ts';

export interface Account {
  readonly username: string;
  readonly password: string;
  /** Host of the registry. */
  readonly serveraddress: string;
}

/**
 * The value of X-Registry-Auth for a pull or push of this image: what the client sent if it knows an account, else the
 * operator's where they are lent for that registry. Null: none.
 */
export function registryAuth(
  sent: string | undefined,
  image: string,
  lent: (image: string) => Account | null,
): string | null {
  if (sent !== undefined && hasAccount(sent)) return sent;
  // The engine would take another part for the host than we do.
  if (image !== image.toLowerCase()) return null;
  const account = lent(image);
  if (account === null) return sent ?? null;
  return encodeHeader(account);
}

/** The engine takes base64 for URLs only with its padding. */
export function encodeHeader(json: unknown): string {
  return Buffer.from(JSON.stringify(json)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

/** Clients without an account send an empty object. */
function hasAccount(header: string): boolean {
  const json = parse(Buffer.from(header, 'base64url').toString('utf8'));
  if (typeof json !== 'object' || json === null) return false;
  const { username, password, auth, identitytoken, registrytoken } = json as Readonly<Record<string, unknown>>;
  return [username, password, auth, identitytoken, registrytoken].some(
    (value) => typeof value === 'string' && value !== '',
  );
}
