import { createVerify, randomBytes } from 'node:crypto';
import { Refusal } from './refusal.ts';
import type { App, Installation, Permissions, Repo, Token, User, World } from './world.ts';

const TEN_MINUTES = 600;

export interface Caller {
  readonly app: App | null;
  readonly token: Token | null;
}

/** Who sends a REST request, by its Authorization header. Wrong credentials are refused, missing ones are nobody. */
export function authenticate(world: World, header: string | undefined): Caller {
  if (!header) return { app: null, token: null };
  const [scheme = '', credentials = ''] = header.split(' ');
  if (!/^(bearer|token)$/i.test(scheme)) throw new Refusal(401, 'Bad credentials');
  const token = world.tokens.get(credentials);
  if (token && token.expiresAt > Date.now()) return { app: token.installation.app, token };
  if (token || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(credentials)) throw new Refusal(401, 'Bad credentials');
  return { app: verifyJwt(world, credentials), token: null };
}

/** Rules of https://docs.github.com/apps (generating a JWT): RS256, `iss` an App, at most 10 minutes ahead. */
function verifyJwt(world: World, jwt: string): App {
  const [head = '', payload = '', signature = ''] = jwt.split('.');
  const header = decode(head);
  const claims = decode(payload);
  if (header['alg'] !== 'RS256') throw new Refusal(401, 'A JSON web token could not be decoded');
  const app = [...world.apps.values()].find(
    ({ id, clientId }) => String(claims['iss']) === String(id) || claims['iss'] === clientId,
  );
  if (!app) throw new Refusal(404, 'Integration not found');
  const verified = createVerify('RSA-SHA256')
    .update(`${head}.${payload}`)
    .verify(app.publicKey, Buffer.from(signature, 'base64url'));
  if (!verified) throw new Refusal(401, 'A JSON web token could not be decoded');
  const now = Math.floor(Date.now() / 1000);
  const { exp, iat } = claims;
  if (typeof exp !== 'number' || typeof iat !== 'number') throw new Refusal(401, 'Missing claim: iat or exp');
  if (exp <= now)
    throw new Refusal(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time");
  if (exp > now + TEN_MINUTES) throw new Refusal(401, "'Expiration time' claim ('exp') is too far in the future");
  if (iat > now + 1)
    throw new Refusal(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  return app;
}

function decode(part: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>;
  } catch {
    throw new Refusal(401, 'A JSON web token could not be decoded');
  }
}

/** A token of the long kind: prefix, the App's id, and something shaped like a JWT. Lives one hour. */
export function issueToken(
  world: World,
  installation: Installation,
  permissions: Permissions,
  repositories: ReadonlySet<number> | null,
): { readonly value: string; readonly token: Token } {
  const part = (bytes: number): string => randomBytes(bytes).toString('base64url');
  const value = `ghs_${installation.app.id}_${part(27)}.${part(120)}.${part(64)}`;
  const token = { installation, permissions, repositories, expiresAt: Date.now() + 3_600_000 };
  world.tokens.set(value, token);
  return { value, token };
}

/** Whether the repository is among those that the token was made for. */
export function reaches(token: Token, repo: Repo): boolean {
  if (token.installation.account.id !== repo.owner.id) return false;
  return token.repositories === null || token.repositories.has(repo.id);
}

export function permits(permissions: Permissions, name: string, level: 'read' | 'write'): boolean {
  const given = name === 'metadata' ? (permissions['metadata'] ?? 'read') : permissions[name];
  return given === 'write' || (given === 'read' && level === 'read');
}

/** What git may do: refused, asked for credentials, or let in as somebody. */
export type GitAccess = { readonly status: 401 | 403 | 404 } | { readonly status: 200; readonly user: User | null };

/** git's basic authentication: `x-access-token` with an installation's token, or a person with theirs. */
export function gitAccess(world: World, repo: Repo | null, header: string | undefined, write: boolean): GitAccess {
  if (!header) return repo && !repo.private && !write ? { status: 200, user: null } : { status: 401 };
  const [, encoded = ''] = header.split(' ');
  const credentials = Buffer.from(encoded, 'base64').toString('utf8');
  const secret = credentials.slice(credentials.indexOf(':') + 1);
  const token = world.tokens.get(secret);
  if (token) {
    if (token.expiresAt <= Date.now()) return { status: 401 };
    if (!repo || (!reaches(token, repo) && repo.private)) return { status: 404 };
    const level = write ? 'write' : 'read';
    const allowed = reaches(token, repo) && permits(token.permissions, 'contents', level);
    if (allowed || (!write && !repo.private)) return { status: 200, user: token.installation.app.bot };
    return { status: 403 };
  }
  const person = [...world.users.values()].find((user) => user.token === secret);
  if (!person) return { status: 401 };
  const role = repo ? world.role(repo, person.login) : 'none';
  if (role === 'none') return { status: 404 };
  if (write && !['admin', 'maintain', 'write'].includes(role)) return { status: 403 };
  return { status: 200, user: person };
}
