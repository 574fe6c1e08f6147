import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerExecutorOptions } from '#src/adapters/docker/executor.ts';
import type { Ends, JobDocker, JobRequest } from '#src/engine/ports.ts';
import type { Outcome } from '#src/model/outcome.ts';
import { Root } from '#dev/images/root.ts';
import { jobRequest, never, told } from '#test/contracts/executor.ts';
import { bashImage, docker, type Site } from './docker.ts';

const run = promisify(execFile);

/** Every Docker client of this machine, newest first: its path and its version. */
async function clients(): Promise<readonly { readonly path: string; readonly version: string }[]> {
  const { stdout } = await run('/bin/sh', ['-c', 'which -a docker | xargs -n1 realpath | sort -u']);
  const found = await Promise.all(
    stdout
      .trim()
      .split('\n')
      .map(async (path) => ({ path, version: (await run(path, ['--version'])).stdout.trim() })),
  );
  if (found.length === 0) throw new Error('There is no Docker client on this machine: run script/bootstrap.');
  const major = (version: string) => Number(/version (\d+)/.exec(version)?.[1] ?? 0);
  return found.toSorted((a, b) => major(b.version) - major(a.version));
}

/**
 * bash, busybox, git and this machine's real Docker clients: `docker` is the newest, `docker20` the oldest (Debian's, which
 * has BuildKit inside; newer ones need a plugin for it).
 */
export async function dockerImage(): Promise<string> {
  const name = 'slipway-test/docker:latest';
  const found = await clients();
  const base = await docker.getImage(await bashImage()).inspect();
  const recipe = JSON.stringify([base.Id, ...found.map(({ version }) => version)]);
  const present = await docker
    .getImage(name)
    .inspect()
    .catch(() => null);
  if (present?.Config.Labels?.['dev.slipway.recipe'] === recipe) return name;
  const root = new Root();
  for (const [client, path] of [
    [found[0], '/usr/local/bin/docker'],
    [found.at(-1), '/usr/local/bin/docker20'],
  ] as const) {
    if (client) await program(root, client.path, path);
  }
  await program(root, (await run('/bin/sh', ['-c', 'command -v curl'])).stdout.trim(), '/usr/bin/curl');
  const container = await docker.createContainer({ Image: base.Id, Cmd: ['true'] });
  try {
    await container.putArchive(root.pack() as unknown as NodeJS.ReadableStream, { path: '/' });
    await container.commit({
      repo: name.split(':')[0],
      tag: 'latest',
      changes: `LABEL dev.slipway.recipe=${JSON.stringify(recipe)}`,
    });
  } finally {
    await container.remove();
  }
  return name;
}

async function program(root: Root, source: string, path: string): Promise<void> {
  const isStatic = await run('ldd', [source]).then(
    ({ stdout }) => stdout.includes('not a dynamic'),
    () => true,
  );
  if (isStatic) root.copy(source, path, 0o755);
  else root.program(source, path);
}

/** What the operator lets the jobs of the tests do. */
export function allowing(push: readonly string[] = [], registries: readonly string[] = []): JobDocker {
  return {
    refusePush: (image) =>
      push.some((start) => image.startsWith(start)) ? null : `The operator doesn't let acme/shop push to ${image}.`,
    mayUse: (registry) => registries.includes(registry),
  };
}

/** `say WORDS` and `told` mark what a test looks at; a step goes on after a command that fails. */
const WORDS = 'set +e +o pipefail; say() { echo "> $*"; }; told() { sed "s/^/> /"; }';

export function dockerJob(image: string, steps: readonly string[], more: Partial<JobRequest> = {}): JobRequest {
  const settings = { image, shell: 'bash', docker: allowing(), timeoutMs: 120_000 } as const;
  return jobRequest([WORDS, ...steps.map((step) => `${step}\n:`)], { ...settings, ...more });
}

export interface Ran {
  readonly outcome: Outcome;
  readonly log: string;
  /** What was said or told. */
  readonly lines: readonly string[];
}

/** Runs the job to its end, or goes on with it, and waits for the removal of what it made. */
export async function runJob(
  site: Site,
  job: JobRequest,
  options: Partial<DockerExecutorOptions> = {},
  ends: Ends = never,
  watch: (log: string) => void = () => {},
  how: 'run' | 'attach' = 'run',
): Promise<Ran> {
  const teller = told();
  const listener = {
    ...teller.listener,
    log(bytes: Buffer) {
      teller.listener.log(bytes);
      watch(teller.log());
    },
  };
  const executor = site.open(options);
  try {
    const result =
      how === 'run'
        ? await executor.run(job, Promise.resolve(site.tree), listener, ends)
        : await executor.attach(job, listener, ends);
    if (result === null) throw new Error('the job never began');
    const lines = teller.log().split('\n');
    const said = lines.filter((line) => line.startsWith('> ')).map((line) => line.slice(2));
    return { outcome: result.outcome, log: teller.log(), lines: said };
  } finally {
    await executor.close();
  }
}

/** What the steps said. Throws with the log if the job failed. */
export async function runSteps(site: Site, image: string, steps: readonly string[]): Promise<readonly string[]> {
  const { outcome, log, lines } = await runJob(site, dockerJob(image, steps));
  if (outcome.kind !== 'success') throw new Error(`${JSON.stringify(outcome)}\n${log}`);
  return lines;
}

/** Ids of images that there were before: what another test's death left is not this one's. */
const before = docker.listImages().then(
  (images) => new Set(images.map(({ Id }) => Id)),
  () => new Set<string>(),
);

/** Everything on the engine that carries this installation's label, and every name of a job's image. */
export async function leftovers(site: Site): Promise<readonly string[]> {
  const home = await readFile(join(site.home, 'installation'), 'utf8').catch(() => 'none yet');
  const filters = { label: [`slipway.home=${home}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  const { Volumes } = await docker.listVolumes({ filters });
  const images = await docker.listImages({ filters });
  const own = `slipway.local/${createHash('sha256').update(home).digest('hex').slice(0, 12)}/`;
  const found = await docker.listImages();
  const tags = found.flatMap(({ RepoTags }) => RepoTags ?? []);
  // What a push left: nobody gave it a name.
  const old = await before;
  const pushed = found.filter(({ Id, RepoTags, RepoDigests }) => {
    if (old.has(Id)) return false;
    const named = (RepoTags ?? []).some((tag) => !tag.startsWith('<none>'));
    return (
      !named &&
      (RepoDigests ?? []).some((digest) => /^127\.0\.0\.1:\d+\/acme\/(kept|login|closed|pushed)@/.test(digest))
    );
  });
  return [
    ...containers.map(({ Names }) => Names[0] ?? ''),
    ...networks.map(({ Name }) => Name),
    ...Volumes.map(({ Name }) => Name),
    ...images.map(({ Id }) => Id),
    ...tags.filter((tag) => tag.startsWith(own)),
    ...pushed.flatMap(({ RepoDigests }) => RepoDigests ?? []),
  ];
}
