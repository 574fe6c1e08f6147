import type { Clock } from '#src/engine/ports.ts';
import type { AuditRecord, AuditStore } from '#src/engine/store.ts';

/** What is recorded of a decision that was made on a page. */
export type Decision = Pick<AuditRecord, 'action' | 'subject' | 'decision' | 'reason'> & {
  /** `owner/name`; '' where it's about none. */
  readonly repository?: string;
};

/** Records a decision in the audit. */
export type Recorder = (decision: Decision) => Promise<void>;

const refusalsEvery = 60_000;

/**
 * Records what the operator did. Of refusals, which anybody can cause, only one a minute and action is kept, so that
 * nobody fills the database with them.
 */
export function createRecord(audit: AuditStore, clock: Clock): Recorder {
  const last = new Map<string, number>();
  return async ({ repository = '', ...decision }) => {
    const at = clock.now();
    const refused = decision.decision === 'refused';
    if (refused) {
      const before = last.get(decision.action);
      if (before !== undefined && at >= before && at - before < refusalsEvery) return;
      last.set(decision.action, at);
    }
    const actor = refused ? 'unknown (on the page)' : 'operator (on the page)';
    await audit.append({ at, actor, repository, ...decision });
  };
}
