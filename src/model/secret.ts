/** Where a secret belongs. `owner`: every repository of the organisation. Names in lower case, as GitHub compares them. */
export type SecretScope =
  | { readonly kind: 'owner'; readonly owner: string }
  | { readonly kind: 'repository'; readonly repository: string }
  | { readonly kind: 'environment'; readonly repository: string; readonly environment: string };

/** When a secret is given out. An empty list sets no limit. */
export interface SecretLimits {
  /** Glob patterns of branches; of a pull request its head branch counts (of a fork none), of a tag none. */
  readonly branches: readonly string[];
  /** Kinds of triggers, of `secretEvents`. */
  readonly events: readonly string[];
}

/** A secret as it is listed: never with its value. */
export interface SecretInfo {
  readonly scope: SecretScope;
  /** As a variable's name: letters, digits and _. Capital letters make a difference. */
  readonly name: string;
  readonly limits: SecretLimits;
  readonly setAt: number;
  /** Who set it, as far as is known. */
  readonly setBy: string;
}

/** How a job gets a secret: as the value of a variable, or as a file whose path the variable holds. */
export interface SecretUse {
  readonly name: string;
  readonly file: boolean;
}

/** A value on its way into a job. */
export interface GivenSecret {
  readonly variable: string;
  readonly value: string;
  readonly file: boolean;
  /** Indexes of the steps that get it; null: all. */
  readonly steps: readonly number[] | null;
}

/** Shorter values can't be hidden in a log: masking them would mask half of it. */
export const SHORTEST_SECRET = 4;
/** In bytes of UTF-8. */
export const LONGEST_SECRET = 64 * 1024;
/** Kinds of triggers to which a secret can be limited. */
export const secretEvents = ['push', 'tag', 'pull_request', 'merge_group', 'deploy'] as const;

/** Why this can't be a secret's name, a sentence without it (a value may have got in its place), or null if it can. */
export function secretNameProblem(name: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,254}$/.test(name)) {
    return "A secret's name must be one that a variable can have: letters, digits and _, not beginning with a digit.";
  }
  return /^slipway_/i.test(name) ? "A secret's name can't begin with SLIPWAY_: those are Slipway's own." : null;
}

/** Why this can't be a secret's value, a sentence without the value, or null if it can. */
export function secretValueProblem(value: string): string | null {
  if (value === '') return 'The value is empty.';
  const size = new TextEncoder().encode(value).length;
  if (size > LONGEST_SECRET) return `The value has ${size} bytes; at most ${LONGEST_SECRET} (64 KB) are kept.`;
  if (value.includes('\0')) return 'The value holds a byte 0, which no variable can hold: encode it as base64 first.';
  return null;
}

/** `OWNER`, `OWNER/REPO` or the latter with an environment, as people write them; null if GitHub has no such names. */
export function secretScope(place: string, environment: string | null): SecretScope | null {
  const [owner = '', name, ...rest] = place.toLowerCase().split('/');
  if (rest.length > 0 || !/^[a-z0-9][a-z0-9_-]{0,99}$/.test(owner)) return null;
  if (name === undefined) return environment === null ? { kind: 'owner', owner } : null;
  if (!isRepositoryName(`${owner}/${name}`)) return null;
  const repository = `${owner}/${name}`;
  if (environment === null) return { kind: 'repository', repository };
  return environment.trim() === '' ? null : { kind: 'environment', repository, environment: environment.toLowerCase() };
}

/** True if it reads `OWNER/REPO` as GitHub allows. */
export function isRepositoryName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}\/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/.test(text);
}

/** The scope for a sentence: `the owner acme`, `acme/shop`, `the environment staging of acme/shop`. */
export function scopeWords(scope: SecretScope): string {
  switch (scope.kind) {
    case 'owner':
      return `the owner ${scope.owner}`;
    case 'repository':
      return scope.repository;
    case 'environment':
      return `the environment ${scope.environment} of ${scope.repository}`;
  }
}
