import { availableParallelism, totalmem } from 'node:os';
import { resolve } from 'node:path';
import {
  bytes,
  cidrs,
  countOrOff,
  cpuCount,
  databaseUrl,
  dockerHost,
  host,
  lease,
  interfaces,
  longEnough,
  natural,
  onOff,
  oneOf,
  path,
  pem,
  port,
  positive,
  readText,
  setting,
  sizeOrOff,
  span,
  spanOrOff,
  text,
  url,
} from './setting-values.ts';

const gib = 1024 ** 3;

/**
 * The operator's settings: each is an environment variable. This table is the only place that knows them;
 * docs/settings.md and .env.example are derived from it, and nothing else reads the environment.
 */
export const settingsTable = {
  APP_ID: setting<number | null>({
    group: 'GitHub App',
    default: 'none: the server shows its set-up page',
    help: "The App's numeric id, from its page on GitHub. The set-up page stores it by itself.",
    example: '123456',
    parse: positive,
    missing: () => null,
  }),
  PRIVATE_KEY: setting<string | null>({
    group: 'GitHub App',
    default: 'none',
    help: "The App's private key: PEM, with real line breaks, with `\\n`, or encoded as base64.",
    secret: true,
    parse: pem,
    missing: () => null,
  }),
  PRIVATE_KEY_PATH: setting<string | null>({
    group: 'GitHub App',
    default: 'none',
    help: "Path of the file that holds the App's private key.",
    example: '/etc/slipway/app.pem',
    parse: (path) => pem(readText(path)),
    missing: () => null,
  }),
  WEBHOOK_SECRET: setting<string | null>({
    group: 'GitHub App',
    default: 'none',
    help: 'The secret with which GitHub signs deliveries. Needed as soon as APP_ID is set.',
    secret: true,
    parse: text,
    missing: () => null,
  }),
  GHE_HOST: setting<string | null>({
    group: 'GitHub App',
    default: 'none: github.com',
    help: 'Host (and port) of a GitHub Enterprise Server.',
    example: 'github.acme.example',
    parse: host,
    missing: () => null,
  }),
  GHE_PROTOCOL: setting<'https' | 'http'>({
    group: 'GitHub App',
    default: 'https',
    help: 'Protocol of GHE_HOST: https or http.',
    parse: (value) => oneOf(value, ['https', 'http'] as const),
    missing: () => 'https',
  }),
  WEBHOOK_PATH: setting({
    group: 'GitHub App',
    default: '/api/github/webhooks',
    help: 'Path on which deliveries arrive.',
    parse: path,
    missing: () => '/api/github/webhooks',
  }),
  PORT: setting({
    group: 'Server',
    default: '3000',
    help: 'Port to listen on; 0 takes a free one.',
    parse: port,
    missing: () => 3000,
  }),
  HOST: setting({
    group: 'Server',
    default: '0.0.0.0',
    help: 'Address to listen on.',
    parse: text,
    missing: () => '0.0.0.0',
  }),
  LOG_LEVEL: setting({
    group: 'Server',
    default: 'info',
    help: "How much the server logs: trace, debug, info, warn, error, fatal or silent. Jobs' logs are kept in any case.",
    parse: (value) => oneOf(value, ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const),
    missing: () => 'info' as const,
  }),
  SLIPWAY_URL: setting<string | null>({
    group: 'Server',
    default: 'http://localhost:PORT',
    help: 'Address under which people and GitHub reach this server; links in check runs start with it.',
    example: 'https://ci.acme.example',
    parse: url,
    missing: () => null,
  }),
  SLIPWAY_HOME: setting({
    group: 'Server',
    default: '.slipway',
    help: 'Folder for all data: database, logs, mirrors, workspaces. In a container: a volume, see compose.yaml.',
    example: '/var/lib/slipway',
    parse: (value) => resolve(value),
    missing: () => resolve('.slipway'),
  }),
  SLIPWAY_CONFIG: setting<string | null>({
    group: 'Server',
    default: 'none: no repository may push images or deploy',
    help: "The operator's file: registries with credentials, clusters, and what each repository may touch. See operator.md.",
    example: '/etc/slipway/operator.yml',
    parse: (value) => resolve(value),
    missing: () => null,
  }),
  SLIPWAY_TOKEN: setting<string | null>({
    group: 'Server',
    default: 'none: these pages and the API are closed',
    help: "The operator's token: opens the pages of runs and environments, and commands this server from elsewhere (command-line.md). At least 16 characters.",
    secret: true,
    parse: (value) => longEnough(value, 16),
    missing: () => null,
  }),
  SLIPWAY_SECRET_KEY: setting<string | null>({
    group: 'Secrets',
    default: 'none: with SQLite a key is made in SLIPWAY_HOME',
    help: 'Key that encrypts secrets: 32 random bytes in base64 or hex (`head -c 32 /dev/urandom | base64`). Several, with commas between: the first encrypts, all decrypt. See secrets.md.',
    secret: true,
    parse: text,
    missing: () => null,
  }),
  SLIPWAY_SECRET_KEY_FILE: setting<string | null>({
    group: 'Secrets',
    default: 'SLIPWAY_HOME/secret.key, made when the first secret is set; with DATABASE_URL none',
    help: 'Path of a file that holds the keys instead, one a line. Only its owner may read it. Read again whenever it changes.',
    example: '/etc/slipway/secret.key',
    parse: (value) => resolve(value),
    missing: () => null,
  }),
  DOCKER_HOST: setting({
    group: 'Docker and jobs',
    default: 'unix:///var/run/docker.sock',
    help: 'The Docker engine that runs jobs: unix:// or tcp://. It must see the same files as the server.',
    parse: dockerHost,
    missing: () => 'unix:///var/run/docker.sock',
  }),
  SLIPWAY_MAX_JOBS: setting({
    group: 'Docker and jobs',
    default: 'two for each CPU, but at most one for each GiB of memory; at least 2',
    help: 'How many jobs run at once on this server. Deployments are not counted: they wait for Kubernetes.',
    example: '8',
    parse: positive,
    missing: () => Math.max(2, Math.min(2 * availableParallelism(), Math.floor(totalmem() / gib))),
  }),
  SLIPWAY_JOB_MEMORY: setting({
    group: 'Docker and jobs',
    default: '4g',
    help: "A job's memory limit, in bytes or with k, m, g.",
    parse: bytes,
    missing: () => 4 * gib,
  }),
  SLIPWAY_JOB_CPUS: setting<number | null>({
    group: 'Docker and jobs',
    default: 'all',
    help: 'How many CPUs a job may use; fractions are fine.',
    example: '2',
    parse: cpuCount,
    missing: () => null,
  }),
  SLIPWAY_WARM: setting({
    group: 'Docker and jobs',
    default: '2',
    help: 'How many containers are kept started ahead for images in use; 0 switches it off.',
    parse: natural,
    missing: () => 2,
  }),
  SLIPWAY_JOB_DISK: setting<number | null>({
    group: 'Docker and jobs',
    default: '20g',
    help: "How much disk a job may use: its container's layer, its workspace and its services. In bytes or with k, m, g, t; off: no limit. A job that needs more is ended.",
    parse: sizeOrOff,
    missing: () => 20 * gib,
  }),
  SLIPWAY_JOB_FILES: setting<number | null>({
    group: 'Docker and jobs',
    default: "none: the engine's own limit",
    help: "How many files a process of a job may have open at once; at most the engine's own limit unless the engine runs as root.",
    parse: positive,
    missing: () => null,
  }),
  SLIPWAY_JOB_DENY: setting<readonly string[]>({
    group: 'Docker and jobs',
    default: 'none',
    help: "Networks that jobs may not reach, as CIDRs with commas between: your LAN, say. The server's host, its cloud's metadata and other jobs are out of reach anyway. Names are still resolved there (port 53).",
    example: '10.0.0.0/8,192.168.0.0/16',
    parse: cidrs,
    missing: () => [],
  }),
  SLIPWAY_GUARD_BRIDGES: setting<readonly string[]>({
    group: 'Docker and jobs',
    default: 'none',
    help: "Network interfaces of the engine whose containers are kept from the host, its cloud's metadata and SLIPWAY_JOB_DENY as jobs are. Name docker0 if it is used for builds alone: strangers' builds have a network then.",
    parse: interfaces,
    missing: () => [],
  }),
  SLIPWAY_GUARD_IMAGE: setting<string | null>({
    group: 'Docker and jobs',
    default: "none: the server's own image, if it runs in a container",
    help: 'Image with sh and iptables, already on the engine, by which the firewall rules for jobs are set where the server has no right to set them itself. See security.md.',
    parse: text,
    missing: () => null,
  }),
  KUBECONFIG: setting<string | null>({
    group: 'Deployments',
    default: 'none',
    help: "Path of the kubeconfig of the default cluster. Other clusters are named in the operator's file.",
    example: '/etc/slipway/kubeconfig',
    parse: (value) => resolve(value),
    missing: () => null,
  }),
  DATABASE_URL: setting<string | null>({
    group: 'Reliability',
    default: 'none: SQLite in SLIPWAY_HOME',
    help: 'Address of a PostgreSQL database. Several servers may work on one; see reliability.md.',
    example: 'postgres://slipway@db.acme.example/slipway',
    secret: true,
    parse: databaseUrl,
    missing: () => null,
  }),
  SLIPWAY_GRACE: setting({
    group: 'Reliability',
    default: '10s',
    help: 'How long a server that is told to stop waits for jobs that are about to end. Those that go on are followed by the next one.',
    parse: span,
    missing: () => 10_000,
  }),
  SLIPWAY_LEASE: setting({
    group: 'Reliability',
    default: '15s',
    help: 'With PostgreSQL: how long a server may be silent until another takes over its work. At least 1s.',
    parse: lease,
    missing: () => 15_000,
  }),
  SLIPWAY_CANCEL_SUPERSEDED: setting({
    group: 'Reliability',
    default: 'on',
    help: 'on: a newer push to a pull request cancels what still runs for the commits before it. A deployment is never cancelled half-way. off: all run to their end.',
    parse: onOff,
    missing: () => true,
  }),
  SLIPWAY_CATCH_UP: setting<number | null>({
    group: 'Reliability',
    default: '5m',
    help: 'How often GitHub is asked for deliveries that failed, beside once at start; off: never.',
    parse: spanOrOff,
    missing: () => 5 * 60_000,
  }),
  SLIPWAY_RECONCILE: setting({
    group: 'Reliability',
    default: 'on',
    help: 'on: branches, tags and open pull requests that moved while no delivery arrived get their run, looked for at start and with SLIPWAY_CATCH_UP.',
    parse: onOff,
    missing: () => true,
  }),
  SLIPWAY_RESERVE: setting<number | null>({
    group: 'Reliability',
    default: '1g',
    help: 'Free space on the disk of SLIPWAY_HOME that jobs may not use up, in bytes or with k, m, g, t: below it none starts, and logs end. off: no limit.',
    parse: sizeOrOff,
    missing: () => gib,
  }),
  SLIPWAY_KEEP_RUNS: setting<number | null>({
    group: 'Cleaning',
    default: '1000',
    help: 'How many runs of a repository are kept, with their logs; off: all.',
    parse: countOrOff,
    missing: () => 1000,
  }),
  SLIPWAY_KEEP_DAYS: setting<number | null>({
    group: 'Cleaning',
    default: '90d',
    help: 'How long a run is kept after its end, with its logs; off: for ever.',
    parse: spanOrOff,
    missing: () => 90 * 86_400_000,
  }),
  SLIPWAY_KEEP_LOGS: setting<number | null>({
    group: 'Cleaning',
    default: '10g',
    help: 'How much disk all logs may take; the oldest go first. off: no limit.',
    parse: sizeOrOff,
    missing: () => 10 * gib,
  }),
  SLIPWAY_KEEP_ARTIFACTS: setting<number | null>({
    group: 'Cleaning',
    default: '10g',
    help: 'How much disk the archives of artifacts may take; the oldest go first. off: no limit.',
    parse: sizeOrOff,
    missing: () => 10 * gib,
  }),
  SLIPWAY_KEEP_ARTIFACTS_DAYS: setting<number | null>({
    group: 'Cleaning',
    default: '30d',
    help: 'How long artifacts are kept; off: as long as their run.',
    parse: spanOrOff,
    missing: () => 30 * 86_400_000,
  }),
  SLIPWAY_KEEP_SOURCES: setting<number | null>({
    group: 'Cleaning',
    default: '20g',
    help: 'How much disk mirrors and checked out trees may take; those not used for longest go first. off: no limit.',
    parse: sizeOrOff,
    missing: () => 20 * gib,
  }),
  SLIPWAY_KEEP_SOURCES_DAYS: setting<number | null>({
    group: 'Cleaning',
    default: '30d',
    help: 'How long the mirror of a repository is kept after its last use; off: for ever.',
    parse: spanOrOff,
    missing: () => 30 * 86_400_000,
  }),
  SLIPWAY_KEEP_IMAGES_DAYS: setting<number | null>({
    group: 'Cleaning',
    default: 'off',
    help: 'How long an image that Slipway pulled for jobs stays in the Docker engine after its last use; off: Slipway removes no image but those it made.',
    parse: spanOrOff,
    missing: () => null,
  }),
} as const;

