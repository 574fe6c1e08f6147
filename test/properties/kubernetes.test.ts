import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Connection } from '#src/adapters/kubernetes/connection.ts';
import { explained, StatusError } from '#src/adapters/kubernetes/errors.ts';
import { mirror } from '#src/adapters/kubernetes/mirror.ts';
import { type Located, relocated } from '#src/adapters/kubernetes/located.ts';
import type { ClusterEvent, KubernetesObject, Pod } from '#src/adapters/kubernetes/objects.ts';
import { labelSelector, workloadPath } from '#src/adapters/kubernetes/paths.ts';
import { stateOf } from '#src/adapters/kubernetes/state.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { assess, refusal, standingTrouble, type WorkloadState } from '#src/model/rollout.ts';
import { anyJson, anyText, check, checkLater, damagedJson, madeOf, patience, subject } from './support.ts';

interface Recording {
  readonly steps: readonly { readonly type?: string; readonly object?: KubernetesObject }[];
}

/** What a real cluster told. */
const folder = new URL('../fixtures/kubernetes/', import.meta.url);
const told = readdirSync(folder).flatMap(
  (name) => (JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Recording).steps,
);
const objects = told.flatMap((step) => step.object ?? []);
const ofKind = (kind: string) => objects.filter((each) => each.kind === kind);
const target: RolloutTarget = {
  kind: 'deployment',
  cluster: null,
  namespace: 'shop',
  name: 'api',
  container: 'api',
  image: 'image',
};

const nowhere = { template: null, raw: null, referenced: null } as unknown as Omit<Located, 'target'>;

function refuseStrange(error: unknown): void {
  if (error instanceof PlatformError || error instanceof UserError) return;
  throw error;
}

function judge(state: WorkloadState, numbers: readonly number[]): void {
  const [generation = 0, startedAt = 0, now = 0, timeoutMs = 0] = numbers;
  for (const troubleSince of [null, startedAt]) {
    const verdict = assess(state, { generation, image: state.image, startedAt, now, timeoutMs, troubleSince });
    expect('reason' in verdict ? verdict.reason : verdict.message).not.toBe('');
  }
  standingTrouble(state, generation);
  refusal(state);
}

const number = fc.oneof(fc.integer({ min: -2, max: 5 }), fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.NaN, 1e308));
const states = fc.record({
  kind: fc.constantFrom('deployment', 'statefulset', 'daemonset', 'deploymentconfig', 'rollout'),
  namespace: anyText,
  name: anyText,
  generation: number,
  observedGeneration: number,
  wanted: number,
  updated: number,
  available: number,
  replicas: number,
  partition: number,
  paused: fc.boolean(),
  strategy: fc.constantFrom('RollingUpdate', 'Recreate', 'OnDelete'),
  settled: fc.boolean(),
  image: fc.constantFrom('a', 'b'),
  images: fc.constant({}),
  restarts: number,
  held: anyText,
  conditions: fc.array(
    fc.record({
      type: fc.constantFrom('Progressing', 'x'),
      status: fc.constantFrom('True', 'False'),
      reason: fc.constantFrom('ProgressDeadlineExceeded', ''),
      message: anyText,
    }),
    { maxLength: 2 },
  ),
  troubles: fc.array(
    fc.record({
      kind: fc.constantFrom('image', 'crash', 'config', 'create', 'schedule', 'start', 'unready'),
      reason: anyText,
      message: anyText,
      pod: anyText,
      container: anyText,
      restarts: number,
      exitCode: fc.option(number),
    }),
    { maxLength: 2 },
  ),
  hidden: fc.constantFrom('', 'pods'),
});

describe(subject('what a cluster tells'), () => {
  it(
    'comes to a verdict on any state',
    () => {
      check(fc.tuple(states, fc.array(number, { minLength: 4, maxLength: 4 })), ([state, numbers]) => {
        judge(state, numbers);
      });
    },
    patience,
  );

  it(
    'makes facts of damaged objects, or a PlatformError',
    () => {
      const some = (kind: string) =>
        fc.array(fc.oneof(damagedJson(ofKind(kind)), fc.constantFrom(...ofKind(kind))), { maxLength: 3 });
      const seen = fc.record({
        kind: fc.constantFrom('deployment', 'statefulset', 'daemonset', 'deploymentconfig', 'rollout'),
        workload: damagedJson(ofKind('Deployment')),
        replicaSets: fc.option(some('ReplicaSet')),
        pods: fc.option(some('Pod')),
        events: fc.option(some('Event')),
      });
      let facts = 0;
      check(seen, ({ kind, workload, replicaSets, pods, events }) => {
        try {
          const state = stateOf({
            kind,
            container: 'api',
            workload: relocated({ ...nowhere, target: { ...target, kind } }, workload, null),
            replicaSets: replicaSets as KubernetesObject[] | null,
            pods: pods as Pod[] | null,
            events: events as ClusterEvent[] | null,
          });
          judge(state, [1, 0, 1, 600_000]);
          facts += 1;
        } catch (error) {
          refuseStrange(error);
        }
      });
      expect(facts).toBeGreaterThan(0);
    },
    patience,
  );

  it(
    'keeps a copy of damaged lists and watches, or ends with a PlatformError',
    async () => {
      const list = fc.oneof(
        damagedJson([{ metadata: { resourceVersion: '1' }, items: objects.slice(0, 5) }]).map(
          (value) => JSON.stringify(value) ?? '',
        ),
        anyText,
      );
      const event = fc.oneof(
        damagedJson(told.filter((step) => step.object)),
        anyJson.map((object) => ({ type: 'ADDED', object })),
      );
      await checkLater(
        fc.tuple(list, fc.array(event, { maxLength: 4 })),
        async ([text, events]) => {
          const stop = new AbortController();
          const connection = {
            request: async () => text,
            async *watch() {
              try {
                for (const each of events) yield typeof each === 'object' && each !== null ? each : {};
              } finally {
                // Also where the watch is given up: nothing is listed again.
                stop.abort();
              }
            },
          } as unknown as Connection;
          const ended = mirror(
            connection,
            { path: '/', query: {} },
            (copy) => expect(copy.size).toBeGreaterThanOrEqual(0),
            stop.signal,
          );
          await ended.catch(refuseStrange);
        },
        0.5,
      );
    },
    patience,
  );

  it(
    'explains any answer, and puts no strange name into a path',
    () => {
      const bodies = fc.oneof(
        anyText,
        anyJson.map((value) => JSON.stringify(value) ?? ''),
      );
      const names = fc.oneof(anyText, madeOf(['a', '-', '.', '/', '..', '%2f', '?', 'A', '1'], 6));
      check(fc.tuple(fc.integer({ min: 400, max: 599 }), bodies, names, names), ([code, body, namespace, name]) => {
        expect(
          explained(new StatusError(code, body, { 'retry-after': body }), 'cluster', target, 'look').message,
        ).not.toBe('');
        try {
          expect(workloadPath({ ...target, namespace, name })).toMatch(
            /^\/apis\/apps\/v1\/namespaces\/[a-z0-9-]+\/deployments\/[a-z0-9.-]+$/,
          );
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
        }
        expect(typeof labelSelector({ matchLabels: { [name]: namespace } })).toBe('string');
      });
    },
    patience,
  );
});
