import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Logger, pino } from 'pino';
import { openDockerParts } from './adapters/docker/index.ts';
import { deliveryRoute } from './adapters/github/deliveries.ts';
import { openDispatcher } from './adapters/github/dispatch.ts';
import { createForge } from './adapters/github/forge.ts';
import { openGitHub } from './adapters/github/github.ts';
import { createReporter } from './adapters/github/reporter.ts';
import { createSetup } from './adapters/github/setup.ts';
import { openGitSource } from './adapters/git/source.ts';
import { openClusters } from './adapters/kubernetes/clusters.ts';
import { openLogs } from './adapters/logs/logs.ts';
import { openStore } from './adapters/store/store.ts';
import { createEngine } from './engine/engine.ts';
import { excerpt } from './engine/excerpt.ts';
import type { Clock, Logs, Reporter } from './engine/ports.ts';
import type { Store } from './engine/store.ts';
import { type Home, openHome } from './home.ts';
import { PlatformError, UserError } from './model/outcome.ts';
import { checkKubeconfigs, type Operator, readOperator } from './operator.ts';
import { type AppCredentials, appCredentials, readSettings, type Settings, SettingsError } from './settings.ts';
import { webApp } from './web/app.ts';
import { createChanges } from './web/changes.ts';
import { createLinks, createSigner } from './web/signer.ts';

/** The server, listening. */
export interface Server {
  /** `http://127.0.0.1:PORT`, on this machine. */
  readonly url: string;
  /** Ends everything that was started. Running jobs are stopped and start over with the next server. */
  close(): Promise<void>;
}

/**
 * Opens the adapters, wires them to the engine and listens. Throws SettingsError in one sentence if a setting is
 * wrong. Without an App it serves the set-up page, and goes on by itself once the App is registered.
 */
async function startServer(settings: Settings, logger: Logger): Promise<Server> {
  const operator = readOperator(settings.SLIPWAY_CONFIG, settings.KUBECONFIG);
  checkKubeconfigs(operator.clusters);
  const given = appCredentials(settings);
  const home = openHome(settings.SLIPWAY_HOME);
  const credentials = given ?? home.readApp();
  const base: Base = { settings, home, operator, logger, clock: { now: Date.now }, baseUrl: '' };
  const store = await openStore({ path: home.database, clock: base.clock });
  const logs = openLogs({ home: home.path });

  let listener: RequestListener = (_request, response) => {
    response.writeHead(503, { 'retry-after': '1' }).end('Slipway is starting.\n');
  };
  const server = createServer((request, response) => listener(request, response));
  await listen(server, settings);
  const { port } = server.address() as AddressInfo;
  const common = { ...base, store, logs, baseUrl: settings.SLIPWAY_URL ?? `http://localhost:${port}` };

  let app: App | null = null;
  async function open(given: AppCredentials): Promise<void> {
    app = await openApp(common, given);
    listener = app.listener;
  }
  try {
    if (credentials !== null) await open(credentials);
    else listener = setupListener(common, open);
  } catch (error) {
    server.close();
    await store.close();
    home.close();
    throw error;
  }
  if (settings.SLIPWAY_URL === null) {
    logger.warn(
      { url: common.baseUrl },
      'SLIPWAY_URL is not set: links lead to this machine, and GitHub can not reach it',
    );
  }
  logger.info({ port, url: common.baseUrl, app: credentials?.appId ?? null }, 'listening');

  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      // Some of what is waited for doesn't keep the process alive: it would end before all is put away.
      const awake = setInterval(() => {}, 60_000);
      try {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        await app?.close();
        await store.close();
        home.close();
      } finally {
        clearInterval(awake);
      }
    },
  };
}

interface Base {
  readonly settings: Settings;
  readonly home: Home;
  readonly operator: Operator;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Where people reach the server. */
  readonly baseUrl: string;
}

interface Common extends Base {
  readonly store: Store;
  readonly logs: Logs;
}

interface App {
  readonly listener: RequestListener;
  close(): Promise<void>;
}

