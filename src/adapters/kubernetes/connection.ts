import { delimiter } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as Library from '@kubernetes/client-node';
import { PlatformError } from '#src/model/outcome.ts';
import { isTransient, StatusError } from './errors.ts';
import type { WatchEvent } from './objects.ts';

export interface ConnectionOptions {
  /** Path of the kubeconfig, or several as in KUBECONFIG. Read again when the server refuses the credentials. */
  readonly kubeconfig: string;
  /** Null: the kubeconfig's current context. */
  readonly context: string | null;
}

export interface ConnectionLogger {
  info(fields: object, message: string): void;
}

export interface ApiRequest {
  readonly method: 'GET' | 'PATCH' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Of a PATCH: a strategic merge patch, unless `patch` says otherwise. */
  readonly body?: unknown;
  /** How the body of a PATCH is meant. Default: strategic, which custom resources don't know. */
  readonly patch?: 'strategic' | 'json' | 'merge' | 'apply';
}

/** How long is waited for the API server, in milliseconds. */
export interface Patience {
  /** A request is repeated so long while the server can't answer; then it is told, for the caller to decide. */
  readonly outageMs: number;
  /** For one answer. */
  readonly answerMs: number;
  /** A watch that is silent for so long may be a connection that nobody holds any more: it is opened again. */
  readonly silenceMs: number;
}

const usualPatience: Patience = { outageMs: 10_000, answerMs: 30_000, silenceMs: 30_000 };

/** The longest Retry-After that is kept. */
const longestPauseMs = 60_000;

/** Requests and watches on one API server. The client library is loaded with the first. */
export class Connection {
  readonly #name: string;
  readonly #options: ConnectionOptions;
  readonly #logger: ConnectionLogger;
  readonly #patience: Patience;
  #loaded: Promise<Loaded> | null = null;
  /** The server asked to be left alone until then, by the steady clock. */
  #notBefore = 0;

  constructor(name: string, options: ConnectionOptions, logger: ConnectionLogger, patience: Patience = usualPatience) {
    this.#patience = patience;
    this.#name = name;
    this.#options = options;
    this.#logger = logger;
  }

