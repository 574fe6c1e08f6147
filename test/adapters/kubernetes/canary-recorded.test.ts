import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { isTransient, StatusError } from '#src/adapters/kubernetes/errors.ts';
import type { ClusterEvent, KubernetesObject, Pod, Workload } from '#src/adapters/kubernetes/objects.ts';
import { currentPods, stateOf } from '#src/adapters/kubernetes/state.ts';
import { isComplete } from '#src/model/rollout.ts';

/** A canary that came and went beside a Deployment of a real v1.32 cluster, reduced to the fields that are read. */
type Step =
  | { readonly atMs: number; readonly type: string; readonly object: KubernetesObject }
  | { readonly atMs: number; readonly endpoints: readonly string[] }
  | {
      readonly atMs: number;
      readonly request: { readonly method: string; readonly path: string };
      readonly answer: { readonly code: number; readonly body: { readonly reason?: string } };
    };
const path = new URL('../../fixtures/kubernetes/scale-to-canary.json', import.meta.url);
const { steps } = JSON.parse(readFileSync(path, 'utf8')) as { readonly steps: readonly Step[] };

/** States of the Deployment of this name, each once in a row, with its current pods; null: it isn't there. */
function statesOf(name: string): readonly string[] {
  const objects = new Map<string, KubernetesObject>();
  const told: string[] = [];
  for (const step of steps) {
    if (!('type' in step)) continue;
    const uid = step.object.metadata.uid ?? '';
    if (step.type === 'DELETED') objects.delete(uid);
    else objects.set(uid, step.object);
    const of = <T>(kind: string) => [...objects.values()].filter((it) => it.kind === kind) as T[];
    const workload = of<Workload>('Deployment').find((it) => it.metadata.name === name);
    let text = 'gone';
    if (workload) {
      const seen = {
        kind: 'deployment' as const,
        container: 'api',
        workload,
        replicaSets: of<KubernetesObject>('ReplicaSet'),
        pods: of<Pod>('Pod'),
        events: of<ClusterEvent>('Event'),
      };
      const state = stateOf(seen);
      const pods = currentPods(seen).map((it) => it.metadata.name);
      const complete = isComplete(state, state.generation) ? 'complete' : 'not yet';
      text = `${complete}: ${state.available} of ${state.wanted}, pods ${pods.join(' ') || 'none'}`;
    }
    if (text !== told.at(-1)) told.push(text);
  }
  return told;
}

describe('a recorded canary', () => {
  it('is there when its one pod is, and its pods are its own', () => {
    expect(statesOf('api-canary')).toEqual([
      'gone',
      'not yet: 0 of 1, pods none',
      'not yet: 0 of 1, pods api-canary-577c7c7b55-txtk7',
      'complete: 1 of 1, pods api-canary-577c7c7b55-txtk7',
      'gone',
    ]);
  });

  it('changes nothing about the stable one, though its pod has the same labels', () => {
    const [, ...all] = statesOf('api');
    expect(all.at(-1)).toBe('complete: 2 of 2, pods api-6867f549ff-ghm9r api-6867f549ff-jvqgp');
    expect(all.join()).not.toContain('canary');
  });

  it('served beside the others while it was there', () => {
    const served = steps.flatMap((it) => ('endpoints' in it ? [it.endpoints.length] : []));
    expect(served).toEqual([2, 3, 2]);
  });

  it('left a pod behind for two seconds when it was deleted in the background: that is why it is deleted otherwise', () => {
    const gone = (kind: string) =>
      steps.find((it) => 'type' in it && it.type === 'DELETED' && it.object.kind === kind)?.atMs ?? 0;
    expect(gone('Pod') - gone('Deployment')).toBeGreaterThan(1500);
  });

  it('created twice is answered with a 409 that isn’t to be repeated', () => {
    const answers = steps.flatMap((it) => ('answer' in it && it.request.method === 'POST' ? [it.answer] : []));
    expect(answers.map((it) => it.code)).toEqual([201, 409]);
    const error = new StatusError(409, JSON.stringify(answers[1]?.body), {});
    expect(error.reason).toBe('AlreadyExists');
    expect(isTransient(error)).toBe(false);
    const other = { ...answers[1]?.body, reason: 'Conflict' };
    expect(isTransient(new StatusError(409, JSON.stringify(other), {}))).toBe(true);
  });
});
