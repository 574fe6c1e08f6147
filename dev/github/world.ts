import type { KeyObject } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';

/** In the commits that GitHub makes. */
export const machineEmail = 'noreply@github.invalid';

export type Role = 'admin' | 'maintain' | 'write' | 'triage' | 'read' | 'none';
export type Permissions = Readonly<Record<string, 'read' | 'write'>>;
// oxlint-disable-next-line typescript/no-explicit-any -- bodies are checked against GitHub's description before they get here
export type Body = Record<string, any>;

export interface User {
  readonly id: number;
  readonly login: string;
  readonly type: 'User' | 'Organization' | 'Bot';
  /** Password for git, as a personal access token is. */
  readonly token: string;
}

export interface App {
  readonly id: number;
  readonly slug: string;
  readonly name: string;
  readonly owner: User;
  readonly bot: User;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly publicKey: KeyObject;
  /** PEM. */
  readonly privateKey: string;
  readonly permissions: Permissions;
  readonly events: readonly string[];
  readonly hook: { url: string | null; secret: string };
  readonly createdAt: number;
}

export interface Installation {
  readonly id: number;
  readonly app: App;
  readonly account: User;
  readonly createdAt: number;
}

export interface Token {
  readonly installation: Installation;
  readonly permissions: Permissions;
  /** Ids, or null for all of the installation's. */
  readonly repositories: ReadonlySet<number> | null;
  readonly expiresAt: number;
}

export interface Repo {
  readonly id: number;
  readonly owner: User;
  readonly name: string;
  readonly fullName: string;
  readonly private: boolean;
  readonly defaultBranch: string;
  /** Folder of the bare repository. */
  readonly path: string;
  readonly parent: Repo | null;
  readonly roles: Map<string, Role>;
  readonly pulls: Map<number, Pull>;
  readonly issues: Map<number, Issue>;
  readonly releases: Map<number, Release>;
  readonly comments: Map<number, Comment>;
  readonly suites: Map<number, CheckSuite>;
  readonly runs: Map<number, CheckRun>;
  readonly statuses: CommitStatus[];
  readonly deployments: Map<number, Deployment>;
  readonly createdAt: number;
  pushedAt: number;
  nextNumber: number;
}

export interface Pull {
  readonly id: number;
  readonly number: number;
  readonly user: User;
  readonly title: string;
  readonly body: string;
  readonly head: { readonly repo: Repo; readonly ref: string; sha: string };
  readonly base: { readonly ref: string; sha: string };
  readonly createdAt: number;
  draft: boolean;
  state: 'open' | 'closed';
  updatedAt: number;
  merged: { readonly at: number; readonly by: User; readonly sha: string } | null;
  /** The test merge of these two commits, once it is computed. */
  testMerge: { readonly of: string; readonly sha: string | null } | null;
}

/** One that is no pull request. */
export interface Issue {
  readonly id: number;
  readonly number: number;
  readonly user: User;
  readonly title: string;
  readonly body: string;
  readonly createdAt: number;
}

export interface Release {
  readonly id: number;
  readonly tag: string;
  readonly name: string;
  readonly body: string;
  readonly prerelease: boolean;
  readonly author: User;
  readonly createdAt: number;
}

export interface Comment {
  readonly id: number;
  readonly number: number;
  readonly user: User;
  readonly app: App | null;
  readonly createdAt: number;
  readonly reactions: Reaction[];
  body: string;
  updatedAt: number;
}

export interface Reaction {
  readonly id: number;
  readonly content: string;
  readonly user: User;
  readonly createdAt: number;
}

export interface CheckSuite {
  readonly id: number;
  readonly app: App;
  readonly headSha: string;
  readonly headBranch: string | null;
  readonly createdAt: number;
}

export interface CheckRun {
  readonly id: number;
  readonly suite: CheckSuite;
  readonly headSha: string;
  name: string;
  externalId: string;
  detailsUrl: string | null;
  status: 'queued' | 'in_progress' | 'completed';
  conclusion: string | null;
  startedAt: string | null;
  completedAt: string | null;
  title: string | null;
  summary: string | null;
  text: string | null;
  actions: readonly Body[];
  readonly annotations: Body[];
}

