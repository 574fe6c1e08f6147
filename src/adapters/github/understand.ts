import { z } from 'zod';
import { type Event, nobody, type PullRequestTrigger, type TagTrigger } from '#src/model/event.ts';
import type { Repository } from '#src/model/repository.ts';

/** A pushed tag whose payload doesn't tell the commit behind it: `refs/tags/x` must be resolved first. */
export interface TagToResolve {
  readonly kind: 'tag_to_resolve';
  readonly repository: Repository;
  readonly trigger: Omit<TagTrigger, 'sha'>;
}

export type Understood = Event | TagToResolve;

/**
 * What a delivery means. Pure: `name` is X-GitHub-Event, `payload` the parsed body, `appId` our own App.
 * An event that isn't for us is `ignored` with the reason. Throws ZodError if a payload lacks what GitHub documents.
 */
export function understand(name: string, payload: unknown, appId: number): Understood {
  const handler = isHandled(name) ? handlers[name] : null;
  return handler ? handler(payload, appId) : ignored(`Slipway doesn't use the event "${name}".`);
}

const handlers = {
  push: onPush,
  pull_request: onPullRequest,
  merge_group: onMergeGroup,
  check_run: onCheckRun,
  check_suite: onCheckSuite,
  issue_comment: onComment,
  release: onRelease,
  installation: onInstallation,
  installation_repositories: onInstallation,
  ping: onPing,
};

/** Events that have a handler here; all others are stored and ignored. */
export const handledEvents = Object.keys(handlers) as readonly (keyof typeof handlers)[];

export function isHandled(name: string): name is keyof typeof handlers {
  return Object.hasOwn(handlers, name);
}

const pullRequestActions: readonly string[] = ['opened', 'synchronize', 'reopened', 'ready_for_review'];

/** Actions of events that have them; of all others, every delivery may be of use. */
const usedActions: Readonly<Record<string, readonly string[]>> = {
  pull_request: [...pullRequestActions, 'closed'],
  merge_group: ['checks_requested'],
  check_run: ['rerequested', 'requested_action'],
  check_suite: ['rerequested'],
  issue_comment: ['created'],
  release: ['published'],
  ping: [],
};

/** False if a delivery of this event and action would be ignored whatever it says. */
export function isOfUse(event: string, action: string | null): boolean {
  return isHandled(event) && (usedActions[event]?.includes(action ?? '') ?? true);
}

/** Prefix of the external id of a check run that speaks for a whole run, not for one job. */
export const runPrefix = 'run:';

const id = z.number().int();
const sha = z.string().regex(/^[0-9a-f]{40,64}$/);
const ref = z.string().startsWith('refs/');
const account = z.object({ login: z.string(), type: z.string().optional() });
/** A repository as GitHub shows it, as far as it is used. */
export const shownRepository = z.object({
  id,
  name: z.string(),
  owner: z.object({ login: z.string().optional(), name: z.string().nullish() }),
  default_branch: z.string(),
  private: z.boolean(),
  clone_url: z.string(),
  // Seconds in a push, text elsewhere.
  pushed_at: z.union([z.number(), z.string()]).nullish().catch(null),
});
const base = z.object({
  repository: shownRepository,
  installation: z.object({ id }).nullish(),
  sender: account,
});
const headCommit = z.object({ id: sha, message: z.string() });

const push = base.extend({
  ref,
  before: sha,
  after: sha,
  deleted: z.boolean().optional(),
  head_commit: headCommit.nullish(),
});

/** Branches that GitHub makes for a merge queue; their commits arrive as merge_group too. */
export const mergeQueue = 'refs/heads/gh-readonly-queue/';

