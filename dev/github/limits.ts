import type { Caller } from './auth.ts';
import { Refusal } from './refusal.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;

export interface Rate {
  readonly limit: number;
  readonly used: number;
  readonly remaining: number;
  /** Seconds since the epoch. */
  readonly reset: number;
}

interface Window {
  start: number;
  used: number;
}

/**
 * GitHub's rates: requests an hour for each installation, told in every answer; and, if they are switched on,
 * the secondary ones: 900 points a minute (a write is 5) and 80 requests a minute that create content.
 */
export class Limits {
  /** Requests an hour. */
  hourly = 5_000;
  secondary = false;
  readonly #hours = new Map<string, Window>();
  readonly #points = new Map<string, Window>();
  readonly #writes = new Map<string, Window>();

  /** Counts a request and answers with the headers that tell what is left. Refuses what is too much. */
  count(caller: Caller, method: string): Record<string, string> {
    const key = caller.token ? String(caller.token.installation.id) : caller.app ? `app ${caller.app.id}` : 'nobody';
    const write = method !== 'GET';
    const hour = add(this.#hours, key, HOUR, 1);
    const headers = this.#headers(hour);
    if (hour.used > this.hourly) {
      throw new Refusal(403, 'API rate limit exceeded for installation.', [], headers);
    }
    const points = add(this.#points, key, MINUTE, write ? 5 : 1);
    const writes = add(this.#writes, key, MINUTE, write ? 1 : 0);
    const over = points.used > 900 ? points : writes.used > 80 ? writes : null;
    if (!this.secondary || !over) return headers;
    const seconds = Math.max(1, Math.ceil((over.start + MINUTE - Date.now()) / 1000));
    throw new Refusal(403, 'You have exceeded a secondary rate limit.', [], {
      ...headers,
      'retry-after': String(seconds),
    });
  }

  /** What is left for a caller, without counting. */
  state(caller: Caller): Rate {
    const key = caller.token ? String(caller.token.installation.id) : caller.app ? `app ${caller.app.id}` : 'nobody';
    const hour = add(this.#hours, key, HOUR, 0);
    const remaining = Math.max(0, this.hourly - hour.used);
    return { limit: this.hourly, used: hour.used, remaining, reset: Math.ceil((hour.start + HOUR) / 1000) };
  }

  #headers(hour: Window): Record<string, string> {
    return {
      'x-ratelimit-limit': String(this.hourly),
      'x-ratelimit-remaining': String(Math.max(0, this.hourly - hour.used)),
      'x-ratelimit-used': String(hour.used),
      'x-ratelimit-reset': String(Math.ceil((hour.start + HOUR) / 1000)),
      'x-ratelimit-resource': 'core',
    };
  }
}

function add(windows: Map<string, Window>, key: string, length: number, points: number): Window {
  const now = Date.now();
  let window = windows.get(key);
  if (!window || now - window.start >= length) {
    window = { start: now, used: 0 };
    windows.set(key, window);
  }
  window.used += points;
  return window;
}
