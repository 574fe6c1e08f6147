import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { resolve } from 'node:path';

/**
 * The operator's settings: each is an environment variable. This table is the only place that knows them;
 * docs/settings.md and .env.example are derived from it, and nothing else reads the environment.
 */
interface Setting<T> {
  /** Shown in docs; what `parse` yields when the variable is missing or empty. */
  readonly default: string;
  readonly help: string;
  readonly group: 'GitHub App' | 'Server' | 'Docker and jobs' | 'Deployments';
  readonly example?: string;
  readonly secret?: true;
  /** Text (never empty) to value, or throws Error whose message continues "NAME ". */
  readonly parse: (text: string) => T;
  /** The value when the variable is missing. */
  readonly missing: () => T;
}

function setting<T>(s: Setting<T>): Setting<T> {
  return s;
}

const gib = 1024 ** 3;

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
    default: 'none: the home page is closed',
    help: 'Token that opens the home page with the last runs. At least 16 characters.',
    secret: true,
    parse: (value) => longEnough(value, 16),
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
    default: 'one for each GiB of memory, at least 2',
    help: 'How many jobs run at once. Jobs mostly wait, so memory sets the limit, not cores.',
    example: '8',
    parse: positive,
    missing: () => Math.max(2, Math.floor(totalmem() / gib)),
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
  KUBECONFIG: setting<string | null>({
    group: 'Deployments',
    default: 'none',
    help: "Path of the kubeconfig of the default cluster. Other clusters are named in the operator's file.",
    example: '/etc/slipway/kubeconfig',
    parse: (value) => resolve(value),
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

// ---- parsers: each message continues the setting's name ----------------------------------------

function text(value: string): string {
  return value;
}

function natural(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new Error(`must be a whole number, but is ${JSON.stringify(value)}`);
  return Number(value);
}

function positive(value: string): number {
  const n = natural(value);
  if (n === 0) throw new Error('must be more than 0');
  return n;
}

function port(value: string): number {
  const n = natural(value);
  if (n > 65_535) throw new Error(`must be a port from 0 to 65535, but is ${n}`);
  return n;
}

function cpuCount(value: string): number | null {
  if (value === 'all') return null;
  const n = Number(value);
  if (!(n > 0)) throw new Error(`must be a number of CPUs such as 2 or 0.5, but is ${JSON.stringify(value)}`);
  return n;
}

function bytes(value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg])?i?b?$/i.exec(value);
  if (!match?.[1]) throw new Error(`must be a size such as 512m or 4g, but is ${JSON.stringify(value)}`);
  const size = Number(match[1]) * 1024 ** ['', 'k', 'm', 'g'].indexOf((match[2] ?? '').toLowerCase());
  if (size < 6 * 1024 ** 2) throw new Error(`must be at least 6m (Docker's least), but is ${value}`);
  return Math.floor(size);
}

function oneOf<T extends string>(value: string, values: readonly T[]): T {
  const found = values.find((v) => v === value.toLowerCase());
  if (found === undefined) throw new Error(`must be one of ${values.join(', ')}, but is ${JSON.stringify(value)}`);
  return found;
}

function path(value: string): string {
  if (!/^\/[\w./-]*$/.test(value))
    throw new Error(`must be a path that starts with /, but is ${JSON.stringify(value)}`);
  return value;
}

function host(value: string): string {
  if (!/^[\w.-]+(:\d+)?$/.test(value)) {
    throw new Error(
      `must be a host name, with a port if need be and without a protocol, but is ${JSON.stringify(value)}`,
    );
  }
  return value;
}

function url(value: string): string {
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
    throw new Error(`must be an address that starts with https:// or http://, but is ${JSON.stringify(value)}`);
  }
  return value.replace(/\/+$/, '');
}

function dockerHost(value: string): string {
  if (!/^(unix:\/\/\/|tcp:\/\/|https?:\/\/)./.test(value)) {
    throw new Error(`must start with unix:/// or tcp://, but is ${JSON.stringify(value)}`);
  }
  return value;
}

function longEnough(value: string, length: number): string {
  if (value.length < length) throw new Error(`must have at least ${length} characters`);
  return value;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : message;
    throw new Error(`names the file ${file}, which can't be read: ${why}`, { cause: error });
  }
}

/** Accepts what Probot accepts: PEM, PEM with `\n` written out, and base64 of PEM. */
function pem(value: string): string {
  const begin = '-----BEGIN';
  const plain = value.includes(begin) ? value.replaceAll('\\n', '\n') : Buffer.from(value, 'base64').toString('utf8');
  if (!plain.includes(begin) || !plain.includes('PRIVATE KEY-----')) {
    throw new Error("doesn't hold a private key in PEM form (-----BEGIN ... PRIVATE KEY-----)");
  }
  return plain.trim() + '\n';
}
