import { setTimeout as sleep } from 'node:timers/promises';
import type { ToldStore } from '#src/engine/store.ts';
import type { Repository } from '#src/model/repository.ts';
import { faultOf } from './faults.ts';
import type { Client, Urgency } from './github.ts';

/** What is needed to tell GitHub about one commit of one repository. */
export interface Place {
  readonly client: Client;
  readonly appId: number;
  readonly repository: Repository;
  readonly sha: string;
  readonly told: ToldStore;
  readonly teller: Teller;
}

/** The process that tells. */
export interface Teller {
  readonly id: string;
  /** Milliseconds after which a request whose answer was lost is done or never will be. GitHub ends requests after 10 s. */
  readonly settleMs: number;
  /** Once it is aborted no request begins any more. */
  readonly until: AbortSignal;
  /** Aborted: requests under way are ended, too. */
  readonly now: AbortSignal;
}

/** Which process sent what may have been carried out without an answer, and when by its own watch. */
export interface Sent {
  readonly by: string;
  readonly at: number;
}

export function sentBy(teller: Teller): Sent {
  return { by: teller.id, at: performance.now() };
}

/** When a request that failed was sent, as far as it matters: GitHub isn't at work any more on one that it answered itself. */
export function sentBefore(teller: Teller, error: unknown): Sent {
  const { status, response } = error as { readonly status?: number; readonly response?: unknown };
  const answered = response !== undefined && status !== 502 && status !== 504;
  return { by: teller.id, at: performance.now() - (answered ? teller.settleMs : 0) };
}

/**
 * Looks for what an unanswered request may have made, until it is there or never will be: GitHub may still be at work on
 * the request, also after the process that sent it died. Null if there is nothing.
 */
export async function lookFor<T>(teller: Teller, sent: Sent | null, look: () => Promise<T | null>): Promise<T | null> {
  const since = performance.now();
  const sure = leftOf(teller, sent, since) <= 0;
  const found = await look();
  if (found !== null || sure) return found;
  await settled(teller, sent, since);
  return await look();
}

/** Waits until GitHub isn't at work any more on what was sent: a late word must not come after a newer one. */
export async function settled(teller: Teller, sent: Sent | null, since = performance.now()): Promise<void> {
  const left = leftOf(teller, sent, since);
  if (left > 0) await sleep(left, undefined, { ref: false, signal: teller.until });
}

/** Watches of two processes can't be compared: what another one sent counts from `since`. */
function leftOf(teller: Teller, sent: Sent | null, since: number): number {
  return (sent?.by === teller.id ? sent.at : since) + teller.settleMs - performance.now();
}

/** Parameters of every request. A state goes in its turn (1); what is only nice to have may wait for everything else (2). */
export function at(
  place: Place,
  priority: 1 | 2,
): { owner: string; repo: string; request: Urgency & Record<string, unknown> } {
  const { until, now } = place.teller;
  return {
    owner: place.repository.owner,
    repo: place.repository.name,
    request: { priority, until, signal: now },
  };
}

/** Whether the request wasn't carried out for sure: GitHub refused it, or it never began. */
export function wasRefused(teller: Teller, error: unknown): boolean {
  return faultOf(error, Date.now()).kind !== 'transient' || (teller.until.aborted && error === teller.until.reason);
}

/** True of a 404: what the request names isn't there (or the whole repository isn't). */
export function isMissing(error: unknown): boolean {
  const fault = faultOf(error, Date.now());
  return fault.kind === 'permanent' && fault.status === 404;
}
