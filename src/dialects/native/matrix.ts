import { countInstances, expandMatrix, idleExcludes, MAX_INSTANCES } from '#src/model/matrix.ts';
import type { Matrix, Scalar } from '#src/model/pipeline.ts';
import { suggestion } from '#src/model/suggest.ts';
import type { Path } from '../yaml.ts';
import type { Report } from './report.ts';
import type { RawJob } from './schema.ts';
import { asList, checkNumber } from './values.ts';

/** Axes and keys of `include` in all: each instance has them. */
const MAX_KEYS = 100;

/** A matrix, with what is wrong in it reported; null if it can't be used. */
export function compileMatrix(report: Report, path: Path, raw: NonNullable<RawJob['matrix']>): Matrix | null {
  const { yaml } = report;
  const { include = [], exclude = [], ...rest } = raw;
  const tooLarge = sizeProblem(raw);
  if (tooLarge !== null) {
    report.error('bad-matrix', yaml.atKey(path), tooLarge, 'Make it smaller.');
    return null;
  }
  const axes: Record<string, readonly Scalar[]> = {};
  for (const [axis, value] of Object.entries(rest)) {
    const values = asList(value as Scalar | readonly Scalar[]);
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(axis)) {
      report.error(
        'bad-name',
        yaml.atKey([...path, axis]),
        `"${axis}" can't be the name of an axis.`,
        'Use letters, digits, - and _.',
      );
    }
    const seen = new Set<string>();
    for (const [index, item] of values.entries()) {
      const place = Array.isArray(value) ? [...path, axis, index] : [...path, axis];
      checkNumber(report, place, item);
      if (seen.has(String(item)))
        report.error('bad-matrix', yaml.at(place), `The axis "${axis}" has ${item} twice.`, 'Remove one.');
      seen.add(String(item));
    }
    axes[axis] = values;
  }
  const matrix = { axes, include, exclude };
  for (const [key, entries] of Object.entries({ include, exclude })) checkEntries(report, [...path, key], entries);
  const count = countInstances(matrix);
  if (count > MAX_INSTANCES) {
    report.error(
      'bad-matrix',
      yaml.atKey(path),
      `The matrix makes ${count} jobs; ${MAX_INSTANCES} is the most.`,
      'Remove values or an axis.',
    );
    return null;
  }
  if (count === 0) {
    report.error('bad-matrix', yaml.atKey(path), 'The matrix has no values.', 'Add an axis: { node: [22, 24] }.');
    return null;
  }
  checkExcludes(report, path, matrix);
  return matrix;
}

/** Told before time is spent on it: more entries than instances are of no use. */
function sizeProblem({ include = [], exclude = [], ...axes }: NonNullable<RawJob['matrix']>): string | null {
  const keys = new Set(Object.keys(axes));
  if (exclude.length > MAX_INSTANCES) {
    return `The matrix has ${exclude.length} entries in exclude; ${MAX_INSTANCES} is the most.`;
  }
  if (include.length > MAX_INSTANCES) {
    return `The matrix has ${include.length} entries in include; ${MAX_INSTANCES} is the most.`;
  }
  for (const entry of include) for (const key of Object.keys(entry)) keys.add(key);
  return keys.size > MAX_KEYS ? `The matrix has ${keys.size} axes and keys; ${MAX_KEYS} is the most.` : null;
}

function checkEntries(report: Report, path: Path, entries: readonly Readonly<Record<string, Scalar>>[]): void {
  for (const [index, entry] of entries.entries()) {
    for (const [key, value] of Object.entries(entry)) {
      checkNumber(report, [...path, index, key], value);
      if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key)) continue;
      report.error(
        'bad-name',
        report.yaml.atKey([...path, index, key]),
        `"${key}" can't be a key of a matrix.`,
        'Use letters, digits, - and _.',
      );
    }
  }
}

function checkExcludes(report: Report, path: Path, matrix: Matrix): void {
  const names = Object.keys(matrix.axes);
  const idle = new Set(idleExcludes(matrix));
  for (const [index, entry] of matrix.exclude.entries()) {
    const unknown = Object.keys(entry).filter((key) => !names.includes(key));
    for (const key of unknown) {
      report.error(
        'bad-matrix',
        report.yaml.atKey([...path, 'exclude', index, key]),
        `The matrix has no axis "${key}" to exclude.`,
        suggestion(key, names),
      );
    }
    if (unknown.length === 0 && idle.has(index)) {
      report.error(
        'bad-matrix',
        report.yaml.at([...path, 'exclude', index]),
        'This excludes nothing: no combination has these values.',
        'Correct a value or remove it.',
      );
    }
  }
  if (expandMatrix(matrix).length > 0) return;
  report.error(
    'bad-matrix',
    report.yaml.atKey([...path, 'exclude']),
    'Everything is excluded.',
    'Leave a combination.',
  );
}
