import { PlatformError } from '#src/model/outcome.ts';

/**
 * What a failed request to GitHub asks for. `rate`: it wasn't carried out and may be sent again at `until`
 * (milliseconds since the epoch). `transient`: it may or may not have been carried out. `permanent`: it never will be;
 * `advice` says what to do, `gone` that what it was about isn't there.
 */
export type Fault =
  | { readonly kind: 'rate'; readonly until: number }
  | { readonly kind: 'transient' }
  | { readonly kind: 'permanent'; readonly status: number; readonly advice: string; readonly gone: boolean };

interface RequestFault {
  readonly status: number;
  readonly message: string;
  readonly response?: { readonly headers: Readonly<Record<string, string | number | undefined>> };
}

/** Sorts an error of Octokit. `now` is milliseconds since the epoch. */
export function faultOf(error: unknown, now: number): Fault {
  if (!isRequestFault(error)) return { kind: 'transient' };
  const { status } = error;
  const until = rateLimitedUntil(error, now);
  if (until !== null) return { kind: 'rate', until };
  // Octokit gives 500 to connections that fail.
  if (status >= 500 || status === 408) return { kind: 'transient' };
  const advice = commitIsGone(error)
    ? 'The commit is gone from GitHub (its branch was rewritten or deleted), so nothing more is shown on it.'
    : adviceOf(status);
  return { kind: 'permanent', status, advice, gone: status === 404 || commitIsGone(error) };
}

/** A sentence for people about a failed request, without anything secret. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const status = isRequestFault(error) ? `${error.status} ` : '';
  return `${status}${error.message.split('\n', 1)[0] ?? ''}`.slice(0, 300);
}

/** Gives a failed request to GitHub the form that the engine's ports promise. */
export function asPlatformError(what: string, error: unknown): PlatformError {
  const fault = faultOf(error, Date.now());
  const advice = fault.kind === 'permanent' ? fault.advice : 'Try again in a minute.';
  return new PlatformError(`GitHub could not be asked to ${what}: ${describe(error)}. ${advice}`, { cause: error });
}

// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
function rateLimitedUntil(error: RequestFault, now: number): number | null {
  const headers = error.response?.headers ?? {};
  const retryAfter = Number(headers['retry-after']);
  const usedUp = String(headers['x-ratelimit-remaining']) === '0';
  const says = /rate limit|abuse/i.test(error.message);
  if (error.status !== 429 && !(error.status === 403 && (retryAfter > 0 || usedUp || says))) return null;
  if (retryAfter > 0) return now + retryAfter * 1000;
  const reset = resetOf(headers, now);
  return usedUp && reset > now ? reset : now + 60_000;
}

/** When the used-up limit is whole again, by our clock; GitHub's may differ. NaN if the answer doesn't say. */
export function resetOf(headers: Readonly<Record<string, string | number | undefined>>, now: number): number {
  const theirs = Date.parse(String(headers['date']));
  return now + Number(headers['x-ratelimit-reset']) * 1000 - (Number.isNaN(theirs) ? now : theirs);
}

/** The commit that something was to be shown on is gone from GitHub: its branch was rewritten or deleted. */
function commitIsGone(error: RequestFault): boolean {
  return error.status === 422 && /no (commit|ref) found/i.test(error.message);
}

function adviceOf(status: number): string {
  switch (status) {
    case 401:
      return 'Check APP_ID and PRIVATE_KEY, and that the App is still installed.';
    case 403:
      return "Compare the App's permissions with docs/install.md, and accept new ones on the installation's page.";
    case 404:
      return 'Check that the repository still exists and that the App is installed on it.';
    default:
      return 'This is a mistake in Slipway or an unusual GitHub: please report it.';
  }
}

function isRequestFault(error: unknown): error is Error & RequestFault {
  return error instanceof Error && 'status' in error && typeof error.status === 'number';
}
