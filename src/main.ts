import { createHmac, randomUUID } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Logger, pino } from 'pino';
import { keptArchives } from './adapters/docker/archives.ts';
import { openDockerParts } from './adapters/docker/index.ts';
import { deliveryRoute } from './adapters/github/deliveries.ts';
import { createForge } from './adapters/github/forge.ts';
import { openGitHub } from './adapters/github/github.ts';
import { untell } from './adapters/github/tell-run.ts';
import { webUrl } from './adapters/github/setup.ts';
import { openGitSource } from './adapters/git/source.ts';
import { openLogs } from './adapters/logs/logs.ts';
import { formerMs, openSecrets } from './adapters/secrets/secrets.ts';
import { openStore } from './adapters/store/store.ts';
import { createEngine } from './engine/engine.ts';
import { createMembership } from './engine/membership.ts';
import { createCleaner } from './engine/cleaner.ts';
import type { Parts } from './engine/parts.ts';
import { createSpace } from './engine/space.ts';
import { type Common, type Hooks, listenerOf, version } from './common.ts';
import { openDeploying } from './deploying.ts';
import { openHome } from './home.ts';
import { createLeadership, openLeader } from './leader.ts';
import { PlatformError, UserError } from './model/outcome.ts';
import { checkKubeconfigs, readOperator } from './operator.ts';
import { installationKeys } from './secret-keys.ts';
import { type AppCredentials, appCredentials, readSettings, type Settings, SettingsError } from './settings.ts';
import { setupListener } from './set-up.ts';
import { unknownSettings } from './unknown-settings.ts';
import { webApp } from './web/app.ts';
import { environmentActions } from './web-actions.ts';
import { createChanges } from './web/changes.ts';
import { httpLimits, limitConnections } from './web/limits.ts';
import { createLinks, createSigner } from './web/signer.ts';

/** The server, listening. */
export interface Server {
  /** `http://127.0.0.1:PORT`, on this machine. */
  readonly url: string;
  /** Ends the server. Jobs that run on are followed by the next one. */
  close(): Promise<void>;
}

/**
 * Opens the adapters, wires them to the engine and listens. Throws SettingsError in one sentence if a setting is
 * wrong. Without an App it serves the set-up page, and goes on by itself once the App is registered.
 */
export async function startServer(settings: Settings, logger: Logger, hooks: Partial<Hooks> = {}): Promise<Server> {
  const operator = readOperator(settings.SLIPWAY_CONFIG, settings.KUBECONFIG);
  checkKubeconfigs(operator.clusters);
  const keys = installationKeys(settings);
  const given = appCredentials(settings);
  const home = openHome(settings.SLIPWAY_HOME, { shared: settings.DATABASE_URL !== null });
  const credentials = given ?? home.readApp();
  const clock = { now: Date.now };
  const where = settings.DATABASE_URL === null ? { path: home.database } : { url: settings.DATABASE_URL };
  const opened = await openStore({ ...where, clock, log: logger.child({ part: 'store' }) }).catch((error: unknown) => {
    home.close();
    throw error;
  });
  const store = hooks.store?.(opened) ?? opened;
  const secrets = openSecrets({ store: store.secrets, keys, clock });
  const space = createSpace({ path: home.path, reserve: settings.SLIPWAY_RESERVE });
  const logs = openLogs({ home: home.path, space });

  let listener: RequestListener = (_request, response) => {
    response.writeHead(503, { 'retry-after': '1' }).end('Slipway is starting.\n');
  };
  const server = createServer(httpLimits, (request, response) => listener(request, response));
  limitConnections(server);
  let app: App | null = null;
  try {
    await listen(server, settings);
    const { port } = server.address() as AddressInfo;
    const baseUrl = settings.SLIPWAY_URL ?? `http://localhost:${port}`;
    const common = { settings, home, operator, logger, clock, store, secrets, space, logs, baseUrl, hooks };
    const open = async (found: AppCredentials): Promise<void> => {
      app = await openApp(common, found);
      listener = app.listener;
    };
    if (credentials !== null) await open(credentials);
    else listener = setupListener(common, open);
    if (settings.SLIPWAY_URL === null) {
      logger.warn({ url: baseUrl }, 'SLIPWAY_URL is not set: links lead to this machine, and GitHub can not reach it');
    }
    logger.info({ port, url: baseUrl, app: credentials?.appId ?? null }, 'listening');
    return { url: `http://127.0.0.1:${port}`, close };
  } catch (error) {
    server.close();
    await store.close();
    home.close();
    throw error;
  }

  async function close(): Promise<void> {
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
  }
}

