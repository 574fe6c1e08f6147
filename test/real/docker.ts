import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { type DockerExecutor, type DockerExecutorOptions, openDockerExecutor } from '#src/adapters/docker/executor.ts';
import { ensureImage } from '#dev/images/index.ts';
import { Root } from '#dev/images/root.ts';

export const docker = new Docker();

/** busybox, bash and git. */
export const bashImage = (): Promise<string> => ensureImage('slipway-dev/git');
export const busyboxImage = (): Promise<string> => ensureImage('slipway-dev/busybox');

/** This machine's dash, bash, coreutils, find, grep and GNU tar. */
export async function gnuImage(): Promise<string> {
  const root = new Root();
  root.folder('/tmp', 0o1777);
  for (const name of [
    'bash',
    'tar',
    'find',
    'grep',
    'sort',
    'cat',
    'ls',
    'sleep',
    'mkdir',
    'ln',
    'id',
    'chmod',
    'touch',
  ]) {
    root.program(await which(name), `/bin/${name}`);
  }
  root.program(await which('dash'), '/bin/sh');
  return importRoot('slipway-test/gnu', root, []);
}

/** The image `from` with another user or other settings, as a Dockerfile's instructions. */
export async function derivedImage(name: string, from: string, changes: readonly string[]): Promise<string> {
  const container = await docker.createContainer({ Image: from, Cmd: ['true'] });
  try {
    await container.commit({ repo: name, tag: 'latest', changes: changes.join('\n') });
  } finally {
    await container.remove();
  }
  return `${name}:latest`;
}

/** An image with one file and no shell. */
export async function emptyImage(): Promise<string> {
  const root = new Root();
  root.text('/readme', 'nothing here\n');
  return importRoot('slipway-test/empty', root, []);
}

async function which(program: string): Promise<string> {
  return (await promisify(execFile)('/bin/sh', ['-c', `command -v ${program}`])).stdout.trim();
}

export async function importRoot(name: string, root: Root, changes: readonly string[]): Promise<string> {
  const all = ['ENV PATH=/usr/bin:/bin', 'CMD ["sh"]', ...changes].join('\n');
  // The types ask for a file's name, the engine takes a stream as well.
  const reply = await docker.importImage(root.pack() as unknown as string, { repo: name, tag: 'latest', changes: all });
  let answer = '';
  for await (const chunk of reply) answer += String(chunk);
  if (answer.includes('"error"')) throw new Error(`The engine doesn't take the image ${name}: ${answer}`);
  return `${name}:latest`;
}

export interface Site {
  readonly home: string;
  /** A tree with `hello.txt`. */
  readonly tree: { readonly path: string; [Symbol.asyncDispose](): Promise<void> };
  open(options?: Partial<DockerExecutorOptions>): DockerExecutor;
  /** Closes every executor and removes everything. */
  dispose(): Promise<void>;
}

/** A folder for a server's data and one with a source, and executors on them. */
export async function openSite(): Promise<Site> {
  // Characters that end options and fields elsewhere.
  const folder = await mkdtemp(join(tmpdir(), 'slipway, exec:utor-'));
  const path = await mkdtemp(join(folder, 'tree-'));
  await writeFile(join(path, 'hello.txt'), 'hello from the tree\n');
  const opened: DockerExecutor[] = [];
  return {
    home: folder,
    tree: { path, [Symbol.asyncDispose]: async () => {} },
    open(options = {}) {
      const quiet = { debug() {}, info() {}, warn() {} };
      const executor = openDockerExecutor({
        docker,
        home: folder,
        warm: 0,
        credentialsOf: () => null,
        logger: quiet,
        clock: { now: Date.now },
        ...options,
      });
      opened.push(executor);
      return executor;
    },
    async dispose() {
      for (const executor of opened) await executor.close();
      // What an engine under load is slow to let go of keeps the view of the jobs mounted.
      await promisify(execFile)('umount', ['-l', '--', join(folder, 'mounts')]).catch(() => {});
      await rm(folder, { recursive: true, force: true });
    },
  };
}
