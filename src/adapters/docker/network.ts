import { createHash, randomBytes } from 'node:crypto';
import type Docker from 'dockerode';
import { PlatformError } from '#src/model/outcome.ts';
import { explain, engineFailure, isMissing } from './errors.ts';

/**
 * The network of all jobs that have none of their own: on it no container reaches another. One for each engine, whoever
 * uses it: what it costs (an interface, a range of addresses) is paid once, not once for each folder of data.
 */
export const JOBS_NETWORK = 'slipway-jobs';

/** Begins the name of every bridge that jobs are on, so that the guard's rules (guard.ts) hold for each as it comes. */
export const BRIDGE_PREFIX = 'slw';
/** Begins the name of the bridge that unrelated jobs share. */
export const SHARED_PREFIX = `${BRIDGE_PREFIX}j`;

export interface JobsNetwork {
  /** Makes the network if it isn't there. Looks once, until `forget`. PlatformError if there can't be one. */
  ready(): Promise<SharedNetwork>;
  /** It was found to be gone. */
  forget(): void;
}

export interface SharedNetwork {
  /** Name of its interface on the engine's host. */
  readonly bridge: string;
}

/** Options of a network for one job: its bridge gets a name by which the guard knows it. At most 15 characters. */
export function bridgeOptions(): Readonly<Record<string, string>> {
  return { 'com.docker.network.bridge.name': `${BRIDGE_PREFIX}n${randomBytes(5).toString('hex')}` };
}

export function jobsNetwork(docker: Docker): JobsNetwork {
  let made: Promise<SharedNetwork> | null = null;
  return {
    ready() {
      made ??= ensure(docker).catch((error: unknown) => {
        made = null;
        throw explain(error, 'making the network of the jobs');
      });
      return made;
    },
    forget() {
      made = null;
    },
  };
}

/** Of several processes that make it at once, the engine lets one: a bridge of one name exists once. */
async function ensure(docker: Docker): Promise<SharedNetwork> {
  const bridge = await bridgeOf(docker);
  if (await isThere(docker, bridge)) return { bridge };
  try {
    await docker.createNetwork({
      Name: JOBS_NETWORK,
      Driver: 'bridge',
      CheckDuplicate: true,
      EnableIPv6: false,
      Labels: { 'slipway.kind': 'network' },
      Options: {
        'com.docker.network.bridge.name': bridge,
        'com.docker.network.bridge.enable_icc': 'false',
      },
    });
  } catch (error) {
    const isRace = /already exists|same bridge name/i.test(engineFailure(error).message);
    if (!isRace || !(await isThere(docker, bridge))) throw error;
  }
  return { bridge };
}

/** Two engines on one machine don't take each other's. */
async function bridgeOf(docker: Docker): Promise<string> {
  const { ID, DockerRootDir } = (await docker.info()) as { readonly ID: string; readonly DockerRootDir: string };
  const hash = createHash('sha256').update(`${ID}\n${DockerRootDir}`).digest('hex');
  return `${SHARED_PREFIX}${hash.slice(0, 11)}`;
}

async function isThere(docker: Docker, bridge: string): Promise<boolean> {
  try {
    const { Driver, Options } = (await docker.getNetwork(JOBS_NETWORK).inspect()) as {
      readonly Driver: string;
      readonly Options: Readonly<Record<string, string>> | null;
    };
    const isOurs =
      Driver === 'bridge' &&
      Options?.['com.docker.network.bridge.name'] === bridge &&
      Options['com.docker.network.bridge.enable_icc'] === 'false';
    if (isOurs) return true;
    throw new PlatformError(
      `The engine's network ${JOBS_NETWORK} isn't as Slipway makes it: jobs might reach each other. Remove it (docker network rm ${JOBS_NETWORK}); Slipway makes it anew.`,
    );
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Whether a container couldn't be started because the network of the jobs is gone (docker network prune). */
export function lacksNetwork(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return new RegExp(`network ${JOBS_NETWORK} not found`).test(engineFailure(cause).message);
}
