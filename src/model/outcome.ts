/**
 * How something ended. `failure` is the user's (a command exited with 1, the image can't be built),
 * `broken` is the platform's (the engine is down, the disk is full): never mixed up.
 * `reason` is a sentence for people; for `broken` it says what to do as well.
 */
export type Outcome =
  | { readonly kind: 'success' }
  | { readonly kind: 'failure'; readonly reason: string }
  | { readonly kind: 'timed_out'; readonly reason: string }
  | { readonly kind: 'cancelled'; readonly reason: string }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'neutral'; readonly reason: string }
  | {
      readonly kind: 'broken';
      readonly reason: string;
      /** How often it helps to try again: `once` (default: a few times, with pauses), `never`. */
      readonly retry?: 'once' | 'never';
    };

export const success: Outcome = { kind: 'success' };

export function reasonOf(outcome: Outcome): string {
  return outcome.kind === 'success' ? '' : outcome.reason;
}

/** Thrown by adapters when the platform, not the user, is at fault. The message is for people. */
export class PlatformError extends Error {
  override readonly name = 'PlatformError';
  /** How often it helps to try again; see Outcome. */
  readonly retry: 'once' | 'never' | null;

  constructor(message: string, options: ErrorOptions & { readonly retry?: 'once' | 'never' } = {}) {
    super(message, options);
    this.retry = options.retry ?? null;
  }
}

/** Thrown by adapters when what the user asked for can't be done (no such image, no such container). */
export class UserError extends Error {
  override readonly name = 'UserError';
}