type Table = typeof settingsTable;
export type SettingName = keyof Table;
export type Settings = { readonly [K in SettingName]: ReturnType<Table[K]['missing']> };

/** A setting is wrong or missing; the message is one sentence that names it. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/**
 * Reads all settings. Throws SettingsError that names the first one that is wrong. Empty counts as missing.
 */
export function readSettings(env: Readonly<Record<string, string | undefined>> = process.env): Settings {
  const read = Object.fromEntries(
    Object.entries(settingsTable).map(([name, s]) => {
      const value = env[name]?.trim();
      if (value === undefined || value === '') return [name, s.missing()];
      try {
        return [name, s.parse(value)];
      } catch (error) {
        throw new SettingsError(`${name} ${error instanceof Error ? error.message : String(error)}.`);
      }
    }),
  );
  return read as Settings;
}

/** The App's credentials, from the settings or from what the set-up page stored. */
export interface AppCredentials {
  readonly appId: number;
  readonly privateKey: string;
  readonly webhookSecret: string;
}

/**
 * The App's credentials if APP_ID is set. Throws SettingsError if the key or the secret is missing then. Null: no App yet.
 */
export function appCredentials(settings: Settings): AppCredentials | null {
  if (settings.APP_ID === null) {
    return null;
  }
  const privateKey = settings.PRIVATE_KEY ?? settings.PRIVATE_KEY_PATH;
  if (privateKey === null)
    throw new SettingsError("APP_ID is set, but the App's key is missing: set PRIVATE_KEY_PATH or PRIVATE_KEY.");
  if (settings.WEBHOOK_SECRET === null) {
    throw new SettingsError(
      "APP_ID is set, but WEBHOOK_SECRET is missing: set it to the webhook secret on the App's page.",
    );
  }
  return { appId: settings.APP_ID, privateKey, webhookSecret: settings.WEBHOOK_SECRET };
}
