import type { Diagnostic } from '#src/model/diagnostic.ts';
import { matchesPattern } from '#src/model/pattern.ts';
import type { Pipeline } from '#src/model/pipeline.ts';
import { detect } from './detected/index.ts';
import type { Compiled, Dialect } from './dialect.ts';
import { native } from './native/index.ts';

/** Every dialect, in order of precedence: the first that claims a file of the repository compiles it. */
export const dialects: readonly Dialect[] = [native];

/** `none`: there is no pipeline file, and nothing was found that could be run without one. `message` says what to add. */
export type Loaded =
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: 'invalid'; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: 'none'; readonly message: string };

type Contents = ReadonlyMap<string, string | null>;

/** Rounds of reading and files in all, for includes of includes. */
const MAX_ROUNDS = 10;
const MAX_FILES = 100;

/** What there is to say, and add, where nothing was found to run. */
export const NOTHING_FOUND = [
  'Slipway found no slipway.yml in this repository, and nothing at its top that it knows how to test:',
  'no package.json, requirements.txt, pyproject.toml, go.mod, Cargo.toml, pom.xml or Dockerfile. Folders are not searched.',
  '',
  'Add a file slipway.yml, for example:',
  '',
  '```yaml',
  'jobs:',
  '  test:',
  '    image: debian:stable-slim',
  '    run: [make, make test]',
  '```',
].join('\n');

/**
 * The pipeline of a repository: compiled from its file, or, without one, from what is found in it. `paths` are the
 * repository's files, `read` answers contents (null: no such file) and is called a few times at most.
 */
export async function loadPipeline(
  paths: readonly string[],
  read: (paths: readonly string[]) => Promise<Contents>,
): Promise<Loaded> {
  const contents = new Map<string, string | null>();
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const answer = compileRepository(paths, contents);
    if (answer.kind !== 'needs-files') return answer;
    const missing = answer.paths.filter((path) => !contents.has(path));
    if (missing.length === 0 || contents.size + missing.length > MAX_FILES) break;
    const found = await read(missing);
    for (const path of missing) contents.set(path, found.get(path) ?? null);
  }
  const at = { file: paths.find((path) => claims(path)) ?? 'slipway.yml', line: 1, column: 1 };
  const message = `The pipeline can't be read: it needs a file that isn't there, or more than ${MAX_FILES} files.`;
  return { kind: 'invalid', diagnostics: [{ severity: 'error', code: 'too-many-files', message, at }] };
}

/** Compiles one file by itself, for `slipway validate`: by the dialect that claims such a name, else as slipway.yml. */
export function compileFile(path: string, text: string): Compiled {
  const dialect = dialects.find((candidate) => claims(path, candidate) || claims(basename(path), candidate)) ?? native;
  return dialect.compile({ claimed: [path], contents: new Map([[path, text]]) });
}

/** One step of `loadPipeline`, pure. */
function compileRepository(
  paths: readonly string[],
  contents: Contents,
): Loaded | { readonly kind: 'needs-files'; readonly paths: readonly string[] } {
  for (const dialect of dialects) {
    const claimed = dialect.files.flatMap((pattern) => paths.filter((path) => matchesPattern(pattern, path)));
    if (claimed.length > 0) return dialect.compile({ claimed, contents });
  }
  const detected = detect(paths, contents);
  if (detected.kind === 'pipeline') return { ...detected, diagnostics: [] };
  return detected.kind === 'nothing' ? { kind: 'none', message: NOTHING_FOUND } : detected;
}

function claims(path: string, dialect?: Dialect): boolean {
  return (dialect ? [dialect] : dialects).some(({ files }) => files.some((pattern) => matchesPattern(pattern, path)));
}

function basename(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
