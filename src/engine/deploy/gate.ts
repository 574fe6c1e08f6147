import { decideDeploy } from '#src/model/deploy/decide.ts';
import type { DeployMode, DeployRules, JobGate } from '#src/model/deploy-rules.ts';
import { skipsRules } from '#src/model/deploy/decide.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from '#src/engine/parts.ts';
import { factsOf } from './facts.ts';
import { orderFacts } from './order.ts';
import { somebodyOf } from './permission.ts';

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
  parts: Parts,
  run: Run,
  job: Job,
  work: DeployWork,
  stage: 'enter' | 'begin',
): Promise<GateAnswer> {
  const decision = decideDeploy(await factsOf(parts, run, job, work), stage);
  if (decision.kind !== 'refuse') return decision;
  const { reason, rejected } = decision;
  return { kind: 'end', outcome: { kind: rejected ? 'cancelled' : 'failure', reason } };
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
  /** Image jobs that the environment rolls out; absent: those of `images`. */
  readonly jobs?: readonly string[];
  /** Digests by image job, as far as they are known by now: what isn't built yet is missing. */
  readonly images: Readonly<Record<string, string>>;
  readonly overLock?: boolean;
  /** Why the operator's file doesn't allow it, sentences. */
  readonly refusals: readonly string[];
}

/**
 * Why this can't be deployed now, a sentence for who asks (permission, the operator's file, lock, window, protected checks, order), or null. What
 * isn't built yet runs nowhere. Throws PlatformError if GitHub or the store fails.
 */
export async function refuseNow(parts: Parts, wish: Wish): Promise<string | null> {
  const {
    repository,
    environment,
    rules,
    mode,
    via,
    sha,
    images,
    login,
    refusals,
    operator = false,
    overLock = false,
  } = wish;
  const people = { environment: rules.allow, operator: parts.policy.deployers(repository, environment) };
  const skips = skipsRules(mode);
  const [person, locks, checks, order] = await Promise.all([
    // The operator's word stands above every role.
    operator
      ? ({ login, role: 'admin', teams: [] } as const)
      : somebodyOf(parts, repository, login, [people.environment, people.operator]),
    parts.store.locks.of(repository.id),
    skips || rules.protect.length === 0 ? [] : parts.forge.checks(repository, sha),
    skips ? [] : orderFacts(parts, { repository, sha, after: rules.after, images, jobId: null }),
  ]);
  const decision = decideDeploy(
    {
      now: parts.clock.now(),
      environment,
      mode,
      via,
      sha,
      // Whose the commit is was looked at where it was named.
      strange: false,
      actor: login,
      operator,
      person,
      people,
      refusals,
      tag: null,
      jobs: wish.jobs ?? Object.keys(images),
      images,
      protect: rules.protect,
      checks,
      told: [],
      pendingSince: null,
      windows: rules.windows,
      approval: rules.approvals,
      said: [],
      authors: [],
      order,
      locks,
      overLock,
    },
    'ask',
  );
  return decision.kind === 'refuse' ? decision.reason : null;
}
