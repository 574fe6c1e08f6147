import { harmless } from './harmless.ts';

/** A place in a file of the repository. Lines and columns count from 1. */
export interface Span {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine?: number;
  readonly endColumn?: number;
}

/**
 * Something to tell the author of a file. `message` says what is wrong and why, `hint` what to do.
 * `code` is stable and kebab-case, so that documentation and tests can name it.
 */
export interface Diagnostic {
  readonly severity: 'error' | 'warning' | 'note';
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly at: Span;
}

/** `file:line:column: severity: message (hint)`, the form that editors and terminals link. */
export function formatDiagnostic(d: Diagnostic): string {
  const hint = d.hint ? ` ${d.hint}` : '';
  return harmless(`${d.at.file}:${d.at.line}:${d.at.column}: ${d.severity}: ${d.message}${hint}`);
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((d) => d.severity === 'error');
}
