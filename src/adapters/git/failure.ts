import { PlatformError, UserError } from '#src/model/outcome.ts';

/**
 * Why a git command failed, in people's terms. `gone`: the ref or commit isn't on the remote (any more).
 * `busy`: another git holds a lock. `damaged`: what lies on this disk is. `transient` may work when tried again.
 */
export interface GitFailure {
  readonly kind: 'gone' | 'denied' | 'transient' | 'busy' | 'full' | 'damaged' | 'other';
  readonly error: UserError | PlatformError;
}

/** What lies on this disk can't be read; see `isDamaged`. */
export class DamagedError extends PlatformError {}

/** True if git complains of what lies on this disk, also where it got along without: then it is better made anew. */
export function isDamaged(stderr: string): boolean {
  return damage.test(withoutRemote(stderr));
}

/** What the server says is about the server. */
function withoutRemote(stderr: string): string {
  return stderr.replaceAll(/^remote:.*$/gm, '');
}

const damage =
  /not a git repository|is corrupt|corrupted|bad (object|tree|ref|revision|signature|index|sha1)|unable to (read|open) .*(object|sha1|tree|pack)|unable to read (sha1|tree|[0-9a-f]{40})|cannot read (object|pack)|could not read [0-9a-f]{40}|missing (blob|tree|commit|object)|not a tree object|non-existing object|not a valid object|does not match index|is truncated|far too short|is too small|index not opened|not a GIT packfile|cannot be (accessed|mapped)|inflate|unresolved deltas|did not send all necessary objects|unexpected line in .*packed-refs|unterminated line in/i;

const patterns: readonly { readonly kind: GitFailure['kind']; readonly pattern: RegExp }[] = [
  { kind: 'busy', pattern: /\.lock'?: File exists/ },
  { kind: 'full', pattern: /No space left on device|Disk quota exceeded/ },
  { kind: 'gone', pattern: /couldn't find remote ref|not our ref|unadvertised object|no such remote ref/i },
  {
    kind: 'denied',
    pattern:
      /returned error: 40[134]|Authentication failed|could not read (Username|Password)|repository '.*' not found|HTTP 40[134]/,
  },
  {
    kind: 'transient',
    pattern:
      /returned error: (5\d\d|429)|HTTP (5\d\d|429)|Could not resolve host|Failed to connect|Connection (refused|reset|timed out)|early EOF|unexpected disconnect|RPC failed|timed out|Operation too slow|GnuTLS|SSL_|TLS|hung up|Empty reply/i,
  },
];

/** What the text that git wrote to standard error means. `purpose` as in "fetch acme/shop". */
export function explain(stderr: string, purpose: string): GitFailure {
  const found = patterns.find((entry) => entry.pattern.test(stderr))?.kind;
  const kind = found ?? (isDamaged(stderr) ? 'damaged' : 'other');
  const said = lastWords(stderr);
  switch (kind) {
    case 'gone':
      return { kind, error: new UserError(`Can't ${purpose}: the ref or commit is no longer on GitHub (${said}).`) };
    case 'denied':
      return {
        kind,
        error: new PlatformError(
          `Can't ${purpose}: GitHub refused access (${said}). Check that the App is installed on this repository ` +
            'and has the permission "Contents: read".',
        ),
      };
    case 'transient':
      return { kind, error: new PlatformError(`Can't ${purpose}: the connection to GitHub failed (${said}).`) };
    case 'busy':
      return {
        kind,
        error: new PlatformError(`Can't ${purpose}: another git is at work in the same mirror (${said}).`),
      };
    case 'full':
      return {
        kind,
        error: new PlatformError(`Can't ${purpose}: the server's disk is full (${said}). Free some space there.`),
      };
    case 'damaged':
      return {
        kind,
        error: new DamagedError(
          `Can't ${purpose}: the server's copy of the repository is damaged (${said}). It is made anew: re-run the job.`,
        ),
      };
    case 'other':
      return { kind, error: otherError(stderr, purpose, said) };
  }
}

function otherError(stderr: string, purpose: string, said: string): UserError | PlatformError {
  if (/unable to update url base from redirection|returned error: 30\d/.test(stderr)) {
    return new PlatformError(
      `Can't ${purpose}: the address redirects elsewhere (${said}). Was the repository renamed or moved? ` +
        'A new push brings the new address.',
    );
  }
  if (/invalid path '/.test(stderr)) {
    return new UserError(`Can't ${purpose}: the commit holds a path that git refuses to write (${said}).`);
  }
  return new PlatformError(`Can't ${purpose}: git says: ${said}`);
}

/** The line of git's output that tells most: the first fatal one, else the last. At most 300 characters. */
function lastWords(stderr: string): string {
  const lines = stderr.split('\n').flatMap((line) => {
    const text = line.replaceAll(/\p{Cc}/gu, ' ').trim();
    return text ? [text] : [];
  });
  const line = lines.find((text) => /^(fatal|error|remote):/.test(text)) ?? lines.at(-1) ?? 'no message';
  return line.replace(/^(fatal|error): /, '').slice(0, 300);
}
