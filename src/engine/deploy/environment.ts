import { formatDiagnostic } from '#src/model/diagnostic.ts';
import { quoted } from '#src/model/deploy/words.ts';
import type { PeopleRule } from '#src/model/deploy-rules.ts';
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

/** Longer nobody waits to learn whether a rule has changed, milliseconds. */
const soonMs = 1_500;

/**
 * Who may deploy to the environment by the default branch's file, if that can be read at once and names it; otherwise null.
 * Never fails.
 */
export async function allowedNow(
  parts: Pick<Parts, 'source' | 'log'>,
  repository: Repository,
  environment: string,
): Promise<{ readonly allow: PeopleRule | null } | null> {
  const signal = AbortSignal.timeout(soonMs);
  const late = new Promise<null>((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const read = environmentsOf(parts, repository, signal).catch((error: unknown) => {
    parts.log.warn({ err: error, environment }, 'a rollback goes by the rule of the last deployment');
    return null;
  });
  const found = await Promise.race([read, late]);
  const spec = found?.kind === 'environments' ? found.environments.find(({ name }) => name === environment) : undefined;
  return spec === undefined ? null : { allow: spec.rules.allow };
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
