import { UserError } from '#src/model/outcome.ts';
import { matchesPattern } from '#src/model/pattern.ts';
import type { PreviewWork } from '#src/model/plan.ts';
import type { Run } from '#src/model/run.ts';
import { list } from '#src/model/suggest.ts';
import type { Parts } from './parts.ts';

const mostFiles = 100;

/**
 * The manifests at the run's commit that the patterns name: a folder stands for the YAML and JSON files in it (not for those
 * further down), a file for itself, and `**` leads through folders. UserError if a pattern names nothing.
 */
export async function manifestFiles(
  { source }: Pick<Parts, 'source'>,
  run: Run,
  { manifests }: Pick<PreviewWork, 'manifests'>,
  signal: AbortSignal,
): Promise<readonly { readonly path: string; readonly text: string }[]> {
  const commit = { sha: run.trigger.sha, ref: run.trigger.ref };
  const paths = new Set<string>();
  for (const pattern of manifests) {
    const root = rootOf(pattern);
    const exact = root === pattern && isManifest(pattern);
    const found = exact
      ? [pattern]
      : (await source.list(run.repository, commit, signal, ...(root === '' ? [] : [root]))).filter((path) =>
          root === pattern ? folderOf(path) === root && isManifest(path) : matchesPattern(pattern, path),
        );
    if (found.length === 0) throw new UserError(noneWords(pattern, root === pattern, run));
    for (const path of found) paths.add(path);
  }
  if (paths.size > mostFiles) {
    throw new UserError(`The preview's manifests are ${paths.size} files; at most ${mostFiles} are read.`);
  }
  const texts = await source.read(run.repository, commit, [...paths], signal);
  const missing = [...paths].filter((path) => texts.get(path) === null || texts.get(path) === undefined);
  if (missing.length > 0) {
    throw new UserError(
      `There is no file ${list(missing)} at the commit ${run.trigger.sha.slice(0, 12)}. Correct \`manifests\` under \`preview\`.`,
    );
  }
  return [...paths].sort().map((path) => ({ path, text: texts.get(path) ?? '' }));
}

/** The folders in front of the first wildcard; all of a pattern without one. */
function rootOf(pattern: string): string {
  const plain = pattern.replace(/^\.\//, '').replace(/\/+$/, '');
  const wild = plain.search(/[*?[\\]/);
  return wild < 0 ? plain : plain.slice(0, Math.max(0, plain.lastIndexOf('/', wild)));
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function isManifest(path: string): boolean {
  return /\.(ya?ml|json)$/i.test(path);
}

function noneWords(pattern: string, isFolder: boolean, run: Run): string {
  const what = isFolder ? `The folder ${pattern} holds no YAML or JSON file` : `No file matches ${pattern}`;
  return `${what} at the commit ${run.trigger.sha.slice(0, 12)}. Correct \`manifests\` under \`preview\`.`;
}
