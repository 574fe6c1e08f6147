import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { UserError } from '#src/model/outcome.ts';
import type { ServiceSpec } from '#src/model/pipeline.ts';
import { confinement, createLimited, removeContainer } from './container.ts';
import { explain } from './errors.ts';
import type { Image } from './images.ts';
import { bridgeOptions } from './network.ts';
import type { Site } from './place.ts';

const PROBE_INTERVAL = 100;
const LAST_LINES = 20;

export interface RunningService {
  readonly spec: ServiceSpec;
  readonly image: Image;
  readonly container: Docker.Container;
}

/** Makes a network for one job, on which its services are found by name. `internal`: it leads nowhere else. */
export async function createNetwork(
  site: Site,
  name: string,
  labels: Record<string, string>,
  internal: boolean,
): Promise<Docker.Network> {
  site.inUse.add(name);
  try {
    const options = {
      Name: name,
      Driver: 'bridge',
      CheckDuplicate: true,
      EnableIPv6: false,
      Internal: internal,
      Options: { ...bridgeOptions() },
      Labels: { ...labels, 'slipway.home': site.home },
    };
    const network = await site.docker.createNetwork(options);
    return network;
  } catch (error) {
    throw explain(error, 'making a network for the services');
  }
}

export async function removeNetwork(site: Site, network: Docker.Network, name: string): Promise<void> {
  try {
    await network.remove();
  } finally {
    site.inUse.delete(name);
  }
}

/** Starts a service. `made` is told of the container before it runs, so that it is removed whatever happens. */
export async function startService(
  site: Site,
  request: {
    readonly spec: ServiceSpec;
    readonly image: Image;
    readonly network: string;
    readonly labels: Record<string, string>;
    /** Null: the engine's default. */
    readonly runtime: string | null;
  },
  made: (container: Docker.Container) => void,
): Promise<RunningService> {
  const { spec, image } = request;
  const name = serviceName(request.network, spec);
  site.inUse.add(name);
  try {
    const container = await createLimited(site.docker, site.limits, {
      name,
      Image: image.id,
      ...(spec.command ? { Cmd: [...spec.command] } : {}),
      Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
      Labels: { ...request.labels, 'slipway.home': site.home, 'slipway.kind': 'service' },
      HostConfig: {
        ...confinement(site.limits),
        ...(request.runtime === null ? {} : { Runtime: request.runtime }),
        Init: true,
        LogConfig: { Type: 'json-file', Config: { 'max-size': '5m', 'max-file': '1' } },
        NetworkMode: request.network,
      },
      NetworkingConfig: { EndpointsConfig: { [request.network]: { Aliases: [spec.name] } } },
    });
    made(container);
    await container.start();
    return { spec, image, container };
  } catch (error) {
    throw explain(error, `starting the service ${spec.name}`, image.name);
  }
}

/** Ends the job's services; the names are free for a sweep again. */
export async function removeServices(
  site: Site,
  network: string,
  specs: readonly ServiceSpec[],
  containers: readonly Docker.Container[],
): Promise<void> {
  try {
    await Promise.all(containers.map((container) => removeContainer(container)));
  } finally {
    for (const spec of specs) site.inUse.delete(serviceName(network, spec));
  }
}

function serviceName(network: string, spec: ServiceSpec): string {
  return `${network}-${spec.name.replaceAll(/[^\w.-]/g, '-')}`;
}

/** Waits until the service takes connections or is healthy. UserError if it dies or isn't ready in time. */
export async function untilReady(service: RunningService, signal: AbortSignal): Promise<void> {
  const { spec, image, container } = service;
  const deadline = performance.now() + spec.readyTimeoutSeconds * 1000;
  const port = spec.port ?? (image.healthCheck ? null : image.port);
  for (;;) {
    signal.throwIfAborted();
    const info = await container.inspect().catch((error: unknown) => {
      throw explain(error, `looking after the service ${spec.name}`);
    });
    if (!info.State.Running) {
      throw new UserError(
        `The service ${spec.name} (${image.name}) ended with exit code ${info.State.ExitCode} before the job began.`,
      );
    }
    if (await isReady(container, info, port, spec.port === null && image.healthCheck)) return;
    if (performance.now() > deadline) {
      const lacks = port === null ? "its health check hasn't passed" : `nothing listens on port ${port}`;
      throw new UserError(
        `The service ${spec.name} (${image.name}) wasn't ready after ${spec.readyTimeoutSeconds} s: ${lacks}.`,
      );
    }
    await sleep(PROBE_INTERVAL, undefined, { signal });
  }
}

async function isReady(
  container: Docker.Container,
  info: Docker.ContainerInspectInfo,
  port: number | null,
  byHealth: boolean,
): Promise<boolean> {
  if (byHealth) return info.State.Health?.Status === 'healthy';
  if (port === null) return true;
  const addresses = Object.values(info.NetworkSettings.Networks).map((network) => network.IPAddress);
  for (const address of addresses) {
    const answer = address ? await probe(address, port) : 'unreachable';
    if (answer !== 'unreachable') return answer === 'open';
  }
  return listens(container, port);
}

/** `closed`: the service answered that nobody listens. `unreachable`: the server can't reach containers from here. */
function probe(host: string, port: number): Promise<'open' | 'closed' | 'unreachable'> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const settle = (answer: 'open' | 'closed' | 'unreachable') => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle('open'));
    socket.once('timeout', () => settle('unreachable'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      settle(error.code === 'ECONNREFUSED' ? 'closed' : 'unreachable');
    });
  });
}

async function listens(container: Docker.Container, port: number): Promise<boolean> {
  const exec = await container.exec({ Cmd: ['cat', '/proc/net/tcp', '/proc/net/tcp6'], AttachStdout: true, User: '0' });
  const stream = await exec.start({});
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return listensOn(Buffer.concat(chunks).toString('latin1'), port);
}

/** Whether /proc/net/tcp or tcp6 shows a socket in state LISTEN (0A) on the port. */
export function listensOn(table: string, port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return new RegExp(`: [0-9A-F]{8,32}:${hex} [0-9A-F]{8,32}:[0-9A-F]{4} 0A `).test(table);
}

/** The last lines that a service wrote, or ''. */
export async function lastLinesOf(container: Docker.Container): Promise<string> {
  try {
    const raw = await container.logs({ stdout: true, stderr: true, tail: LAST_LINES });
    return withoutHeaders(raw).toString('utf8').trimEnd();
  } catch {
    return '';
  }
}

/** Docker puts 8 bytes before each piece of a log: stream, three zeros, length. */
export function withoutHeaders(raw: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= raw.length; ) {
    const length = raw.readUInt32BE(at + 4);
    pieces.push(raw.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(pieces);
}
