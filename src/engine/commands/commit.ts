import type { BoundHead } from '#src/model/bound-head.ts';
import { nobody, type PullRequestTrigger, type Trigger } from '#src/model/event.ts';
import { quoted } from '#src/model/deploy/words.ts';
import { UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec } from '#src/model/pipeline.ts';
import { isStrange } from '#src/model/trust.ts';
import type { DeployAsk } from '#src/engine/deploy/requests.ts';
import type { PullRequest } from '#src/engine/ports-forge.ts';
import { trustOf } from '#src/engine/trust.ts';
import type { Context } from './context.ts';

type Commit = DeployAsk['commit'];

const deadlineMs = 120_000;

/** The head that the comment was written about; UserError if that isn't the head any more, or may not be deployed. `again`: the command, to be repeated with a commit. */
export async function headCommit(context: Context, again: string): Promise<Commit> {
  const pull = await context.pull();
  if (pull.state !== 'open') {
    throw new UserError(
      `Pull request #${pull.number} is ${pull.state}; only the head of an open one is deployed. Name a branch, tag or commit: \`${again} ${context.event.repository.defaultBranch}\`.`,
    );
  }
  const refusal = await refusePull(context, pull);
  if (refusal !== null) throw new UserError(refusal);
  const head = await context.head();
  if (head.kind === 'head') return commitOf(pull, head.sha);
  throw new UserError(`${movedText(head)} If that commit is meant, say so: \`${again} ${head.to}\`.`);
}

/** What is said where the head isn't the one that the comment was written about, with both commits. */
export function movedText({ from, to }: Extract<BoundHead, { readonly kind: 'moved' }>): string {
  if (from === to) {
    return `The head of this pull request changed within a second, and GitHub doesn't tell the order: which commit was meant isn't clear. It is \`${to}\` now.`;
  }
  const was = from === null ? "isn't known" : `was \`${from}\``;
  return `The head of this pull request has moved, or may have: when the comment was written it ${was}, and now it is \`${to}\`.`;
}

/** Why nothing of this pull request is deployed, or null. */
async function refusePull({ parts, event }: Context, pull: PullRequest): Promise<string | null> {
  if (pull.fork) return "This pull request comes from a fork, and a fork's commit is never deployed.";
  const signal = AbortSignal.timeout(deadlineMs);
  const trust = await trustOf(parts, event.repository, pullTrigger(pull), signal);
  return trust.trusted ? null : `A stranger's commit is never deployed. ${trust.reason}`;
}

function pullTrigger({ number, sha, branch, base, fork, title, author, bot = false }: PullRequest): PullRequestTrigger {
  const ref = `refs/pull/${number}/head`;
  const who = { login: author, bot };
  return { kind: 'pull_request', number, sha, ref, branch, base, fork, title, actor: nobody, author: who };
}

function commitOf(pull: PullRequest, sha: string): Commit {
  return { sha, ref: `refs/pull/${pull.number}/head`, branch: pull.branch, title: pull.title };
}

/**
 * The commit that a branch, a tag or the beginning of a SHA (7 digits) names; UserError if there is none, or if nobody with
 * write permission is known to have brought it here: the commits of all forks can be reached in the repository as well.
 */
export async function namedCommit(context: Context, ref: string): Promise<Commit> {
  if (/^[0-9a-f]{7,64}$/i.test(ref)) {
    const commit = await byDigits(context, ref.toLowerCase());
    if (commit !== null) return commit;
  }
  return await byName(context, ref);
}

/** Null if nothing begins so, but a branch or tag may be called so. */
async function byDigits(context: Context, digits: string): Promise<Commit | null> {
  const { parts, event } = context;
  const ofPull = await byPull(context, digits);
  if (ofPull !== null) return ofPull;
  const sha = await parts.forge.commit(event.repository, digits);
  if (sha === null || !sha.startsWith(digits)) return null;
  const found = (await bySeenRun(context, sha)) ?? (await byBranches(context, sha));
  if (found !== null) return { ...found, title: await titleOf(context, { sha, ref: found.ref }) };
  throw new UserError(
    `The commit \`${sha}\` isn't known to be on a branch or tag of this repository: it may be a stranger's, whose commits are never deployed. If it is on a branch or tag, name that.`,
  );
}

/** A head that this pull request has or had, if its commits may be deployed. */
async function byPull(context: Context, digits: string): Promise<Commit | null> {
  const { parts, event } = context;
  if (!context.onPullRequest) return null;
  const [pull, heads] = await Promise.all([context.pull(), parts.store.heads.of(event.repository.id, event.number)]);
  const found = [...new Set([pull.sha, ...heads.map((head) => head.sha)])].filter((sha) => sha.startsWith(digits));
  if (found.length > 1) {
    throw new UserError(`More than one commit of this pull request begins with ${digits}: name all of it.`);
  }
  const [sha] = found;
  if (sha === undefined) return null;
  // Of a fork's commit may still be known that it was merged.
  return (await refusePull(context, pull)) === null ? commitOf(pull, sha) : null;
}

type Place = Pick<Commit, 'sha' | 'ref' | 'branch' | 'tag'>;

/** By a run that only who has write permission could cause. A deployment isn't asked: it was asked for by a name, too. */
async function bySeenRun({ parts, event }: Context, sha: string): Promise<Place | null> {
  const runs = await parts.store.runs.ofCommit(event.repository.id, sha);
  for (const run of runs) {
    const { trigger } = run;
    const ours = trigger.kind === 'push' || trigger.kind === 'tag' || trigger.kind === 'merge_group';
    const trusted = trigger.kind === 'pull_request' && !trigger.fork && run.trust !== null && !isStrange(run);
    if (ours || trusted) return { sha, ref: trigger.ref, ...nameOf(trigger) };
  }
  return null;
}

