import type { IncomingMessage } from 'node:http';
import { type Access, forbidden, unauthorized } from './answers.ts';

/** As in a Role. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export interface User {
  readonly name: string;
  /** Null: an administrator. */
  readonly rules: readonly Rule[] | null;
  readonly namespace: string | null;
}

const anonymous: User = { name: 'system:anonymous', rules: [], namespace: null };

/** Who asks: by bearer token; 401 if it isn't known, nobody if there is none. */
export function authenticate(request: IncomingMessage, users: ReadonlyMap<string, User>): User {
  const { authorization } = request.headers;
  if (authorization === undefined) return anonymous;
  const user = users.get(authorization.replace(/^Bearer /, ''));
  if (!user) throw unauthorized();
  return user;
}

export function authorize(user: User, access: Access): void {
  if (!isAllowed(user, access)) throw forbidden(access, user.name);
}

/** Rules with resource names don't match lists and watches of all. */
export function isAllowed(user: User, access: Access): boolean {
  if (user.rules === null) return true;
  if (user.namespace !== null && user.namespace !== access.namespace) return false;
  return user.rules.some((rule) => {
    if (!rule.apiGroups.includes(access.group) || !rule.resources.includes(access.resource)) return false;
    if (!rule.verbs.includes(access.verb)) return false;
    return rule.resourceNames === undefined || (access.name !== null && rule.resourceNames.includes(access.name));
  });
}
