import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseEnv, promisify } from 'node:util';
import type { ZodType } from 'zod';
import { harmless } from '#src/model/harmless.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { isRepositoryName } from '#src/model/secret.ts';
import { errorShape } from '#src/web/api-shapes.ts';

/** Options of every command that asks a server. */
export interface ServerOptions {
  /** Address of the server; absent: SLIPWAY_URL. */
  readonly server?: string;
  /** `owner/name`; absent: that of the folder's remote `origin`. */
  readonly repository?: string;
}

/** A Slipway server, and the repository that is meant. */
export interface Server {
  readonly repository: string;
  /** Both: UserError for what was asked for wrongly or refused, PlatformError if the server can't be reached or fails. */
  get<T>(path: string, shape: ZodType<T>): Promise<T>;
  post<T>(path: string, body: object, shape: ZodType<T>): Promise<T>;
}

const patienceMs = 90_000;

/** UserError if an address, the token or the repository is missing. Nothing is asked yet. */
export async function openServer(options: ServerOptions): Promise<Server> {
  const given = credentials();
  const base = addressOf(options.server ?? given.url);
  const { token } = given;
  if (token === '') {
    throw new UserError(
      "There is no token. Set SLIPWAY_TOKEN to the server's: it is in its settings, and who has it may do all that the operator may.",
    );
  }
  const repository = options.repository ?? (await repositoryHere());
  if (!isRepositoryName(repository)) throw new UserError(`${JSON.stringify(repository)} doesn't read OWNER/REPO.`);

  async function ask<T>(path: string, body: object | null, shape: ZodType<T>): Promise<T> {
    const authorization = `Bearer ${token}`;
    const init =
      body === null
        ? { headers: { authorization } }
        : {
            method: 'POST',
            headers: { authorization, 'content-type': 'application/json' },
            body: JSON.stringify(body),
          };
    const signal = AbortSignal.timeout(patienceMs);
    // The token goes nowhere else.
    const sent = fetch(`${base}${path}`, { ...init, signal, redirect: 'manual' });
    const response = await sent.catch((error: unknown) => {
      throw new PlatformError(`${base} can't be reached: ${reasonOf(error)}.`);
    });
    const text = await response.text().catch((error: unknown) => {
      throw new PlatformError(`${base} broke off its answer: ${reasonOf(error)}.`);
    });
    return answerOf(base, response, text, shape);
  }

  return {
    repository,
    get: (path, shape) => ask(path, null, shape),
    post: (path, body, shape) => ask(path, body, shape),
  };
}

/**
 * From the shell, else both from `.env`, as the server has it. A token of the shell is never sent to an address that the
 * folder's file names: the folder may be a stranger's.
 */
function credentials(): { readonly url: string | undefined; readonly token: string } {
  const { SLIPWAY_URL: url, SLIPWAY_TOKEN: token = '' } = process.env;
  if (token.trim() !== '') return { url, token: token.trim() };
  const file = envFile();
  return { url: url ?? file['SLIPWAY_URL'], token: file['SLIPWAY_TOKEN']?.trim() ?? '' };
}

function envFile(): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync('.env', 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return {};
  }
}

function answerOf<T>(base: string, { status, headers }: Response, text: string, shape: ZodType<T>): T {
  if (status >= 300 && status < 400) {
    const to = headers.get('location');
    throw new UserError(`${base} leads elsewhere${to === null ? '' : `, to ${to}`}. Give that address with --server.`);
  }
  const json = jsonOf(text);
  const refused = errorShape.safeParse(json);
  if (status === 401 && refused.success) {
    throw new UserError(
      `${base} doesn't take the token: ${refused.data.error} (SLIPWAY_TOKEN is where it is read from.)`,
    );
  }
  if (refused.success) {
    const why = refused.data.error.split('\n').map(harmless).join('\n');
    if (status >= 500) throw new PlatformError(`${base} failed: ${why}`);
    throw new UserError(why);
  }
  const answered = shape.safeParse(json);
  if (status === 200 && answered.success) return answered.data;
  throw new PlatformError(
    `${base} answered ${status} with something else than was asked for. Is this the address of a Slipway server, of this version?`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function addressOf(given: string | undefined): string {
  if (given === undefined || given.trim() === '') {
    throw new UserError('Which server? Set SLIPWAY_URL, or add --server https://ci.acme.example.');
  }
  const url = /^https?:\/\//i.test(given) ? URL.parse(given) : null;
  if (url === null) {
    throw new UserError(`${JSON.stringify(given)} is no address of a server. It reads like https://ci.acme.example.`);
  }
  if (url.protocol === 'http:' && !['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)) {
    console.error('slipway: warning: over http everybody on the way can read the token: use https.');
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** Of the folder's remote `origin`: git@host:owner/name.git, ssh:// and https:// alike. */
async function repositoryHere(): Promise<string> {
  const ask = 'Name it: --repository OWNER/REPO.';
  const { stdout } = await promisify(execFile)('git', ['remote', 'get-url', 'origin']).catch(() => {
    throw new UserError(`Which repository? This folder has no git remote "origin". ${ask}`);
  });
  const name = /[/:]([^/:\s]+\/[^/\s]+?)(?:\.git)?\/?\s*$/.exec(stdout)?.[1];
  if (name !== undefined && isRepositoryName(name)) return name;
  throw new UserError(`Which repository? The remote "origin" (${stdout.trim()}) isn't one of GitHub's. ${ask}`);
}

function reasonOf(error: unknown): string {
  const { cause, message, name } = error as Error;
  if (name === 'TimeoutError') return `no answer within ${patienceMs / 1000} s`;
  const { message: deeper = '', code } = (cause ?? {}) as { readonly message?: string; readonly code?: string };
  return deeper || code || message;
}
