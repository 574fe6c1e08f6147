import { sanitizeTag } from '#src/planner/tags.ts';
import type { GitOpsSpec } from '#src/model/delivery.ts';
import { fieldValue, setField } from '#src/model/gitops.ts';
import { type Outcome, PlatformError, success, UserError } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';
import { isStrange } from '#src/model/trust.ts';
import { isPlatformError, LostJob, outcomeOf } from './errors.ts';
import { gitOpsReport, type GitOpsWish, type GitOpsWords, gitOpsWords } from './gitops-words.ts';
import type { Parts } from './parts.ts';
import { type Deadline, deadlineSince, type RolloutTime } from './rollout-time.ts';
import type { GitOpsProgress } from './store-deployments.ts';

export interface GitOpsRequest {
  readonly parts: Parts;
  readonly run: Run;
  readonly job: Job;
  readonly work: DeployWork;
  readonly spec: GitOpsSpec;
  /** `repository@sha256:...` by image job. */
  readonly images: Readonly<Record<string, string>>;
  /** What an earlier process stored of this deployment; null: nothing. */
  readonly progress: GitOpsProgress | null;
  /** Awaited before and after each step into the world. What it throws ends the work where it is. */
  readonly save: (progress: GitOpsProgress) => Promise<void>;
  readonly say: (message: string) => void;
  /** What the check run shows of it, in Markdown. */
  readonly report?: (markdown: string) => void;
  /** Aborted when somebody cancels. */
  readonly signal: AbortSignal;
  /** Aborted when the server stops or the job is another's. */
  readonly leave: AbortSignal;
  readonly time: RolloutTime;
  /** Until the commit is made, or the pull request is merged. */
  readonly timeoutMs: number;
}

/** A pull request that couldn't be opened in this time is given up, however long its merge may take. */
const openMs = 30 * 60_000;
/** Whoever merges soon waits for the answer; nobody does after days. */
const lookMs = { least: 15_000, most: 120_000 };
const longestPauseMs = 15_000;

/**
 * Deploys by a commit or pull request in another repository that sets fields of files there; a pull request is followed until
 * it is merged. Where the fields have these values already, nothing is done. Called again with what was saved, it goes on
 * without a second commit or pull request. Throws only the reason of `leave`, LostJob and what `save` throws.
 */
export async function deployByCommit(request: GitOpsRequest): Promise<Outcome> {
  const { leave, signal } = request;
  let saving = false;
  const save = async (progress: GitOpsProgress): Promise<void> => {
    saving = true;
    await request.save(progress);
    saving = false;
  };
  try {
    return await attempt({ ...request, save });
  } catch (error) {
    if (saving || error instanceof LostJob) throw error;
    leave.throwIfAborted();
    if (signal.aborted) return request.progress === null ? cancelled(request) : doubtful(request, cancelled(request));
    if (!(error instanceof UserError) && !isPlatformError(error)) {
      request.parts.log.error({ err: error, job: request.job.id }, 'a deployment by commit broke');
    }
    return outcomeOf(error);
  }
}

async function attempt(request: GitOpsRequest): Promise<Outcome> {
  const { parts, run, job, work, spec, time } = request;
  const stored = request.progress?.attempt === job.attempt ? request.progress : null;
  if (stored?.merged || stored?.commit !== undefined) return success;
  if (stored?.pullRequest === undefined) {
    const refusal = isStrange(run)
      ? "A fork's commit is never deployed."
      : parts.policy.refuseGitOps(run.repository, spec.repository);
    if (refusal !== null) return { kind: 'failure', reason: refusal };
  }
  const wishes = await wishesOf(request);
  if (typeof wishes === 'string') return { kind: 'failure', reason: wishes };
  const words = gitOpsWords(run, job, work.environment, wishes);
  const begun: GitOpsProgress = stored ?? { attempt: job.attempt, since: parts.clock.now() };
  if (stored === null) await request.save(begun);
  if (begun.pullRequest !== undefined) return await followed(request, wishes, begun, begun.pullRequest);
  const makeMs = spec.pullRequest ? Math.min(openMs, request.timeoutMs) : request.timeoutMs;
  const deadline = deadlineSince(begun.since ?? parts.clock.now(), makeMs, parts.clock, time);
  const changed = await persist(request, deadline, () => change(request, begun, wishes, words));
  if (!('pullRequest' in changed)) return changed;
  return await followed(request, wishes, changed.progress, changed.pullRequest);
}

