import { isComplete, type WorkloadState } from './rollout.ts';
import { explain } from './rollout-trouble.ts';

/** How something that is deployed does now. */
export interface Health {
  readonly kind: 'healthy' | 'unhealthy' | 'unknown';
  /** A sentence without its full stop. */
  readonly message: string;
}

/**
 * How a workload does. `expected`: images by container, as they were deployed; null: they are being changed just now. Of
 * containers that aren't named nothing is expected.
 */
export function workloadHealth(state: WorkloadState, expected: Readonly<Record<string, string>> | null): Health {
  const name = `${state.namespace}/${state.name}`;
  const foreign = Object.entries(expected ?? {}).find(([container, image]) => state.images[container] !== image);
  if (foreign) {
    const now = state.images[foreign[0]];
    const runs = now === undefined ? `has no container ${foreign[0]} any more` : `runs ${now} in ${foreign[0]}`;
    return { kind: 'unhealthy', message: `${name} ${runs}, which isn't what was deployed` };
  }
  if (state.wanted === 0) return { kind: 'unknown', message: `${name} has 0 replicas` };
  const available = `${name}: ${state.available} of ${state.wanted} available`;
  if (isComplete(state, state.generation)) return { kind: 'healthy', message: available };
  const trouble = state.troubles[0];
  if (trouble) return { kind: 'unhealthy', message: `${available}; ${explain(trouble).replace(/\.$/, '')}` };
  const kind = state.available >= state.wanted ? 'healthy' : 'unhealthy';
  return { kind, message: `${available}${state.paused ? ', paused' : ''}` };
}

/** How an environment does whose workloads do like this: the worst of them, with what is said of those. */
export function worstHealth(all: readonly Health[]): Health {
  for (const kind of ['unhealthy', 'unknown', 'healthy'] as const) {
    const those = all.filter((health) => health.kind === kind);
    if (those.length > 0) return { kind, message: those.map((health) => health.message).join('; ') };
  }
  return { kind: 'unknown', message: 'nothing is known of its workloads' };
}
