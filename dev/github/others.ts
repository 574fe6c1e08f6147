import { registerApp } from './apps.ts';
import { suiteFor } from './checks.ts';
import { plainIssue } from './comments.ts';
import { git, refs, revision } from './git.ts';
import type { Hub } from './pulls.ts';
import { received } from './receive.ts';
import { nodeId, simpleUser } from './views.ts';
import { isoTime } from './world.ts';
import type { App, Body, CheckRun, CommitStatus, Issue, Release, Repo, User, World } from './world.ts';

/** What other people and other Apps do beside pull requests: issues, releases, checks and statuses. */

export interface NewRelease {
  readonly tag: string;
  /** What the tag is put on if it isn't there: the default branch unless told. */
  readonly target?: string;
  readonly name?: string;
  readonly prerelease?: boolean;
  readonly by?: string;
}

export interface OthersCheck {
  /** Name of the App. */
  readonly app: string;
  readonly sha: string;
  readonly name: string;
  /** Null: it runs. */
  readonly conclusion: string | null;
}

export interface OthersStatus {
  readonly sha: string;
  readonly context: string;
  readonly state: 'error' | 'failure' | 'pending' | 'success';
  readonly by?: string;
}

export function openIssue({ world, webhooks }: Hub, repo: Repo, title: string, user: User): Issue {
  const issue: Issue = {
    id: world.id(),
    number: repo.nextNumber++,
    user,
    title,
    body: '',
    createdAt: Date.now(),
  };
  repo.issues.set(issue.number, issue);
  webhooks.repository(repo, 'issues', 'opened', user, { issue: plainIssue(world, repo, issue.number) });
  world.changed();
  return issue;
}

/** Publishes a release, and makes its tag if there is none: GitHub tells of both. */
export async function publishRelease(hub: Hub, repo: Repo, asked: NewRelease, author: User): Promise<Release> {
  const { world, webhooks } = hub;
  const target = asked.target ?? repo.defaultBranch;
  if (!(await revision(repo.path, `refs/tags/${asked.tag}`))) {
    const sha = await revision(repo.path, target);
    if (!sha) throw new Error(`There is no ${target} to release.`);
    const before = await refs(repo.path);
    await git(repo.path, 'update-ref', `refs/tags/${asked.tag}`, sha);
    await received(hub, repo, before, await refs(repo.path), author);
  }
  const release: Release = {
    id: world.id(),
    tag: asked.tag,
    name: asked.name ?? asked.tag,
    body: '',
    prerelease: asked.prerelease ?? false,
    author,
    createdAt: Date.now(),
  };
  repo.releases.set(release.id, release);
  for (const action of ['created', 'published', release.prerelease ? 'prereleased' : 'released']) {
    webhooks.repository(repo, 'release', action, author, { release: releaseView(world, repo, release, target) });
  }
  world.changed();
  return release;
}

/** A check run of another App, which is made when it is first named. One of the same name is changed. */
export function setCheck({ world }: Hub, repo: Repo, asked: OthersCheck): CheckRun {
  const suite = suiteFor(world, repo, otherApp(world, asked.app), asked.sha, null);
  const now = isoTime(Date.now());
  const known = [...repo.runs.values()].find((run) => run.suite.id === suite.id && run.name === asked.name);
  const run: CheckRun = known ?? {
    id: world.id(),
    suite,
    headSha: asked.sha,
    name: asked.name,
    externalId: '',
    detailsUrl: null,
    status: 'in_progress',
    conclusion: null,
    startedAt: now,
    completedAt: null,
    title: null,
    summary: null,
    text: null,
    actions: [],
    annotations: [],
  };
  run.status = asked.conclusion === null ? 'in_progress' : 'completed';
  run.conclusion = asked.conclusion;
  run.completedAt = asked.conclusion === null ? null : now;
  repo.runs.set(run.id, run);
  world.changed();
  return run;
}

export function setStatus({ world }: Hub, repo: Repo, asked: OthersStatus): CommitStatus {
  const status: CommitStatus = {
    id: world.id(),
    sha: asked.sha,
    context: asked.context,
    state: asked.state,
    description: null,
    targetUrl: null,
    creator: asked.by === undefined ? repo.owner : world.user(asked.by),
    createdAt: Date.now(),
  };
  repo.statuses.push(status);
  world.changed();
  return status;
}

function otherApp(world: World, name: string): App {
  const known = [...world.apps.values()].find((app) => app.name === name);
  return (
    known ??
    registerApp(world, { name, owner: 'others', permissions: { checks: 'write' }, webhook: { url: null, secret: '' } })
  );
}

function releaseView(world: World, repo: Repo, release: Release, target: string): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}`;
  const html = `${world.url}/${repo.fullName}/releases/tag/${release.tag}`;
  return {
    id: release.id,
    node_id: nodeId('RE', release.id),
    url: `${api}/releases/${release.id}`,
    html_url: html,
    assets_url: `${api}/releases/${release.id}/assets`,
    upload_url: `${api}/releases/${release.id}/assets{?name,label}`,
    tarball_url: `${api}/tarball/${release.tag}`,
    zipball_url: `${api}/zipball/${release.tag}`,
    tag_name: release.tag,
    target_commitish: target,
    name: release.name,
    body: release.body,
    draft: false,
    prerelease: release.prerelease,
    immutable: false,
    author: simpleUser(world, release.author),
    assets: [],
    created_at: isoTime(release.createdAt),
    published_at: isoTime(release.createdAt),
    updated_at: isoTime(release.createdAt),
  };
}