/** What each field shall have, or why that can't be told. */
async function wishesOf({ parts, run, spec, images }: GitOpsRequest): Promise<readonly GitOpsWish[] | string> {
  const wishes: GitOpsWish[] = [];
  for (const { file, field, image, value: part } of spec.changes) {
    const reference = images[image];
    const short = run.trigger.sha.slice(0, 12);
    if (reference === undefined) {
      return `No image is recorded for the job "${image}" and commit ${short}: that job has to build and push it first.`;
    }
    const tag = part === 'tag' ? await tagOf(parts, run, image, reference) : null;
    const value = fieldValue(reference, tag, part);
    if (value === null) return `The image ${reference} of the job "${image}" has no ${part} that Slipway knows.`;
    wishes.push({ file, field, image, reference, value });
  }
  return wishes;
}

/** The tag that was named, if the image was pushed under it; otherwise the commit, which names no other image later. */
async function tagOf(parts: Parts, { repository, trigger }: Run, image: string, reference: string) {
  const record = await parts.store.images.find(repository.id, trigger.sha, image);
  if (record === null || record.image !== reference) return null;
  const named = 'tag' in trigger && trigger.tag !== undefined ? sanitizeTag(trigger.tag) : null;
  return [named, trigger.sha].find((it) => it !== null && record.tags.includes(it)) ?? record.tags.at(-1) ?? null;
}

/** An outcome, or the pull request to be followed. */
type Changed = Outcome | { readonly pullRequest: number; readonly progress: GitOpsProgress };

/** Looks at the files as they are now, and changes what has to be changed. */
async function change(
  request: GitOpsRequest,
  begun: GitOpsProgress,
  wishes: readonly GitOpsWish[],
  words: GitOpsWords,
): Promise<Changed> {
  const { parts, spec, say, leave, signal } = request;
  const { repository } = spec;
  const both = AbortSignal.any([signal, leave]);
  const paths = [...new Set(spec.changes.map((it) => it.file))];
  const at = await parts.gitops.read({ repository, branch: spec.branch }, paths, both);
  if (isCircle(request, at.branch)) {
    const reason = `A commit to ${at.branch} of ${repository} would deploy again, and again: this environment is deployed by pushes there. Name another branch or repository under \`gitops\`.`;
    return { kind: 'failure', reason };
  }
  const edited = edit(at.files, wishes, `${repository} (${at.branch})`);
  if (typeof edited === 'string') return { kind: 'failure', reason: edited };
  if (edited.size === 0) {
    await request.save({ ...begun, branch: at.branch, commit: at.head });
    say(`${repository} has these images on ${at.branch} already: nothing was to be changed.`);
    return success;
  }
  both.throwIfAborted();
  const { branch, head } = at;
  // From here on a cancellation waits for the answer: whether it was done must be known.
  if (!spec.pullRequest) {
    say(`committing to ${repository} (${branch})`);
    const made = await parts.gitops.commit(
      { repository, branch, head },
      { files: edited, message: words.message },
      leave,
    );
    await request.save({ ...begun, branch, commit: made.sha, url: made.url });
    say(`Committed to ${repository} (${branch}): ${made.url}`);
    const name = `${repository}@${made.sha.slice(0, 7)}`;
    request.report?.(gitOpsReport(wishes, { said: 'Deployed by', name, url: made.url }));
    return success;
  }
  say(`opening a pull request in ${repository}`);
  const proposal = { files: edited, message: words.message, body: words.body };
  const { number, url } = await parts.gitops.propose({ repository, branch, head, from: words.from }, proposal, leave);
  const progress = { ...begun, branch: words.from, pullRequest: number, url };
  await request.save(progress);
  return { pullRequest: number, progress };
}

/** What it commits would cause the very deployment that it is. */
function isCircle({ run, spec }: GitOpsRequest, branch: string): boolean {
  const { trigger, repository } = run;
  const isOwn = spec.repository.toLowerCase() === fullName(repository).toLowerCase();
  return isOwn && trigger.kind === 'push' && trigger.branch === branch;
}

/** The files that have to be changed, with their new text; a string says why one can't be. */
function edit(
  files: ReadonlyMap<string, string | null>,
  wishes: readonly GitOpsWish[],
  where: string,
): ReadonlyMap<string, string> | string {
  const edited = new Map<string, string>();
  for (const { file, field, value } of wishes) {
    const original = files.get(file) ?? null;
    if (original === null) return `There is no file ${file} in ${where}. Correct \`file\` under \`gitops\`.`;
    const done = setField(file, edited.get(file) ?? original, field, value);
    if (done.kind === 'refused') return `${where}: ${done.message}`;
    if (done.before !== value) edited.set(file, done.text);
  }
  return edited;
}

