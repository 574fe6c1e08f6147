import type { Cluster } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import { asking } from './asking.ts';
import { Connection, type ConnectionLogger, type ConnectionOptions, type Patience } from './connection.ts';
import { explained } from './errors.ts';
import { type Located, locate, parse } from './located.ts';
import { lastLines } from './logs.ts';
import { warnings } from './warnings.ts';
import { refuseTriggers } from './normal.ts';
import type { KubernetesObject, List } from './objects.ts';
import { observe } from './observe.ts';
import { labelSelector, versionsPath } from './paths.ts';
import { refuseMissing, setImages } from './patch.ts';
import { stateOf } from './state.ts';

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
    setImages: async (target, images, signal) => {
      const at = find(target);
      return setImages(at.connection, () => read(at, target, signal), target, images, signal).catch(
        (error: unknown) => {
          signal.throwIfAborted();
          throw explained(error, at.name, target, `patch ${target.kind} ${target.namespace}/${target.name}`);
        },
      );
    },
    observe: (target, signal) => observed(() => find(target), target, signal),
    async lastLines(target, lines, signal) {
      const at = find(target);
      const { workload, ...found } = await read(at, target, signal);
      return lastLines(at.connection, found.target, workload, lines, signal);
    },
    async events(target, signal) {
      const at = find(target);
      const { workload, ...found } = await read(at, target, signal);
      return warnings(at.connection, found.target, workload, signal);
    },
  };
}

interface Place {
  readonly connection: Connection;
  /** For messages. */
  readonly name: string;
}

async function inspect(at: Place, target: RolloutTarget, signal: AbortSignal): Promise<WorkloadState> {
  const { workload, target: actual } = await read(at, target, signal);
  // Only what makes its pods knows whether a DeploymentConfig's rollout is complete.
  const versions = actual.kind === 'deploymentconfig' ? versionsPath(actual) : null;
  const doing = `list the replicationcontrollers of ${actual.namespace}/${actual.name}`;
  const query = { labelSelector: labelSelector(workload.spec.selector) };
  const list = async (path: string): Promise<readonly KubernetesObject[]> => {
    const text = await at.connection.request({ method: 'GET', path, query }, signal);
    return (parse(text) as List<KubernetesObject>).items;
  };
  const replicaSets = versions === null ? [] : await asking(at, actual, doing, signal, () => list(versions));
  return stateOf({ kind: actual.kind, container: target.container, workload, replicaSets, pods: [], events: [] });
}

async function* observed(find: () => Place, target: RolloutTarget, signal: AbortSignal): AsyncGenerator<WorkloadState> {
  const at = find();
  try {
    yield* observe(at.connection, await read(at, target, signal), signal);
  } catch (error) {
    if (signal.aborted) return;
    throw explained(error, at.name, target, `watch ${target.kind} ${target.namespace}/${target.name}`);
  }
}

async function read(at: Place, target: RolloutTarget, signal: AbortSignal): Promise<Located> {
  const name = `${target.namespace}/${target.name}`;
  const found = await asking(at, target, `get ${target.kind} ${name}`, signal, () =>
    locate(at.connection, target, signal),
  );
  refuseMissing(found.workload, target, target.container);
  if (target.kind === 'deploymentconfig') refuseTriggers(found.raw, name, target.container);
  return found;
}
