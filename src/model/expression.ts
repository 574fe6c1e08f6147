import {
  EvaluationError,
  type Expression,
  evaluate,
  isTruthy,
  parseExpression,
  STATUS_FUNCTIONS,
  type Value,
} from './evaluate.ts';
import type { Trigger } from './event.ts';
import type { Repository } from './repository.ts';
import { type Condition, type Job, passed, type Run } from './run.ts';

/** Contexts of an `if`. */
export const CONDITION_CONTEXTS = ['event', 'matrix', 'needs'] as const;

/**
 * The condition of a run's jobs, for `advance`. A job's `if` that calls none of success(), failure(), always() and
 * cancelled() holds only if every job that it needs passed. What can't be evaluated doesn't hold, and says so.
 */
export function conditionOf(run: Pick<Run, 'trigger' | 'repository'>): Condition {
  const event = eventContext(run.trigger, run.repository);
  return (job, needs, ancestors) => {
    const text = job.plan.if;
    const blockers = needs.filter((need) => !passed(need));
    const blocked = blockers.map(describe).join(' ');
    if (text === null) return { holds: blockers.length === 0, reason: blocked };
    const expression = parseExpression(text, CONDITION_CONTEXTS);
    if ('message' in expression) {
      return { holds: false, reason: `The condition ${quote(text)} can't be read: ${expression.message}` };
    }
    if (!hasStatus(expression) && blockers.length > 0) return { holds: false, reason: blocked };
    try {
      const contexts = { event, matrix: job.plan.matrix, needs: needsContext(expression, needs) };
      const value = evaluate(expression, contexts, (name) => {
        switch (name) {
          case 'always':
            return true;
          case 'success':
            return blockers.length === 0;
          case 'failure':
            return ancestors.some((ancestor) => result(ancestor) === 'failure');
          case 'cancelled':
            return ancestors.some((ancestor) => result(ancestor) === 'cancelled');
        }
      });
      if (isTruthy(value)) return { holds: true, reason: '' };
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      return { holds: false, reason: `The condition ${quote(text)} can't be evaluated: ${error.message}.` };
    }
    if (job.plan.work.kind === 'deploy' && blocked !== '') return { holds: false, reason: blocked };
    return { holds: false, reason: [blocked, `The condition ${quote(text)} is false.`].filter(Boolean).join(' ') };
  };
}

/**
 * What a condition comes to before anything ran: true or false if it asks only for the event and the matrix,
 * `later` if it needs the outcomes of other jobs. Throws EvaluationError.
 */
export function settle(text: string, contexts: { readonly event: Value; readonly matrix: Value }): boolean | 'later' {
  const expression = parseExpression(text, CONDITION_CONTEXTS);
  if ('message' in expression) throw new EvaluationError(expression.message);
  if (hasStatus(expression) || expression.reads.some((read) => read.path[0] === 'needs')) return 'later';
  return isTruthy(evaluate(expression, contexts, () => true));
}

/** The `event` context: what was pushed or asked for. What an event doesn't have is ''. */
export function eventContext(trigger: Trigger, repository: Pick<Repository, 'defaultBranch'>) {
  return {
    kind: trigger.kind,
    branch: 'branch' in trigger ? trigger.branch : '',
    tag: ('tag' in trigger ? trigger.tag : undefined) ?? '',
    sha: trigger.sha,
    number: 'number' in trigger ? (trigger.number ?? '') : '',
    base: 'base' in trigger ? trigger.base : '',
    fork: trigger.kind === 'pull_request' && trigger.fork,
    actor: trigger.actor,
    default_branch: repository.defaultBranch,
    params: (trigger.kind === 'deploy' ? trigger.params : undefined) ?? {},
  } as const satisfies Record<string, Value>;
}

/** The keys of the `event` context. */
export const EVENT_KEYS: readonly (keyof ReturnType<typeof eventContext>)[] = [
  'kind',
  'branch',
  'tag',
  'sha',
  'number',
  'base',
  'fork',
  'actor',
  'default_branch',
  'params',
];

/** The condition as people are shown it. */
export function quote(condition: string): string {
  const line = condition.trim().replaceAll(/\s+/g, ' ');
  return `\`${line.length > 200 ? `${line.slice(0, 199)}…` : line}\``;
}

function hasStatus(expression: Expression): boolean {
  return STATUS_FUNCTIONS.some((name) => expression.calls.has(name));
}

/**
 * `needs.ID.result`; of a matrix, the worst of its instances. A job that the expression asks for and that isn't in
 * the run was left out because it succeeded before, at the same commit.
 */
function needsContext(expression: Expression, needs: readonly Job[]): Value {
  const order = ['failure', 'cancelled', 'skipped', 'success'] as const;
  const ids = new Set(needs.map((need) => need.plan.id));
  for (const { path } of expression.reads) {
    if (path[0] === 'needs' && path[1] !== undefined) ids.add(path[1]);
  }
  return Object.fromEntries(
    [...ids].map((id) => {
      const results = new Set(needs.filter((need) => need.plan.id === id).map(result));
      return [id, { result: order.find((kind) => results.has(kind)) ?? 'success' }];
    }),
  );
}

/** In GitHub's words. */
function result(job: Job): 'success' | 'failure' | 'cancelled' | 'skipped' {
  if (passed(job)) return 'success';
  const kind = job.outcome?.kind;
  return kind === 'cancelled' || kind === 'skipped' ? kind : 'failure';
}

function describe(job: Job): string {
  const ends = {
    success: 'succeeded',
    neutral: 'succeeded',
    failure: 'failed',
    timed_out: 'timed out',
    cancelled: 'was cancelled',
    skipped: 'was skipped',
    broken: 'could not be run',
  };
  return `"${job.plan.key}" ${job.outcome === null ? "hasn't ended" : ends[job.outcome.kind]}.`;
}
