import type { RolloutTarget } from '#src/model/pipeline.ts';
import { explained } from './errors.ts';

/** Asks a cluster (`name` is for messages), and says in words for people what went wrong. Throws the signal's reason if it is aborted. */
export async function asking<T>(
  at: { readonly name: string },
  target: RolloutTarget,
  doing: string,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    throw explained(error, at.name, target, doing);
  }
}
