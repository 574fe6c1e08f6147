/** Where a secret belongs. `owner`: every repository of the organisation. Names in lower case, as GitHub compares them. */
export type SecretScope =
  | { readonly kind: 'owner'; readonly owner: string }
  | { readonly kind: 'repository'; readonly repository: string }
  | { readonly kind: 'environment'; readonly repository: string; readonly environment: string };

/** When a secret is given out. An empty list sets no limit. */
export interface SecretLimits {
  /** Glob patterns of branches; of a pull request its head branch counts, of a tag none. */
  readonly branches: readonly string[];
  /** Kinds of triggers: push, tag, pull_request, merge_group, deploy. */
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
