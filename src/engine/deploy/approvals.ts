import type { ApprovalRule } from '#src/model/deploy-rules.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Role } from '#src/model/trust.ts';
import type { Parts } from '#src/engine/parts.ts';

type Wake = (runId: string) => Promise<void>;

/**
 * Somebody approves what a deployment waits for (its begin, or a step of its rollout), or rejects it, which ends it. Who may
 * is asked of GitHub now; audited. `message`: a sentence for who asked. Throws PlatformError if GitHub or the store fails.
 */
export async function decideApproval(
  _parts: Parts,
  _asked: {
    readonly run: Run;
    readonly job: Job;
    readonly by: { readonly login: string; readonly role?: Role };
    readonly decision: 'approve' | 'reject';
    /** `approve command`, `approve button`: for the audit. */
    readonly via: string;
  },
  _wake: Wake,
): Promise<{ readonly kind: 'accepted' | 'refused'; readonly message: string }> {
  throw new PlatformError('Not there yet.');
}

/** Who approved this gate of the job's attempt so far (`start`, `step 2`), and whether that is enough. */
export async function approvalsOf(
  _parts: Pick<Parts, 'store'>,
  _job: Job,
  _gate: string,
  _rule: ApprovalRule,
): Promise<{ readonly given: readonly string[]; readonly rejectedBy: string | null; readonly enough: boolean }> {
  throw new PlatformError('Not there yet.');
}
