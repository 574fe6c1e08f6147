import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { removeContainer } from './container.ts';
import { engineFailure } from './errors.ts';
import { guardScript } from './guard-rules.ts';
import type { JobsNetwork } from './network.ts';
import type { Logger } from './place.ts';

const run = promisify(execFile);

/** The rules may be gone after this: another program set up the host's firewall anew. Milliseconds. */
const FRESH = 60_000;
/** For the rules to be set, milliseconds. */
const DEADLINE = 60_000;

/** Firewall rules on the engine's host that keep jobs from the host, its cloud's metadata and each other. */
export interface Guard {
  /**
   * Null once the rules stand, or a sentence on why they don't. They are set or looked at again at most once a minute. Never
   * throws.
   */
  refusal(): Promise<string | null>;
  /** As `refusal`, by what was found last if the rules were looked at before: it waits only the first time. */
  known(): Promise<string | null>;
}

export interface GuardSettings {
  /** Networks that jobs may not reach, beside the host and its metadata addresses: CIDRs of IPv4 or IPv6. */
  readonly deny: readonly string[];
  /** Interfaces of the engine that are guarded like the jobs' own: `docker0`, on which BuildKit builds. */
  readonly bridges: readonly string[];
  /** Image with iptables for setting the rules where the server can't do it itself; null: the server's own, if it has one. */
  readonly image: string | null;
}

export interface GuardOptions extends GuardSettings {
  readonly docker: Docker;
  /** The same engine without a deadline. */
  readonly patient: Docker;
  readonly network: JobsNetwork;
  /** Image of the container that the server runs in, or null. */
  readonly ownImage: string | null;
  /** Tells this installation's rules from others'. */
  readonly home: string;
  readonly logger: Logger;
}

export function createGuard(options: GuardOptions): Guard {
  const { logger } = options;
  let looking: Promise<string | null> | null = null;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let found: { readonly why: string | null } | null = null;

  function refusal(): Promise<string | null> {
    if (looking !== null && performance.now() - lookedAt < FRESH) return looking;
    lookedAt = performance.now();
    looking = raise(options).then(
      () => tell(null),
      (error: unknown) => tell(sentence(error)),
    );
    return looking;
  }
  function tell(why: string | null): string | null {
    if (why === null && found?.why !== null) logger.info({}, 'jobs can reach neither this host nor each other');
    if (why !== null && found?.why !== why) {
      logger.warn({ why }, "jobs are not kept from this host and its network; strangers' jobs get no network");
    }
    found = { why };
    return why;
  }

  return {
    refusal,
    async known() {
      const last = found;
      const now = refusal();
      return last === null ? now : last.why;
    },
  };
}

/** Sets the rules where they aren't. Throws if that can't be done. */
async function raise(options: GuardOptions): Promise<void> {
  const { bridge } = await options.network.ready();
  const id = options.home.replaceAll(/[^0-9A-Za-z]/g, '').slice(0, 12);
  const script = guardScript(id, options.deny, options.bridges);
  let own: unknown = new Error("the engine's bridge isn't among the server's own interfaces");
  if (await isOurHost(bridge)) {
    try {
      await run('/bin/sh', ['-c', script], { timeout: DEADLINE });
      return;
    } catch (error) {
      own = error;
    }
  }
  const image = options.image ?? options.ownImage;
  if (image === null) throw own;
  await runInHelper(options, image, script);
}

/** Whether the server sees the engine's interfaces: otherwise rules that it sets itself would guard nothing. */
async function isOurHost(bridge: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const devices = await readFile('/proc/self/net/dev', 'utf8').catch(() => '');
  return devices.split('\n').some((line) => line.trimStart().startsWith(`${bridge}:`));
}

/** Runs the script in the host's network, with the right to change its firewall and no other. */
async function runInHelper({ docker, patient, home }: GuardOptions, image: string, script: string): Promise<void> {
  const container = await docker.createContainer({
    name: `slipway-guard-${randomUUID()}`,
    Image: image,
    User: '0:0',
    Entrypoint: ['/bin/sh', '-c', script],
    Cmd: [],
    Labels: { 'slipway.home': home, 'slipway.kind': 'cleanup' },
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: 'host',
      CapDrop: ['ALL'],
      CapAdd: ['NET_ADMIN', 'NET_RAW'],
      SecurityOpt: ['no-new-privileges'],
      // Its host is the engine's, whatever user namespace containers otherwise get.
      UsernsMode: 'host',
    },
  });
  const timer = setTimeout(() => void container.kill().catch(() => {}), DEADLINE);
  try {
    await container.start();
    const { StatusCode } = (await patient.getContainer(container.id).wait()) as { StatusCode: number };
    if (StatusCode === 0) return;
    const said = (await container.logs({ stdout: true, stderr: true, tail: 3 })).toString('utf8');
    throw new Error(`in ${image}: ${printable(said) || `exit code ${StatusCode}`}`);
  } finally {
    clearTimeout(timer);
    await removeContainer(container);
  }
}

function printable(text: string): string {
  return text
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 300);
}

function sentence(error: unknown): string {
  const { stderr } = error as { stderr?: unknown };
  const said = typeof stderr === 'string' && stderr.trim() !== '' ? stderr : engineFailure(error).message;
  return `The firewall rules that keep jobs from this host can't be set: ${printable(said)}`.replace(/\.?$/, '.');
}
