import { nothingDeploys } from '#src/adapters/fake/nothing.ts';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { openDockerParts } from '#src/adapters/docker/index.ts';
import { openFolderSource } from '#src/adapters/git/folder.ts';
import { openLogs } from '#src/adapters/logs/logs.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { openPolicy } from '#src/engine/policy.ts';
import { createEngine } from '#src/engine/engine.ts';
import type { Cluster, Policy, Secrets } from '#src/engine/ports.ts';
import type { Forge } from '#src/engine/ports-forge.ts';
import { formatDiagnostic } from '#src/model/diagnostic.ts';
import type { Trigger } from '#src/model/event.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { HostAccess } from '#src/model/pipeline.ts';
import type { Plan, PlannedJob } from '#src/model/plan.ts';
import { readSettings, type Settings } from '#src/settings.ts';
import { exitCode, summary } from './display.ts';
import { localRepository } from './local.ts';
import { shellSecrets } from './shell-secrets.ts';
import { terminalReporter } from './terminal.ts';

export interface RunOptions {
  readonly directory: string;
  /** Ids or keys; empty: all. */
  readonly jobs: readonly string[];
  readonly event: 'push' | 'pull_request' | 'tag';
  readonly ref: string | null;
  /** Variables of the shell that jobs may have as secrets. */
  readonly secrets: readonly string[];
  /** Jobs may have what they ask for of this machine: privilege, its network, devices, folders. */
  readonly allowHost: boolean;
}

/**
 * Runs the pipeline of a folder by the server's own engine, without GitHub: images are built but not pushed, and
 * nothing is deployed. Resolves with the exit code: 0 passed, 1 failed, 2 the platform failed.
 */
export async function run(options: RunOptions): Promise<number> {
  const settings = readSettings();
  const secrets = shellSecrets(options.secrets, process.env);
  const home = await mkdtemp(join(tmpdir(), 'slipway-run-'));
  try {
    return await runIn(home, options, settings, secrets);
  } finally {
    await rm(home, { recursive: true, force: true }).catch((error: unknown) => {
      console.error(`slipway: ${home} could not be removed: ${String(error)}`);
    });
  }
}

async function runIn(home: string, options: RunOptions, settings: Settings, secrets: Secrets): Promise<number> {
  const clock = { now: Date.now };
  const logger = pino({ level: settings.LOG_LEVEL === 'info' ? 'silent' : settings.LOG_LEVEL }, pino.destination(2));
  const directory = resolve(options.directory);
  const source = await openFolderSource({ path: directory, env: gitEnvironment() });
  const docker = openDockerParts({
    dockerHost: settings.DOCKER_HOST,
    home,
    limits: { memory: settings.SLIPWAY_JOB_MEMORY, cpus: settings.SLIPWAY_JOB_CPUS },
    warm: 0,
    credentials: () => null,
    // What one runs oneself is no stranger's, and the machine's firewall is left alone.
    guard: null,
    reserve: null,
    logger,
    clock,
  });
  await docker.executor.ping();
  const store = await openStore({ path: ':memory:', clock });
  const logs = openLogs({ home });
  const columns = process.stdout.isTTY ? process.stdout.columns : null;
  const reporter = terminalReporter(store, logs, { write: (text) => process.stdout.write(text), columns }, clock.now);
  const engine = createEngine({
    source,
    executor: docker.executor,
    builder: docker.builder,
    cluster: unused('Kubernetes') as Cluster,
    ...nothingDeploys,
    reporter,
    forge: unused('GitHub') as Forge,
    logs,
    store,
    policy: localPolicy(options.allowHost),
    secrets,
    clock,
    log: logger,
    limits: {
      jobs: Math.max(2, Math.floor(totalmem() / 1024 ** 3)),
      worker: 'run',
      secrets: [],
      cancelSuperseded: false,
      // Somebody waits at the terminal, and can do it again.
      repeatsItself: false,
    },
    shortage: async () => null,
    runUrl: () => '',
    choose: (plan) => localPlan(plan, options.jobs),
  });
  const repository = localRepository(directory);
  const trigger = await localTrigger(options, directory, (ref) =>
    source.resolve(repository, ref, AbortSignal.timeout(60_000)),
  );
  const { run: stored } = await store.runs.create({ repository, trigger, pullRequest: null, at: clock.now() });
  const reason = 'Whoever runs it has it on their own machine.';
  await store.runs.trust(stored.id, { trusted: true, reason, approval: 'none', approvedBy: null, remarks: [] });
  let interrupts = 0;
  const interrupt = (): void => {
    interrupts += 1;
    if (interrupts > 1) process.exit(130);
    console.error('\nslipway: stopping (once more to leave at once)');
    void engine.cancel(stored.id, { reason: 'Interrupted.', by: 'person' });
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    await engine.start({ alone: true });
    await engine.completed(stored.id);
    await reporter.flush(5_000);
    const view = await store.runs.view(stored.id);
    if (view === null) return 2;
    for (const diagnostic of view.run.diagnostics) console.error(formatDiagnostic(diagnostic));
    console.log(summary(view, clock.now()).join('\n'));
    return interrupts > 0 ? 130 : exitCode(view);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    reporter.close();
    await engine.stop();
    await docker.executor.close();
    await store.close();
  }
}