function onPush(raw: unknown): Understood {
  const payload = push.parse(raw);
  const name = payload.ref.replace(/^refs\/(heads|tags)\//, '');
  const commit = payload.head_commit;
  if (payload.deleted || /^0+$/.test(payload.after)) return ignored(`${payload.ref} was deleted.`);
  if (payload.ref.startsWith(mergeQueue)) return ignored('A merge queue is built by its merge_group event.');
  if (payload.before === payload.after) return ignored(`The push left ${payload.ref} where it was.`);
  const common = { ref: payload.ref, actor: payload.sender.login, ...timeOf(payload.repository.pushed_at) };
  const repository = repositoryOf(payload);
  if (payload.ref.startsWith('refs/tags/')) {
    const trigger = { ...common, kind: 'tag' as const, tag: name, title: commit ? firstLine(commit.message) : name };
    // `after` of an annotated tag is the tag object; head_commit is the commit behind it.
    if (!commit) return { kind: 'tag_to_resolve', repository, trigger };
    return { kind: 'trigger', repository, trigger: { ...trigger, sha: commit.id } };
  }
  if (!payload.ref.startsWith('refs/heads/')) return ignored(`${payload.ref} is neither a branch nor a tag.`);
  if (!commit) return ignored(`The push to ${payload.ref} has no commit.`);
  return {
    kind: 'trigger',
    repository,
    trigger: { ...common, kind: 'push', branch: name, sha: payload.after, title: firstLine(commit.message) },
  };
}

/** A pull request as GitHub shows it, as far as it is used. */
export const shownPull = z.object({
  number: id,
  title: z.string(),
  // Null of who has left GitHub.
  user: account.nullish(),
  updated_at: z.string().nullish().catch(null),
  head: z.object({ ref: z.string(), sha, repo: z.object({ id }).nullish() }),
  base: z.object({ ref: z.string(), repo: z.object({ id }) }),
});
const pullRequest = base.extend({ action: z.string(), number: id, pull_request: shownPull.omit({ number: true }) });

function onPullRequest(raw: unknown): Understood {
  const action = actionOf(raw);
  if (action !== 'closed' && !pullRequestActions.includes(action)) {
    return ignored(`Nothing is to be done for pull_request.${action}.`);
  }
  const payload = pullRequest.parse(raw);
  const repository = repositoryOf(payload);
  const { number, pull_request: it, sender } = payload;
  if (action === 'closed') return { kind: 'pull_request_closed', repository, number, ...timeOf(it.updated_at) };
  // Who opens it again, say, isn't who pushed to the fork while it was closed: that nobody tells.
  const pushed = action === 'opened' || action === 'synchronize';
  const actor = pushed || !isFork(it) ? sender.login : nobody;
  return { kind: 'trigger', repository, trigger: pullRequestTrigger({ ...it, number }, actor) };
}

/** What the head of a pull request, as GitHub shows it, is to be built for. */
export function pullRequestTrigger(it: z.infer<typeof shownPull>, actor: string): PullRequestTrigger {
  return {
    kind: 'pull_request',
    number: it.number,
    sha: it.head.sha,
    // The head of a fork can be fetched from the base repository, and only from there if the fork is private.
    ref: `refs/pull/${it.number}/head`,
    branch: it.head.ref,
    base: it.base.ref,
    fork: isFork(it),
    author: { login: it.user?.login ?? nobody, bot: it.user?.type === 'Bot' },
    actor,
    title: firstLine(it.title),
    ...timeOf(it.updated_at),
  };
}

/** A fork that was deleted is null: still a stranger's commit. */
export function isFork({ head, base }: Pick<z.infer<typeof shownPull>, 'head' | 'base'>): boolean {
  return head.repo?.id !== base.repo.id;
}

const mergeGroup = base.extend({
  action: z.string(),
  merge_group: z.object({
    head_sha: sha,
    head_ref: ref,
    base_ref: z.string(),
    head_commit: z.object({ message: z.string() }).nullish(),
  }),
});

function onMergeGroup(raw: unknown): Understood {
  const action = actionOf(raw);
  if (action !== 'checks_requested') return ignored(`Nothing is to be done for merge_group.${action}.`);
  const payload = mergeGroup.parse(raw);
  const group = payload.merge_group;
  return {
    kind: 'trigger',
    repository: repositoryOf(payload),
    trigger: {
      kind: 'merge_group',
      sha: group.head_sha,
      ref: group.head_ref,
      base: group.base_ref.replace(/^refs\/heads\//, ''),
      actor: payload.sender.login,
      title: firstLine(group.head_commit?.message ?? ''),
    },
  };
}

const app = z.object({ id }).nullish();
const checkRun = base.extend({
  check_run: z.object({ head_sha: sha, external_id: z.string().nullish(), app }),
  requested_action: z.object({ identifier: z.string() }).nullish(),
});

function onCheckRun(raw: unknown, appId: number): Understood {
  const action = actionOf(raw);
  if (action !== 'rerequested' && action !== 'requested_action') {
    return ignored(`Nothing is to be done for check_run.${action}.`);
  }
  const payload = checkRun.parse(raw);
  const run = payload.check_run;
  if (run.app?.id !== appId) return ignored("The check run is another App's.");
  const externalId = run.external_id ?? '';
  const common = { repository: repositoryOf(payload), sha: run.head_sha, actor: payload.sender.login };
  if (action === 'rerequested') {
    const whole = externalId === '' || externalId.startsWith(runPrefix);
    return { kind: 'rerun', ...common, externalId: whole ? null : externalId };
  }
  const identifier = payload.requested_action?.identifier ?? '';
  return {
    kind: 'button',
    ...common,
    externalId: externalId.startsWith(runPrefix) ? externalId.slice(runPrefix.length) : externalId,
    identifier,
  };
}

const checkSuite = base.extend({ check_suite: z.object({ head_sha: sha, app }) });

function onCheckSuite(raw: unknown, appId: number): Understood {
  const action = actionOf(raw);
  if (action !== 'rerequested') return ignored(`Nothing is to be done for check_suite.${action}.`);
  const payload = checkSuite.parse(raw);
  if (payload.check_suite.app?.id !== appId) return ignored("The check suite is another App's.");
  return {
    kind: 'rerun',
    repository: repositoryOf(payload),
    sha: payload.check_suite.head_sha,
    actor: payload.sender.login,
    externalId: null,
  };
}

const comment = base.extend({
  issue: z.object({ number: id, pull_request: z.unknown().optional() }),
  comment: z.object({
    id,
    body: z.string(),
    created_at: z.string(),
    user: account,
    performed_via_github_app: app,
  }),
});

function onComment(raw: unknown, appId: number): Understood {
  const action = actionOf(raw);
  if (action !== 'created') return ignored(`Nothing is to be done for issue_comment.${action}.`);
  const payload = comment.parse(raw);
  const said = payload.comment;
  if (said.performed_via_github_app?.id === appId) return ignored("The comment is Slipway's own.");
  if (said.user.type === 'Bot' || payload.sender.type === 'Bot') return ignored('The comment was written by a bot.');
  return {
    kind: 'comment',
    repository: repositoryOf(payload),
    number: payload.issue.number,
    onPullRequest: Boolean(payload.issue.pull_request),
    commentId: said.id,
    body: said.body,
    actor: said.user.login,
    at: Date.parse(said.created_at),
  };
}

const release = base.extend({
  release: z.object({
    id,
    tag_name: z.string().min(1),
    name: z.string().nullish(),
    draft: z.boolean(),
    prerelease: z.boolean(),
  }),
});

function onRelease(raw: unknown): Understood {
  const action = actionOf(raw);
  if (action !== 'published') return ignored(`Nothing is to be done for release.${action}.`);
  const payload = release.parse(raw);
  const it = payload.release;
  if (it.draft) return ignored('The release is a draft.');
  return {
    kind: 'release',
    repository: repositoryOf(payload),
    releaseId: it.id,
    tag: it.tag_name,
    name: firstLine(it.name ?? ''),
    prerelease: it.prerelease,
    actor: payload.sender.login,
  };
}

const installation = z.object({
  action: z.string(),
  // An enterprise has a slug where people and organisations have a login.
  installation: z.object({
    id,
    account: z.object({ login: z.string().optional(), slug: z.string().optional() }).nullish(),
  }),
});

function onInstallation(raw: unknown): Understood {
  const { action, installation: it } = installation.parse(raw);
  return {
    kind: 'installation',
    installationId: it.id,
    account: it.account?.login ?? it.account?.slug ?? '',
    change: action,
  };
}

function onPing(): Understood {
  return ignored('GitHub can reach Slipway.');
}

function ignored(reason: string): Event {
  return { kind: 'ignored', reason };
}

function actionOf(raw: unknown): string {
  return z.object({ action: z.string() }).parse(raw).action;
}

/** Seconds since the epoch or ISO 8601, as `at`; nothing where GitHub doesn't say. */
export function timeOf(time: number | string | null | undefined): { readonly at?: number } {
  const at = typeof time === 'number' ? time * 1000 : Date.parse(time ?? '');
  return Number.isNaN(at) ? {} : { at };
}

export function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}

function repositoryOf(payload: z.infer<typeof base>): Repository {
  return repositoryAs(payload.repository, payload.installation?.id ?? 0);
}

/** A repository as GitHub shows it, in our words. */
export function repositoryAs(shown: z.infer<typeof shownRepository>, installationId: number): Repository {
  return {
    id: shown.id,
    owner: shown.owner.login ?? shown.owner.name ?? '',
    name: shown.name,
    defaultBranch: shown.default_branch,
    private: shown.private,
    cloneUrl: shown.clone_url,
    installationId,
  };
}
