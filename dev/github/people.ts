import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { announceRun, checkSuiteView } from './checks.ts';
import { addComment } from './comments.ts';
import { git, initBare, refs, revision } from './git.ts';
import {
  type NewRelease,
  openIssue,
  type OthersCheck,
  type OthersStatus,
  publishRelease,
  setCheck,
  setStatus,
} from './others.ts';
import { announcePull, type Hub, openPull, testMerge } from './pulls.ts';
import { closePull, received } from './receive.ts';
import type { CheckRun, CheckSuite, Comment, CommitStatus, Issue, Pull, Release, Repo, Role, User } from './world.ts';

export interface NewRepository {
  readonly owner: string;
  readonly name: string;
  readonly private?: boolean;
  readonly defaultBranch?: string;
}

export interface NewPull {
  readonly title: string;
  /** A branch, or `owner:branch` of a fork. */
  readonly head: string;
  /** The default branch unless told. */
  readonly base?: string;
  readonly body?: string;
  readonly draft?: boolean;
  /** Who opens it; the owner of the head's repository unless told. An App's login ends in `[bot]`. */
  readonly by?: string;
}

/** What people do on GitHub's pages. Repositories are named `owner/name`, people by their login. */
export class People {
  readonly #hub: Hub;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  async createRepository(asked: NewRepository): Promise<Repo> {
    return this.#make(asked, null);
  }

  /** A copy under another owner. The Apps of the original's owner have no access to it. */
  async forkRepository(fullName: string, owner: string): Promise<Repo> {
    const parent = this.#repo(fullName);
    const { name, defaultBranch } = parent;
    const fork = await this.#make({ owner, name, private: parent.private, defaultBranch }, parent);
    const copied = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'];
    await git(fork.path, 'fetch', '--quiet', parent.path, ...copied);
    return fork;
  }

  /** Gives somebody a role in a repository; `none` takes it away. The user is made if there is none. */
  setRole(fullName: string, login: string, role: Role): User {
    this.#repo(fullName).roles.set(login.toLowerCase(), role);
    return this.#hub.world.user(login);
  }

  /** Who is in a team (`organisation/slug`) from now on. */
  setTeam(team: string, logins: readonly string[]): void {
    this.#hub.world.teams.set(team.toLowerCase(), new Set(logins.map((login) => login.toLowerCase())));
    for (const login of logins) this.#hub.world.user(login);
  }

  /** Opens an issue; comments on it are made as on a pull request. */
  openIssue(fullName: string, title: string, by?: string): Issue {
    const repo = this.#repo(fullName);
    return openIssue(this.#hub, repo, title, this.#person(repo, by));
  }

  /** Publishes a release; its tag is made if it isn't there. */
  async publishRelease(fullName: string, asked: NewRelease): Promise<Release> {
    const repo = this.#repo(fullName);
    return publishRelease(this.#hub, repo, asked, this.#person(repo, asked.by));
  }

  /** Another App's check run on a commit is this from now on. */
  setCheck(fullName: string, asked: OthersCheck): CheckRun {
    return setCheck(this.#hub, this.#repo(fullName), asked);
  }

  /** Somebody sets a commit status. */
  setStatus(fullName: string, asked: OthersStatus): CommitStatus {
    return setStatus(this.#hub, this.#repo(fullName), asked);
  }

  async openPullRequest(fullName: string, asked: NewPull): Promise<Pull> {
    const repo = this.#repo(fullName);
    const [owner, branch] = asked.head.includes(':') ? asked.head.split(':', 2) : [repo.owner.login, asked.head];
    const from = this.#repo(`${owner}/${repo.name}`);
    const base = asked.base ?? repo.defaultBranch;
    const head = await revision(from.path, `refs/heads/${branch}`);
    const onto = await revision(repo.path, `refs/heads/${base}`);
    if (!head || !onto) throw new Error(`There is no branch ${head ? base : asked.head} to open a pull request with.`);
    return openPull(this.#hub, repo, {
      user: this.#hub.world.user(asked.by ?? from.owner.login, asked.by?.endsWith('[bot]') ? 'Bot' : 'User'),
      title: asked.title,
      body: asked.body ?? '',
      head: { repo: from, ref: branch ?? '', sha: head },
      base: { ref: base, sha: onto },
      draft: asked.draft ?? false,
    });
  }

  async readyForReview(fullName: string, number: number): Promise<void> {
    const { repo, pull } = this.#pull(fullName, number);
    pull.draft = false;
    await announcePull(this.#hub, repo, pull, 'ready_for_review', pull.user);
  }

  async closePullRequest(fullName: string, number: number, by?: string): Promise<void> {
    const { repo, pull } = this.#pull(fullName, number);
    await closePull(this.#hub, repo, pull, this.#person(repo, by), null);
  }

  async reopenPullRequest(fullName: string, number: number, by?: string): Promise<void> {
    const { repo, pull } = this.#pull(fullName, number);
    pull.state = 'open';
    await announcePull(this.#hub, repo, pull, 'reopened', this.#person(repo, by));
  }

  /** Merges with a merge commit and answers with its SHA. A conflict is an error. */
  async mergePullRequest(fullName: string, number: number, by?: string): Promise<string> {
    const { repo, pull } = this.#pull(fullName, number);
    const merge = await testMerge(repo, pull);
    if (!merge) throw new Error(`${fullName}#${number} can't be merged: it conflicts with ${pull.base.ref}.`);
    await this.#move(repo, `refs/heads/${pull.base.ref}`, merge, this.#person(repo, by));
    return merge;
  }

  /** Puts a pull request into the merge queue: a commit of its own, announced by merge_group and by a push. */
  async addToMergeQueue(
    fullName: string,
    number: number,
    by?: string,
  ): Promise<{ readonly ref: string; readonly sha: string }> {
    const { repo, pull } = this.#pull(fullName, number);
    const sha = await testMerge(repo, pull);
    const base = await revision(repo.path, `refs/heads/${pull.base.ref}`);
    if (!sha || !base) throw new Error(`${fullName}#${number} can't be merged: it conflicts with ${pull.base.ref}.`);
    const ref = `refs/heads/gh-readonly-queue/${pull.base.ref}/pr-${number}-${base}`;
    const sender = this.#person(repo, by);
    await this.#move(repo, ref, sha, sender);
    this.#hub.webhooks.repository(repo, 'merge_group', 'checks_requested', sender, {
      merge_group: {
        head_sha: sha,
        head_ref: ref,
        base_sha: base,
        base_ref: `refs/heads/${pull.base.ref}`,
        head_commit: await this.#mergeCommit(repo, sha),
      },
    });
    return { ref, sha };
  }

  comment(fullName: string, number: number, login: string, body: string): Comment {
    const user = this.#hub.world.user(login);
    return addComment(this.#hub, this.#repo(fullName), number, user, null, body);
  }

  /** "Re-run" on one check run. The run stays as it is until its App changes it. */
  rerunCheckRun(fullName: string, id: number, by?: string): void {
    const { repo, run } = this.#run(fullName, id);
    announceRun(this.#hub, repo, run, 'rerequested', this.#person(repo, by));
  }

  /** "Re-run failed checks" or "Re-run all checks": a suite's. */
  rerunCheckSuite(fullName: string, id: number, by?: string): void {
    const repo = this.#repo(fullName);
    const suite = repo.suites.get(id);
    if (!suite) throw new Error(`${fullName} has no check suite ${id}.`);
    this.#hub.webhooks.repository(repo, 'check_suite', 'rerequested', this.#person(repo, by), {
      check_suite: checkSuiteView(this.#hub.world, repo, suite),
    });
  }

  /** Presses a button of a completed check run. */
  pressButton(fullName: string, id: number, identifier: string, by?: string): void {
    const { repo, run } = this.#run(fullName, id);
    const there = run.status === 'completed' && run.actions.some((action) => action['identifier'] === identifier);
    if (!there) throw new Error(`The check run ${run.name} shows no button ${identifier}.`);
    const extra = { requested_action: { identifier } };
    announceRun(this.#hub, repo, run, 'requested_action', this.#person(repo, by), extra);
  }

  /** The suite of a commit. */
  suite(fullName: string, sha: string): CheckSuite | undefined {
    return [...this.#repo(fullName).suites.values()].find(({ headSha }) => headSha === sha);
  }

  async #make(asked: NewRepository, parent: Repo | null): Promise<Repo> {
    const { world } = this.#hub;
    const fullName = `${asked.owner}/${asked.name}`;
    if (world.repos.has(fullName.toLowerCase())) throw new Error(`There is a repository ${fullName} already.`);
    const path = join(world.home, asked.owner, `${asked.name}.git`);
    const defaultBranch = asked.defaultBranch ?? 'main';
    await rm(path, { recursive: true, force: true });
    await initBare(path, defaultBranch);
    const repo: Repo = {
      id: world.id(),
      owner: world.user(asked.owner),
      name: asked.name,
      fullName,
      private: asked.private ?? false,
      defaultBranch,
      path,
      parent,
      roles: new Map(),
      pulls: new Map(),
      issues: new Map(),
      releases: new Map(),
      comments: new Map(),
      suites: new Map(),
      runs: new Map(),
      statuses: [],
      deployments: new Map(),
      createdAt: Date.now(),
      pushedAt: Date.now(),
      nextNumber: 1,
    };
    world.repos.set(fullName.toLowerCase(), repo);
    return repo;
  }

  async #move(repo: Repo, ref: string, sha: string, sender: User): Promise<void> {
    const before = await refs(repo.path);
    await git(repo.path, 'update-ref', ref, sha);
    await received(this.#hub, repo, before, await refs(repo.path), sender);
  }

  async #mergeCommit(repo: Repo, sha: string): Promise<Record<string, unknown>> {
    const text = await git(repo.path, 'log', '-1', '--format=%T%x1f%cI%x1f%an%x1f%ae%x1f%s', sha);
    const [tree, timestamp, name, email, message] = text.trim().split('\x1f');
    return { id: sha, tree_id: tree, message, timestamp, author: { name, email }, committer: { name, email } };
  }

  #person(repo: Repo, login: string | undefined): User {
    return login === undefined ? repo.owner : this.#hub.world.user(login);
  }

  #repo(fullName: string): Repo {
    return this.#hub.world.repo(fullName);
  }

  #pull(fullName: string, number: number): { repo: Repo; pull: Pull } {
    const repo = this.#repo(fullName);
    const pull = repo.pulls.get(number);
    if (!pull) throw new Error(`There is no pull request ${fullName}#${number}.`);
    return { repo, pull };
  }

  #run(fullName: string, id: number): { repo: Repo; run: CheckRun } {
    const repo = this.#repo(fullName);
    const run = repo.runs.get(id);
    if (!run) throw new Error(`${fullName} has no check run ${id}.`);
    return { repo, run };
  }
}
