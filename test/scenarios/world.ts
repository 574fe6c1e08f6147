import { nothingDeploys } from '#src/adapters/fake/nothing.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { FakeCanaries, type FakeCanariesOptions, fakeProbes } from '#src/adapters/fake/canaries.ts';
import { FakeCluster } from '#src/adapters/fake/cluster.ts';
import { type FakeScript, openFakeExecutor } from '#src/adapters/fake/executor.ts';
import { createFakeForge, type FakeForgeScript } from '#src/adapters/fake/forge.ts';
import { type FakeBuild, FakeImageBuilder } from '#src/adapters/fake/image-builder.ts';
import { createFakeReporter } from '#src/adapters/fake/reporter.ts';
import { fakeSecrets } from '#src/adapters/fake/secrets.ts';
import { openLogs } from '#src/adapters/logs/logs.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { createEngine } from '#src/engine/engine.ts';
import type { Parts } from '#src/engine/parts.ts';
import { openPolicy } from '#src/engine/policy.ts';
import type { Clock, Commit, Intake, Policy, Secrets, Source } from '#src/engine/ports.ts';
import type { BuildRequest } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import type { Event, PullRequestTrigger, PushTrigger, TagTrigger, Trigger } from '#src/model/event.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { reasonOf } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job, RunView } from '#src/model/run.ts';

export const repository: Repository = {
  id: 5_000_000_001,
  owner: 'acme',
  name: 'shop',
  defaultBranch: 'main',
  private: true,
  cloneUrl: 'https://github.example/acme/shop.git',
  installationId: 7,
};

/** Files of a commit by path, or what reading them throws. */
type Files = Readonly<Record<string, string>> | Error;

export interface ScenarioOptions {
  /** By commit. */
  readonly commits: Readonly<Record<string, Files>>;
  /** Commit by ref. */
  readonly refs?: Readonly<Record<string, string>>;
  readonly messages?: Readonly<Record<string, string>>;
  readonly script?: FakeScript;
  readonly build?: (request: BuildRequest) => FakeBuild;
  readonly forge?: FakeForgeScript;
  readonly cluster?: ConstructorParameters<typeof FakeCluster>[0];
  /** A cluster in which workloads can be copied and scaled, in place of `cluster`; and what its addresses answer. */
  readonly canaries?: FakeCanariesOptions;
  readonly probes?: Parameters<typeof fakeProbes>[0];
  /** In place of the fakes, or of what refuses everything. */
  readonly parts?: Partial<Parts>;
  readonly refusePush?: string;
  readonly refuseRollout?: string;
  readonly jobs?: number;
  readonly policy?: Partial<Policy>;
  readonly secrets?: Secrets;
  /** What every call of the executor throws, from the start. */
  readonly executorFailure?: PlatformError;
  /** A database of an earlier server. */
  readonly database?: string;
  readonly worker?: string;
  /** What the platform spoiled is tried again, after its pauses. */
  readonly repeatsItself?: boolean;
  /** Stands between the engine and its store. */
  readonly store?: (store: Store) => Store;
  /** Default: true. */
  readonly cancelSuperseded?: boolean;
  /** Why no job may begin. */
  readonly shortage?: string;
  /** Default: the real one. */
  readonly clock?: Clock;
}

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** The whole engine on fakes, with the real store and logs. */
export async function scenario(options: ScenarioOptions) {
  const home = mkdtempSync(join(tmpdir(), 'slipway-scenario-'));
  cleanups.push(() => rmSync(home, { recursive: true, force: true }));
  const clock = options.clock ?? { now: Date.now };
  /** Commits by the refs of the tags that were pushed. */
  const tags = new Map<string, string>();
  const opened = await openStore({ path: options.database ?? ':memory:', clock });
  const store = options.store?.(opened) ?? opened;
  const executor = openFakeExecutor(options.script);
  executor.failure = options.executorFailure ?? null;
  const builder = new FakeImageBuilder(options.build);
  const forge = createFakeForge({ ...options.forge, roles: { ada: 'write', ...options.forge?.roles } });
  const cluster = new FakeCluster(options.cluster ?? { workloads: [], behave: () => [], sleep: async () => {} });
  const canaries = options.canaries ? new FakeCanaries(options.canaries) : null;
  const reporter = createFakeReporter();
  const logs = openLogs({ home });
  const parts: Parts = {
    source: fakeSource(options, tags),
    executor,
    builder,
    cluster,
    ...nothingDeploys,
    ...(canaries ? { cluster: canaries, canaries, probes: fakeProbes(options.probes ?? {}) } : {}),
    reporter,
    forge,
    logs,
    store,
    policy: openPolicy({
      refusePush: () => options.refusePush ?? null,
      refuseRollout: () => options.refuseRollout ?? null,
      ...options.policy,
    }),
    secrets: options.secrets ?? fakeSecrets(),
    clock,
    log: { info() {}, warn() {}, error() {} },
    limits: {
      jobs: options.jobs ?? 4,
      worker: options.worker ?? 'test',
      secrets: [],
      cancelSuperseded: options.cancelSuperseded ?? true,
      repeatsItself: options.repeatsItself ?? false,
    },
    shortage: async () => options.shortage ?? null,
    runUrl: (run) => `https://slipway.example/runs/${run.id}`,
    ...options.parts,
  };
  const engine = createEngine(parts);
  let open = true;
  async function close(): Promise<void> {
    if (!open) return;
    open = false;
    await engine.stop();
    await store.close();
  }
  cleanups.push(close);
  await engine.start({ alone: true });

  const intake: Intake = async (event, later) => {
    if (event.kind === 'trigger' && event.trigger.kind === 'tag') tags.set(event.trigger.ref, event.trigger.sha);
    return await engine.intake(event, later);
  };

  return {
    engine: { ...engine, intake },
    parts,
    store,
    executor,
    builder,
    forge,
    cluster,
    canaries,
    reporter,
    close,
    /** What the job's log holds. */
    async logOf(job: Job): Promise<string> {
      return (await logs.read({ jobId: job.id, attempt: job.attempt }, 0)).toString();
    },
    /** Takes the event and waits until its run is completed; answers with the run. */
    async play(event: Event): Promise<RunView> {
      const result = await intake(event);
      const id = /run (\w+)/i.exec(result)?.[1];
      if (id === undefined) throw new Error(`The event made no run: ${result}`);
      await engine.completed(id);
      const view = await store.runs.view(id);
      if (view === null) throw new Error('The run is gone.');
      return view;
    },
  };
}

