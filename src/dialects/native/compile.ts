import { type Diagnostic, hasErrors } from '#src/model/diagnostic.ts';
import type { EnvironmentSpec, JobSpec } from '#src/model/pipeline.ts';
import type { Compiled } from '../dialect.ts';
import { readYaml } from '../yaml.ts';
import { checkOwnGroups, compileConcurrency } from './concurrency.ts';
import { checkNeeds } from './needs.ts';
import { compileEnvironment } from './environment.ts';
import { compileJob } from './job.ts';
import { compilePreview } from './preview.ts';
import { createReport } from './report.ts';
import { checkAfter } from './rules.ts';
import { file as fileSchema, job } from './schema.ts';
import { environment } from './schema-environment.ts';
import { checkShape, isMap } from './shape.ts';

const MAX_JOBS = 500;
const MAX_ENVIRONMENTS = 200;
/** More than these are not told one by one. */
const MAX_DIAGNOSTICS = 100;

/**
 * Compiles slipway.yml. Everything that is right is looked at further although other parts are wrong, so that
 * all mistakes are told at once.
 */
export function compileNative(file: string, text: string): Compiled {
  const report = createReport(readYaml(file, text));
  const { value } = report.yaml;
  if (value === undefined) return { kind: 'invalid', diagnostics: inOrder(report.diagnostics) };
  if (!isMap(value)) {
    report.error(
      'wrong-type',
      report.yaml.at([]),
      'The file must be a map with the key "jobs".',
      'Start it with: jobs:',
    );
    return { kind: 'invalid', diagnostics: report.diagnostics };
  }
  const top = checkShape(report, [], value, fileSchema, 'file', ['jobs', 'environments'], ['preview']);
  const concurrency = compileConcurrency(report, ['concurrency'], top?.concurrency, ['event'], null);
  const rawJobs = isMap(value['jobs']) ? value['jobs'] : {};
  const rawEnvironments = isMap(value['environments']) ? value['environments'] : {};
  if (isMap(value['jobs']) && Object.keys(rawJobs).length === 0) {
    report.error(
      'no-jobs',
      report.yaml.atKey(['jobs']),
      'There are no jobs.',
      'Add one: test: { image: ..., run: [...] }.',
    );
  }
  const ids = Object.keys(rawJobs);
  if (ids.length > MAX_JOBS) {
    report.error(
      'too-many-jobs',
      report.yaml.atKey(['jobs']),
      `There are ${ids.length} jobs; ${MAX_JOBS} is the most.`,
      'Make fewer.',
    );
    return { kind: 'invalid', diagnostics: report.diagnostics };
  }
  const names = Object.keys(rawEnvironments);
  if (names.length > MAX_ENVIRONMENTS) {
    report.error(
      'too-many-environments',
      report.yaml.atKey(['environments']),
      `There are ${names.length} environments; ${MAX_ENVIRONMENTS} is the most.`,
      'Make fewer.',
    );
    return { kind: 'invalid', diagnostics: inOrder(report.diagnostics) };
  }
  const jobs = ids.flatMap((id): JobSpec[] => {
    const path = ['jobs', id];
    const parts = checkShape(report, path, rawJobs[id], job, 'job', []);
    const around = { ids, environments: names };
    const spec = parts && compileJob(report, path, id, parts, around, Object.keys(Object(rawJobs[id])));
    return spec ? [spec] : [];
  });
  checkNeeds(report, rawJobs);
  checkOwnGroups(report, concurrency, jobs);
  const environments = names.flatMap((name): EnvironmentSpec[] => {
    const path = ['environments', name];
    const raw = rawEnvironments[name];
    const parts = checkShape(report, path, raw, environment, 'environment', ['steps'], ['blue-green', 'gitops']);
    const around = { ids, jobs, environments: names };
    const spec = parts && compileEnvironment(report, path, name, parts, Object(raw) as object, around);
    return spec ? [spec] : [];
  });
  checkAfter(report, rawEnvironments, environments);
  const preview =
    value['preview'] === undefined ? null : compilePreview(report, ['preview'], value['preview'], { ids, jobs });
  const diagnostics = inOrder(report.diagnostics);
  if (hasErrors(diagnostics)) return { kind: 'invalid', diagnostics };
  const pipeline = { dialect: 'native', file, jobs, environments, ...(preview && { preview }), concurrency };
  return { kind: 'pipeline', pipeline, diagnostics };
}

function inOrder(all: readonly Diagnostic[]): readonly Diagnostic[] {
  const sorted = [...all].sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
  const next = sorted[MAX_DIAGNOSTICS];
  if (next === undefined) return sorted;
  const message = `There are ${sorted.length - MAX_DIAGNOSTICS} more mistakes from here on.`;
  return [...sorted.slice(0, MAX_DIAGNOSTICS), { severity: 'error', code: 'many-more', message, at: next.at }];
}
