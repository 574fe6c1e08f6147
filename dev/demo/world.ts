import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { type GitHub, startGitHub } from '#dev/github/index.ts';
import type { App } from '#dev/github/world.ts';
import { ensureImage } from '#dev/images/index.ts';
import { startProcess } from '#dev/processes.ts';
import { freePort } from '#dev/ports.ts';
import { accounts, type Registry, startRegistry } from '#dev/registry.ts';
import { registerSlipway, serverProgram } from '#dev/slipway.ts';
import { type DemoCluster, openCluster } from './cluster.ts';

/** Everything that the story needs, started. */
export interface World extends AsyncDisposable {
  readonly github: GitHub;
  readonly app: App;
  readonly registry: Registry;
  readonly cluster: DemoCluster;
  /** Address of Slipway's pages. */
  readonly slipway: string;
  /** Token of Slipway's home page. */
  readonly token: string;
  /** Folder for working copies. */
  readonly folder: string;
  /** The end of what the server logged. */
  serverLog(): string;
}

/**
 * Starts a small GitHub, a registry, a cluster (the one of `kubeconfig`, otherwise a stand-in) and the server as a
 * process of its own, wired as an operator would. Disposing ends all of it and removes its files.
 */
export async function startWorld(options: {
  readonly kubeconfig: string | null;
  readonly logLevel?: string;
}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'slipway-demo-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await ensureImage('slipway-dev/node');
  const registry = stack.use(await startRegistry(accounts.anchor));
  stack.defer(() => removeImages(registry.host));
  const cluster = stack.use(await openCluster(options.kubeconfig, folder, { host: registry.host, ...accounts.anchor }));
  const home = join(folder, 'github');
  await mkdir(home);
  const github = await startGitHub({ home });
  stack.defer(() => github.close());

  const port = await freePort();
  const { app, env } = await registerSlipway(github, { port, home: join(folder, 'slipway') });
  const token = randomBytes(16).toString('hex');
  const server = await startProcess(process.execPath, [serverProgram], {
    ready: /"msg":"listening"/,
    deadlineMs: 60_000,
    cwd: folder,
    env: {
      ...env,
      SLIPWAY_CONFIG: await operatorFile(folder, registry),
      SLIPWAY_TOKEN: token,
      KUBECONFIG: cluster.kubeconfig,
      LOG_LEVEL: options.logLevel ?? 'info',
    },
  });
  stack.defer(() => server.stop());
  const owned = stack.move();
  return {
    github,
    app,
    registry,
    cluster,
    slipway: `http://127.0.0.1:${port}`,
    token,
    folder,
    serverLog: () => server.tail(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function operatorFile(folder: string, registry: Registry): Promise<string> {
  const file = join(folder, 'operator.yml');
  const { username, password } = accounts.anchor;
  await writeFile(
    file,
    `registries:
  "${registry.host}": { username: ${username}, password: ${password} }
repositories:
  acme/shop:
    push: ["${registry.host}/acme/shop"]
    rollout:
      - { namespace: shop-staging }
      - { namespace: shop }
`,
    { mode: 0o600 },
  );
  return file;
}

/** Removes what was built for a registry that is gone. */
async function removeImages(host: string): Promise<void> {
  const docker = new Docker();
  const images = await docker.listImages({ filters: { reference: [`${host}/*/*`] } });
  for (const name of images.flatMap((image) => [...(image.RepoTags ?? []), ...(image.RepoDigests ?? [])])) {
    await docker
      .getImage(name)
      .remove({ force: true })
      .catch(() => {});
  }
}
