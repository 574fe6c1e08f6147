import { spawn } from 'node:child_process';
import { PlatformError } from '#src/model/outcome.ts';

/** Runs git. A non-zero exit is an answer, not an exception; see failure.ts for what it means. */
export type Git = (args: readonly string[], call: GitCall) => Promise<GitResult>;

export interface GitCall {
  /** What this is done for, as in "fetch acme/shop". For messages. */
  readonly purpose: string;
  readonly gitDir?: string;
  readonly workTree?: string;
  readonly cwd?: string;
  readonly input?: string;
  /** The only address that this call may talk to. None: no transport works at all. */
  readonly remote?: Remote;
  readonly timeoutMs?: number;
  /** Output beyond this ends the call. Bytes. */
  readonly maxBytes?: number;
  /** Takes the output, of any length, instead of the result; false ends the call, which then rejects. */
  readonly take?: (chunk: Buffer) => boolean;
  readonly signal: AbortSignal;
}

export interface Remote {
  /** Without credentials. */
  readonly url: string;
  readonly scheme: 'https' | 'http' | 'file';
  readonly token: string | null;
}

export interface GitResult {
  readonly code: number;
  readonly stdout: Buffer;
  /** Free of secrets. */
  readonly stderr: string;
}

/** Git wrote more than `maxBytes`. */
export class TooMuchOutput extends PlatformError {}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin';
const minute = 60_000;
const stderrLimit = 64 * 1024;

/**
 * What a repository's content must never be able to reach: hooks, monitors, credential helpers, other transports,
 * other hosts. A redirect is refused, because the token would travel with it.
 */
const safeConfig = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.protectHFS=true',
  'core.protectNTFS=true',
  'core.askPass=',
  'credential.helper=',
  'protocol.allow=never',
  'http.followRedirects=false',
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=60',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'advice.detachedHead=false',
].flatMap((setting) => ['-c', setting]);

const noConfig = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_ATTR_NOSYSTEM: '1' };

export interface GitSettings {
  /** Added to git's environment: PATH where git lies elsewhere, proxies, certificates. */
  readonly env?: Readonly<Record<string, string>>;
  /** Reads the person's own git configuration (`slipway run`); a server reads none. */
  readonly personal?: boolean;
}

export function createGit(settings: GitSettings = {}): Git {
  const base: Record<string, string> = { PATH: defaultPath, ...settings.env, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0' };
  if (!settings.personal) Object.assign(base, noConfig);
  return (args, call) => {
    const places = [
      ...(call.gitDir ? [`--git-dir=${call.gitDir}`] : []),
      ...(call.workTree ? [`--work-tree=${call.workTree}`] : []),
    ];
    const transport = call.remote ? ['-c', `protocol.${call.remote.scheme}.allow=always`] : [];
    const env = { ...base, ...(call.remote ? credentials(call.remote) : {}) };
    return run([...safeConfig, ...transport, ...places, ...args], env, call);
  };
}

/** The token travels in the environment: a command line can be read by everyone on the machine. */
function credentials(remote: Remote): Record<string, string> {
  if (remote.token === null || remote.scheme === 'file') return {};
  return {
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `http.${new URL(remote.url).origin}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic(remote.token)}`,
  };
}

function basic(token: string): string {
  return Buffer.from(`x-access-token:${token}`).toString('base64');
}

function redact(text: string, token: string | null | undefined): string {
  if (!token) return text;
  return text.replaceAll(token, '***').replaceAll(basic(token), '***');
}

function run(args: readonly string[], env: Record<string, string>, call: GitCall): Promise<GitResult> {
  call.signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<GitResult>();
  const timeoutMs = call.timeoutMs ?? minute;
  const maxBytes = call.maxBytes ?? 16 * 1024 * 1024;
  // A group of its own, so that git's helpers end with it.
  const child = spawn('git', args, { env, cwd: call.cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  let size = 0;
  let stderr = '';
  let stopped: unknown;
  let hard: NodeJS.Timeout | undefined;

  function kill(signal: NodeJS.Signals): void {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group is gone already.
    }
  }
  function stop(reason: unknown): void {
    if (stopped !== undefined) return;
    stopped = reason;
    kill('SIGTERM'); // git removes its lock files and half-written packs on this one
    hard = setTimeout(kill, 2000, 'SIGKILL');
  }
  const onAbort = (): void => stop(call.signal.reason);
  call.signal.addEventListener('abort', onAbort, { once: true });
  const deadline = setTimeout(() => {
    stop(new PlatformError(`git took longer than ${Math.round(timeoutMs / 1000)} s to ${call.purpose}.`));
  }, timeoutMs);

  child.stdout.on('data', (chunk: Buffer) => {
    if (call.take) {
      if (stopped === undefined && !call.take(chunk)) stop(new PlatformError(`No more is wanted to ${call.purpose}.`));
      return;
    }
    size += chunk.length;
    if (size > maxBytes) stop(new TooMuchOutput(`git wrote more than ${maxBytes} bytes to ${call.purpose}.`));
    else chunks.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-stderrLimit);
  });
  child.stdin.on('error', () => undefined); // EPIPE: git's exit tells the story
  child.stdin.end(call.input ?? '');

  function settle(): void {
    clearTimeout(deadline);
    clearTimeout(hard);
    call.signal.removeEventListener('abort', onAbort);
  }
  child.on('error', (error: NodeJS.ErrnoException) => {
    settle();
    const why = error.code === 'ENOENT' ? 'git is not installed, or not on the PATH' : error.message;
    reject(new PlatformError(`Can't ${call.purpose}: ${why}.`));
  });
  child.on('close', (code) => {
    settle();
    if (stopped !== undefined) reject(stopped);
    else resolve({ code: code ?? 128, stdout: Buffer.concat(chunks), stderr: redact(stderr, call.remote?.token) });
  });
  return promise;
}
