import { makeBadge } from 'badge-maker';
import type { RunStore } from '#src/engine/store.ts';
import type { Run } from '#src/model/run.ts';
import { badgeSubject, type Signer } from './signer.ts';

/** What a badge says. */
export type BadgeState = 'passing' | 'failing' | 'running' | 'cancelled' | 'error' | 'unknown';

const colors: Readonly<Record<BadgeState, string>> = {
  passing: 'brightgreen',
  failing: 'red',
  running: 'blue',
  cancelled: 'lightgrey',
  error: 'orange',
  unknown: 'lightgrey',
};

/**
 * State of the last run of the branch (null: the default branch). A private repository without its signature
 * says `unknown`, exactly as one that isn't known at all.
 */
export async function badgeState(
  runs: Pick<RunStore, 'list' | 'ofBranch'>,
  signer: Signer,
  ask: { readonly repository: string; readonly branch: string | null; readonly signature: unknown },
): Promise<BadgeState> {
  const [newest] = await runs.list({ repository: ask.repository, limit: 1 });
  if (!newest) return 'unknown';
  const { repository } = newest;
  if (repository.private && !signer.verify(badgeSubject(repository), ask.signature)) return 'unknown';
  const run = await runs.ofBranch(ask.repository, ask.branch ?? repository.defaultBranch);
  return run ? stateOf(run) : 'unknown';
}

function stateOf(run: Run): BadgeState {
  if (run.state !== 'completed') return 'running';
  switch (run.outcome?.kind) {
    case 'success':
      return 'passing';
    case 'failure':
    case 'timed_out':
      return 'failing';
    case 'cancelled':
      return 'cancelled';
    case 'broken':
      return 'error';
    default:
      return 'unknown';
  }
}

export function badgeSvg(state: BadgeState): string {
  return makeBadge({ label: 'build', message: state, color: colors[state] });
}
