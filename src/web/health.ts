import type { Clock } from '#src/engine/ports.ts';

/** Name of a part that the server needs, and how to ask whether it works: rejects if it doesn't. */
export type Checks = Readonly<Record<string, () => Promise<void>>>;

export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, 'ok' | 'failed' | 'timed out'>>;
  /** Why checks failed. May name hosts and paths: for the operator's eyes. */
  readonly errors: Readonly<Record<string, string>>;
}

/** How long an answer is good for, in milliseconds: anybody may ask, and GitHub counts what it is asked. */
const freshFor = 2_000;

/** Answers /readyz: those who ask at the same time, or shortly after, share one answer. */
export function createReadiness(checks: Checks, deadline: number, clock: Clock): () => Promise<Readiness> {
  let last: { readonly at: number; readonly answer: Promise<Readiness> } | null = null;
  return () => {
    const now = clock.now();
    // A clock that was set back must not keep an old answer.
    if (!last || now < last.at || now - last.at >= freshFor) last = { at: now, answer: readiness(checks, deadline) };
    return last.answer;
  };
}

/** Asks all checks at once; each has `deadline` milliseconds. */
export async function readiness(checks: Checks, deadline: number): Promise<Readiness> {
  const results: Record<string, 'ok' | 'failed' | 'timed out'> = {};
  const errors: Record<string, string> = {};
  async function ask(name: string, check: () => Promise<void>): Promise<void> {
    const late = Promise.withResolvers<'timed out'>();
    const timer = setTimeout(() => late.resolve('timed out'), deadline);
    try {
      results[name] = await Promise.race([check().then(() => 'ok' as const), late.promise]);
      if (results[name] === 'timed out') errors[name] = `No answer within ${deadline / 1000} s.`;
    } catch (error) {
      results[name] = 'failed';
      errors[name] = error instanceof Error ? error.message : String(error);
    } finally {
      clearTimeout(timer);
    }
  }
  await Promise.all(Object.entries(checks).map(([name, check]) => ask(name, check)));
  return { ready: Object.values(results).every((result) => result === 'ok'), checks: results, errors };
}
