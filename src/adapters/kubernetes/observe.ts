import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '#src/model/outcome.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import type { Connection } from './connection.ts';
import { StatusError } from './errors.ts';
import { mirror } from './mirror.ts';
import type { ClusterEvent, KubernetesObject, Pod, Workload } from './objects.ts';
import { type Located, relocated } from './located.ts';
import { collectionPath, corePath, labelSelector, versionsPath } from './paths.ts';
import { stateOf } from './state.ts';

/** Changes within this time are told as one: a rollout's step is a burst of them. */
const coalesceMs = 50;

/**
 * The workload's state now and after each change of it, its ReplicaSets, pods and warnings. What may not be read (403)
 * beside the workload is left out. Ends when aborted; throws UserError if the workload is deleted.
 */
export async function* observe(
  connection: Connection,
  at: Located,
  signal: AbortSignal,
): AsyncGenerator<WorkloadState> {
  const { target, workload: first } = at;
  const stop = new AbortController();
  const inner = AbortSignal.any([signal, stop.signal]);
  const seen: Mirrored = { raw: at.raw, referenced: at.referenced, replicaSets: [], pods: [], events: [] };
  const old: { events: ReadonlyMap<string, string | undefined> | null } = { events: null };
  let failed: { readonly error: unknown } | null = null;
  let changed = Promise.withResolvers<void>();
  const abort = () => changed.resolve();
  const watch = <T extends KubernetesObject>(
    path: string,
    query: Readonly<Record<string, string>>,
    take: (objects: ReadonlyMap<string, T>) => void,
    hide: ((error: unknown) => boolean) | null,
  ) => {
    const onChange = (objects: ReadonlyMap<string, T>) => {
      take(objects);
      changed.resolve();
    };
    mirror<T>(connection, { path, query }, onChange, inner).catch((error: unknown) => {
      if (!hide?.(error)) failed ??= { error };
      changed.resolve();
    });
  };

  signal.addEventListener('abort', abort);
  try {
    // A Role limited to names permits lists and watches only with this field selector.
    watch<Workload>(
      collectionPath(target),
      { fieldSelector: `metadata.name=${target.name}` },
      (it) => {
        seen.raw = it.values().next().value ?? null;
      },
      null,
    );
    if (at.template) {
      watch<Workload>(
        collectionPath(at.template),
        { fieldSelector: `metadata.name=${at.template.name}` },
        (it) => {
          seen.referenced = it.values().next().value ?? null;
        },
        null,
      );
    }
    const selected = { labelSelector: labelSelector(first.spec.selector) };
    watch<Pod>(
      corePath(target, 'pods'),
      selected,
      (it) => {
        seen.pods = [...it.values()];
      },
      hide(() => {
        seen.pods = null;
      }),
    );
    const versions = versionsPath(target);
    if (versions !== null) {
      watch<KubernetesObject>(
        versions,
        selected,
        (it) => {
          seen.replicaSets = [...it.values()];
        },
        // Without them it can't be told whether a DeploymentConfig's rollout is complete.
        target.kind === 'deploymentconfig'
          ? null
          : hide(() => {
              seen.replicaSets = null;
            }),
      );
    }
    watch<ClusterEvent>(
      corePath(target, 'events'),
      { fieldSelector: 'type=Warning', limit: '500' },
      (it) => {
        old.events ??= new Map([...it].map(([uid, event]) => [uid, event.metadata.resourceVersion]));
        seen.events = inOrder([...it.values()].filter((event) => isFresh(event, first, old.events)));
      },
      hide(() => {
        seen.events = null;
      }),
    );

    let told = '';
    while (!signal.aborted) {
      await changed.promise;
      await sleep(coalesceMs, undefined, { signal }).catch(() => undefined);
      changed = Promise.withResolvers<void>();
      if (signal.aborted) return;
      if (failed !== null) throw (failed as { readonly error: unknown }).error;
      if (seen.raw === null || (at.template !== null && seen.referenced === null)) {
        throw new UserError(`${target.namespace}/${target.name} was deleted during the rollout.`);
      }
      const workload = relocated(at, seen.raw, seen.referenced);
      const state = stateOf({ ...seen, workload, kind: target.kind, container: target.container });
      const text = JSON.stringify(state);
      if (text !== told) yield state;
      told = text;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    stop.abort();
  }
}

interface Mirrored {
  raw: unknown;
  referenced: Workload | null;
  replicaSets: readonly KubernetesObject[] | null;
  pods: readonly Pod[] | null;
  events: readonly ClusterEvent[] | null;
}

function hide(forget: () => void): (error: unknown) => boolean {
  return (error) => {
    const forbidden = error instanceof StatusError && error.code === 403;
    if (forbidden) forget();
    return forbidden;
  };
}

/** Pods have a life of their own; what concerns the workload itself may be left from its last rollout, up to an hour. */
function isFresh(
  event: ClusterEvent,
  workload: Workload,
  old: ReadonlyMap<string, string | undefined> | null,
): boolean {
  if (event.involvedObject.uid !== workload.metadata.uid) return true;
  return old?.get(event.metadata.uid ?? '') !== event.metadata.resourceVersion;
}

function inOrder(events: readonly ClusterEvent[]): readonly ClusterEvent[] {
  return events.toSorted((a, b) => (a.lastTimestamp ?? '').localeCompare(b.lastTimestamp ?? ''));
}