/**
 * The folder may be somebody else's: what its pipeline asks for of the machine, it gets only if whoever runs it says so.
 */
export function localPolicy(allowHost: boolean): Policy {
  if (allowHost) return openPolicy();
  return openPolicy({
    refuseAccess(_, access) {
      const asked = hostThings(access);
      if (asked.length === 0) return null;
      return `The job asks for ${asked.join(', ')} of this machine: with it, it can do there what it likes. If you trust the pipeline, add --allow-host to "slipway run".`;
    },
  });
}

function hostThings({ privileged, network, devices, volumes }: HostAccess): readonly string[] {
  return [
    ...(privileged ? ['privileged: true'] : []),
    ...(network === 'host' ? ['network: host'] : []),
    ...devices.map((device) => `the device ${device}`),
    ...volumes.map(({ source }) => `the folder or volume ${source}`),
  ];
}

/** The chosen jobs and those they need. Images aren't pushed, and deployments say why they don't run. */
export function localPlan(plan: Plan, names: readonly string[]): Plan {
  const wanted = names.length === 0 ? plan.jobs : withNeeds(plan.jobs, names);
  return {
    ...plan,
    jobs: wanted.map((job): PlannedJob => {
      if (job.work.kind === 'image') return { ...job, work: { ...job.work, tags: [] } };
      const isLocal = job.work.kind === 'script' && job.heldBy === undefined;
      return isLocal ? job : { ...job, skip: '"slipway run" deploys nothing.' };
    }),
  };
}

function withNeeds(jobs: readonly PlannedJob[], names: readonly string[]): readonly PlannedJob[] {
  const keys = new Set<string>();
  for (const name of names) {
    const found = jobs.filter((job) => (job.id === name && job.heldBy === undefined) || job.key === name);
    if (found.length === 0) {
      throw new UserError(`There is no job "${name}". There are: ${jobs.map((job) => job.key).join(', ')}.`);
    }
    for (const job of found) keys.add(job.key);
  }
  for (let size = -1; size !== keys.size; ) {
    size = keys.size;
    for (const job of jobs) if (keys.has(job.key)) for (const need of job.needs) keys.add(need);
  }
  return jobs.filter((job) => keys.has(job.key));
}

async function localTrigger(
  options: RunOptions,
  directory: string,
  resolveRef: (ref: string) => Promise<string | null>,
): Promise<Trigger> {
  const branch = options.event === 'tag' ? '' : (options.ref ?? (await currentBranch(directory)));
  const base = { sha: (await resolveRef('HEAD')) ?? '0'.repeat(40), actor: process.env['USER'] ?? 'you', title: '' };
  switch (options.event) {
    case 'tag': {
      const tag = options.ref ?? 'v0.0.0';
      return { ...base, kind: 'tag', tag, ref: `refs/tags/${tag}` };
    }
    case 'pull_request':
      return { ...base, kind: 'pull_request', ref: 'HEAD', number: 1, branch, base: 'main', fork: false };
    case 'push':
      return { ...base, kind: 'push', ref: 'HEAD', branch };
  }
}

async function currentBranch(directory: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('git', ['symbolic-ref', '--short', 'HEAD'], { cwd: directory });
    return stdout.trim();
  } catch {
    return 'main';
  }
}

/** What git needs to find itself and the person's own ignore rules. */
function gitEnvironment(): Readonly<Record<string, string>> {
  return Object.fromEntries(['PATH', 'HOME'].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** A part that a run without GitHub never asks for. */
function unused(name: string): object {
  return new Proxy(
    {},
    {
      get: () => () => Promise.reject(new PlatformError(`"slipway run" has no ${name}.`)),
    },
  );
}
