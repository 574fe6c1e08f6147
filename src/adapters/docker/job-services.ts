import type Docker from 'dockerode';
import type { JobRequest } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';
import type { Image } from './images.ts';
import { labelsOf } from './labels.ts';
import type { JobOutput } from './output.ts';
import type { Reach } from './reach.ts';
import { containerName, jobFolder, type Site } from './place.ts';
import {
  createNetwork,
  lastLinesOf,
  removeNetwork,
  removeServices,
  type RunningService,
  startService,
  untilReady,
} from './services.ts';

/** The services of one job. */
export interface Services {
  /** Name of the job's own network, or null if it needs none. */
  readonly network: Promise<string | null>;
  readonly ready: Promise<void>;
  /** Removes services and network. The job's container must be gone. */
  close(): Promise<void>;
}

/** Starts a job's services, all at once. A network is made for them, and for what the job starts with Docker. */
export function openServices(
  site: Site,
  request: JobRequest,
  reach: Reach,
  imageOf: (name: string) => Promise<Image>,
  output: JobOutput,
  signal: AbortSignal,
): Services {
  const bringsOthers = request.docker !== null && reach.network === 'private';
  if (request.services.length === 0 && !bringsOthers) {
    return { network: Promise.resolve(null), ready: Promise.resolve(), close: async () => {} };
  }
  const labels = labelsOf(request);
  const name = containerName(jobFolder(request.jobId, request.attempt)).replace('slipway-job-', 'slipway-net-');
  const containers: Docker.Container[] = [];
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const making = createNetwork(site, name, labels, reach.network === 'none');
  const starting = request.services.map(async (spec) => {
    const [image] = await Promise.all([imageOf(spec.image), making]);
    either.throwIfAborted();
    const service = await startService(
      site,
      { spec, image, network: name, labels, runtime: reach.runtime },
      (container) => containers.push(container),
    );
    await untilReady(service, either).catch((error: unknown) => blame(service, error, output));
  });
  const ready = Promise.all(starting).then(() => {});
  ready.catch((error: unknown) => failed.abort(error));
  const network = making.then(() => name);
  network.catch(() => {});
  return {
    network,
    ready,
    async close() {
      failed.abort(new Error('the job is over'));
      await Promise.allSettled(starting);
      await removeServices(site, name, request.services, containers);
      const made = await making.catch(() => null);
      if (made) await removeNetwork(site, made, name);
    },
  };
}

/** Shows the service's last words, for its author can't look into it. */
async function blame(service: RunningService, error: unknown, output: JobOutput): Promise<never> {
  if (error instanceof UserError) {
    const lines = await lastLinesOf(service.container);
    if (lines !== '') {
      output.say(`Slipway: the last lines of the service ${service.spec.name}:`);
      output.say(lines);
      const last = lines.split('\n').at(-1) ?? '';
      throw new UserError(`${error.message} Its last line: ${last}`, { cause: error });
    }
  }
  throw error;
}
