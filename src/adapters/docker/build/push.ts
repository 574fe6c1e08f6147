import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { PlatformError } from '#src/model/outcome.ts';
import { type CredentialsOf, registryOf } from './registry-name.ts';
import { dial, records } from './wire.ts';

export type PushResult =
  | { readonly kind: 'pushed'; readonly digest: string }
  | { readonly kind: 'refused'; readonly reason: string };

export interface PushOptions {
  readonly docker: Docker;
  readonly credentialsOf: CredentialsOf;
  /** Waits between attempts if the registry can't be reached, milliseconds. */
  readonly retryDelaysMs: readonly number[];
}

/**
 * Pushes `repository:tag`, which the engine must have. A registry that says no is an answer; one that can't
 * be reached is tried again, and thrown as PlatformError in the end.
 */
export async function push(
  options: PushOptions,
  repository: string,
  tag: string,
  line: (text: string) => void,
  signal: AbortSignal,
): Promise<PushResult> {
  const delays = [...options.retryDelaysMs];
  for (;;) {
    const error = await attempt(options, repository, tag, line, signal);
    if (typeof error !== 'string') return error;
    if (isLogin(error) && options.credentialsOf(registryOf(repository)) !== null) {
      throw new PlatformError(
        `The registry ${registryOf(repository)} doesn't know the operator's credentials: ${error.trim()}. They are set under \`registries\` in the operator's file (SLIPWAY_CONFIG): correct the user name or the password there, start the server again, then run the job again.`,
        { retry: 'never' },
      );
    }
    if (isRefusal(error)) return { kind: 'refused', reason: refusal(options.credentialsOf, repository, tag, error) };
    const delay = delays.shift();
    if (delay === undefined)
      throw new PlatformError(
        `The registry ${registryOf(repository)} didn't take ${repository}:${tag}: ${error}. See that the registry runs and that the Docker engine reaches it, then run the job again.`,
      );
    line(`The registry didn't take it (${error}); trying again in ${delay / 1000} s.`);
    await sleep(delay, undefined, { signal });
  }
}

/** The digest, or the registry's error. */
async function attempt(
  { docker, credentialsOf }: PushOptions,
  repository: string,
  tag: string,
  line: (text: string) => void,
  signal: AbortSignal,
): Promise<PushResult | string> {
  const host = registryOf(repository);
  const credentials = credentialsOf(host);
  const stream = await dial<Readable>(docker, {
    method: 'POST',
    path: `/images/${encodeURIComponent(repository)}/push?`,
    options: { tag },
    authconfig: credentials ? { ...credentials, serveraddress: host } : {},
    isStream: true,
    abortSignal: signal,
    statusCodes: { 200: true },
  });
  let digest: string | null = null;
  for await (const record of records(stream)) {
    if (record.error !== undefined) return record.error;
    if (record.id && record.status === 'Pushed') line(`${record.id} pushed`);
    digest = (record.aux as { Digest?: string } | undefined)?.Digest ?? digest;
  }
  return digest === null ? 'the engine gave no digest' : { kind: 'pushed', digest };
}

/** True if the registry takes the credentials themselves for wrong. Who is known, but may not push there, is denied. */
function isLogin(error: string): boolean {
  if (/incorrect username or password|invalid credentials|token has expired/i.test(error)) return true;
  return /unauthorized|authentication required/i.test(error) && !/denied|forbidden|to access/i.test(error);
}

/** True if the registry answered no, so that asking again doesn't help. */
function isRefusal(error: string): boolean {
  return /unauthorized|denied|no basic auth|authentication required|forbidden|name invalid|name unknown|not known|tag invalid|immutable|quota|too large/i.test(
    error,
  );
}

function refusal(credentialsOf: CredentialsOf, repository: string, tag: string, error: string): string {
  const host = registryOf(repository);
  const isAccess = /unauthorized|denied|no basic auth|authentication required|forbidden/i.test(error);
  const advice = !isAccess
    ? ''
    : credentialsOf(host)
      ? ` The operator's credentials for ${host} don't allow it: they are set under \`registries\` in the operator's file (SLIPWAY_CONFIG).`
      : ` There are no credentials for ${host}: the operator sets them under \`registries\` in the operator's file (SLIPWAY_CONFIG).`;
  return `The registry ${host} refused ${repository}:${tag}: ${error.trim()}.${advice}`;
}