function nameOf(trigger: Trigger): Pick<Place, 'branch' | 'tag'> {
  if (trigger.kind === 'tag') return { branch: '', tag: trigger.tag };
  return { branch: trigger.kind === 'push' || trigger.kind === 'pull_request' ? trigger.branch : '' };
}

const mostBranches = 5;

/** By what the default branch, this pull request's own, or a branch that deploys holds. */
async function byBranches(context: Context, sha: string): Promise<Place | null> {
  const { repository } = context.event;
  const pull = context.onPullRequest ? await context.pull() : null;
  const own = pull !== null && pull.state === 'open' && (await refusePull(context, pull)) === null ? [pull.branch] : [];
  const branches = [...new Set([repository.defaultBranch, ...own, ...literal(await context.environments())])];
  for (const branch of branches.slice(0, mostBranches)) {
    if (await holds(context, branch, sha)) return { sha, ref: `refs/heads/${branch}`, branch };
  }
  return null;
}

function literal(environments: readonly EnvironmentSpec[]): readonly string[] {
  return environments.flatMap(({ on }) => on.branches.filter((pattern) => !/[*?[\\]/.test(pattern)));
}

/** True if the commit is on the branch; what GitHub can't tell doesn't count as so. */
async function holds({ parts, event }: Context, branch: string, sha: string): Promise<boolean> {
  try {
    return (await parts.forge.compare(event.repository, branch, sha)).ahead === 0;
  } catch (error) {
    parts.log.warn({ err: error, branch, sha }, 'could not find out whether a branch holds a commit');
    return false;
  }
}

/** A branch or tag, by its name or in full (`refs/tags/v1`). Nothing else has a name: `refs/pull/7/head` is a stranger's. */
async function byName(context: Context, ref: string): Promise<Commit> {
  const { parts, event } = context;
  const [, kind, name = ''] = /^(?:refs\/(heads|tags)\/)?([^]+)$/.exec(ref) ?? [];
  if (!isName(name)) throw new UserError(`${quoted(ref)} is no name of a branch, tag or commit.`);
  const signal = AbortSignal.timeout(deadlineMs);
  const resolve = async (folder: 'heads' | 'tags'): Promise<string | null> =>
    kind === undefined || kind === folder
      ? await parts.source.resolve(event.repository, `refs/${folder}/${name}`, signal)
      : null;
  const [branch, tag] = await Promise.all([resolve('heads'), resolve('tags')]);
  if (branch !== null && tag !== null && branch !== tag) {
    throw new UserError(
      `${quoted(name)} is a branch (\`${branch}\`) and a tag (\`${tag}\`): write \`refs/heads/${name}\` or \`refs/tags/${name}\`.`,
    );
  }
  const sha = tag ?? branch;
  if (sha === null) {
    const least = /^[0-9a-f]{1,6}$/i.test(ref) ? ' Of a commit, name at least 7 digits.' : '';
    throw new UserError(
      `${event.repository.owner}/${event.repository.name} has no branch, tag or commit ${quoted(ref)}.${least}`,
    );
  }
  const at = tag === null ? `refs/heads/${name}` : `refs/tags/${name}`;
  await refuseMoved(context, { name, at, sha });
  const title = await titleOf(context, { sha, ref: at });
  return tag === null ? { sha, ref: at, branch: name, title } : { sha, ref: at, branch: '', tag: name, title };
}

/** UserError if the name was given to this commit after the comment was written, as far as Slipway was told: another was meant. */
async function refuseMoved(
  context: Context,
  { name, at, sha }: { readonly name: string; readonly at: string; readonly sha: string },
): Promise<void> {
  const { parts, event } = context;
  const pull = context.onPullRequest ? await context.pull() : null;
  if (pull?.state === 'open' && !pull.fork && at === `refs/heads/${pull.branch}`) {
    const head = await context.head();
    if (head.kind === 'moved') throw new UserError(`${movedText(head)} If that commit is meant, name it.`);
  }
  const runs = await parts.store.runs.ofCommit(event.repository.id, sha);
  // GitHub's times have whole seconds: what came in the comment's own may have come after it.
  const written = Math.floor(event.at / 1000) * 1000;
  if (!runs.some(({ trigger }) => trigger.ref === at && trigger.at !== undefined && trigger.at >= written)) return;
  throw new UserError(
    `${quoted(name)} was moved after your comment was written, or in the same second: it names \`${sha}\` now. If that commit is meant, name it.`,
  );
}

/** As git has it, so that nothing else gets into a command line or an address. */
function isName(name: string): boolean {
  if (name.length > 250 || /[\s\p{C}~^:?*[\\`]|\.\.|@\{|\/\/|\.lock(?:\/|$)/u.test(name)) return false;
  return !/^[-./@]$|^[-/.]|[/.]$|^refs\/|^pull\/\d+\/(?:head|merge)$/.test(name);
}

/** First line of the commit's message, or '': it is shown, and nothing depends on it. */
async function titleOf(
  { parts, event }: Context,
  commit: { readonly sha: string; readonly ref: string },
): Promise<string> {
  try {
    const message = await parts.source.message(event.repository, commit, AbortSignal.timeout(deadlineMs));
    return message.split(/\r?\n/, 1)[0] ?? '';
  } catch (error) {
    parts.log.warn({ err: error, sha: commit.sha }, 'could not read the message of a commit to be deployed');
    return '';
  }
}
