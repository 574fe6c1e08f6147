import type { Trigger } from './event.ts';
import type { Run } from './run.ts';

/**
 * Whether a run's commit comes from people with write permission, as GitHub reported it when the run began. Stored with
 * the run: what a run may do doesn't change while it goes on.
 */
export interface Trust {
  /** False: no secrets, no pushes, no deployments, nothing that trusted runs share. Never changes, by approval neither. */
  readonly trusted: boolean;
  /** A sentence: `@eve has no write permission on acme/shop (GitHub reports "read").` */
  readonly reason: string;
  /** needed: nothing runs until a maintainer approves this very commit. */
  readonly approval: 'none' | 'needed' | 'given';
  /** Login of who approved, or null. */
  readonly approvedBy: string | null;
  /** What whoever approves had better look at, sentences: that the pipeline file is changed, say. */
  readonly remarks: readonly string[];
}

/** True if the run's commit is a stranger's. As long as nothing is decided, every fork's is. */
export function isStrange(run: Pick<Run, 'trust' | 'trigger'>): boolean {
  return run.trust === null ? comesFromFork(run.trigger) : !run.trust.trusted;
}

/** True if the run waits for a maintainer's approval. */
export function isHeld(run: Pick<Run, 'trust' | 'state'>): boolean {
  return run.state === 'pending' && run.trust?.approval === 'needed';
}

/** True for a commit that lies in another repository. */
export function comesFromFork(trigger: Trigger): boolean {
  return trigger.kind === 'pull_request' && trigger.fork;
}
