import { lockText, unlocking } from '#src/model/deploy/locks.ts';
import type { Repository } from '#src/model/repository.ts';
import { sameLogin } from '#src/model/trust.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { Lock } from '#src/engine/store-deployments.ts';
import { audit } from './audited.ts';

type Wake = (runId: string) => Promise<void>;

/** Takes the lock, unless somebody has it: then theirs is answered. Audited. Who may is asked before (refusePerson). `environment` '': the whole repository. */
export async function lock(
  parts: Parts,
  wanted: {
    readonly repository: Repository;
    readonly environment: string;
    readonly owner: string;
    readonly reason: string;
    readonly pullRequest: number | null;
  },
): Promise<{ readonly taken: boolean; readonly lock: Lock }> {
  const { repository, environment, owner, reason, pullRequest } = wanted;
  const at = parts.clock.now();
  const held = await parts.store.locks.take({
    repositoryId: repository.id,
    environment,
    owner,
    reason,
    pullRequest,
    at,
  });
  const taken = sameLogin(held.owner, owner);
  await audit(parts, repository, {
    actor: owner,
    action: 'lock',
    subject: subjectOf(environment),
    decision: taken ? 'allowed' : 'refused',
    reason: taken ? reason : lockText(held, environment),
  });
  if (taken) parts.log.info({ repository: repository.id, environment, owner }, 'locked');
  return { taken, lock: held };
}

/**
 * Releases a lock: one's own, or with `force` another's, for which GitHub must report maintain or admin (`operator`: it isn't
 * asked). others: it is somebody else's, and stays. Audited. What waited for it goes on.
 */
export async function unlock(
  parts: Parts,
  asked: {
    readonly repository: Repository;
    readonly environment: string;
    readonly by: string;
    readonly force: boolean;
    readonly operator?: boolean;
  },
  wake: Wake,
): Promise<{ readonly kind: 'released' | 'none' | 'others'; readonly lock: Lock | null }> {
  const { repository, environment, by, force, operator = false } = asked;
  const { locks } = parts.store;
  const known = await locks.of(repository.id);
  const own = unlocking(known, environment, { login: by, force: false, role: null });
  const role = !force || own.kind !== 'others' ? null : operator ? 'admin' : await parts.forge.role(repository, by);
  const answer = unlocking(known, environment, { login: by, force, role });
  if (answer.kind === 'none') {
    // An earlier server may have released it, and died before it told anybody.
    await wakeDeploying(parts, repository.id, wake);
    return { kind: 'none', lock: null };
  }
  const action = force && answer.kind !== 'own' ? 'unlock by force' : 'unlock';
  const record = { actor: by, action, subject: subjectOf(environment) };
  if (answer.kind === 'others') {
    const lacking = role === null ? '' : ` Force is for maintainers, and GitHub reports "${role}".`;
    const reason = `${lockText(answer.lock, environment)}${lacking}`;
    await audit(parts, repository, { ...record, decision: 'refused', reason });
    return { kind: 'others', lock: answer.lock };
  }
  // By its owner's name: another may have taken it meanwhile.
  if (!(await locks.release(repository.id, environment, answer.lock.owner))) return { kind: 'none', lock: null };
  const reason = answer.kind === 'own' ? '' : `${lockText(answer.lock, environment)} GitHub reports "${role}".`;
  await audit(parts, repository, { ...record, decision: 'allowed', reason: reason || 'Their own.' });
  parts.log.info({ repository: repository.id, environment, by, force: answer.kind === 'forced' }, 'unlocked');
  await wakeDeploying(parts, repository.id, wake);
  return { kind: 'released', lock: answer.lock };
}

/** Releases what went with a pull request that was closed; returns it. */
export async function releaseClosed(
  parts: Parts,
  repository: Repository,
  number: number,
  wake: Wake,
): Promise<readonly Lock[]> {
  const released = await parts.store.locks.closed(repository.id, number);
  for (const { environment, owner } of released) {
    const reason = `Pull request #${number} was closed.`;
    const subject = subjectOf(environment);
    await audit(parts, repository, { actor: owner, action: 'unlock', subject, decision: 'allowed', reason });
  }
  if (released.length > 0) await wakeDeploying(parts, repository.id, wake);
  return released;
}

/** Has every unfinished deployment of the repository looked at again, on all servers. */
async function wakeDeploying(parts: Pick<Parts, 'store'>, repositoryId: number, wake: Wake): Promise<void> {
  const runs = new Set((await parts.store.runs.deploying(repositoryId)).map(({ run }) => run.id));
  for (const runId of runs) {
    parts.store.signals.send('run', runId);
    void wake(runId);
  }
}

/** As the audit names what is locked. */
function subjectOf(environment: string): string {
  return environment === '' ? 'the whole repository' : environment;
}
