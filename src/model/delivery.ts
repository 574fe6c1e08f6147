import type { Span } from './diagnostic.ts';
import type { RolloutTarget } from './pipeline.ts';
import type { RolloutChange } from './rollout-change.ts';

/** How new pods take over from old ones, if not by a plain rolling update. */
export type Strategy = CanaryStrategy | BlueGreenStrategy;

/** A canary beside each workload takes a growing share of the pods. */
export interface CanaryStrategy {
  readonly kind: 'canary';
  /** Weights rise and end with 100. */
  readonly steps: readonly RolloutStep[];
}

/** A second, complete set of pods; then the Service's selector is switched. */
export interface BlueGreenStrategy {
  readonly kind: 'blue-green';
  readonly service: { readonly namespace: string; readonly name: string };
  /** Before the switch, and after it before the old pods go. No weights. */
  readonly before: readonly RolloutStep[];
  readonly after: readonly RolloutStep[];
}

export type RolloutStep =
  /** Share of the pods that run the new version, in percent. */
  | { readonly kind: 'weight'; readonly percent: number }
  | { readonly kind: 'pause'; readonly seconds: number }
  /** Goes on when somebody who may approve says so. */
  | { readonly kind: 'approval' }
  | CheckStep;

/** A check between steps: the first that fails aborts the rollout. */
export type CheckStep =
  | {
      readonly kind: 'probe';
      /** Template (`event`); http or https. */
      readonly url: string;
      readonly status: number;
      /** Text that the body must hold, or null. */
      readonly contains: string | null;
      readonly every: CheckTimes;
    }
  | {
      readonly kind: 'prometheus';
      /** Name of a server in the operator's file. */
      readonly server: string;
      readonly query: string;
      readonly min: number | null;
      readonly max: number | null;
      readonly every: CheckTimes;
    }
  /** A job of the pipeline. */
  | { readonly kind: 'job'; readonly job: string };

/** How often something is asked, and how many answers may be bad. */
export interface CheckTimes {
  readonly intervalSeconds: number;
  readonly count: number;
  readonly failures: number;
}

/** Deploying is a commit that sets a field in a file of another repository. */
export interface GitOpsSpec {
  /** `owner/name`. */
  readonly repository: string;
  /** Null: its default branch. */
  readonly branch: string | null;
  readonly changes: readonly GitOpsChange[];
  /** True: a pull request, followed until it is merged. */
  readonly pullRequest: boolean;
}

export interface GitOpsChange {
  /** Relative to that repository's root; YAML or JSON. */
  readonly file: string;
  /** Path of keys: `spec.template.spec.containers[0].image`. */
  readonly field: string;
  /** Id of the image job. */
  readonly image: string;
  /** What the field gets: `repository@sha256:...`, or one part of it. */
  readonly value: 'reference' | 'digest' | 'tag';
}

/** An environment for each pull request, from manifests in the repository. */
export interface PreviewSpec {
  /** Folder or glob patterns of YAML files, relative to the repository's root. */
  readonly manifests: readonly string[];
  /** Image names as the manifests have them (without tag) and the image job that replaces each. */
  readonly images: Readonly<Record<string, string>>;
  /** Template. */
  readonly url: string | null;
  readonly timeoutMinutes: number;
  /** It is removed so long after its last deployment, at the latest. */
  readonly keepMinutes: number;
  readonly at: Span;
}

/** How far a rollout by steps got; stored before each move, so that another process goes on from there. */
export interface StepsProgress {
  readonly attempt: number;
  /** Index in the strategy's steps (blue/green: those before the switch, then those after) of what is done now or next. */
  readonly step: number;
  /** When this phase began, milliseconds since the epoch: its time limit and its pause count from here. */
  readonly since: number;
  readonly phase: StepsPhase;
  readonly workloads: readonly StepsWorkload[];
  /** Blue/green: the Service's selector before, and while the green pods serve. */
  readonly selector?: {
    readonly from: Readonly<Record<string, string>>;
    readonly to: Readonly<Record<string, string>>;
  };
  /** What the stable workloads ran and shall run, as planned before anything was moved. */
  readonly changes: readonly RolloutChange[];
  /** Why it goes back; absent as long as it goes forward. */
  readonly failed?: StepsFailure;
  /** What pauses, approvals and checks brought, by the step's index: `5 of 5 answers were good`. */
  readonly notes: Readonly<Record<string, string>>;
  /** Sentences on what happened, for the check run, newest last. */
  readonly said: readonly string[];
}

export interface StepsFailure {
  readonly kind: 'failure' | 'timed_out' | 'cancelled' | 'broken';
  readonly reason: string;
}

/**
 * placing: pods beside are made and the stable ones scaled. holding: a pause, an approval or a check. switching: the
 * Service goes to the green pods. promoting: the stable one is rolled. cleaning: what stood beside is removed. aborting: all
 * goes back. done: the new version runs. ended: it doesn't.
 */
export type StepsPhase = 'placing' | 'holding' | 'switching' | 'promoting' | 'cleaning' | 'aborting' | 'done' | 'ended';

export interface StepsWorkload {
  readonly target: RolloutTarget;
  /** Images by container. */
  readonly images: Readonly<Record<string, string>>;
  /** Replicas that the workload had when the rollout began; 0: it is only rolled. */
  readonly replicas: number;
  /** A HorizontalPodAutoscaler decides on the replicas, or that couldn't be seen: they aren't touched. */
  readonly autoscaled: boolean;
  /** None of its pods was available when the rollout began: then nobody waits for the old ones on the way forward. */
  readonly dead?: true;
  /** Name of the canary (or green) workload. */
  readonly beside: string;
}
