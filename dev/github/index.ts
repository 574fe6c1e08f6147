import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AppOptions, install, registerApp } from './apps.ts';
import { type FaultHook, Front } from './front.ts';
import { Limits } from './limits.ts';
import { People } from './people.ts';
import { Webhooks } from './webhooks.ts';
import { World } from './world.ts';
import type { App, CheckRun, Comment, Deployment, Installation, Repo, Violation } from './world.ts';

export interface GitHubOptions {
  /** 0 or absent: a free one. */
  readonly port?: number;
  /** Folder for the bare repositories; it must exist. */
  readonly home: string;
}

/** A GitHub on this machine. */
export interface GitHub {
  /** Address without a slash at the end. REST is below /api/v3, git at /OWNER/NAME.git, pages at /OWNER/NAME. */
  readonly url: string;
  /** `127.0.0.1:PORT`, for GHE_HOST. */
  readonly host: string;
  readonly world: World;
  /** What the real GitHub would not have taken, or sent; a run in which all is well leaves it empty. */
  readonly violations: readonly Violation[];
  readonly webhooks: Webhooks;
  readonly limits: Limits;
  /** What people do. */
  readonly people: People;
  /** Called for every request; what it answers happens instead of (or, for `lost`, after) the answer. */
  faults: FaultHook | null;
  /** Registers an App. Deliveries go to its webhook, which may be changed later (`app.hook.url`). */
  registerApp(options: AppOptions): App;
  /** Installs an App on all repositories of an account, present and future, and tells it so. */
  install(app: App, account: string): Installation;
  /** Address that somebody may push to, with their token in it. */
  pushUrl(fullName: string, login: string): string;
  /** The newest check run of each name for a commit. */
  checkRuns(fullName: string, sha: string): CheckRun[];
  deployments(fullName: string): Deployment[];
  comments(fullName: string, number: number): Comment[];
  /** Resolves with the first answer of `look` that isn't null, undefined or false; rejects with `what` after `ms`. */
  waitFor<T>(what: string, look: () => T | null | undefined | false, ms?: number): Promise<T>;
  /** Ends everything: connections, deliveries under way, git. */
  close(): Promise<void>;
}

export async function startGitHub(options: GitHubOptions): Promise<GitHub> {
  const world = new World(options.home);
  const webhooks = new Webhooks(world);
  const limits = new Limits();
  const hub = { world, webhooks };
  const front = new Front(hub, limits);
  const server = createServer((request, response) => {
    void front.serve(request, response);
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  world.url = `http://${host}`;
  return {
    url: world.url,
    host,
    world,
    violations: world.violations,
    webhooks,
    limits,
    people: new People(hub),
    get faults() {
      return front.faults;
    },
    set faults(hook) {
      front.faults = hook;
    },
    registerApp: (app) => registerApp(world, app),
    install: (app, account) => install(hub, app, world.user(account)),
    pushUrl: (fullName, login) => {
      const url = new URL(`${world.url}/${fullName}.git`);
      url.username = login;
      url.password = world.user(login).token;
      return url.href;
    },
    checkRuns: (fullName, sha) => newestRuns(world.repo(fullName), sha),
    deployments: (fullName) => [...world.repo(fullName).deployments.values()],
    comments: (fullName, number) =>
      [...world.repo(fullName).comments.values()].filter((each) => each.number === number),
    waitFor: (what, look, ms = 30_000) => waitFor(world, what, look, ms),
    close: () => close(server, front, webhooks),
  };
}

function newestRuns(repo: Repo, sha: string): CheckRun[] {
  const runs = [...repo.runs.values()].filter(({ headSha }) => headSha === sha);
  return [...new Map(runs.map((run) => [run.name, run])).values()];
}

async function waitFor<T>(
  world: World,
  what: string,
  look: () => T | null | undefined | false,
  ms: number,
): Promise<T> {
  const deadline = AbortSignal.timeout(ms);
  for (;;) {
    const found = look();
    if (found !== null && found !== undefined && found !== false) return found;
    try {
      await once(world.changes, 'change', { signal: deadline });
    } catch {
      throw new Error(`Waited ${ms / 1000} s in vain for ${what}.`);
    }
  }
}

async function close(server: Server, front: Front, webhooks: Webhooks): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  front.close();
  await webhooks.close();
  await closed;
}
