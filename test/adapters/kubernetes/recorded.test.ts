import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import type { ClusterEvent, KubernetesObject, Pod, Workload } from '#src/adapters/kubernetes/objects.ts';
import { stateOf } from '#src/adapters/kubernetes/state.ts';
import { assess, type RolloutContext, standingTrouble } from '#src/model/rollout.ts';
import { verdicts } from './recorded-verdicts.ts';

/**
 * What a real v1.32 cluster told, reduced to the fields that are read, judged as it came. The fixtures hold the
 * watches' events in their order; `patched` is the answer to a patch.
 */
interface Recording {
  readonly steps: readonly (
    | { readonly atMs: number; readonly patched: { readonly generation: number; readonly image: string } }
    | { readonly atMs: number; readonly type: string; readonly object: KubernetesObject }
    | { readonly atMs: number; readonly request: object }
    | { readonly atMs: number; readonly end: object }
  )[];
}

/** The verdicts after the recording's patches, each once in a row, without the workload's name. */
function judge(scenario: string, timeoutMs: number): string[] {
  const path = new URL(`../../fixtures/kubernetes/${scenario}.json`, import.meta.url);
  const { steps } = JSON.parse(readFileSync(path, 'utf8')) as Recording;
  const objects = new Map<string, KubernetesObject>();
  let context: Omit<RolloutContext, 'now' | 'troubleSince'> | null = null;
  let trouble: string | null = null;
  let troubleSince: number | null = null;
  const told: string[] = [];
  for (const step of steps) {
    if ('patched' in step) {
      context = { ...step.patched, startedAt: step.atMs, timeoutMs };
      told.push(`-- patched to ${step.patched.image.split(':').at(-1)}`);
      continue;
    }
    // Refusals and the ends of watches are for whoever asks over the wire (replayed.test.ts).
    if (!('object' in step) || step.type === 'BOOKMARK' || step.type === 'ERROR') continue;
    const uid = step.object.metadata.uid ?? '';
    if (step.type === 'DELETED') objects.delete(uid);
    else objects.set(uid, step.object);
    const of = <T>(kind: string) => [...objects.values()].filter((it) => it.kind === kind) as T[];
    const workload = of<Workload>('Deployment')[0];
    if (!workload || !context) continue;
    const state = stateOf({
      kind: 'deployment',
      container: 'api',
      workload,
      replicaSets: of('ReplicaSet'),
      pods: of<Pod>('Pod'),
      events: of<ClusterEvent>('Event'),
    });
    const standing = standingTrouble(state, context.generation);
    if (standing !== trouble) troubleSince = standing === null ? null : step.atMs;
    trouble = standing;
    const verdict = assess(state, { ...context, now: step.atMs, troubleSince });
    const message = 'reason' in verdict ? verdict.reason : verdict.message;
    const text = `${verdict.kind}: ${message.replace(`trace-${scenario}/api: `, '')}`
      .replace(/^progressing: /, '')
      .slice(0, 90);
    if (text !== told.at(-1)) told.push(text);
  }
  return told;
}

describe('a recorded rollout is judged as it should be', () => {
  it.each(Object.entries(verdicts))('%s', (scenario, expected) => {
    expect(judge(scenario, 600_000)).toEqual(expected);
  });

  it('ends at our own deadline where the cluster never says anything', () => {
    expect(judge('never-ready', 20_000).at(-1)).toMatch(
      /^failed: container api runs but never becomes ready: Readiness probe failed/,
    );
    expect(judge('quota-known-replicaset', 5_000).at(-1)).toMatch(/^failed: no pod can be created/);
    expect(judge('zero-replicas', 20_000).at(-1)).toMatch(/^failed: the image/);
  });
});
