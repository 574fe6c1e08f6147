import type { Trigger } from '#src/model/event.ts';
import { reasonOf } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Attempt, Job, Run } from '#src/model/run.ts';

/** `850 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `2026-03-01 12:30:05 UTC`: the server doesn't know the reader's zone; the page's script shows it in theirs. */
export function formatTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** How a run or job stands, as one word, with its look. */
export interface Status {
  readonly look: 'good' | 'bad' | 'active' | 'still' | 'warn';
  readonly text: string;
}

export function statusOf(thing: Pick<Run | Job, 'state' | 'outcome' | 'note'>): Status {
  if (thing.outcome && thing.state === 'completed') return outcomes[thing.outcome.kind];
  // It is planned, and waits for its concurrency group.
  if (thing.state === 'running' && thing.note !== null) return states.waiting;
  return states[thing.state];
}

const outcomes = {
  success: { look: 'good', text: 'passed' },
  failure: { look: 'bad', text: 'failed' },
  timed_out: { look: 'bad', text: 'timed out' },
  cancelled: { look: 'still', text: 'cancelled' },
  skipped: { look: 'still', text: 'skipped' },
  neutral: { look: 'still', text: 'neutral' },
  broken: { look: 'warn', text: 'platform error' },
} as const;

const states = {
  pending: { look: 'still', text: 'pending' },
  waiting: { look: 'still', text: 'waiting' },
  queued: { look: 'still', text: 'queued' },
  running: { look: 'active', text: 'running' },
  completed: { look: 'still', text: 'completed' },
} as const;

/** Why it ended as it did, or what it waits for. */
export function reasonFor(thing: Pick<Run | Job, 'outcome' | 'state' | 'note' | 'cancel'>): string {
  if (thing.outcome) return reasonOf(thing.outcome);
  return thing.state === 'completed' ? '' : (thing.cancel?.reason ?? thing.note ?? '');
}

/** An attempt that was followed by another, as a line: `Attempt 1: platform error. It ran again: ...`. */
export function formatAttempt(attempt: Attempt): string {
  const { outcome } = attempt;
  const how = outcome ? outcomes[outcome.kind].text : 'given up';
  const reason = outcome ? reasonOf(outcome) : '';
  return `Attempt ${attempt.attempt}: ${how}${reason && `, ${reason}`}${/[.!?]$/.test(reason) ? '' : '.'} Ran again: ${attempt.why}.`;
}

/** What started the run: `push to main`, `pull request #7`. */
export function describeTrigger(trigger: Trigger): string {
  switch (trigger.kind) {
    case 'push':
      return `push to ${trigger.branch}`;
    case 'tag':
      return `tag ${trigger.tag}`;
    case 'pull_request':
      return `pull request #${trigger.number}${trigger.fork ? ' from a fork' : ''}`;
    case 'merge_group':
      return `merge queue for ${trigger.base}`;
    case 'deploy':
      if (trigger.mode === 'rollback') return `rollback of ${trigger.environment}`;
      return `${trigger.mode === 'promote' ? 'promotion' : 'deployment'} to ${trigger.environment}`;
  }
}

/** The repository's page, or null where it has none (`slipway run`). */
export function repositoryUrl(repository: Repository): string | null {
  if (!/^https?:\/\//.test(repository.cloneUrl)) return null;
  return repository.cloneUrl.replace(/\.git$/, '');
}