/** Everything that needs the App's credentials. */
async function openApp(common: Common, credentials: AppCredentials): Promise<App> {
  const { settings, home, operator, logger, clock, store, logs, baseUrl } = common;
  const github = await openGitHub({
    ...credentials,
    host: settings.GHE_HOST,
    protocol: settings.GHE_PROTOCOL,
    logger: logger.child({ part: 'github' }),
  });
  const source = await openGitSource({ home: home.path, token: (repository) => github.token(repository) });
  const docker = openDockerParts({
    dockerHost: settings.DOCKER_HOST,
    home: home.path,
    limits: { memory: settings.SLIPWAY_JOB_MEMORY, cpus: settings.SLIPWAY_JOB_CPUS },
    warm: settings.SLIPWAY_WARM,
    credentials: (registry) => operator.registries.get(registry) ?? null,
    logger: logger.child({ part: 'docker' }),
    clock,
  });
  const signer = createSigner(home.linkKey);
  const links = createLinks(baseUrl, signer);
  const changes = createChanges();
  const checks = createReporter({
    github,
    runs: store.runs,
    told: store.told,
    detailsUrl: (run, job) => (job === null ? links.run(run.id) : links.job(run.id, job.id)),
    excerpt: (job) => excerpt(logs, job),
    logger: logger.child({ part: 'reporter' }),
  });
  const engine = createEngine({
    source,
    executor: docker.executor,
    builder: docker.builder,
    cluster: openClusters({ clusters: operator.clusters, logger: logger.child({ part: 'kubernetes' }) }),
    reporter: both(checks, (runId) => changes.notify(runId)),
    forge: createForge(github),
    logs,
    store,
    policy: operator.policy,
    clock,
    log: logger.child({ part: 'engine' }),
    limits: {
      jobs: settings.SLIPWAY_MAX_JOBS,
      worker: randomUUID(),
      secrets: [credentials.webhookSecret, ...[...operator.registries.values()].map((r) => r.password)],
    },
    runUrl: (run) => links.run(run.id),
  });
  const dispatcher = await openDispatcher({
    github,
    store: store.deliveries,
    intake: engine.intake,
    resolve: (repository, ref) => source.resolve(repository, ref, AbortSignal.timeout(60_000)),
    logger: logger.child({ part: 'deliveries' }),
  });
  const pages = webApp({
    store,
    logs,
    changes,
    signer,
    clock,
    baseUrl,
    operatorToken: settings.SLIPWAY_TOKEN,
    checks: { database: () => store.ping(), docker: () => docker.executor.ping(), github: () => github.ping() },
    setup: null,
    version: version(),
    onError: (error, path) => logger.error({ err: error, path }, 'a page failed'),
  });
  await engine.start();
  await checks.resume();
  dispatcher.wake();

  return {
    listener: deliveryRoute({
      path: settings.WEBHOOK_PATH,
      secret: credentials.webhookSecret,
      store: store.deliveries,
      onStored: () => dispatcher.wake(),
      next: listenerOf(pages),
      logger: logger.child({ part: 'deliveries' }),
    }),
    async close() {
      await dispatcher.close();
      await engine.stop();
      await checks.flush(5_000);
      checks.close();
      await docker.executor.close();
      await source.close();
    },
  };
}

/** The pages as long as no App is registered. */
function setupListener(common: Common, open: (credentials: AppCredentials) => Promise<void>): RequestListener {
  const { settings, home, logger, store, logs, clock, baseUrl } = common;
  const token = randomBytes(12).toString('hex');
  const setup = createSetup({
    manifest: readFileSync(new URL('../app.yml', import.meta.url), 'utf8'),
    publicUrl: baseUrl,
    webhookPath: settings.WEBHOOK_PATH,
    redirectPath: '/setup/callback',
    host: settings.GHE_HOST,
    protocol: settings.GHE_PROTOCOL,
  });
  logger.warn({ page: `${baseUrl}/setup`, token }, 'no GitHub App yet: open the page and enter this one-time token');
  const pages = webApp({
    store,
    logs,
    changes: createChanges(),
    signer: createSigner(home.linkKey),
    clock,
    baseUrl,
    operatorToken: settings.SLIPWAY_TOKEN,
    checks: {
      database: () => store.ping(),
      github: () => Promise.reject(new Error('No GitHub App is registered yet; the set-up page does that.')),
    },
    setup: {
      token,
      flow: {
        begin: () => {
          const { action, manifest } = setup.registration(null);
          return { action, manifest, state: new URL(action).searchParams.get('state') ?? '' };
        },
        complete: async (code, state) => {
          const { slug, installUrl, ...credentials } = await setup.exchange(code, state);
          home.saveApp(credentials);
          logger.info({ app: credentials.appId, slug }, 'the GitHub App is registered');
          await open(credentials);
          return { name: slug, url: installUrl };
        },
      },
    },
    version: version(),
    onError: (error, path) => logger.error({ err: error, path }, 'a page failed'),
  });
  return listenerOf(pages);
}

/** An Express app is a listener; its types say otherwise under exactOptionalPropertyTypes. */
function listenerOf(app: ReturnType<typeof webApp>): RequestListener {
  return app as unknown as RequestListener;
}

/** Tells GitHub and the pages that are open. */
function both(reporter: Reporter, notify: (runId: string) => void): Reporter {
  return {
    report(runId) {
      reporter.report(runId);
      notify(runId);
    },
    flush: (deadlineMs) => reporter.flush(deadlineMs),
  };
}

async function listen(server: ReturnType<typeof createServer>, settings: Settings): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const name = error.code === 'EADDRINUSE' || error.code === 'EACCES' ? 'PORT' : 'HOST';
      reject(new SettingsError(`${name}: can't listen on ${settings.HOST}:${settings.PORT}: ${error.message}.`));
    });
    server.listen(settings.PORT, settings.HOST, resolve);
  });
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Starts from the environment and `.env`, and ends on SIGTERM and SIGINT. */
export async function main(): Promise<void> {
  try {
    process.loadEnvFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  try {
    const settings = readSettings();
    const logger = pino({ level: settings.LOG_LEVEL });
    const server = await startServer(settings, logger);
    const { promise, resolve } = Promise.withResolvers<string>();
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
    logger.info({ signal: await promise }, 'stopping');
    await server.close();
  } catch (error) {
    const isTold = [SettingsError, PlatformError, UserError].some((kind) => error instanceof kind);
    if (!(error instanceof Error) || !isTold) throw error;
    console.error(`slipway: ${error.message}`);
    process.exitCode = 1;
  }
}

if (import.meta.main) await main();
