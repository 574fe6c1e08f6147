import type { JobGate } from '#src/model/deploy-rules.ts';
import type { Job } from '#src/model/run.ts';

/** A deployment that isn't over, to one environment. */
export interface Standing {
  readonly jobId: string;
  readonly runId: string;
  readonly state: Job['state'];
  /** What it waits for; null: its needs, or nothing. */
  readonly gate: JobGate['kind'] | null;
  /** Neither a lock nor a window keeps it now. */
  readonly free: boolean;
}

export interface Arrival {
  /** Run of a newer deployment that has come so far already: this one is too late. Null: it goes on. */
  readonly outdatedBy: string | null;
  /** Older ones of which this one takes the place: ids of their jobs. */
  readonly replaced: readonly string[];
  /** Older ones that may stand in the line now, and stand there first: what kept them is gone, and they weren't told yet. */
  readonly before: readonly Standing[];
}

/**
 * What the arrival of a deployment at its environment's line means to the others. `all` are in the order in which they were
 * made. newest: only the newest that waits gets its turn. `yields`: it makes room for a newer one itself (a rollback doesn't).
 */
export function arrive(
  all: readonly Standing[],
  me: string,
  { newest, yields }: { readonly newest: boolean; readonly yields: boolean },
): Arrival {
  const place = all.findIndex((it) => it.jobId === me);
  const own = all[place];
  if (own === undefined) return { outdatedBy: null, replaced: [], before: [] };
  const others = (part: readonly Standing[]): readonly Standing[] => part.filter((it) => it.runId !== own.runId);
  const newer = others(all.slice(place + 1)).findLast((it) => hasCome(it));
  if (newest && yields && newer) return { outdatedBy: newer.runId, replaced: [], before: [] };
  const older = others(all.slice(0, place)).filter((it) => it.state === 'waiting' && hasCome(it));
  if (newest) return { outdatedBy: null, replaced: older.map((it) => it.jobId), before: [] };
  const kept = older.filter((it) => it.free && (it.gate === 'lock' || it.gate === 'window'));
  return { outdatedBy: null, replaced: [], before: kept };
}

/** It waits for nothing of its own run any more. */
function hasCome({ state, gate }: Standing): boolean {
  return state === 'queued' || state === 'running' || (state === 'waiting' && gate !== null);
}
