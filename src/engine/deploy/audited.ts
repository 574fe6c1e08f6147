import { fullName, type Repository } from '#src/model/repository.ts';
import { sameLogin } from '#src/model/trust.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { AuditRecord } from '#src/engine/store.ts';

/** Records among which one is looked for that says the same. */
const looked = 100;

/** Writes the record, unless it is there: a server that was killed over what it did may have written it, or not. */
export async function auditOnce(
  parts: Pick<Parts, 'store' | 'clock'>,
  repository: Pick<Repository, 'owner' | 'name'>,
  record: Omit<AuditRecord, 'at' | 'repository'>,
): Promise<void> {
  const last = await parts.store.audit.list(fullName(repository), looked);
  const { actor, action, subject, decision, reason } = record;
  const known = last.some(
    (it) =>
      it.action === action &&
      it.subject === subject &&
      it.decision === decision &&
      it.reason === reason &&
      sameLogin(it.actor, actor),
  );
  if (!known) await audit(parts, repository, record);
}

export async function audit(
  parts: Pick<Parts, 'store' | 'clock'>,
  repository: Pick<Repository, 'owner' | 'name'>,
  record: Omit<AuditRecord, 'at' | 'repository'>,
): Promise<void> {
  await parts.store.audit.append({ ...record, at: parts.clock.now(), repository: fullName(repository) });
}
