import type { Matrix, Scalar } from './pipeline.ts';

/** The values that one instance of a job has. */
export type Instance = Readonly<Record<string, Scalar>>;

/** More instances than this make no run (GitHub's own limit). */
export const MAX_INSTANCES = 256;

/**
 * The instances of a matrix, by GitHub's rules: every combination of the axes, less the excluded ones; then each
 * entry of `include` is added to the combinations whose axes it doesn't contradict, or, where there is none, is a
 * combination of its own. Null has one instance without values. The source of the rules:
 * https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrixinclude
 */
export function expandMatrix(matrix: Matrix | null): readonly Instance[] {
  if (matrix === null) return [{}];
  const base = combinations(matrix).filter((instance) => !matrix.exclude.some((entry) => covers(entry, instance)));
  const axes = new Set(Object.keys(matrix.axes));
  const instances: Record<string, Scalar>[] = base.map((instance) => ({ ...instance }));
  const added: Record<string, Scalar>[] = [];
  for (const entry of matrix.include) {
    const own = Object.entries(entry).filter(([key]) => axes.has(key));
    const fits = instances.filter((_, index) => own.every(([key, value]) => same(base[index]?.[key], value)));
    if (fits.length === 0) added.push({ ...entry });
    for (const instance of fits) Object.assign(instance, entry);
  }
  return [...instances, ...added];
}

/** How many instances there are at most, without making them. */
export function countInstances(matrix: Matrix): number {
  const axes = Object.values(matrix.axes);
  const product = axes.reduce((count, values) => count * values.length, axes.length > 0 ? 1 : 0);
  return product + matrix.include.length;
}

/** The entries of `exclude` that match no combination. */
export function idleExcludes(matrix: Matrix): readonly number[] {
  const all = combinations(matrix);
  return matrix.exclude.flatMap((entry, index) => (all.some((instance) => covers(entry, instance)) ? [] : [index]));
}

function combinations(matrix: Matrix): readonly Instance[] {
  const axes = Object.entries(matrix.axes);
  if (axes.length === 0) return [];
  let all: Instance[] = [{}];
  for (const [axis, values] of axes) {
    all = all.flatMap((instance) => values.map((value) => ({ ...instance, [axis]: value })));
  }
  return all;
}

function covers(entry: Instance, instance: Instance): boolean {
  return Object.entries(entry).every(([key, value]) => same(instance[key], value));
}

/** 24 and "24" are the same to people. */
function same(a: Scalar | undefined, b: Scalar): boolean {
  return a !== undefined && String(a) === String(b);
}
