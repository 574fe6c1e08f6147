import Docker from 'dockerode';
import { PlatformError } from '#src/model/outcome.ts';

/**
 * A client of the engine at a DOCKER_HOST (`unix:///path` or `tcp://host:port`), or at the machine's socket if it is
 * null. Throws PlatformError for an address of another kind. Connects to nothing yet.
 */
export function connectDocker(dockerHost: string | null): Docker {
  if (dockerHost === null || dockerHost === '') return new Docker({ socketPath: '/var/run/docker.sock' });
  if (dockerHost.startsWith('unix://')) return new Docker({ socketPath: dockerHost.slice('unix://'.length) });
  const tcp = /^(tcp|http):\/\/(\[[0-9a-f:]+\]|[^/:]+)(?::(\d+))?\/?$/i.exec(dockerHost);
  if (tcp?.[2])
    return new Docker({ protocol: 'http', host: tcp[2].replace(/^\[|\]$/g, ''), port: Number(tcp[3] ?? 2375) });
  throw new PlatformError(
    `DOCKER_HOST is ${dockerHost}, which Slipway can't use. It takes unix:///path or tcp://host:port.`,
  );
}

/** The same engine, for calls that answer soon: one that is silent for so long is given up. */
export function impatient(docker: Docker, timeoutMs: number): Docker {
  const modem = Object.assign(Object.create(docker.modem as object) as object, { timeout: timeoutMs });
  return Object.assign(Object.create(docker) as Docker, { modem });
}
