import type { StepsFailure } from '#src/model/delivery.ts';
import type { ServiceRef } from './ports-deploy.ts';
import type { Stepping } from './steps-book.ts';
import { ask, type Turn } from './steps-turn.ts';

/** So long the cluster's nodes have to learn where a Service leads, before the pods it led to are taken away. */
const settleMs = 5000;

/** Which pods the Service of a blue/green rollout selects now. Only looked up in phases in which that matters. */
export async function serviceOf(stepping: Stepping, turn: Turn): Promise<'stable' | 'beside'> {
  const { parts, book } = stepping;
  const { phase, selector } = book.now();
  const at = refOf(stepping);
  if (!at || !selector || !['switching', 'cleaning', 'aborting'].includes(phase)) return 'stable';
  const now = await ask(stepping, turn, null, () => parts.canaries.selector(at, turn.signal));
  return sameLabels(now, selector.to) ? 'beside' : 'stable';
}

/** Switches the Service to the green pods, or back to the stable ones, and gives the cluster time to learn it. */
export async function switchService(
  stepping: Stepping,
  turn: Turn,
  to: 'stable' | 'beside',
): Promise<StepsFailure | null> {
  const { parts, book, time, leave } = stepping;
  const { selector } = book.now();
  const at = refOf(stepping);
  if (!at || !selector) return null;
  const [from, wanted] = to === 'beside' ? [selector.from, selector.to] : [selector.to, selector.from];
  book.tell(`${at.namespace}/${at.name}: switched to the ${to === 'beside' ? 'green' : 'stable'} pods`);
  await ask(stepping, turn, null, () => parts.canaries.select(at, from, wanted, turn.signal));
  await time.sleep(settleMs, leave).catch(() => undefined);
  leave.throwIfAborted();
  return null;
}

function refOf({ strategy, book }: Stepping): ServiceRef | null {
  if (strategy.kind !== 'blue-green') return null;
  return { ...strategy.service, cluster: book.now().workloads[0]?.target.cluster ?? null };
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
