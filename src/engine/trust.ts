import { loadPipeline } from '#src/dialects/index.ts';
import type { Diagnostic } from '#src/model/diagnostic.ts';
import { nobody, type PullRequestTrigger, type Trigger } from '#src/model/event.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { decideTrust, isHeld, isStrange, type Person, sameLogin, type Trust } from '#src/model/trust.ts';
import { expectJobs } from './expect.ts';
import type { Parts } from './parts.ts';
import type { Commit } from './ports.ts';

const deadlineMs = 5 * 60_000;

/**
 * The run with its trust, which is decided and stored if it wasn't before. Nothing of the commit has run until then.
 * Throws what GitHub or the source threw: a run of which that isn't known doesn't go on.
 */
export async function settleTrust(parts: Parts, run: Run, stop: AbortSignal): Promise<Run> {
  if (run.trust !== null) return run;
  const signal = AbortSignal.any([stop, AbortSignal.timeout(deadlineMs)]);
  const trust = await trustOf(parts, run.repository, run.trigger, signal).catch((error: unknown) => {
    if (stop.aborted || !signal.aborted) throw error;
    throw new PlatformError("It could not be found out within 5 minutes whether the commit is a stranger's.");
  });
  const first = await parts.store.runs.trust(run.id, trust);
  // Another server may have been quicker, and its word counts.
  const settled = (await parts.store.runs.get(run.id)) ?? { ...run, trust };
  if (first && isStrange(settled)) {
    const { approval, reason } = trust;
    parts.log.info({ run: run.id, approval, why: reason }, "a run is a stranger's");
  }
  if (first && !isHeld(settled)) startAhead(parts, settled);
  return settled;
}

/** Has containers started ahead for a run that may go on. Returns at once. */
export function startAhead(parts: Parts, run: Run): void {
  void expectJobs(parts, run).catch((error: unknown) => {
    parts.log.warn({ err: error, run: run.id }, 'could not look up what a run will begin with');
  });
}

/** Decides by what GitHub reports now, and adds what an approver had better look at. Throws as `settleTrust`. */
export async function trustOf(
  parts: Pick<Parts, 'forge' | 'policy' | 'source'>,
  repository: Repository,
  trigger: Trigger,
  signal: AbortSignal,
): Promise<Trust> {
  const { approval } = parts.policy.strangers(repository);
  const facts = { repository, trigger, approval, author: null, actor: null, association: null, remarks: [] };
  if (trigger.kind !== 'pull_request') return decideTrust(facts);
  const author = await authorOf(parts, repository, trigger);
  const asked = trigger.fork || approval === 'first-time';
  const actor = asked ? await actorOf(parts, repository, trigger, author) : null;
  const strict = decideTrust({ ...facts, author, actor });
  if (strict.approval !== 'needed') return strict;
  const { association = null } =
    approval === 'first-time' ? await parts.forge.pullRequest(repository, trigger.number) : {};
  const decided = decideTrust({ ...facts, author, actor, association });
  if (decided.approval !== 'needed') return decided;
  const changes = await changesOf(parts, repository, trigger, signal);
  return decideTrust({ ...facts, author, actor, association, remarks: changes.map(({ message }) => message) });
}

async function authorOf(
  { forge }: Pick<Parts, 'forge'>,
  repository: Repository,
  { author, number }: PullRequestTrigger,
): Promise<Person | null> {
  // A run that an older version stored doesn't say.
  const asked = author ? null : await forge.pullRequest(repository, number);
  const { login, bot } = author ?? { login: asked?.author ?? nobody, bot: asked?.bot ?? false };
  if (login === nobody) return null;
  return { login, bot, role: bot ? 'none' : await forge.role(repository, login) };
}

async function actorOf(
  { forge }: Pick<Parts, 'forge'>,
  repository: Repository,
  { actor }: PullRequestTrigger,
  author: Person | null,
): Promise<Person | null> {
  if (author !== null && sameLogin(author.login, actor)) return author;
  return actor === nobody ? null : { login: actor, bot: false, role: await forge.role(repository, actor) };
}

/** A file that decides what runs, and what a stranger's commit makes of it: a sentence. */
interface Change {
  readonly file: string;
  readonly message: string;
}

/**
 * The files that decide what runs and aren't at the head what they are at the base branch: the pipeline file, what it
 * includes, or, without one, what was found instead.
 */
async function changesOf(
  { source }: Pick<Parts, 'source'>,
  repository: Repository,
  trigger: PullRequestTrigger,
  signal: AbortSignal,
): Promise<readonly Change[]> {
  const ref = `refs/heads/${trigger.base}`;
  const sha = await source.resolve(repository, ref, signal);
  const commits: Commit[] = [{ sha: trigger.sha, ref: trigger.ref }, ...(sha === null ? [] : [{ sha, ref }])];
  const files = new Set<string>();
  try {
    for (const commit of commits) {
      const paths = await source.list(repository, commit, signal);
      await loadPipeline(paths, (wanted) => {
        for (const path of wanted) files.add(path);
        return source.read(repository, commit, wanted, signal);
      });
    }
    const all = [...files];
    const [head, base] = await Promise.all(commits.map((commit) => source.read(repository, commit, all, signal)));
    return all.flatMap((file) => changeOf(file, trigger.base, base?.get(file) ?? null, head?.get(file) ?? null));
  } catch (error) {
    // Too large to be read, say: that is the stranger's doing, and no reason not to hold the run.
    if (!(error instanceof UserError)) throw error;
    const file = [...files].at(-1) ?? 'slipway.yml';
    return [{ file, message: `What runs could not be compared with ${trigger.base}: ${error.message}` }];
  }
}

function changeOf(file: string, branch: string, before: string | null, after: string | null): readonly Change[] {
  if (before === after) return [];
  if (after === null) return [{ file, message: `${file}, which decides what runs on ${branch}, is missing.` }];
  if (before === null) return [{ file, message: `${file}, which decides what runs, isn't on ${branch}.` }];
  return [{ file, message: `${file}, which decides what runs, isn't the same as on ${branch}.` }];
}

/** What a stranger's run says about its pipeline file: nothing for all others. Throws as Source does. */
export async function strangersChanges(parts: Parts, run: Run, signal: AbortSignal): Promise<readonly Diagnostic[]> {
  if (run.trigger.kind !== 'pull_request' || !isStrange(run)) return [];
  const changes = await changesOf(parts, run.repository, run.trigger, signal);
  return changes.map(({ file, message }) => ({
    severity: 'warning',
    code: 'changed-by-stranger',
    message,
    hint: 'The commit comes from somebody without write permission: look at what it runs before you merge it.',
    at: { file, line: 1, column: 1 },
  }));
}
