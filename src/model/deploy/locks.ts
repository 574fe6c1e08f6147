import { type Role, sameLogin } from '#src/model/trust.ts';
import { hasRole } from './people.ts';
import { quoted, when } from './words.ts';

/** A part of the engine's Lock. `environment` '' is the whole repository. */
export interface Held {
  readonly environment: string;
  readonly owner: string;
  readonly reason: string;
  readonly at: number;
}

/** Who wants to go past a lock. */
export interface Passer {
  /** Null: nobody asked, it happens by itself. */
  readonly login: string | null;
  /** They asked to go over a lock that isn't theirs. */
  readonly overLock: boolean;
  /** Null: isn't known. */
  readonly role: Role | null;
}

/**
 * The lock that keeps them from the environment, or null. Its own comes before the repository's. A lock lets its owner pass,
 * and a maintainer who asks to go over it; nothing else, and never what happens by itself.
 */
export function lockInTheWay<T extends Held>(locks: readonly T[], environment: string, who: Passer): T | null {
  const { login } = who;
  const over = login !== null && who.overLock && isMaintainer(who.role);
  if (over) return null;
  const shut = (lock: T): boolean => login === null || !sameLogin(lock.owner, login);
  return locksOn(locks, environment).find(shut) ?? null;
}

/** The locks that an environment is under: its own first. */
export function locksOn<T extends Held>(locks: readonly T[], environment: string): readonly T[] {
  const own = locks.filter((lock) => lock.environment !== '' && sameName(lock.environment, environment));
  return [...own, ...locks.filter((lock) => lock.environment === '')];
}

export type Unlocking<T> =
  | { readonly kind: 'none' }
  | { readonly kind: 'own'; readonly lock: T }
  /** Somebody else's, and a maintainer insists. */
  | { readonly kind: 'forced'; readonly lock: T }
  | { readonly kind: 'others'; readonly lock: T };

/** Whether this lock (`environment` '': the repository's) may be released. */
export function unlocking<T extends Held>(
  locks: readonly T[],
  environment: string,
  by: { readonly login: string; readonly force: boolean; readonly role: Role | null },
): Unlocking<T> {
  const lock = locks.find((it) => sameName(it.environment, environment));
  if (lock === undefined) return { kind: 'none' };
  if (sameLogin(lock.owner, by.login)) return { kind: 'own', lock };
  return { kind: by.force && isMaintainer(by.role) ? 'forced' : 'others', lock };
}

/** True for those who may go over others' locks. */
export function isMaintainer(role: Role | null): boolean {
  return role !== null && hasRole(role, 'maintain');
}

/** Names of environments differ in more than capital letters. */
export function sameName(name: string, other: string): boolean {
  return name.toLowerCase() === other.toLowerCase();
}

/** `production is locked by @bob since 2026-11-21 10:05 UTC: \`release in progress\`.` */
export function lockText(lock: Held, environment: string): string {
  const reason = quoted(lock.reason);
  const what = lock.environment === '' ? 'All of the repository, and so ' : '';
  return `${what}${environment} is locked by @${lock.owner} since ${when(lock.at)}${reason === '' ? '' : `: ${reason}`}.`;
}
