import type { Diagnostic } from '#src/model/diagnostic.ts';
import type { Pipeline } from '#src/model/pipeline.ts';

/** A kind of CI file that Slipway understands. */
export interface Dialect {
  /** Unique; the name of its folder. */
  readonly name: string;
  /** The files that it claims: globs as in `model/pattern.ts`, relative to the repository's root. */
  readonly files: readonly string[];
  /** Pure: the same input has the same answer. Called only if the repository has a file that it claims. */
  compile(input: CompileInput): Compiled;
}

export interface CompileInput {
  /** The repository's files that the dialect claims, in the order of `files`; at least one. */
  readonly claimed: readonly string[];
  /** What was read up to now; null where there is no such file. Empty at the first call. */
  readonly contents: ReadonlyMap<string, string | null>;
}

/**
 * `needs-files`: call again with their contents as well. `diagnostics` of a pipeline are warnings and notes,
 * those of `invalid` hold at least one error.
 */
export type Compiled =
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: 'needs-files'; readonly paths: readonly string[] }
  | { readonly kind: 'invalid'; readonly diagnostics: readonly Diagnostic[] };
