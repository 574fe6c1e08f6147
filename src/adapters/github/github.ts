import { createPrivateKey } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Probot, ProbotOctokit } from 'probot';
import type { Logger } from 'pino';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import { asPlatformError, faultOf, resetOf } from './faults.ts';
import { createFetch } from './fetch.ts';
import { type Cost, createLimiter, type Limiter, type Limits } from './limiter.ts';

export interface GitHubOptions {
  readonly appId: number;
  /** PEM, its line breaks also as `\n`, or the base64 of it: as Probot takes it. */
  readonly privateKey: string;
  readonly webhookSecret: string;
  /** Host of a GitHub Enterprise Server, with port if it has one; null: github.com. */
  readonly host: string | null;
  readonly protocol: 'https' | 'http';
  readonly logger: Logger;
  /** Milliseconds until a request is given up. Default: 30 s; GitHub itself gives up after 10. */
  readonly requestTimeoutMs?: number;
  /** Default: GitHub's own. */
  readonly limits?: Limits;
}

/** A client that speaks for one installation of the App and keeps its limits. */
export type Client = ProbotOctokit;

/** The App's connection to GitHub. */
export interface GitHub {
  readonly appId: number;
  readonly probot: Probot;
  /** The client of an installation: always the same object. */
  client(installationId: number): Promise<Client>;
  /** A token that can only read this repository's contents, good for at least five minutes. Never log it. */
  token(repository: Repository): Promise<string>;
  /** Rejects with PlatformError if GitHub doesn't accept the App's credentials. Deadline 5 s. */
  ping(): Promise<void>;
}

/** How urgent a request is; passed along in Octokit's `request` options. */
export interface Urgency {
  readonly priority?: Cost['priority'];
  readonly patienceMs?: number;
  readonly sign?: boolean;
  /** Once it is aborted no request begins any more; one under way goes on. */
  readonly until?: AbortSignal;
}

const defaultTimeoutMs = 30_000;
const pingTimeoutMs = 5_000;
const tokenMarginMs = 5 * 60_000;
/** A token lives an hour. */
const tokenUseMs = 3_600_000 - tokenMarginMs;
const rateRetries = 4;
const readRetries = 2;

/**
 * Opens the connection. Sends nothing yet; throws UserError if the private key is none. Probot is loaded here and not before: it costs 0.15 s and 14 MB,
 * which `slipway run` and the set-up page don't need.
 */
export async function openGitHub(options: GitHubOptions): Promise<GitHub> {
  const { Probot, ProbotOctokit } = await import('probot');
  const baseUrl = apiUrl(options.host, options.protocol);
  const privateKey = pemOf(options.privateKey);
  const probot = new Probot({
    appId: options.appId,
    privateKey,
    secret: options.webhookSecret,
    baseUrl,
    // Probot logs each request and each failing handler; what matters of it is logged here and in the dispatcher.
    log: options.logger.child({}, { level: 'silent' }),
    // Its throttling allows one write a second, and its retries would create things twice.
    // Its own client for tokens forgets the base address, and would ask github.com instead of an Enterprise Server.
    Octokit: ProbotOctokit.defaults((given: OctokitOptions) => ({
      ...given,
      auth: { ...given.auth, request: given.auth?.request?.defaults({ baseUrl }) },
      throttle: { ...given['throttle'], enabled: false },
      retry: { enabled: false },
    })),
    request: { fetch: createFetch({ privateKey, timeoutMs: options.requestTimeoutMs ?? defaultTimeoutMs }) },
  });
  await probot.ready();
  const clients = new Map<number, Promise<Client>>();
  const tokens = new Map<
    number,
    Promise<{ readonly token: string; readonly expiresAt: string; readonly askedAt: number }>
  >();

  return {
    appId: options.appId,
    probot,
    client(installationId) {
      if (installationId === 0) return Promise.reject(notInstalled());
      let client = clients.get(installationId);
      if (!client) {
        client = probot.auth(installationId).then((octokit) => limited(octokit, createLimiter(options.limits)));
        clients.set(installationId, client);
      }
      return client;
    },
    async token(repository) {
      const cached = await tokens.get(repository.id)?.catch(() => null);
      const fresh = (it: { readonly expiresAt: string; readonly askedAt: number }): boolean =>
        // Neither clock alone is enough: one may be set back, the other stands still while the machine sleeps.
        Date.parse(it.expiresAt) - tokenMarginMs > Date.now() && performance.now() - it.askedAt < tokenUseMs;
      if (cached && fresh(cached)) return cached.token;
      const asked = patiently(() => narrowToken(probot, repository));
      tokens.set(repository.id, asked);
      try {
        return (await asked).token;
      } catch (error) {
        if (tokens.get(repository.id) === asked) tokens.delete(repository.id);
        throw asPlatformError(`give a token for ${fullName(repository)}`, error);
      }
    },
    async ping() {
      try {
        const app = await probot.auth();
        await app.rest.apps.getAuthenticated({ request: { signal: AbortSignal.timeout(pingTimeoutMs) } });
      } catch (error) {
        throw asPlatformError('accept the App', error);
      }
    },
  };
}

