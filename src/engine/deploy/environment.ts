import { formatDiagnostic } from '#src/model/diagnostic.ts';
import { quoted } from '#src/model/deploy/words.ts';
import { UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec } from '#src/model/pipeline.ts';
import type { Repository } from '#src/model/repository.ts';
import { nearest } from '#src/model/suggest.ts';
import { environmentsOf } from '#src/engine/load-plan.ts';
import type { Parts } from '#src/engine/parts.ts';

const deadlineMs = 120_000;

/** The environments of the default branch's file: a pull request can't add one or change one. UserError if the file has mistakes. */
export async function knownEnvironments(
  parts: Pick<Parts, 'source'>,
  repository: Repository,
): Promise<readonly EnvironmentSpec[]> {
  const found = await environmentsOf(parts, repository, AbortSignal.timeout(deadlineMs));
  if (found.kind === 'environments') return found.environments;
  // They quote the file: as code, nothing in them links or calls anybody.
  const mistakes = found.diagnostics.map(formatDiagnostic).join('\n').replaceAll('```', "'''");
  throw new UserError(
    `The pipeline file of ${quoted(repository.defaultBranch)} can't be used, so its environments aren't known.\n\n\`\`\`text\n${mistakes}\n\`\`\``,
  );
}

/** The one that is named, in whatever letters. UserError with a guess if there is none. */
export function environmentCalled(
  environments: readonly EnvironmentSpec[],
  name: string,
  repository: Repository,
): EnvironmentSpec {
  const called = nameAmong(
    environments.map((it) => it.name),
    name,
  );
  const found = environments.find((it) => it.name === called);
  if (found !== undefined) return found;
  const where = `The pipeline file of ${quoted(repository.defaultBranch)} has no environment ${quoted(name)}.`;
  throw new UserError(
    `${where} ${guess(
      name,
      environments.map((it) => it.name),
    )}`,
  );
}

/** The name as it is written there, or null: exactly, or the only one but for capital letters. */
export function nameAmong(names: readonly string[], name: string): string | null {
  if (names.includes(name)) return name;
  const alike = names.filter((it) => it.toLowerCase() === name.toLowerCase());
  return alike.length === 1 ? (alike[0] ?? null) : null;
}

/** What was probably meant, and what there is, in Markdown. */
export function guess(name: string, names: readonly string[]): string {
  if (names.length === 0) return 'It has none.';
  const meant = nearest(name, names);
  const all = `It has: ${names.slice(0, 30).map(quoted).join(', ')}.`;
  return meant === null ? all : `Did you mean ${quoted(meant)}? ${all}`;
}
