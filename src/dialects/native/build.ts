import { EvaluationError } from '#src/model/evaluate.ts';
import { expandMatrix } from '#src/model/matrix.ts';
import type { BuildSpec, Matrix } from '#src/model/pipeline.ts';
import { fillTemplate } from '#src/model/template.ts';
import type { Path } from '../yaml.ts';
import { checkTemplate, type Scope } from './expressions.ts';
import type { Report } from './report.ts';
import type { RawJob } from './schema.ts';
import { buildSecrets } from './secrets.ts';
import { checkPath, imageProblem, variablesOf } from './values.ts';

/** What `build` means, with what is wrong in it reported. */
export function compileBuild(
  report: Report,
  path: Path,
  raw: NonNullable<RawJob['build']>,
  matrix: Matrix | null,
  scope: Scope,
): BuildSpec {
  for (const key of ['context', 'dockerfile', 'target'] as const) {
    const value = raw[key];
    if (value === undefined) continue;
    if (key !== 'target') checkPath(report, [...path, key], value);
    if (value.includes('${{'))
      report.error(
        'bad-expression',
        report.yaml.at([...path, key]),
        `Expressions can't be used in "${key}" yet.`,
        'Write it out.',
      );
  }
  if (raw.image !== undefined) checkPushed(report, [...path, 'image'], raw.image, matrix, scope);
  const args = variablesOf(report, [...path, 'args'], raw.args);
  for (const [name, value] of Object.entries(args))
    checkTemplate(report, [...path, 'args', name], value, ['event', 'matrix'], scope);
  return {
    context: raw.context ?? '.',
    dockerfile: raw.dockerfile ?? 'Dockerfile',
    image: raw.image ?? null,
    target: raw.target ?? null,
    args,
    ...(raw.secrets === undefined ? {} : { secrets: buildSecrets(raw.secrets) }),
  };
}

/** Instances of a matrix push under the same tags, so each needs an image of its own. */
function checkPushed(report: Report, path: Path, image: string, matrix: Matrix | null, scope: Scope): void {
  const before = report.diagnostics.length;
  checkTemplate(report, path, image, ['matrix'], scope);
  if (report.diagnostics.length > before) return;
  const seen = new Map<string, string>();
  for (const instance of expandMatrix(matrix)) {
    const values = Object.entries(instance)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ');
    try {
      const name = fillTemplate(image, { matrix: instance });
      const problem = imageProblem(name, true);
      if (problem !== null) {
        report.error(
          'bad-image',
          report.yaml.at(path),
          `"${name}" is no image to push to: ${problem}.`,
          'Write registry/name without a tag: ghcr.io/acme/shop.',
        );
        return;
      }
      const other = seen.get(name);
      if (other !== undefined) {
        report.error(
          'ambiguous-image',
          report.yaml.at(path),
          `Two jobs of the matrix (${other} and ${values}) would push the same image ${name}.`,
          'Use ${{ matrix... }} in the name of the image.',
        );
        return;
      }
      seen.set(name, values);
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      report.error('bad-expression', report.yaml.at(path), `The image can't be told: ${error.message}.`);
      return;
    }
  }
}