interface App {
  readonly listener: RequestListener;
  close(): Promise<void>;
}

/** How long GitHub is told what is still to be told when the server ends. */
const lastWordsMs = 5_000;
/** How often each server removes what it keeps for itself and no longer needs. */
const cleanMs = 60 * 60_000;

/** Everything that needs the App's credentials. */
async function openApp(common: Common, credentials: AppCredentials): Promise<App> {
  const { settings, home, operator, logger, clock, store, secrets, logs, baseUrl } = common;
  const { signals } = store;
  const github = await openGitHub({
    ...credentials,
    host: settings.GHE_HOST,
    protocol: settings.GHE_PROTOCOL,
    logger: logger.child({ part: 'github' }),
  });
  const source = await openGitSource({
    home: home.own,
    origin: webUrl(settings.GHE_HOST, settings.GHE_PROTOCOL),
    token: (repository) => github.token(repository),
  });
  const docker = openDockerParts({
    dockerHost: settings.DOCKER_HOST,
    home: home.path,
    limits: {
      memory: settings.SLIPWAY_JOB_MEMORY,
      cpus: settings.SLIPWAY_JOB_CPUS,
      files: settings.SLIPWAY_JOB_FILES,
      disk: settings.SLIPWAY_JOB_DISK,
    },
    guard: {
      deny: settings.SLIPWAY_JOB_DENY,
      bridges: settings.SLIPWAY_GUARD_BRIDGES,
      image: settings.SLIPWAY_GUARD_IMAGE,
    },
    reserve: settings.SLIPWAY_RESERVE,
    warm: settings.SLIPWAY_WARM,
    credentials: (registry) => operator.registries.get(registry) ?? null,
    hasAccounts: operator.registries.size > 0,
    buildKey: createHmac('sha256', home.linkKey).update('caches of builds').digest(),
    logger: logger.child({ part: 'docker' }),
    clock,
  });
  const executor = common.hooks.executor?.(docker.executor) ?? docker.executor;
  const signer = createSigner(home.linkKey);
  const links = createLinks(baseUrl, signer);
  const changes = createChanges();
  const worker = randomUUID();
  const parts: Parts = {
    source,
    executor,
    builder: docker.builder,
    ...openDeploying(operator, github, logger),
    // Whoever leads tells GitHub; every server tells the pages that are open.
    reporter: { report: (runId) => signals.send('run', runId), flush: async () => {} },
    forge: createForge(github),
    logs,
    store,
    policy: operator.policy,
    secrets,
    clock,
    log: logger.child({ part: 'engine' }),
    limits: {
      jobs: settings.SLIPWAY_MAX_JOBS,
      worker,
      secrets: [credentials.webhookSecret, ...[...operator.registries.values()].map((r) => r.password)],
      cancelSuperseded: settings.SLIPWAY_CANCEL_SUPERSEDED,
      repeatsItself: true,
    },
    shortage: () => common.space.shortage(),
    runUrl: (run) => links.run(run.id),
  };
  const engine = createEngine(parts);
  const cleaner = createCleaner({
    store,
    logs,
    archives: keptArchives(home.path),
    untell: (runId, jobIds) => untell(store.told, runId, jobIds),
    sources: source,
    images: docker.images,
    sweep: () => engine.sweep(),
    secretsMs: formerMs,
    rules: {
      runs: settings.SLIPWAY_KEEP_RUNS,
      runsMs: settings.SLIPWAY_KEEP_DAYS,
      logBytes: settings.SLIPWAY_KEEP_LOGS,
      artifactBytes: settings.SLIPWAY_KEEP_ARTIFACTS,
      artifactsMs: settings.SLIPWAY_KEEP_ARTIFACTS_DAYS,
      sourceBytes: settings.SLIPWAY_KEEP_SOURCES,
      sourcesMs: settings.SLIPWAY_KEEP_SOURCES_DAYS,
      imagesMs: settings.SLIPWAY_KEEP_IMAGES_DAYS,
    },
    clock,
    log: logger.child({ part: 'cleaning' }),
  });
  const leadership = createLeadership(
    () => openLeader({ settings, github, source, store, logs, engine, cleaner, links, clock, logger }),
    logger,
  );
  const membership = createMembership({
    workers: store.workers,
    id: worker,
    place: home.place,
    engine: () => docker.executor.engine().catch(() => null),
    leaseMs: settings.SLIPWAY_LEASE,
    watch: () => performance.now(),
    log: logger.child({ part: 'servers' }),
    onDead: (dead, alive) => engine.takeOver(dead, alive),
    onLead: (signal) => leadership.begin(signal),
    onLost: () => engine.lose(),
  });
  const pages = webApp({
    store,
    logs,
    changes,
    signer,
    clock,
    baseUrl,
    operatorToken: settings.SLIPWAY_TOKEN,
    sealKey: (repository) => secrets.sealKey(repository),
    checks: { database: () => store.ping(), docker: () => docker.executor.ping(), github: () => github.ping() },
    cancel: (runId) => engine.cancel(runId, { reason: "Cancelled by the operator on the run's page.", by: 'person' }),
    environments: environmentActions(parts, engine.wake),
    setup: null,
    version: version(),
    onError: (error, path) => logger.error({ err: error, path }, 'a page failed'),
  });
  const endPages = signals.listen('run', (runId) => changes.notify(runId));
  // Before anything is claimed: the jobs of a server that nobody knows of would be taken over by nobody.
  await store.workers.enter({ id: worker, place: home.place, engine: null });
  const missing = await secrets.missingKeys();
  if (missing.length > 0)
    logger.error(
      { keys: missing, where: installationKeys(settings).where },
      'secrets are encrypted with keys that are missing: no job gets those',
    );
  const shortage = await common.space.shortage();
  if (shortage !== null) logger.error({ why: shortage }, 'no job may begin');
  await engine.start({ alone: settings.DATABASE_URL === null });
  await membership.start();
  // The leader cleans what all share, and its own.
  const cleaning = setInterval(() => void cleaner.cleanOwn(), cleanMs);
  cleaning.unref();

  return {
    listener: deliveryRoute({
      path: settings.WEBHOOK_PATH,
      secret: credentials.webhookSecret,
      store: store.deliveries,
      onStored: () => signals.send('deliveries', ''),
      next: listenerOf(pages),
      logger: logger.child({ part: 'deliveries' }),
    }),
    async close() {
      // It beats until its jobs are left: nobody else may take them before.
      await engine.stop(settings.SLIPWAY_GRACE);
      await leadership.end(lastWordsMs);
      await membership.stop();
      clearInterval(cleaning);
      endPages();
      await docker.executor.close();
      await source.close();
    },
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
    for (const remark of unknownSettings()) logger.warn(remark);
    const server = await startServer(settings, logger);
    const { promise, resolve } = Promise.withResolvers<string>();
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
    const signal = await promise;
    const graceMs = settings.SLIPWAY_GRACE;
    logger.info({ signal, graceMs }, 'stopping: jobs that last longer than the grace are left to the next server');
    await server.close();
  } catch (error) {
    const isTold = [SettingsError, PlatformError, UserError].some((kind) => error instanceof kind);
    if (!(error instanceof Error) || !isTold) throw error;
    console.error(`slipway: ${error.message}`);
    process.exitCode = 1;
  }
}

if (import.meta.main) await main();
