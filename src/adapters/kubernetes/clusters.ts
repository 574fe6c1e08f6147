import type { Cluster } from '#src/engine/ports.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import { Connection, type ConnectionLogger, type ConnectionOptions, type Patience } from './connection.ts';
import { explained } from './errors.ts';
import { lastLines } from './logs.ts';
import { warnings } from './warnings.ts';
import type { Workload } from './objects.ts';
import { observe } from './observe.ts';
import { workloadPath } from './paths.ts';
import { imageOf, imagesOf, stateOf } from './state.ts';

export interface ClustersOptions {
  /** The operator's clusters by name; `default` serves targets that name none. */
  readonly clusters: ReadonlyMap<string, ConnectionOptions>;
  readonly logger: ConnectionLogger;
  /** For tests. */
  readonly patience?: Patience;
}

/** One Cluster for all: each target goes to the one it names. Nothing is loaded or connected before the first call. */
export function openClusters(options: ClustersOptions): Cluster {
  const { clusters, logger, patience } = options;
  const connections = new Map([...clusters].map(([name, it]) => [name, new Connection(name, it, logger, patience)]));
  const find = (target: RolloutTarget) => {
    const name = target.cluster ?? 'default';
    const connection = connections.get(name);
    if (connection) return { connection, name: `cluster ${name}` };
    const known = [...connections.keys()].join(', ');
    throw new UserError(
      known === ''
        ? 'No cluster is set up. The operator sets KUBECONFIG, or clusters in the file that SLIPWAY_CONFIG names.'
        : `There is no cluster ${name}. The operator has set up: ${known}.`,
    );
  };
  return {
    inspect: async (target, signal) => inspect(find(target), target, signal),
    setImages: async (target, images, signal) => setImages(find(target), target, images, signal),
    observe: (target, signal) => observed(() => find(target), target, signal),
    async lastLines(target, lines, signal) {
      const at = find(target);
      const workload = await read(at, target, signal);
      return lastLines(at.connection, target, workload, lines, signal);
    },
    async events(target, signal) {
      const at = find(target);
      const workload = await read(at, target, signal);
      return warnings(at.connection, target, workload, signal);
    },
  };
}

interface Place {
  readonly connection: Connection;
  /** For messages. */
  readonly name: string;
}

async function inspect(at: Place, target: RolloutTarget, signal: AbortSignal): Promise<WorkloadState> {
  const workload = await read(at, target, signal);
  return stateOf({ kind: target.kind, container: target.container, workload, replicaSets: [], pods: [], events: [] });
}

/**
 * A strategic merge patch adds a container under a name that isn't there, silently and first in the list: so the names
 * are looked up before.
 */
async function setImages(
  at: Place,
  target: RolloutTarget,
  images: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly generation: number; readonly images: Readonly<Record<string, string>> }> {
  for (const image of Object.values(images)) {
    if (!/^[\w.:/@-]+$/.test(image)) throw new UserError(`${JSON.stringify(image)} is no image reference.`);
  }
  const before = await read(at, target, signal);
  for (const container of Object.keys(images)) refuseMissing(before, target, container);
  const said = Object.entries(images).map(([container, image]) => `${container} to ${image}`);
  const containers = Object.entries(images).map(([name, image]) => ({ name, image }));
  const body = {
    metadata: { annotations: { 'kubernetes.io/change-cause': `Slipway set ${said.join(', ')}` } },
    spec: { template: { spec: { containers } } },
  };
  const query = { fieldManager: 'slipway', fieldValidation: 'Strict' };
  const doing = `patch ${target.kind} ${target.namespace}/${target.name}`;
  const text = await asking(at, target, doing, signal, () =>
    at.connection.request({ method: 'PATCH', path: workloadPath(target), query, body }, signal),
  );
  const workload = parse(text, at);
  return {
    generation: workload.metadata.generation ?? 0,
    images: { ...images, ...picked(imagesOf(workload), images) },
  };
}

/** Of `all`, those whose names are in `asked`. */
function picked(all: Readonly<Record<string, string>>, asked: Readonly<Record<string, string>>) {
  return Object.fromEntries(Object.entries(all).filter(([name]) => Object.hasOwn(asked, name)));
}

async function* observed(find: () => Place, target: RolloutTarget, signal: AbortSignal): AsyncGenerator<WorkloadState> {
  const at = find();
  try {
    const first = await read(at, target, signal);
    yield* observe(at.connection, target, first, signal);
  } catch (error) {
    if (signal.aborted) return;
    throw explained(error, at.name, target, `watch ${target.kind} ${target.namespace}/${target.name}`);
  }
}

async function read(at: Place, target: RolloutTarget, signal: AbortSignal): Promise<Workload> {
  const name = `${target.namespace}/${target.name}`;
  const text = await asking(at, target, `get ${target.kind} ${name}`, signal, () =>
    at.connection.request({ method: 'GET', path: workloadPath(target) }, signal),
  );
  const workload = parse(text, at);
  refuseMissing(workload, target, target.container);
  return workload;
}

function refuseMissing(workload: Workload, target: RolloutTarget, container: string): void {
  if (imageOf(workload, container) !== null) return;
  const { containers, initContainers = [] } = workload.spec.template.spec;
  const names = containers.map((it) => it.name).join(', ');
  const isInit = initContainers.some((it) => it.name === container);
  throw new UserError(
    `${target.kind} ${target.namespace}/${target.name} has no container ${container}${isInit ? ' (it is an init container)' : ''}; it has ${names}.`,
  );
}

function parse(text: string, at: Place): Workload {
  try {
    return JSON.parse(text) as Workload;
  } catch {
    throw new PlatformError(
      `The address of ${at.name} isn't a Kubernetes API server: it answered ${text.slice(0, 80)}`,
    );
  }
}

async function asking<T>(
  at: Place,
  target: RolloutTarget,
  doing: string,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    throw explained(error, at.name, target, doing);
  }
}
