import { UserError } from '#src/model/outcome.ts';

/** What is to be locked: with `all` the first word is part of the reason. UserError if nothing is named. */
export function lockOf(
  environment: string | undefined,
  reason: readonly string[],
  all: boolean,
): { readonly environment: string; readonly reason: string } {
  const words = all ? [...(environment === undefined ? [] : [environment]), ...reason] : reason;
  if (!all && (environment === undefined || environment.trim() === '')) {
    throw new UserError('Which environment? Name it, or write --all for the whole repository.');
  }
  return { environment: all ? '' : (environment ?? ''), reason: words.join(' ') };
}
