import { type Outcome, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Followed } from './rollout-follow.ts';
import { Unreached } from './rollout-time.ts';

/** How the rollout of one workload ended. */
export type Ended = Followed | { readonly kind: 'error'; readonly error: unknown };

/** What is said, loudly, of a workload that didn't come back. `images`: what it was to run again. */
export function notBack(target: RolloutTarget, images: string, back: Exclude<Ended, { kind: 'complete' }>): string {
  const { kind, namespace } = target;
  const why = back.kind === 'error' ? messageOf(back.error) : back.reason;
  const unknown = back.kind === 'error' && back.error instanceof Unreached;
  const hint =
    kind === 'statefulset' && !unknown
      ? ` A StatefulSet doesn't replace a broken pod by itself: delete it by hand (kubectl delete pod -n ${namespace} ...).`
      : '';
  const known = unknown ? ' So it is unknown what it runs.' : '';
  return `GOING BACK FAILED: ${nameOf(target)} was to run ${images} again, but: ${why}${known} Look at it now.${hint}`;
}

export function outcomeOfEnd(target: RolloutTarget, ended: Exclude<Ended, { kind: 'complete' }>): Outcome {
  if (ended.kind === 'cancelled') return { kind: 'cancelled', reason: ended.reason };
  if (ended.kind === 'failed') {
    return { kind: ended.cause === 'deadline' ? 'timed_out' : 'failure', reason: ended.reason };
  }
  const { error } = ended;
  if (error instanceof UserError) return { kind: 'failure', reason: error.message };
  if (!(error instanceof Unreached)) return { kind: 'broken', reason: messageOf(error) };
  return { kind: 'broken', reason: `${nameOf(target)}: it is unknown how the rollout went. ${error.message}` };
}

export function withTail<T extends { readonly reason: string }>(outcome: T, tail: string): T {
  return { ...outcome, reason: `${outcome.reason} ${tail}` };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `shop/api`, and `shop/api (eu)` in another cluster than the default one. */
export function nameOf({ namespace, name, cluster }: RolloutTarget): string {
  return cluster === null ? `${namespace}/${name}` : `${namespace}/${name} (${cluster})`;
}

/** What is said of a workload by who doesn't know its cluster, with that. */
export function withCluster(target: RolloutTarget, text: string): string {
  const bare = nameOf({ ...target, cluster: null });
  return text.startsWith(`${bare}: `) ? `${nameOf(target)}${text.slice(bare.length)}` : text;
}

/** GitHub cuts the description of a deployment status at 140 characters. */
export function short(message: string): string {
  return message.length > 140 ? `${message.slice(0, 139)}…` : message;
}