/** Address of the REST API: GitHub Enterprise Server has it under /api/v3, data-resident GitHub under api.NAME.ghe.com. */
export function apiUrl(host: string | null, protocol: 'https' | 'http'): string {
  if (host === null || host === 'github.com') return 'https://api.github.com';
  return host.endsWith('.ghe.com') ? `${protocol}://api.${host}` : `${protocol}://${host}/api/v3`;
}

function pemOf(text: string): string {
  const plain = text.includes('-----BEGIN') ? text : Buffer.from(text, 'base64').toString();
  const pem = plain.replaceAll('\\n', '\n');
  try {
    createPrivateKey(pem);
    return pem;
  } catch {
    throw new UserError(
      'PRIVATE_KEY is not a private key in PEM form. Take the file that GitHub gave you, or make a new one.',
    );
  }
}

/** Asking again won't help, so it has the form of GitHub's own refusal. */
function notInstalled(): Error {
  return Object.assign(new PlatformError('The delivery names no installation of the App.'), { status: 404 });
}

/** What Probot hands to the constructor of its clients. */
interface OctokitOptions {
  readonly throttle?: Readonly<Record<string, unknown>>;
  readonly auth?: {
    readonly request?: { defaults(change: { readonly baseUrl: string }): unknown };
  };
}

async function narrowToken(probot: Probot, repository: Repository) {
  const askedAt = performance.now();
  const app = await probot.auth();
  const given = (await app.auth({
    type: 'installation',
    installationId: repository.installationId,
    repositoryIds: [repository.id],
    permissions: { contents: 'read' },
    refresh: true,
  })) as { readonly token: string; readonly expiresAt: string };
  return { ...given, askedAt };
}

const tokenPausesMs = [500, 2_000, 8_000];
const longestTokenPauseMs = 30_000;

/** Asks again where that may help. A token asked for twice does no harm; a run without one is lost. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (const pause of tokenPausesMs) {
    try {
      return await ask();
    } catch (error) {
      const fault = faultOf(error, Date.now());
      const wait = fault.kind === 'rate' ? Math.max(pause, fault.until - Date.now()) : pause;
      if (fault.kind === 'permanent' || wait > longestTokenPauseMs) throw error;
      await sleep(wait);
    }
  }
  return ask();
}

/** Puts the limiter around every request; what GitHub turned away for its limits is sent again when it may be. */
function limited(octokit: Client, limiter: Limiter): Client {
  octokit.hook.wrap('request', async (request, options) => {
    // A request waits for its token inside of its own turn: the token may not wait for a turn as well.
    if (options.url.endsWith('/access_tokens')) return request(options);
    const urgency = (options.request ?? {}) as Urgency;
    const cost = costOf(options.method, urgency);
    for (let attempt = 0, reads = 0; ; attempt += 1) {
      try {
        const response = await limiter.run(cost, () => withToken(octokit, async () => request(options)), urgency.until);
        pauseIfUsedUp(limiter, response.headers);
        return response;
      } catch (error) {
        const fault = faultOf(error, Date.now());
        if (error instanceof PlatformError || fault.kind === 'permanent') throw error;
        if (fault.kind === 'rate') {
          limiter.pause(fault.until);
          if (attempt >= rateRetries) throw error;
        } else {
          if (options.method !== 'GET' || reads >= readRetries) throw error;
          reads += 1;
          await new Promise((resolve) => setTimeout(resolve, 50 * 5 ** reads));
        }
      }
    }
  });
  return octokit;
}

/** A token that GitHub doesn't take any more (it was revoked, or has expired by GitHub's clock) is renewed once. */
async function withToken<T>(octokit: Client, send: () => Promise<T>): Promise<T> {
  const began = Date.now();
  try {
    return await send();
  } catch (error) {
    if ((error as { readonly status?: unknown }).status !== 401) throw error;
    const auth = octokit.auth as (options: object) => Promise<{ readonly createdAt: string }>;
    const { createdAt } = await auth({ type: 'installation' });
    const created = Date.parse(createdAt);
    // Many requests fail at once, and the first of them renews it for all. One of the future is old: the clock was set back.
    if (created < began || created > Date.now()) await auth({ type: 'installation', refresh: true });
    return send();
  }
}

function costOf(method: string, urgency: Urgency): Cost {
  return {
    points: method === 'GET' ? 1 : 5,
    content: method === 'POST',
    priority: urgency.priority ?? 1,
    patienceMs: urgency.patienceMs ?? null,
    sign: urgency.sign ?? false,
  };
}

function pauseIfUsedUp(limiter: Limiter, headers: Readonly<Record<string, string | number | undefined>>): void {
  const reset = resetOf(headers, Date.now());
  if (String(headers['x-ratelimit-remaining']) === '0' && reset > Date.now()) limiter.pause(reset);
}
