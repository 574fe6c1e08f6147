import { type Diagnostic, hasErrors } from '#src/model/diagnostic.ts';
import type { EnvironmentSpec, JobSpec } from '#src/model/pipeline.ts';
import type { z } from 'zod';
import type { Compiled } from '../dialect.ts';
import { suggestion } from '#src/model/suggest.ts';
import { type Path, readYaml } from '../yaml.ts';
import { type Problem, problemsOf } from '../zod-problems.ts';
import { checkOwnGroups, compileConcurrency } from './concurrency.ts';
import { checkNeeds } from './needs.ts';
import { compileEnvironment } from './environment.ts';
import { compileJob } from './job.ts';
import { createReport, type Report, show } from './report.ts';
import { environment, file as fileSchema, job } from './schema.ts';
import { sealedHint } from './secrets.ts';
import { ELSEWHERE, LATER } from './words.ts';

const MAX_JOBS = 500;
/** More than these are not told one by one. */
const MAX_DIAGNOSTICS = 100;

type Level = keyof typeof LATER;
type PartsOf<T> = { readonly [K in keyof T]?: T[K] };

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
  const top = checkShape(report, [], value, fileSchema, 'file', ['jobs', 'environments']);
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
  const jobs = ids.flatMap((id): JobSpec[] => {
    const path = ['jobs', id];
    const parts = checkShape(report, path, rawJobs[id], job, 'job', []);
    const around = { ids, environments: Object.keys(rawEnvironments) };
    const spec = parts && compileJob(report, path, id, parts, around, Object.keys(Object(rawJobs[id])));
    return spec ? [spec] : [];
  });
  checkNeeds(report, rawJobs);
  checkOwnGroups(report, concurrency, jobs);
  const environments = Object.keys(rawEnvironments).flatMap((name): EnvironmentSpec[] => {
    const path = ['environments', name];
    const parts = checkShape(report, path, rawEnvironments[name], environment, 'environment', []);
    const spec =
      parts &&
      compileEnvironment(
        report,
        path,
        name,
        { ...parts, targets: Object(rawEnvironments[name])['rollout'] },
        { ids, jobs },
      );
    return spec ? [spec] : [];
  });
  const diagnostics = inOrder(report.diagnostics);
  if (hasErrors(diagnostics)) return { kind: 'invalid', diagnostics };
  return { kind: 'pipeline', pipeline: { dialect: 'native', file, jobs, environments, concurrency }, diagnostics };
}

function inOrder(all: readonly Diagnostic[]): readonly Diagnostic[] {
  const sorted = [...all].sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
  const next = sorted[MAX_DIAGNOSTICS];
  if (next === undefined) return sorted;
  const message = `There are ${sorted.length - MAX_DIAGNOSTICS} more mistakes from here on.`;
  return [...sorted.slice(0, MAX_DIAGNOSTICS), { severity: 'error', code: 'many-more', message, at: next.at }];
}

/**
 * Reports what the schema finds and answers the keys that are right by themselves; null if there are none.
 * What lies under a key of `apart` is checked on its own.
 */
function checkShape<S extends z.ZodRawShape>(
  report: Report,
  path: Path,
  value: unknown,
  schema: z.ZodObject<S, z.core.$strict>,
  level: Level,
  apart: readonly string[],
): PartsOf<z.infer<z.ZodObject<S>>> | null {
  const result = schema.safeParse(value);
  const issues = (result.error?.issues ?? []).filter(
    (issue) =>
      !apart.includes(String(issue.path[0])) ||
      issue.path.length < 2 ||
      (issue.code === 'invalid_key' && issue.path.length === 2),
  );
  for (const problem of problemsOf(issues, value, path))
    tell(report, problem, level, path.length, Object.keys(schema.shape));
  if (!isMap(value)) return null;
  const parts: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(schema.shape)) {
    if (value[key] === undefined) continue;
    const parsed = (part as unknown as z.ZodType).safeParse(value[key]);
    if (parsed.success) parts[key] = parsed.data;
  }
  return parts as PartsOf<z.infer<z.ZodObject<S>>>;
}

function tell(report: Report, problem: Problem, level: Level, depth: number, keys: readonly string[]): void {
  const { yaml } = report;
  switch (problem.kind) {
    case 'value':
      report.error(
        'wrong-value',
        yaml.at(problem.path),
        `${show(problem.path)} ${problem.message}.`,
        sealedHint(yaml.value, problem.path) ?? problem.hint,
      );
      return;
    case 'key':
      report.error('bad-name', yaml.atKey(problem.path), `${problem.message}.`);
      return;
    case 'missing': {
      const where = problem.path.length === 0 ? 'The file' : show(problem.path);
      report.error(
        'missing-key',
        yaml.atKey(problem.path),
        `${where} has no "${problem.key}".`,
        `Add the key "${problem.key}".`,
      );
      return;
    }
    case 'unknown-key': {
      const at = yaml.atKey([...problem.path, problem.key]);
      const top = problem.path.length === depth;
      if (top && LATER[level].includes(problem.key)) {
        report.error(
          'not-yet',
          at,
          `This version of Slipway doesn't do "${problem.key}" yet.`,
          'Remove it: nothing is ignored silently.',
        );
        return;
      }
      const elsewhere = top && Object.hasOwn(ELSEWHERE[level], problem.key) ? ELSEWHERE[level][problem.key] : undefined;
      const hint = elsewhere ?? suggestion(problem.key, top ? keys : siblings(problem.path, level));
      report.error(
        'unknown-key',
        at,
        `Slipway knows no key "${problem.key}" in ${show(problem.path) || 'the file'}.`,
        hint,
      );
    }
  }
}

/** Keys of the maps inside a job or environment. */
function siblings(path: Path, level: Level): readonly string[] {
  if (path.at(-1) === 'concurrency') return ['group', 'cancel-in-progress', 'queue'];
  if (level === 'environment') {
    return path[2] === 'on'
      ? ['branch', 'tag']
      : ['deployment', 'statefulset', 'daemonset', 'container', 'image', 'cluster'];
  }
  if (path[2] === 'build') return ['context', 'dockerfile', 'image', 'target', 'args', 'secrets'];
  if (path.at(-2) === 'secrets') return ['secret', 'file'];
  if (path[2] === 'run') return ['name', 'run', 'secrets'];
  if (path[2] === 'env') return ['sealed'];
  return path[2] === 'reports' ? ['junit'] : ['image', 'env', 'command', 'port', 'timeout'];
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
