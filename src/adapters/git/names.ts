import { createHash } from 'node:crypto';
import { isAbsolute } from 'node:path';
import type { Repository } from '#src/model/repository.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { Remote } from './command.ts';

/**
 * True for a fully qualified ref that git accepts, by the rules of git check-ref-format(1).
 * Everything that goes onto a command line passes here first.
 */
export function isRef(ref: string): boolean {
  if (!ref.startsWith('refs/') || ref.length > 1024) return false;
  if (/[\p{Cc} ~^:?*[\\]|\.\.|@\{|\.$/u.test(ref)) return false;
  return ref.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'));
}

function isSha(sha: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(sha);
}

export function checkRef(ref: string): string {
  if (!isRef(ref)) throw new UserError(`${JSON.stringify(ref)} is not a valid ref; one looks like refs/heads/main.`);
  return ref;
}

export function checkSha(sha: string): string {
  if (!isSha(sha)) throw new UserError(`${JSON.stringify(sha)} is not a full commit id.`);
  return sha;
}

/** True for a path inside the repository in git's own form. */
export function isRepositoryPath(path: string): boolean {
  if (path === '' || path.includes('\n') || path.includes('\0')) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** Name of the repository's folder under a data folder. */
export function folderName(repository: Repository): string {
  const name = repository.name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 100);
  return `${repository.id}-${name}`;
}

/** Short, safe in a file name, and different for refs that differ only in case. */
export function refHash(ref: string): string {
  return createHash('sha256').update(ref).digest('hex').slice(0, 12);
}

/** Address and scheme, credentials removed. Only https, http and absolute paths are known. */
export function remoteOf(cloneUrl: string): Omit<Remote, 'token'> {
  if (isAbsolute(cloneUrl)) return { url: cloneUrl, scheme: 'file' };
  const url = URL.parse(cloneUrl);
  const scheme = url?.protocol.slice(0, -1);
  if (!url || (scheme !== 'https' && scheme !== 'http')) {
    throw new PlatformError(
      `The clone address must begin with https:// (or http://), not ${JSON.stringify(scheme ?? '')}.`,
    );
  }
  url.username = '';
  url.password = '';
  return { url: url.href, scheme };
}

/**
 * The address as `remoteOf` has it, if it lies on the one site that the server talks to (`https://github.com`: scheme,
 * host and port). Nothing is asked of any other, and no token sent there, whatever a payload says. PlatformError otherwise.
 */
export function remoteAt(cloneUrl: string, origin: string): Omit<Remote, 'token'> {
  const remote = remoteOf(cloneUrl);
  const url = URL.parse(remote.url);
  if (url === null || url.origin !== new URL(origin).origin) {
    const host = url === null ? 'a path' : url.origin;
    throw new PlatformError(
      `The clone address leads to ${host}, but this server fetches from ${origin} only. See that GHE_HOST and GHE_PROTOCOL name the GitHub that the App belongs to.`,
    );
  }
  if (url.search !== '' || url.hash !== '') {
    throw new PlatformError('The clone address has a query or a fragment, which those of GitHub never have.');
  }
  return remote;
}
