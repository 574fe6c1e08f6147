import type { GitOpsChange, GitOpsSpec } from '#src/model/delivery.ts';
import { parseField } from '#src/model/field-path.ts';
import type { Path } from '../yaml.ts';
import { type Report, show } from './report.ts';
import { gitops } from './schema-environment.ts';
import { checkShape, isMap } from './shape.ts';
import { checkImageJob, type Jobs } from './targets.ts';
import { checkPath } from './values.ts';

/** What has a meaning only where Slipway rolls out by itself. */
const ELSE = ['rollout', 'steps', 'blue-green', 'stable', 'parallel'] as const;
const ONE = ['file', 'field', 'image', 'value'] as const;

/** What `gitops` of an environment means, or null. `raw`: the environment's keys as they stand in the file. */
export function compileGitOps(
  report: Report,
  environment: Path,
  raw: { readonly gitops?: unknown },
  jobs: Jobs,
): GitOpsSpec | null {
  if (raw.gitops === undefined) return null;
  const path = [...environment, 'gitops'];
  for (const key of ELSE) {
    if (!Object.hasOwn(raw, key)) continue;
    report.error(
      'gitops-and-rollout',
      report.yaml.atKey([...environment, key]),
      `${show(environment)} has "gitops" and "${key}": what is deployed by a commit is rolled out by whoever reads it.`,
      `Remove "${key}".`,
    );
  }
  const parts = checkShape(report, path, raw.gitops, gitops, 'gitops', []);
  if (parts === null || !isMap(raw.gitops)) return null;
  const present = ONE.filter((key) => isMap(raw.gitops) && Object.hasOwn(raw.gitops, key));
  const several = Object.hasOwn(raw.gitops, 'changes');
  if (several && present[0] !== undefined) {
    report.error(
      'gitops-twice',
      report.yaml.atKey([...path, present[0]]),
      `${show(path)} has "changes" and "${present[0]}".`,
      'Put it into an item of "changes".',
    );
  }
  const missing = several ? undefined : (['file', 'field', 'image'] as const).find((key) => !present.includes(key));
  if (missing !== undefined)
    report.error(
      'missing-key',
      report.yaml.atKey(path),
      `${show(path)} has no "${missing}".`,
      `Add the key "${missing}".`,
    );
  const { file, field, image, value } = parts;
  const own = file !== undefined && field !== undefined && image !== undefined ? [{ file, field, image, value }] : [];
  const changes = (several ? (parts.changes ?? []) : own).map((change, index): GitOpsChange => {
    const at = several ? [...path, 'changes', index] : path;
    checkPath(report, [...at, 'file'], change.file);
    checkField(report, [...at, 'field'], change.field);
    checkImageJob(report, [...at, 'image'], change.image, jobs);
    return { ...change, value: change.value ?? 'reference' };
  });
  checkTwice(report, path, changes);
  if (parts.repository === undefined) return null;
  return {
    repository: parts.repository,
    branch: parts.branch ?? null,
    changes,
    pullRequest: parts['pull-request'] ?? false,
  };
}

function checkField(report: Report, path: Path, field: string): void {
  const problem = parseField(field);
  if (typeof problem !== 'string') return;
  report.error('bad-field', report.yaml.at(path), `${show(path)}: "${field}" is no path of keys: ${problem}.`);
}

function checkTwice(report: Report, path: Path, changes: readonly GitOpsChange[]): void {
  const seen = new Set<string>();
  for (const [index, { file, field }] of changes.entries()) {
    const key = `${file}\n${field}`;
    if (seen.has(key)) {
      const message = `${show(path)} sets ${field} of ${file} twice.`;
      report.error('duplicate-change', report.yaml.at([...path, 'changes', index]), message, 'Remove one of them.');
    }
    seen.add(key);
  }
}
