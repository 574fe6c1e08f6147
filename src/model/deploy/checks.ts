import { list, quoted } from './words.ts';

/** What somebody says of a commit: as the engine's CheckState. */
export interface CheckFact {
  readonly name: string;
  /** The App, or who set the status. */
  readonly by: string;
  readonly state: 'pending' | 'success' | 'failure' | 'neutral' | 'skipped' | 'unknown';
}

export interface ChecksVerdict {
  /** Sentences on checks that won't succeed by waiting. */
  readonly bad: readonly string[];
  /** What hasn't succeeded yet: `test (GitHub Actions)`, `lint`. */
  readonly pending: readonly string[];
  /** All that is pending is Slipway's own, which has succeeded by its records: GitHub is being told. */
  readonly onlyTelling: boolean;
}

/**
 * How the protected checks of a commit stand: each must have succeeded by everybody who reports one of that name. One that
 * nobody has reported may still come, so it is pending. `told`: jobs that succeeded here, of which GitHub may not know yet.
 */
export function judgeChecks(
  protect: readonly string[],
  checks: readonly CheckFact[],
  told: readonly string[],
): ChecksVerdict {
  const bad: string[] = [];
  const pending: string[] = [];
  let onlyTelling = true;
  for (const name of new Set(protect)) {
    const found = checks.filter((check) => check.name === name);
    const wrong = found.filter((check) => check.state !== 'success' && check.state !== 'pending');
    const waiting = found.filter((check) => check.state === 'pending');
    bad.push(...wrong.map((check) => `The check ${quoted(name)} by ${check.by} ${words[check.state]}.`));
    if (wrong.length > 0 || (found.length > 0 && waiting.length === 0)) continue;
    const who = waiting.length === 0 ? 'not reported yet' : list(waiting.map((check) => check.by));
    pending.push(`${quoted(name)} (${who})`);
    onlyTelling &&= told.includes(name);
  }
  return { bad, pending, onlyTelling: onlyTelling && pending.length > 0 };
}

const words: Readonly<Record<CheckFact['state'], string>> = {
  pending: 'has not ended',
  success: 'succeeded',
  failure: 'failed',
  neutral: 'ended as neutral, which is no success',
  skipped: 'was skipped, which is no success',
  unknown: "ended in a way that Slipway doesn't know",
};
