import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { parseMountInfo } from '#src/adapters/docker/mounts.ts';

export interface OwnEngine {
  readonly docker: Docker;
  /** Takes an image of the machine's engine. */
  load(image: string): Promise<void>;
  start(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM or SIGKILL, and waits until it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * An engine of the test's own that may be killed: without networks, beside the machine's. `remaps`: with user namespace
 * remapping, to users from 200000 on.
 */
export async function startEngine(options: { readonly remaps?: boolean } = {}): Promise<OwnEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-engine-'));
  const socket = join(folder, 'docker.sock');
  const docker = new Docker({ socketPath: socket });
  // What root is mapped to passes through it.
  await chmod(folder, 0o711);
  const ranges = join(folder, 'ranges');
  await writeFile(ranges, 'nobody:200000:65536\n');
  let engine: ChildProcess | null = null;

  async function start(): Promise<void> {
    const args = [
      '--data-root',
      join(folder, 'data'),
      '--exec-root',
      join(folder, 'exec'),
      '--host',
      `unix://${socket}`,
      '--pidfile',
      join(folder, 'pid'),
      '--bridge',
      'none',
      '--iptables=false',
      '--ip6tables=false',
      '--log-level',
      'error',
      '--shutdown-timeout',
      '2',
    ];
    // Of one that was killed: an engine takes a number that is used again, or a dead child, for its own.
    for (const stale of ['pid', 'exec/containerd/containerd.pid']) await rm(join(folder, stale), { force: true });
    // An engine without a bridge removes docker0, which is the machine's engine's: it gets interfaces of its own.
    // The users' ranges are those of a view of its own of /etc.
    const remapped = 'for f in subuid subgid; do mount --bind "$0" /etc/$f || exit; done; exec dockerd "$@"';
    const command = options.remaps
      ? ['--mount', '--propagation', 'slave', 'sh', '-c', remapped, ranges, ...args, '--userns-remap=nobody:nogroup']
      : ['dockerd', ...args];
    engine = spawn('unshare', ['--net', ...command], { stdio: 'ignore' });
    for (let i = 0; ; i++) {
      if (await docker.ping().catch(() => null)) return;
      if (i > 200) throw new Error('The engine of the test did not start in 20 s.');
      await sleep(100);
    }
  }
  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = engine;
    engine = null;
    if (ending === null || ending.exitCode !== null) return;
    const gone = once(ending, 'exit');
    ending.kill(signal);
    await gone;
  }
  await start();

  return {
    docker,
    start,
    end,
    signal: (signal) => void engine?.kill(signal),
    async load(image) {
      const script = 'docker save "$0" | docker -H "unix://$1" load';
      await promisify(execFile)('/bin/sh', ['-c', script, image, socket], { env: { ...process.env, DOCKER_HOST: '' } });
    },
    async dispose() {
      engine?.kill('SIGCONT');
      for (const info of await docker.listContainers({ all: true }).catch(() => [])) {
        await docker.getContainer(info.Id).remove({ force: true });
      }
      await end('SIGTERM');
      // An engine that was killed left its data folder mounted on itself.
      const mounts = parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
      for (const { point } of mounts.toReversed()) {
        if (point.startsWith(`${folder}/`)) await promisify(execFile)('umount', ['-l', '--', point]);
      }
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}
