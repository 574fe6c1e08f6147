import { ordinal } from './deploy/words.ts';
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
  /** How many of those that wait get their turn before it, and one: 1 is next. 0 if it goes or isn't there. */
  readonly position: number;
}

/**
 * What follows for `me` from the line of the group it stands in, and for those before it. Only who came later cancels,
 * so the newest always gets its turn; and nobody cancels a job of its own run: those take turns. `place`: the group as people
 * call it.
 */
export function settleGroup(
  line: readonly Entry[],
  wanted: Concurrency,
  me: string,
  place = placeOf(wanted.group),
): Settled {
  const own = line.find((entry) => entry.holder === me);
  if (own === undefined) return { cancel: [], goes: false, note: `Waits for ${place}.`, position: 0 };
  if (own.holds) return { cancel: [], goes: true, note: null, position: 0 };
  const older = line.filter((entry) => entry.seq < own.seq && entry.runId !== own.runId);
  const ended = older.filter((entry) => (entry.holds ? wanted.cancelInProgress : wanted.queue === 'single'));
  // Whose end is asked for isn't waited for any more, but for the one that has the group.
  const left = line.filter((entry) => entry.holds || !ended.includes(entry));
  const position = left.filter((entry) => !entry.holds && entry.seq < own.seq).length + 1;
  return {
    cancel: ended.map(({ holder, holds }) => ({ holder, reason: reasonOf(holds, own, place) })),
    goes: false,
    note: noteOf(left, own, place, isEnvironment(wanted.group) ? position : null),
    position,
  };
}

function reasonOf(holds: boolean, newer: Entry, place: string): string {
  const by = `the newer run ${newer.runId}`;
  return holds
    ? `Cancelled by ${by} in ${place} (cancel-in-progress).`
    : `Cancelled: ${by} took its place in ${place}.`;
}

/** `position`: to be shown instead of how many others wait. */
function noteOf(line: readonly Entry[], own: Entry, place: string, position: number | null): string {
  const first = line.find((entry) => entry.holds) ?? line.find((entry) => entry.seq < own.seq);
  if (first === undefined) return `Waits for ${place}.`;
  const whom = first.runId === own.runId ? 'another job of this run' : `run ${first.runId}`;
  if (position !== null) return `Waits for ${whom} in ${place} (${position === 1 ? 'next' : ordinal(position)}).`;
  const between = line.filter((entry) => entry !== first && !entry.holds && entry.seq < own.seq).length;
  const others = between === 0 ? '' : ` and ${between} more`;
  return `Waits for ${whom}${others} in ${place}.`;
}

/** The group in which the deployments to an environment take turns. No pipeline file can name it: names have no line break. */
export function environmentGroup(environment: string): string {
  return `environment\n${environment.toLowerCase()}`;
}

/** The group in which the builds of one commit's image take turns: who comes second finds it built. */
export function imageGroup(sha: string, job: string): string {
  return `image\n${sha}\n${job}`;
}

function isEnvironment(group: string): boolean {
  return group.startsWith('environment\n');
}

/** A group in the words of people: the line breaks in Slipway's own never reach them. */
export function placeOf(group: string): string {
  const [kind, what, job] = group.split('\n');
  if (what === undefined) return `the concurrency group "${group}"`;
  return kind === 'environment' ? `the queue of ${what}` : `the builds of the image "${job}" of this commit`;
}

/** `preview/pr-7`: no environment of a file can be called so. */
export function isPreview(environment: string): boolean {
  return environment.startsWith('preview/');
}
