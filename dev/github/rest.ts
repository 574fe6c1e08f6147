import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { authenticate, permits, reaches, type Caller } from './auth.ts';
import type { Answer, PlainRoute, RepoRoute } from './call.ts';
import { checkRequest, checkResponse, completeResponse, findOperation } from './description.ts';
import type { Limits } from './limits.ts';
import type { OperationName } from './operations.ts';
import { forbidden, invalid, notFound, Refusal } from './refusal.ts';
import { ROUTES } from './routes/index.ts';
import type { Webhooks } from './webhooks.ts';
import type { Body, Repo, World } from './world.ts';

const MOST_BYTES = 25 * 1024 * 1024;

/** The REST API: finds the operation, checks the request against GitHub's description, answers, checks the answer. */
export class Rest {
  readonly #world: World;
  readonly #webhooks: Webhooks;
  readonly #limits: Limits;

  constructor(world: World, webhooks: Webhooks, limits: Limits) {
    this.#world = world;
    this.#webhooks = webhooks;
    this.#limits = limits;
  }

  /** Answers a request. `path` is without the query and without /api/v3. */
  async serve(request: IncomingMessage, response: ServerResponse, path: string, query: URLSearchParams): Promise<void> {
    const method = request.method ?? 'GET';
    let operation: OperationName | null = null;
    let answer: Answer;
    let headers: Record<string, string> = {};
    try {
      const text = await readBody(request);
      if (!request.headers['user-agent'])
        throw new Refusal(403, 'Request forbidden by administrative rules. Set a User-Agent.');
      const caller = authenticate(this.#world, request.headers.authorization);
      headers = this.#limits.count(caller, method);
      const found = findOperation(method, path);
      if (!found) {
        this.#note('unknown operation', `${method} ${path}`, []);
        throw notFound();
      }
      operation = found.name;
      answer = await this.#answer(found.name, found.params, path, query, text, caller);
    } catch (error) {
      // Who asked has gone before all of it was said.
      if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return;
      const refusal = error instanceof Refusal ? error : new Refusal(500, `The stand-in failed: ${String(error)}`);
      if (!(error instanceof Refusal))
        this.#note('invalid response', `${method} ${path}`, [String((error as Error).stack)]);
      answer = { status: refusal.status, body: refusal.body(), headers: refusal.headers };
    }
    const known = request.headers['if-none-match'];
    if (method === 'GET' && answer.status === 200) answer = conditional(answer, known);
    this.#world.exchanges.push({ at: Date.now(), method, path, operation, status: answer.status });
    send(response, answer, headers);
    this.#world.changed();
  }

  async #answer(
    name: OperationName,
    params: Body,
    path: string,
    search: URLSearchParams,
    text: string,
    caller: Caller,
  ): Promise<Answer> {
    const query: Body = Object.fromEntries(search);
    const body = parse(text);
    const errors = checkRequest(name, params, query, body);
    if (errors.length > 0) {
      this.#note(
        'invalid request',
        name,
        errors.map(({ field, message }) => `${field} ${message}`),
      );
      throw invalid('Request', errors);
    }
    const route = ROUTES[name];
    if (!route) throw new Error(`${name} has no route.`);
    const url = `${this.#world.url}/api/v3${path}`;
    const call = {
      world: this.#world,
      webhooks: this.#webhooks,
      url,
      params,
      query,
      body: (body ?? {}) as Body,
      rate: this.#limits.state(caller),
      ...caller,
    };
    const answer =
      'needs' in route
        ? await route.handle({ ...call, repo: this.#repo(params, caller, route) })
        : await plain(route, caller).handle(call);
    if (answer.body === undefined) return answer;
    const complete = completeResponse(name, answer.status, answer.body, this.#world.url);
    const wrong = checkResponse(name, answer.status, complete);
    if (wrong.length > 0) this.#note('invalid response', `${name} ${answer.status}`, wrong);
    return { ...answer, body: complete };
  }

  /** The repository of the path, if the caller may do there what the route needs. */
  #repo(params: Body, { app, token }: Caller, { needs: [permission, level] }: RepoRoute): Repo {
    const repo = this.#world.repos.get(`${params['owner']}/${params['repo']}`.toLowerCase());
    if (!repo) throw notFound();
    if (app && !token) {
      // An App's own JWT opens only what is about its installation.
      if (permission !== 'app')
        throw new Refusal(401, 'A JSON web token was given where an installation token is needed');
      return repo;
    }
    if (permission === 'app') throw new Refusal(401, 'A JSON web token could not be decoded');
    const readable = !repo.private && level === 'read';
    if (!token) {
      if (readable) return repo;
      throw repo.private ? notFound() : new Refusal(401, 'Requires authentication');
    }
    if (!reaches(token, repo)) {
      if (readable) return repo;
      throw repo.private ? notFound() : forbidden();
    }
    // Comments on pull requests are open to either of two permissions: `issues|pull_requests`.
    if (!permission.split('|').some((name) => permits(token.permissions, name, level))) throw forbidden();
    return repo;
  }

  #note(
    kind: 'unknown operation' | 'invalid request' | 'invalid response',
    what: string,
    details: readonly string[],
  ): void {
    this.#world.violations.push({ kind, what, details });
  }
}

function plain(route: PlainRoute, { app, token }: Caller): PlainRoute {
  if (route.as === 'app' && (!app || token)) throw new Refusal(401, 'A JSON web token could not be decoded');
  if (route.as === 'installation' && !token) throw app ? forbidden() : new Refusal(401, 'Requires authentication');
  return route;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Refusal(413, 'Payload too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** With its ETag, or 304 and nothing if that is the one which the caller knows. */
function conditional(answer: Answer, known: string | undefined): Answer {
  const digest = createHash('sha256')
    .update(JSON.stringify([answer.body, answer.headers?.['link']]))
    .digest('hex');
  const etag = `W/"${digest}"`;
  return known === etag ? { status: 304, headers: { etag } } : { ...answer, headers: { ...answer.headers, etag } };
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, 'Problems parsing JSON');
  }
}

function send(response: ServerResponse, answer: Answer, headers: Record<string, string>): void {
  const text = answer.body === undefined ? '' : JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    ...(text && { 'content-type': 'application/json; charset=utf-8' }),
    'content-length': Buffer.byteLength(text),
    'x-github-media-type': 'github.v3; format=json',
    ...headers,
    ...answer.headers,
  });
  response.end(text);
}
