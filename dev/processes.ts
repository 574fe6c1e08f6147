import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface OwnedProcess {
  readonly pid: number;
  /** What the pattern `ready` found in the output. */
  readonly ready: RegExpExecArray;
  /** The last lines of the output, for messages. */
  tail(): string;
  /** SIGTERM, and SIGKILL if it takes too long. Resolves when the process is gone. */
  stop(): Promise<void>;
}

/** A server gives its jobs ten seconds and tells GitHub for five; killed before, it leaves containers and mounts. */
const patienceMs = 20_000;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Starts a program and waits until its output (both streams) matches `ready`. It is ended with this
 * process at the latest. Rejects with the output's end if the program stops or isn't ready in time.
 */
export async function startProcess(
  program: string,
  args: readonly string[],
  options: {
    readonly ready: RegExp;
    readonly deadlineMs: number;
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
  },
): Promise<OwnedProcess> {
  const child = spawn(program, args, {
    env: { ...process.env, ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));

  let output = '';
  const tail = () => output.trimEnd().split('\n').slice(-20).join('\n');
  const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
  const take = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-65_536);
    const found = options.ready.exec(output);
    if (found) resolve(found);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  child.once('error', (error) => {
    running.delete(child);
    reject(new Error(`${program} can't be started: ${error.message}. script/bootstrap installs what is missing.`));
  });
  child.once('exit', (code, signal) => reject(new Error(`${program} ended with ${code ?? signal}:\n${tail()}`)));
  const timer = setTimeout(
    () => reject(new Error(`${program} isn't ready after ${options.deadlineMs / 1000} s:\n${tail()}`)),
    options.deadlineMs,
  );
  try {
    const ready = await promise;
    return { pid: child.pid ?? 0, ready, tail, stop: () => stop(child) };
  } catch (error) {
    await stop(child);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  await gone;
  clearTimeout(timer);
}
