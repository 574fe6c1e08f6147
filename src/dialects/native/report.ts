import type { Diagnostic, Span } from '#src/model/diagnostic.ts';
import { suggestion } from '#src/model/suggest.ts';
import type { Path, YamlFile } from '../yaml.ts';

/** Names in messages come from the file and may be of any length. */
const MAX_MESSAGE = 500;

/** Collects what is wrong with a file, by paths in it. */
export interface Report {
  readonly yaml: YamlFile;
  readonly diagnostics: readonly Diagnostic[];
  error(code: string, at: Span, message: string, hint?: string): void;
  warning(code: string, at: Span, message: string, hint?: string): void;
}

export function createReport(yaml: YamlFile): Report {
  const diagnostics: Diagnostic[] = [...yaml.diagnostics];
  const cut = (text: string) => (text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE - 1)}…` : text);
  const add = (severity: 'error' | 'warning') => (code: string, at: Span, message: string, hint?: string) => {
    diagnostics.push({ severity, code, message: cut(message), ...(hint && { hint: cut(hint) }), at });
  };
  return { yaml, diagnostics, error: add('error'), warning: add('warning') };
}

/** So many mistakes get a hint: looking for one takes time. */
const MAX_GUESSED = 100;

/** As suggestion, as long as there aren't many mistakes. */
export function guess(report: Report, word: string, known: readonly string[]): string {
  return report.diagnostics.length < MAX_GUESSED ? suggestion(word, known) : '';
}

/** `jobs.test.services.db`, the way people write paths. */
export function show(path: Path): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step + 1}]` : String(step)))
    .join('.')
    .replaceAll('.[', '[');
}