async function followed(
  request: GitOpsRequest,
  wishes: readonly GitOpsWish[],
  progress: GitOpsProgress,
  number: number,
): Promise<Outcome> {
  const { parts, spec, say, leave, signal, time, timeoutMs } = request;
  const name = `${spec.repository}#${number}`;
  const both = AbortSignal.any([signal, leave]);
  const deadline = deadlineSince(progress.since ?? parts.clock.now(), timeoutMs, parts.clock, time);
  say(`waiting for the merge of ${progress.url ?? name}`);
  request.report?.(gitOpsReport(wishes, { said: 'Deployed by merging', name, url: progress.url ?? null }));
  for (;;) {
    const pull = await look(request, number, both);
    leave.throwIfAborted();
    if (pull?.state === 'merged') {
      await request.save({ ...progress, merged: true });
      say(`${name} was merged.`);
      return success;
    }
    if (pull?.state === 'closed') {
      const reason = `${pull.url} was closed without a merge: nothing was deployed. Deploy again for a new pull request.`;
      return { kind: 'failure', reason };
    }
    if (signal.aborted) return await withdrawn(request, number, cancelled(request));
    if (left(deadline, time) <= 0) {
      const reason = `${progress.url ?? name} wasn't merged within ${spanOf(timeoutMs)}.`;
      return await withdrawn(request, number, { kind: 'timed_out', reason });
    }
    const waited = timeoutMs - left(deadline, time);
    const pause = Math.min(lookMs.most, Math.max(lookMs.least, waited / 60), Math.max(1, left(deadline, time)));
    await time.sleep(pause, both).catch(() => undefined);
    leave.throwIfAborted();
  }
}

/** Null if GitHub doesn't answer now, or somebody cancelled. */
async function look(request: GitOpsRequest, number: number, both: AbortSignal) {
  if (request.signal.aborted) return null;
  try {
    return await request.parts.gitops.pullRequest(request.spec.repository, number, both);
  } catch (error) {
    if (both.aborted) return null;
    if (!isPlatformError(error) || error.retry === 'never') throw error;
    request.say(`GitHub doesn't answer; still trying. ${error.message}`);
    return null;
  }
}

/** What nobody follows any more must not be merged by mistake: it is closed. If it was merged before that, that counts. */
async function withdrawn(
  request: GitOpsRequest,
  number: number,
  outcome: Exclude<Outcome, { readonly kind: 'success' }>,
): Promise<Outcome> {
  const { parts, spec, leave } = request;
  const said = `Slipway no longer waits for this pull request: ${outcome.reason}`;
  const soon = AbortSignal.any([leave, AbortSignal.timeout(60_000)]);
  try {
    await parts.gitops.close(spec.repository, number, said, soon);
    const { state } = await parts.gitops.pullRequest(spec.repository, number, soon);
    if (state === 'merged') return success;
    return { ...outcome, reason: `${outcome.reason} ${spec.repository}#${number} was closed.` };
  } catch (error) {
    leave.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    return {
      ...outcome,
      reason: `${outcome.reason} CLOSING ${spec.repository}#${number} FAILED: close it by hand, or its merge deploys. ${why}`,
    };
  }
}

/** What the platform can't do now, and a branch that moved meanwhile, is tried again from the start. */
async function persist<T>(request: GitOpsRequest, deadline: Deadline, work: () => Promise<T>): Promise<T> {
  const { say, signal, leave, time } = request;
  const both = AbortSignal.any([signal, leave]);
  for (let failures = 0; ; failures += 1) {
    both.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      both.throwIfAborted();
      if (!isPlatformError(error) || error instanceof LostJob || error.retry === 'never') throw error;
      const rest = left(deadline, time);
      if (rest <= 0) throw new PlatformError(`Until the time was over: ${error.message}`, { cause: error });
      say(`still trying: ${error.message}`);
      const ms = Math.min(longestPauseMs, 500 * 2 ** Math.min(failures, 5), rest);
      await time.sleep(ms, both).catch(() => undefined);
    }
  }
}

function left(deadline: Deadline, time: RolloutTime): number {
  return deadline.startedAt + deadline.timeoutMs - time.steady();
}

function cancelled({ signal }: GitOpsRequest): Extract<Outcome, { readonly kind: 'cancelled' }> {
  return { kind: 'cancelled', reason: signal.reason instanceof Error ? signal.reason.message : String(signal.reason) };
}

/** Another process may have died, or an answer been lost, over the very step. */
function doubtful({ spec }: GitOpsRequest, outcome: Extract<Outcome, { readonly kind: 'cancelled' }>): Outcome {
  const what = spec.pullRequest ? 'a pull request of Slipway is open there' : 'a commit was made there';
  return { ...outcome, reason: `${outcome.reason} Look at ${spec.repository}: it may be that ${what}.` };
}

/** `7 days`, `12 hours`, `90 minutes`. */
function spanOf(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  const [count, unit] =
    minutes % 1440 === 0 ? [minutes / 1440, 'day'] : minutes % 60 === 0 ? [minutes / 60, 'hour'] : [minutes, 'minute'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
