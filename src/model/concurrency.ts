import type { Concurrency } from './plan.ts';

/** Who waits for a concurrency group or has it, in a line ordered by `seq`. */
export interface Entry {
  /** `run:ID` or `job:ID`. */
  readonly holder: string;
  readonly runId: string;
  readonly holds: boolean;
  /** Order of arrival: smaller came first. */
  readonly seq: number;
}

export interface Settled {
  /** Whose end is to be asked for, each with the sentence why. Asking again does no harm. */
  readonly cancel: readonly { readonly holder: string; readonly reason: string }[];
  readonly goes: boolean;
  /** What it waits for, a sentence; null if it goes. */
  readonly note: string | null;
}

/**
 * What follows for `me` from the line of the group it stands in, and for those before it. Only who came later cancels,
 * so the newest always gets its turn; and nobody cancels a job of its own run: those take turns.
 */
export function settleGroup(line: readonly Entry[], wanted: Concurrency, me: string): Settled {
  const own = line.find((entry) => entry.holder === me);
  if (own === undefined) return { cancel: [], goes: false, note: `Waits for ${placeOf(wanted.group)}.` };
  if (own.holds) return { cancel: [], goes: true, note: null };
  const older = line.filter((entry) => entry.seq < own.seq && entry.runId !== own.runId);
  const ended = older.filter((entry) => (entry.holds ? wanted.cancelInProgress : wanted.queue === 'single'));
  return {
    cancel: ended.map(({ holder, holds }) => ({ holder, reason: reasonOf(holds, own, wanted.group) })),
    goes: false,
    // Whose end is asked for isn't waited for any more, but for the one that has the group.
    note: noteOf(
      line.filter((entry) => entry.holds || !ended.includes(entry)),
      own,
      wanted.group,
    ),
  };
}

function reasonOf(holds: boolean, newer: Entry, group: string): string {
  const by = `the newer run ${newer.runId}`;
  return holds
    ? `Cancelled by ${by} in ${placeOf(group)} (cancel-in-progress).`
    : `Cancelled: ${by} took its place in ${placeOf(group)}.`;
}

function noteOf(line: readonly Entry[], own: Entry, group: string): string {
  const first = line.find((entry) => entry.holds) ?? line.find((entry) => entry.seq < own.seq);
  if (first === undefined) return `Waits for ${placeOf(group)}.`;
  const whom = first.runId === own.runId ? 'another job of this run' : `run ${first.runId}`;
  const between = line.filter((entry) => entry !== first && !entry.holds && entry.seq < own.seq).length;
  const others = between === 0 ? '' : ` and ${between} more`;
  return `Waits for ${whom}${others} in ${placeOf(group)}.`;
}

/** The group in which the deployments to an environment take turns. No pipeline file can name it: names have no line break. */
export function environmentGroup(environment: string): string {
  return `environment\n${environment.toLowerCase()}`;
}

/** The group in which the builds of one commit's image take turns: who comes second finds it built. */
export function imageGroup(sha: string, job: string): string {
  return `image\n${sha}\n${job}`;
}

/** A group in the words of people. */
function placeOf(group: string): string {
  const [kind, what, job] = group.split('\n');
  if (what === undefined) return `the concurrency group "${group}"`;
  return kind === 'environment' ? `the queue of ${what}` : `the builds of the image "${job}" of this commit`;
}
