import type { DeployMode, DeployRules, JobGate } from '#src/model/deploy-rules.ts';
import { type Outcome, PlatformError } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from '#src/engine/parts.ts';

export type GateAnswer =
  | { readonly kind: 'go' }
  /** `again`: to be asked again after so many milliseconds; null: once something happens. */
  | { readonly kind: 'wait'; readonly note: string; readonly gate: JobGate; readonly again: number | null }
  | { readonly kind: 'end'; readonly outcome: Outcome };

/**
 * Whether a deploy job may go on now. enter: before it stands in its environment's line. begin: once it has the line.
 * What the platform doesn't tell makes it wait; throws PlatformError only if the store fails.
 */
export async function passGate(
  _parts: Parts,
  _run: Run,
  _job: Job,
  _work: DeployWork,
  _stage: 'enter' | 'begin',
): Promise<GateAnswer> {
  throw new PlatformError('Not there yet.');
}

/** What somebody asks for, before there is a run. */
export interface Wish {
  readonly repository: Repository;
  readonly environment: string;
  readonly rules: DeployRules;
  readonly mode: DeployMode;
  readonly via: 'command' | 'button' | 'api';
  readonly login: string;
  /** Whoever asks has the operator's own word: GitHub isn't asked for a role. */
  readonly operator?: boolean;
  readonly sha: string;
  /** Digests by image job, as far as they are known by now: what isn't built yet is missing. */
  readonly images: Readonly<Record<string, string>>;
  readonly overLock?: boolean;
}

/**
 * Why this can't be deployed now, a sentence for who asks (permission, lock, window, protected checks, order), or null. Of
 * what isn't built yet the order is looked at later. Throws PlatformError if GitHub or the store fails.
 */
export async function refuseNow(_parts: Parts, _wish: Wish): Promise<string | null> {
  throw new PlatformError('Not there yet.');
}
