import { createHash } from 'node:crypto';
import { chmod, link, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobDocker, JobRequest } from '#src/engine/ports.ts';
import { type CredentialsOf, registryOf } from './build/registry-name.ts';
import { lockByName } from './build/lock.ts';
import { CAPABILITIES } from './container.ts';
import { explain, isMissing } from './errors.ts';
import { labelsOf } from './labels.ts';
import { BRIDGE_PREFIX, JOBS_NETWORK } from './network.ts';
import { jobFolder, type Place, type Site } from './place.ts';
import { CONTROL } from './script.ts';
import { openBinds } from './proxy/binds.ts';
import type { JobFacts } from './proxy/contract.ts';
import { openRealNames } from './proxy/effects.ts';
import { engineOf } from './proxy/engine.ts';
import { createHandler } from './proxy/handle.ts';
import { imagePrefix, innerLabel } from './proxy/made.ts';
import { openOwned } from './proxy/owned.ts';
import * as rules from './proxy/rules.ts';
import { createProxyServer } from './proxy/server.ts';

/** Name of the socket in the job's control folder. */
const SOCKET = 'docker.sock';

/** In the job's folder, beside what its container sees. */
const OWN = 'engine';

/** An image has a real name only while one job pushes it. */
const realNames = lockByName();

/** A job's own Docker engine: a filter in front of the real one. */
export interface JobEngine {
  /** Cuts the job off, and waits for what is under way. What it made is removed by `removeMade`. */
  close(): Promise<void>;
}

/** Gives names of images back that a job pushed under when its server died. `path` is the job's folder. */
export async function restoreNames(site: Site, path: string): Promise<void> {
  await openRealNames(await engineOf(site.docker), realNames, join(path, OWN)).restore();
}

/** What a job with an engine of its own finds in its environment. SLIPWAY_IMAGES: before the names of its images in FROM. */
export function engineEnv(site: Site, request: JobRequest, nonce: string): Readonly<Record<string, string>> {
  if (request.docker === null) return {};
  return {
    DOCKER_HOST: `unix://${CONTROL}/${SOCKET}`,
    SLIPWAY_IMAGES: imagesOf(site, request, nonce),
    // The client would call buildx, which talks to BuildKit past the Engine API.
    DOCKER_BUILDKIT: '0',
  };
}

/** What the log of such a job must not show: other jobs could use its images by it. */
export function engineSecrets(site: Site, request: JobRequest, nonce: string): readonly string[] {
  return request.docker === null ? [] : [imagesOf(site, request, nonce)];
}

function imagesOf(site: Site, request: JobRequest, nonce: string): string {
  return imagePrefix(site.home, jobFolder(request.jobId, request.attempt), nonce);
}

/** The parts of JobContext that are used. */
interface Context {
  readonly site: Site;
  readonly credentialsOf: CredentialsOf;
}

/**
 * Opens the job's engine on a socket in its control folder; null if it has none, or no container any more. Also for a job
 * that another server began: clients that were connected to that one are cut off, later ones come here. `nonce`: of the
 * job's state, the same for each server that has it.
 */
export async function openJobEngine(
  { site, credentialsOf }: Context,
  request: JobRequest,
  place: Place,
  nonce: string,
): Promise<JobEngine | null> {
  const { docker } = request;
  if (docker === null) return null;
  await restoreNames(site, place.folder.path);
  const network = await networkOf(site, place);
  if (network === undefined) return null;
  const facts = factsOf({ site, credentialsOf }, request, docker, place, nonce, network);
  const engine = await engineOf(site.patient);
  const self = place.container.id;
  const folder = site.workspaces.seen(place.folder.path);
  const own = join(place.folder.path, OWN);
  await mkdir(own, { recursive: true, mode: 0o700 });
  const toEngine = (path: string) => site.hostPaths.translate(path);
  const handler = createHandler({
    engine,
    rules,
    facts,
    self,
    names: openRealNames(engine, realNames, own),
    lock: lockByName(),
    owned: openOwned({ engine, rules, facts, self }),
    binds: openBinds({ folder, mounts: site.workspaces.mounts, toEngine }),
    secret: digest(`sessions\n${nonce}`, 32),
    lent(image) {
      const host = registryOf(image);
      const account = request.trusted && docker.mayUse(host) ? credentialsOf(host) : null;
      return account && { ...account, serveraddress: host };
    },
    logger: site.logger,
  });
  const server = createProxyServer(handler);
  // By the folder's descriptor: the address of a socket has 107 characters at most.
  const held = await open(own, 'r');
  try {
    const path = join(own, SOCKET);
    await rm(path, { force: true });
    await server.listen(`/proc/self/fd/${held.fd}/${SOCKET}`);
    // The image's user may be anybody. Nobody else comes into the folder.
    await chmod(path, 0o666);
    // The job can put a link in the place of any file in its folder, so the socket is made where it has no part.
    await rm(`${path}.link`, { force: true });
    await link(path, `${path}.link`);
    await rename(`${path}.link`, join(place.folder.control, SOCKET)).catch((error: unknown) => {
      site.logger.debug({ err: error, job: request.jobId }, "a job put something in the place of its engine's socket");
    });
  } catch (error) {
    await server.close();
    await held.close();
    throw explain(error, "opening the job's own Docker engine");
  }
  return {
    async close() {
      await server.close();
      await held.close();
    },
  };
}

function factsOf(
  { site, credentialsOf }: Context,
  request: JobRequest,
  docker: JobDocker,
  place: Place,
  nonce: string,
  network: string | null,
): JobFacts {
  const name = jobFolder(request.jobId, request.attempt);
  const { trusted, runtime } = request;
  const inner = innerLabel(site.home, name);
  return {
    cacheNamespace: digest(`${site.home}\n${request.repository}\n${trusted}`, 32),
    trusted,
    labels: {
      ...labelsOf(request),
      'slipway.home': site.home,
      'slipway.kind': 'inner',
      [inner.name]: inner.value,
    },
    namePrefix: `slipway-${name}-`,
    imagePrefix: imagesOf(site, request, nonce),
    limits: site.limits,
    capabilities: CAPABILITIES,
    network,
    bridgeOptions: { 'com.docker.network.bridge.name': `${BRIDGE_PREFIX}n{nonce}` },
    runtime,
    workspaceSource: site.hostPaths.translate(site.workspaces.seen(place.folder.workspace)),
    socketPath: `${CONTROL}/${SOCKET}`,
    socketSource: site.hostPaths.translate(join(place.folder.path, OWN, SOCKET)),
    refuseImage(reference) {
      const host = registryOf(reference);
      // What is here from such a registry came with the operator's credentials.
      if (credentialsOf(host) === null || (trusted && docker.mayUse(host))) return null;
      return `Images of ${host} are the operator's, who hasn't lent its credentials to ${request.repository}.`;
    },
    refusePush: (reference) => docker.refusePush(reference),
  };
}

/** The network of what the job starts: null where there is to be none, undefined if the job's container is gone. */
async function networkOf({ docker }: Site, place: Place): Promise<string | null | undefined> {
  try {
    const { HostConfig } = await place.container.inspect();
    const mode = HostConfig.NetworkMode ?? 'none';
    if (mode === 'none') return null;
    // What a job on the host's network starts isn't on it.
    if (mode === 'host') return JOBS_NETWORK;
    const { Internal } = (await docker.getNetwork(mode).inspect()) as { readonly Internal: boolean };
    return Internal ? null : mode;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw explain(error, "looking for the job's network");
  }
}

function digest(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}
