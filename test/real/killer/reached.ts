import { setTimeout as sleep } from 'node:timers/promises';
import type { Victim } from './town.ts';

/** How long a server may take to get to its point. */
const reachMs = 20_000;

/** True if the server was killed at its point; otherwise it is killed now, so that the next one can be tried. */
export async function reached(victim: Victim): Promise<boolean> {
  const over = new AbortController();
  const late = sleep(reachMs, false, { signal: over.signal }).catch(() => false);
  const met = await Promise.race([victim.gone().then(() => true), late]);
  over.abort();
  await victim.kill();
  return met;
}
