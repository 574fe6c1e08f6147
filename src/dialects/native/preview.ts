import type { PreviewSpec } from '#src/model/delivery.ts';
import type { Path } from '../yaml.ts';
import { checkTemplate } from './expressions.ts';
import { type Report, show } from './report.ts';
import { preview } from './schema-environment.ts';
import { checkShape } from './shape.ts';
import { checkImageJob, type Jobs } from './targets.ts';
import { asList, checkPath, DAYS, imageProblem, minutesOf } from './values.ts';

/** What `preview` means, or null if it can't be told (then something was reported). */
export function compilePreview(report: Report, path: Path, raw: unknown, jobs: Jobs): PreviewSpec | null {
  const parts = checkShape(report, path, raw, preview, 'preview', []);
  if (parts === null) return null;
  if (jobs.ids.includes('preview')) {
    report.error(
      'bad-name',
      report.yaml.atKey(['jobs', 'preview']),
      'No job can be called "preview" in a file that has a preview: that is its check run.',
      'Choose another id.',
    );
  }
  const several = Array.isArray(parts.manifests);
  const manifests = asList(parts.manifests);
  for (const [index, glob] of manifests.entries())
    checkPath(report, [...path, 'manifests', ...(several ? [index] : [])], glob);
  if (parts.url !== undefined) checkTemplate(report, [...path, 'url'], parts.url, ['event'], null);
  const images = parts.images ?? {};
  for (const [name, job] of Object.entries(images)) {
    const at = [...path, 'images', name];
    const problem = imageProblem(name, true)?.replace(': Slipway adds the tags itself', '');
    if (problem !== undefined) {
      report.error(
        'bad-image',
        report.yaml.atKey(at),
        `${show([...path, 'images'])}: "${name}" is no name of an image: ${problem}.`,
        'Write the name as the manifests have it, without tag: ghcr.io/acme/shop.',
      );
    }
    checkImageJob(report, at, job, jobs);
  }
  const timeoutMinutes = minutesOf(report, [...path, 'timeout'], parts.timeout, 10);
  const keepMinutes = minutesOf(report, [...path, 'keep'], parts.keep, 3 * DAYS, { most: 30 * DAYS });
  if (parts.manifests === undefined) return null;
  return { manifests, images, url: parts.url ?? null, timeoutMinutes, keepMinutes, at: report.yaml.atKey(path) };
}