/** `{ lint: 'success', test: 'failure: ...' }` */
export function outcomes(view: RunView): Readonly<Record<string, string>> {
  return Object.fromEntries(
    view.jobs.map(({ plan, outcome }) => {
      const reason = outcome === null ? '' : reasonOf(outcome);
      return [plan.key, reason === '' ? (outcome?.kind ?? 'none') : `${outcome?.kind}: ${reason}`];
    }),
  );
}

export function trigger(given: Trigger): Event {
  return { kind: 'trigger', repository, trigger: given };
}

export function push(sha: string, branch = 'main'): PushTrigger {
  return { kind: 'push', sha, branch, ref: `refs/heads/${branch}`, actor: 'ada', title: 'A change' };
}

export function pullRequest(sha: string, change: Partial<PullRequestTrigger> = {}): PullRequestTrigger {
  return {
    kind: 'pull_request',
    sha,
    branch: 'feature',
    ref: 'refs/heads/feature',
    actor: 'ada',
    title: 'A change',
    number: 3,
    base: 'main',
    fork: false,
    author: { login: 'ada', bot: false },
    ...change,
  };
}

export function tag(sha: string, name = 'v1.0.0'): TagTrigger {
  return { kind: 'tag', sha, tag: name, ref: `refs/tags/${name}`, actor: 'ada', title: 'A change' };
}

function fakeSource(options: ScenarioOptions, tags: ReadonlyMap<string, string>): Source {
  function filesOf(commit: Commit): Readonly<Record<string, string>> {
    const files = options.commits[commit.sha];
    if (files === undefined) throw new PlatformError(`There is no commit ${commit.sha}.`);
    if (files instanceof Error) throw files;
    return files;
  }
  return {
    async resolve(_repository, ref) {
      return options.refs?.[ref] ?? tags.get(ref) ?? null;
    },
    async message(_repository, commit) {
      return options.messages?.[commit.sha] ?? 'A change';
    },
    async list(_repository, commit) {
      return Object.keys(filesOf(commit));
    },
    async read(_repository, commit, paths) {
      const files = filesOf(commit);
      return new Map(paths.map((path) => [path, files[path] ?? null]));
    },
    async tree(_repository, commit) {
      filesOf(commit);
      return { path: '/nowhere', [Symbol.asyncDispose]: async () => {} };
    },
  };
}