export interface CommitStatus {
  readonly id: number;
  readonly sha: string;
  readonly context: string;
  readonly state: string;
  readonly description: string | null;
  readonly targetUrl: string | null;
  readonly creator: User;
  readonly createdAt: number;
}

export interface DeploymentStatus {
  readonly id: number;
  readonly state: string;
  readonly description: string;
  readonly logUrl: string;
  readonly environmentUrl: string;
  readonly environment: string;
  readonly creator: User;
  readonly createdAt: number;
}

export interface Deployment {
  readonly id: number;
  readonly sha: string;
  readonly ref: string;
  readonly task: string;
  readonly environment: string;
  readonly description: string | null;
  readonly payload: unknown;
  readonly transient: boolean;
  readonly production: boolean;
  readonly creator: User;
  readonly app: App;
  readonly createdAt: number;
  readonly statuses: DeploymentStatus[];
}

/** Something that the real GitHub would have refused or not understood, or that it never would have sent. */
export interface Violation {
  readonly kind: 'unknown operation' | 'invalid request' | 'invalid response' | 'invalid webhook';
  readonly what: string;
  readonly details: readonly string[];
}

/** One request that was answered, for tests that count them. */
export interface Exchange {
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly operation: string | null;
  readonly status: number;
}

/** Everything that this GitHub knows. Repositories' contents are on disk, the rest is in memory. */
export class World {
  readonly home: string;
  readonly users = new Map<string, User>();
  readonly repos = new Map<string, Repo>();
  readonly apps = new Map<number, App>();
  readonly installations = new Map<number, Installation>();
  readonly tokens = new Map<string, Token>();
  /** Logins in small letters, by `organisation/team`. */
  readonly teams = new Map<string, Set<string>>();
  /** `owner/name refs/heads/main`, in small letters: nothing is pushed there but by pull requests. */
  readonly protectedBranches = new Set<string>();
  /** Apps whose manifest was sent, by the code that their server exchanges once. */
  readonly manifests = new Map<string, App>();
  readonly violations: Violation[] = [];
  readonly exchanges: Exchange[] = [];
  readonly changes = new EventEmitter();
  /** Address without a slash at the end, known once the server listens. */
  url = '';
  #lastId = 2 ** 32 + 1_000_000;

  constructor(home: string) {
    this.home = home;
    this.changes.setMaxListeners(0);
  }

  /** Ids are larger than 32 bits, as GitHub's now are. */
  id(): number {
    this.#lastId += 7;
    return this.#lastId;
  }

  /** Wakes those who wait for something to have happened. */
  changed(): void {
    this.changes.emit('change');
  }

  /** The user of that login; made if there is none. */
  user(login: string, type: User['type'] = 'User'): User {
    const known = this.users.get(login.toLowerCase());
    if (known) return known;
    const user = { id: this.id(), login, type, token: `ghp_${randomBytes(18).toString('hex')}` };
    this.users.set(login.toLowerCase(), user);
    return user;
  }

  /** Whose commits those with this address are: `ada@...` are ada's, and what GitHub itself commits is web-flow's. */
  userOf(email: string): User | null {
    if (email === machineEmail) return this.user('web-flow');
    const login = email.split('@', 1)[0]?.replace(/^\d+\+/, '') ?? '';
    return this.users.get(login.toLowerCase()) ?? null;
  }

  repo(fullName: string): Repo {
    const repo = this.repos.get(fullName.toLowerCase());
    if (!repo) throw new Error(`There is no repository ${fullName}.`);
    return repo;
  }

  /** The role that someone has: given, or by owning it, or what everybody has on a public repository. */
  role(repo: Repo, login: string): Role {
    const given = repo.roles.get(login.toLowerCase());
    if (given) return given;
    if (repo.owner.login.toLowerCase() === login.toLowerCase()) return 'admin';
    return repo.private ? 'none' : 'read';
  }

  installationsOf(repo: Repo): Installation[] {
    return [...this.installations.values()].filter(({ account }) => account.id === repo.owner.id);
  }
}

/** Time as GitHub writes it: ISO 8601 in whole seconds. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
