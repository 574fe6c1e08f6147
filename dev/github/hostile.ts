import type { Fault, FaultHook } from './front.ts';
import type { World } from './world.ts';

/** A GitHub that fails in every way it can, the same way for the same seed and the same requests. */
export interface Hostility {
  readonly faults: FaultHook;
  /** How often what happened, by name. */
  readonly seen: ReadonlyMap<string, number>;
  /** From now on all is well. */
  end(): void;
}

/** `rate`: the part of requests that meet with something, 0 to 1. `lateMs`: how late a request may be carried out. */
export function hostile(
  world: World,
  options: { readonly seed: number; readonly rate: number; readonly lateMs: number },
): Hostility {
  const random = randomOf(options.seed);
  const seen = new Map<string, number>();
  let over = false;

  return {
    seen,
    end() {
      over = true;
    },
    faults({ kind }) {
      if (over || kind !== 'rest' || random() >= options.rate) return null;
      const [name, fault] = pick();
      seen.set(name, (seen.get(name) ?? 0) + 1);
      return fault;
    },
  };

  function pick(): [name: string, fault: Fault | null] {
    const dice = random() * 100;
    const status = [500, 502, 503][Math.floor(random() * 3)] ?? 500;
    if (dice < 20) return [`${status}`, { kind: 'status', status }];
    if (dice < 32) return ['reset before', { kind: 'reset' }];
    if (dice < 52) return ['reset after', { kind: 'lost' }];
    if (dice < 64) return ['carried out late', { kind: 'late', ms: random() * options.lateMs }];
    if (dice < 74) return ['502 after', { kind: 'masked', status: 502 }];
    if (dice < 82) return ['slow', { kind: 'slow', ms: random() * 300 }];
    if (dice < 87) return ['hang before', { kind: 'hang' }];
    if (dice < 91) return ['hang after', { kind: 'stuck' }];
    if (dice < 94) return ['429', limited(429)];
    if (dice < 97) return ['secondary limit', limited(403)];
    world.tokens.clear();
    return ['tokens revoked', null];
  }
}

function limited(status: number): Fault {
  const message = 'You have exceeded a secondary rate limit.';
  return { kind: 'status', status, message, headers: { 'retry-after': '1' } };
}

/** Numbers from 0 to 1 that look random: mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
