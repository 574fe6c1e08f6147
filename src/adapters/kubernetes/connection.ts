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
  readonly method: 'GET' | 'PATCH';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as a strategic merge patch. */
  readonly body?: unknown;
}

/** How long a request is repeated while the server can't answer. */
const patienceMs = 60_000;

/** Requests and watches on one API server. The client library is loaded with the first. */
export class Connection {
  readonly #name: string;
  readonly #options: ConnectionOptions;
  readonly #logger: ConnectionLogger;
  #loaded: Promise<Loaded> | null = null;

  constructor(name: string, options: ConnectionOptions, logger: ConnectionLogger) {
    this.#name = name;
    this.#options = options;
    this.#logger = logger;
  }

  /** The answer's body. Repeats what may pass (429, 409, 5xx, connection) for a minute. Throws StatusError or the network's error. */
  async request(request: ApiRequest, signal: AbortSignal): Promise<string> {
    const until = Date.now() + patienceMs;
    let reloaded = false;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#send(request, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof StatusError && error.code === 401 && !reloaded) {
          reloaded = true;
          this.#loaded = null;
          this.#logger.info({ cluster: this.#name }, 'credentials refused, reading the kubeconfig again');
          continue;
        }
        const pause = pauseMs(error, attempt);
        if (!isTransient(error) || Date.now() + pause > until) throw error;
        this.#logger.info({ cluster: this.#name, path: request.path, err: error, pause }, 'request is repeated');
        await sleep(pause, undefined, { signal });
      }
    }
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

  async #send(request: ApiRequest, signal: AbortSignal): Promise<string> {
    const { library, config } = await this.#load();
    const url = new URL(`${config.getCurrentCluster()?.server ?? ''}${request.path}`);
    for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, value);
    const context = new library.RequestContext(url.toString(), library.HttpMethod[request.method]);
    if (request.body !== undefined) {
      context.setHeaderParam('Content-Type', library.PatchStrategy.StrategicMergePatch);
      context.setBody(JSON.stringify(request.body));
    }
    await config.applySecurityAuthentication(context);
    context.setSignal(AbortSignal.any([signal, AbortSignal.timeout(30_000)]));
    const response = await library.createConfiguration().httpApi.send(context).toPromise();
    const text = await response.body.text();
    if (response.httpStatusCode < 200 || response.httpStatusCode > 299) {
      throw new StatusError(response.httpStatusCode, text, response.headers);
    }
    return text;
  }

  #load(): Promise<Loaded> {
    this.#loaded ??= load(this.#options).catch((error: unknown) => {
      this.#loaded = null;
      throw error;
    });
    return this.#loaded;
  }
}

interface Loaded {
  readonly library: typeof Library;
  readonly config: Library.KubeConfig;
  readonly watch: Library.Watch;
}

async function load(options: ConnectionOptions): Promise<Loaded> {
  const library = await import('@kubernetes/client-node');
  const config = readConfig(library, options.kubeconfig);
  if (options.context !== null) {
    if (!config.getContextObject(options.context)) {
      const names = config.getContexts().map((it) => it.name);
      throw new PlatformError(
        `The kubeconfig has no context ${options.context}; it has ${names.join(', ') || 'none'}.`,
      );
    }
    config.setCurrentContext(options.context);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new PlatformError('The kubeconfig names no current cluster. Set current-context in it.');
  if (cluster.server.startsWith('http:') && !cluster.skipTLSVerify) {
    throw new PlatformError(
      `The cluster's address ${cluster.server} isn't encrypted. If that is meant, set insecure-skip-tls-verify: true for it in the kubeconfig.`,
    );
  }
  reuseConnections(config);
  return { library, config, watch: new library.Watch(config) };
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

/** Milliseconds until the next try: what the server asks for, else doubling from a quarter of a second to 5 s. */
function pauseMs(error: unknown, attempt: number): number {
  if (error instanceof StatusError && error.retryAfterMs !== null) return Math.min(error.retryAfterMs, 30_000);
  return Math.min(5000, 250 * 2 ** attempt) * (0.75 + Math.random() / 2);
}

/** A watch that breaks or ends is nothing; one that was refused is. The library gives the code only. */
function throwRefusal(error: unknown): void {
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') {
    throw new StatusError(error.statusCode, error.message, {});
  }
}
