import type { OperationName } from './operations.ts';
import type { App, Body, Repo, Token, World } from './world.ts';
import type { Webhooks } from './webhooks.ts';
import type { Rate } from './limits.ts';

/** A request that passed the description, the caller's authentication and permission. */
export interface Call {
  readonly world: World;
  readonly webhooks: Webhooks;
  /** Address without the query. */
  readonly url: string;
  readonly params: Body;
  readonly query: Body;
  readonly body: Body;
  /** The App that signed a JWT, or whose installation the token is of. */
  readonly app: App | null;
  readonly token: Token | null;
  /** What is left of the hour's requests. */
  readonly rate: Rate;
}

export interface RepoCall extends Call {
  readonly repo: Repo;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Who may call: anyone, an App by its JWT, an installation by its token. */
export interface PlainRoute {
  readonly as: 'anyone' | 'app' | 'installation';
  readonly handle: (call: Call) => Answer | Promise<Answer>;
}

/** Below /repos/{owner}/{repo}: what the token must be permitted to. */
export interface RepoRoute {
  readonly needs: readonly [permission: string, level: 'read' | 'write'];
  readonly handle: (call: RepoCall) => Answer | Promise<Answer>;
}

export type Routes = {
  readonly [N in OperationName]?: N extends `${string} /repos/{owner}/{repo}${string}` ? RepoRoute : PlainRoute;
};

export function ok(body: unknown): Answer {
  return { status: 200, body };
}

export function created(body: unknown): Answer {
  return { status: 201, body };
}

/** The page that `page` and `per_page` ask for (30 a page, at most 100), with GitHub's Link header. */
export function paged<T>(call: Call, items: readonly T[]): { page: T[]; headers: Record<string, string> } {
  const size = Math.min(100, Math.max(1, Number(call.query['per_page'] ?? 30)));
  const number = Math.max(1, Number(call.query['page'] ?? 1));
  const last = Math.max(1, Math.ceil(items.length / size));
  const link = (page: number, rel: string): string => {
    const query = new URLSearchParams({ ...(call.query as Record<string, string>), page: String(page) });
    return `<${call.url}?${query.toString()}>; rel="${rel}"`;
  };
  const links = [
    ...(number > 1 ? [link(number - 1, 'prev'), link(1, 'first')] : []),
    ...(number < last ? [link(number + 1, 'next'), link(last, 'last')] : []),
  ];
  const headers: Record<string, string> = links.length > 0 ? { link: links.join(', ') } : {};
  return { page: items.slice((number - 1) * size, number * size), headers };
}

/** The caller's App. Routes that are permitted to installations only always have one. */
export function appOf(call: Call): App {
  if (!call.app) throw new Error('This operation was let through without an App.');
  return call.app;
}
