import type { Pipeline } from '#src/model/pipeline.ts';
import { dockerfile, go, maven, rust } from './compiled.ts';
import type { Detector, Look } from './finding.ts';
import { node } from './node.ts';
import { python } from './python.ts';

const detectors: readonly Detector[] = [node, python, go, rust, maven, dockerfile];

export type Detected =
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline }
  | { readonly kind: 'needs-files'; readonly paths: readonly string[] }
  | { readonly kind: 'nothing' };

/**
 * What can be run in a repository without a pipeline file: a job for each kind of project at its top. `paths` are
 * all of its files; folders are not searched in this version. Pure; asks for the files that it wants to read.
 */
export function detect(paths: readonly string[], contents: ReadonlyMap<string, string | null>): Detected {
  const top = new Set(paths.map((path) => path.split('/')[0] ?? ''));
  const wanted = detectors
    .flatMap((detector) => detector.reads)
    .filter((path) => paths.includes(path) && !contents.has(path));
  if (wanted.length > 0) return { kind: 'needs-files', paths: wanted };
  const look: Look = {
    has: (path) => top.has(path),
    text: (path) => contents.get(path) ?? '',
  };
  const jobs = detectors.flatMap((detector) => detector.find(look));
  const [first] = jobs;
  if (first === undefined) return { kind: 'nothing' };
  return {
    kind: 'pipeline',
    pipeline: { dialect: 'detected', file: first.at.file, jobs, environments: [], concurrency: null },
  };
}
