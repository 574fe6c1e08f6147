import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { gitAccess } from './auth.ts';
import { refs } from './git.ts';
import { GitHttp } from './git-http.ts';
import type { Limits } from './limits.ts';
import { servePage } from './pages.ts';
import type { Hub } from './pulls.ts';
import { received } from './receive.ts';
import { Rest } from './rest.ts';
import type { Repo, User } from './world.ts';

export interface FaultRequest {
  readonly kind: 'rest' | 'git';
  readonly method: string;
  /** Without the query and /api/v3. */
  readonly path: string;
}

/**
 * What goes wrong: another answer, no answer at all, a broken connection; `slow` answers after some milliseconds. Or the
 * request is carried out and its answer is lost (`lost`), never comes (`stuck`), is another one (`masked`: a gateway's), or
 * the connection ends before it is carried out (`late`).
 */
export type Fault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly message?: string;
    }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'stuck' }
  | { readonly kind: 'masked'; readonly status: number }
  | { readonly kind: 'late'; readonly ms: number }
  | { readonly kind: 'slow'; readonly ms: number };

export type FaultHook = (request: FaultRequest) => Fault | null;

const GIT = /^\/([^/]+)\/([^/]+?)\.git(\/info\/refs|\/git-upload-pack|\/git-receive-pack)$/;

/** Tells apart what comes in (git, REST, pages) and lets go wrong what shall go wrong. */
export class Front {
  faults: FaultHook | null = null;
  readonly #hub: Hub;
  readonly #rest: Rest;
  readonly #git: GitHttp;
  /** One push to a repository at a time, so that the refs before and after it are its own. */
  readonly #pushes = new Map<number, Promise<void>>();

  constructor(hub: Hub, limits: Limits) {
    this.#hub = hub;
    this.#rest = new Rest(hub.world, hub.webhooks, limits);
    this.#git = new GitHttp(hub.world.home);
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    try {
      const git = GIT.exec(url.pathname);
      if (git) {
        if (await this.#spoiled('git', url.pathname, request, response)) return;
        await this.#serveGit(git, url.search.slice(1), request, response);
      } else if (url.pathname.startsWith('/api/v3/') || !accepts(request, url.pathname)) {
        const path = url.pathname.replace(/^\/api\/v3/, '');
        if (await this.#spoiled('rest', path, request, response)) return;
        await this.#rest.serve(request, response, path, url.searchParams);
      } else {
        await servePage(this.#hub, request, response, url);
      }
    } catch (error) {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end(`The stand-in failed: ${String(error)}\n`);
    }
  }

  close(): void {
    this.#git.close();
  }

  /** True if the fault took the place of an answer. */
  async #spoiled(
    kind: 'rest' | 'git',
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<boolean> {
    const fault = this.faults?.({ kind, method: request.method ?? 'GET', path });
    switch (fault?.kind) {
      case undefined:
        return false;
      case 'slow':
        await sleep(fault.ms);
        return false;
      case 'lost':
        // The request is carried out; what is written to the caller goes nowhere.
        mute(response, () => response.destroy());
        return false;
      case 'stuck':
        mute(response, () => response);
        return false;
      case 'masked': {
        const [head, end] = [response.writeHead.bind(response), response.end.bind(response)];
        mute(response, () => {
          head(fault.status, { 'content-type': 'application/json' });
          return end(JSON.stringify({ message: 'Server Error' }));
        });
        return false;
      }
      case 'late': {
        const chunks: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
        response.destroy();
        mute(response, () => response);
        await sleep(fault.ms);
        // It has been read, and is read once more.
        request[Symbol.asyncIterator] = () => Readable.from(chunks)[Symbol.asyncIterator]();
        return false;
      }
      case 'reset':
        request.destroy();
        return true;
      case 'hang':
        return true;
      case 'status':
        response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
        response.end(JSON.stringify({ message: fault.message ?? 'Server Error' }));
        return true;
    }
  }

  async #serveGit(
    match: RegExpExecArray,
    query: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const [, owner = '', name = '', service = ''] = match;
    const repo =
      this.#hub.world.repos.get(`${decodeURIComponent(owner)}/${decodeURIComponent(name)}`.toLowerCase()) ?? null;
    const write = service === '/git-receive-pack' || query.includes('git-receive-pack');
    const access = gitAccess(this.#hub.world, repo, request.headers.authorization, write);
    if (access.status !== 200 || !repo) {
      const status = access.status === 200 ? 404 : access.status;
      const said = status === 403 ? `Write access to repository not granted.` : 'Repository not found.';
      response.writeHead(status, {
        'content-type': 'text/plain',
        ...(status === 401 && { 'www-authenticate': 'Basic realm="GitHub"' }),
      });
      response.end(`${said}\n`);
      return;
    }
    const git = { folder: repo.path, service, query, user: access.user?.login ?? null };
    if (service === '/git-receive-pack')
      await this.#push(repo, access.user, () => this.#git.serve(git, request, response));
    else await this.#git.serve(git, request, response);
    response.end();
  }

  async #push(repo: Repo, user: User | null, serve: () => Promise<void>): Promise<void> {
    const turn = (this.#pushes.get(repo.id) ?? Promise.resolve()).then(async () => {
      const before = await refs(repo.path);
      await serve();
      const after = await refs(repo.path);
      await received(this.#hub, repo, before, after, user ?? repo.owner).catch((error: unknown) => {
        // The push itself is done, and its answer must not be spoiled.
        const details = [error instanceof Error ? String(error.stack) : String(error)];
        this.#hub.world.violations.push({ kind: 'invalid webhook', what: `push to ${repo.fullName}`, details });
      });
    });
    this.#pushes.set(
      repo.id,
      turn.catch(() => undefined),
    );
    await turn;
  }
}

/** What is written to the caller goes nowhere; `end` takes the place of its end. */
function mute(response: ServerResponse, end: () => ServerResponse): void {
  response.write = () => true;
  response.writeHead = () => response;
  response.end = end;
}

/** A browser's request: it asks for HTML, or it posts one of the forms. */
function accepts(request: IncomingMessage, path: string): boolean {
  return (
    path.startsWith('/settings/') || path.startsWith('/apps/') || (request.headers.accept ?? '').includes('text/html')
  );
}