  /**
   * The answer's body. Repeats what may pass (429, 409, 5xx, connection) for a few seconds, not before the server's
   * Retry-After; reads the credentials again when they are refused. Throws StatusError or the network's error.
   */
  async request(request: ApiRequest, signal: AbortSignal): Promise<string> {
    let until: number | null = null;
    let renewed = false;
    for (let attempt = 0; ; attempt += 1) {
      const used = this.#load();
      try {
        await sleep(Math.max(0, this.#notBefore - performance.now()), undefined, { signal, ref: false });
        const loaded = await used;
        // The server can't help how long the library takes to load.
        until ??= performance.now() + this.#patience.outageMs;
        return await this.#send(request, loaded, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof StatusError && error.code === 401 && !renewed) {
          renewed = true;
          this.#renew(used);
          continue;
        }
        if (error instanceof StatusError && error.retryAfterMs !== null) {
          this.#notBefore = performance.now() + Math.min(error.retryAfterMs, longestPauseMs);
        }
        const pause = pauseMs(attempt);
        if (!isTransient(error) || performance.now() + pause > (until ?? 0)) throw error;
        this.#logger.info({ cluster: this.#name, path: request.path, err: error, pause }, 'request is repeated');
        await sleep(pause, undefined, { signal, ref: false });
      }
    }
  }

  /** Many requests may be refused for one rotation: whoever comes first has the credentials read again. */
  #renew(refused: Promise<Loaded>): void {
    if (this.#loaded !== refused) return;
    this.#loaded = null;
    this.#logger.info({ cluster: this.#name }, 'credentials refused, reading the kubeconfig again');
  }

  /** Events until the watch ends for whatever reason; the caller lists again. Throws StatusError with an empty message if it isn't opened. */
  async *watch<T>(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    const { watch } = await this.#load();
    const queue: WatchEvent<T>[] = [];
    const ending: { error: unknown; done: boolean } = { error: null, done: false };
    let wake = Promise.withResolvers<void>();
    const add = (type: string, object: T) => {
      queue.push({ type, object });
      wake.resolve();
    };
    const end = (error: unknown) => {
      if (!ending.done) ending.error = error;
      ending.done = true;
      wake.resolve();
    };
    const abort = () => end(null);
    signal.addEventListener('abort', abort);
    // Resolves with the response, which may be long in coming: whoever aborts doesn't wait for it.
    const opened = watch.watch(path, query, add, end);
    opened.catch(end);
    try {
      for (;;) {
        const event = signal.aborted ? undefined : queue.shift();
        if (event) yield event;
        else if (ending.done) break;
        else {
          await wake.promise;
          wake = Promise.withResolvers<void>();
        }
      }
      throwRefusal(ending.error);
    } finally {
      signal.removeEventListener('abort', abort);
      void opened.then((controller) => controller.abort()).catch(() => undefined);
    }
  }

  async #send(request: ApiRequest, { library, config }: Loaded, outer: AbortSignal): Promise<string> {
    const signal = AbortSignal.any([outer, AbortSignal.timeout(this.#patience.answerMs)]);
    const url = new URL(`${config.getCurrentCluster()?.server ?? ''}${request.path}`);
    for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, value);
    const context = new library.RequestContext(url.toString(), library.HttpMethod[request.method]);
    if (request.body !== undefined) {
      context.setHeaderParam('Content-Type', contentTypeOf(request));
      context.setBody(JSON.stringify(request.body));
    }
    await authenticate(config, context, this.#name, signal);
    context.setSignal(signal);
    const response = await library.createConfiguration().httpApi.send(context).toPromise();
    const text = await response.body.text();
    if (response.httpStatusCode < 200 || response.httpStatusCode > 299) {
      throw new StatusError(response.httpStatusCode, text, response.headers);
    }
    return text;
  }

  #load(): Promise<Loaded> {
    if (this.#loaded) return this.#loaded;
    const loaded = load(this.#options, this.#patience);
    this.#loaded = loaded;
    loaded.catch(() => {
      if (this.#loaded === loaded) this.#loaded = null;
    });
    return loaded;
  }
}

interface Loaded {
  readonly library: typeof Library;
  readonly config: Library.KubeConfig;
  readonly watch: Library.Watch;
}

async function load(options: ConnectionOptions, patience: Patience): Promise<Loaded> {
  const library = await import('@kubernetes/client-node');
  const config = readConfig(library, options.kubeconfig);
  if (options.context !== null) {
    if (!config.getContextObject(options.context)) {
      const names = config.getContexts().map((it) => it.name);
      throw new PlatformError(
        `The kubeconfig has no context ${options.context}; it has ${names.join(', ') || 'none'}.`,
        { retry: 'never' },
      );
    }
    config.setCurrentContext(options.context);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) {
    throw new PlatformError('The kubeconfig names no current cluster. Set current-context in it.', { retry: 'never' });
  }
  if (cluster.server.startsWith('http:') && !cluster.skipTLSVerify) {
    throw new PlatformError(
      `The cluster's address ${cluster.server} isn't encrypted. If that is meant, set insecure-skip-tls-verify: true for it in the kubeconfig.`,
      { retry: 'never' },
    );
  }
  reuseConnections(config);
  const watch = new library.Watch(config);
  // Not in the library's types, which has 30 s.
  Object.assign(watch, { requestTimeoutMs: patience.silenceMs });
  return { library, config, watch };
}

/** Adds the credentials. A plugin that brings them is a program of the operator's: it may fail, or hang. */
async function authenticate(
  config: Library.KubeConfig,
  context: Library.RequestContext,
  cluster: string,
  signal: AbortSignal,
): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    await Promise.race([config.applySecurityAuthentication(context), aborted.promise]);
  } catch (error) {
    const why = error instanceof Error ? error.message.trim().slice(0, 200) : String(error);
    throw new PlatformError(
      `Slipway gets no credentials for cluster ${cluster}: ${why}. Check the user in the kubeconfig and its plugin or token file.`,
      { cause: error },
    );
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function readConfig(library: Loaded['library'], kubeconfig: string): Library.KubeConfig {
  const config = new library.KubeConfig();
  for (const [index, path] of kubeconfig.split(delimiter).filter(Boolean).entries()) {
    try {
      const part = index === 0 ? config : new library.KubeConfig();
      part.loadFromFile(path);
      if (index > 0) config.mergeConfig(part);
    } catch (error) {
      throw new PlatformError(
        `The kubeconfig ${path} can't be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return config;
}

const patchTypes: Record<NonNullable<ApiRequest['patch']>, string> = {
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

function contentTypeOf({ method, patch = 'strategic' }: ApiRequest): string {
  return method === 'PATCH' ? patchTypes[patch] : 'application/json';
}

/** The library would make a new connection for every request; one pool serves as long as the credentials are the same. */
function reuseConnections(config: Library.KubeConfig): void {
  const maker = config as unknown as { createDispatcher(cluster: unknown, options: unknown): unknown };
  const make = maker.createDispatcher.bind(config);
  const made = new Map<string, unknown>();
  maker.createDispatcher = (cluster, options) => {
    const key = JSON.stringify(options);
    if (!made.has(key)) made.set(key, make(cluster, options));
    return made.get(key);
  };
}

/** Milliseconds until the next try: doubling from a quarter of a second to 5 s. */
function pauseMs(attempt: number): number {
  return Math.min(5000, 250 * 2 ** attempt) * (0.75 + Math.random() / 2);
}

/** A watch that breaks or ends is nothing; one that was refused is. The library gives the code only. */
function throwRefusal(error: unknown): void {
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') {
    throw new StatusError(error.statusCode, error.message, {});
  }
}
