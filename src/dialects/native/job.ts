import type { ImageJobSpec, JobSpec, Scalar, ScriptJobSpec, ServiceSpec, StepSpec } from '#src/model/pipeline.ts';
import { list, suggestion } from '#src/model/suggest.ts';
import type { Path } from '../yaml.ts';
import { compileAccess } from './access.ts';
import { compileBuild } from './build.ts';
import { compileConcurrency } from './concurrency.ts';
import { checkCondition, checkTemplate, type Scope } from './expressions.ts';
import { compileMatrix } from './matrix.ts';
import { type Report, show } from './report.ts';
import type { RawJob, RawStep } from './schema.ts';
import { compileSecrets, namedSecrets, splitEnv } from './secrets.ts';
import { asList, checkPath, imageProblem, minutesOf, variablesOf } from './values.ts';

type Parts = { readonly [K in keyof RawJob]?: RawJob[K] };

/**
 * What a job's keys mean, or null if the job can't be told (then something was reported). `raw` holds the keys that
 * are right by themselves, `present` all that stand in the file; around it are all jobs' ids and environments' names.
 */
export function compileJob(
  report: Report,
  path: Path,
  id: string,
  raw: Parts,
  { ids, environments }: { readonly ids: readonly string[]; readonly environments: readonly string[] },
  present: readonly string[],
): JobSpec | null {
  const { yaml } = report;
  if (id === 'slipway')
    report.error(
      'bad-name',
      yaml.atKey(path),
      'No job can be called "slipway": that is the check run about this file.',
      'Choose another id.',
    );
  const twin = ids.find((other) => other !== id && other.toLowerCase() === id.toLowerCase());
  if (twin !== undefined && ids.indexOf(twin) < ids.indexOf(id)) {
    report.error(
      'bad-name',
      yaml.atKey(path),
      `The jobs "${twin}" and "${id}" differ only in capital letters.`,
      'Rename one.',
    );
  }
  const matrix = raw.matrix ? compileMatrix(report, [...path, 'matrix'], raw.matrix) : null;
  const wrongMatrix = matrix === null && present.includes('matrix');
  const needs = asList(raw.needs).filter((need) => ids.includes(need) && need !== id);
  const scope: Scope = { job: id, matrix: wrongMatrix ? null : matrixKeys(matrix), needs };
  const base = {
    id,
    name: raw.name ?? null,
    needs: [...new Set(needs)],
    if: conditionOf(report, [...path, 'if'], raw.if, scope),
    matrix,
    continueOnError: raw['continue-on-error'] ?? false,
    timeoutMinutes: minutesOf(report, [...path, 'timeout'], raw.timeout, 60),
    retries: raw.retry ?? 0,
    concurrency: compileConcurrency(report, [...path, 'concurrency'], raw.concurrency, ['event', 'matrix'], scope),
    at: yaml.atKey(path),
  };
  if (raw.name !== undefined) checkTemplate(report, [...path, 'name'], raw.name, ['matrix'], scope);
  const script = compileScript(report, path, raw, scope, environments);
  if (raw.build) {
    refuseBoth(report, path, raw);
    const build = compileBuild(report, [...path, 'build'], raw.build, matrix, scope);
    return { ...base, kind: 'image', build } satisfies ImageJobSpec;
  }
  if (raw.image === undefined || raw.run === undefined) {
    missing(report, path, present);
    return null;
  }
  return { ...base, ...script, kind: 'script', image: raw.image } satisfies ScriptJobSpec;
}

function compileScript(report: Report, path: Path, raw: Parts, scope: Scope, environments: readonly string[]) {
  const contexts = ['event', 'matrix'];
  if (raw.image !== undefined) checkImage(report, [...path, 'image'], raw.image, scope);
  if (raw.workdir !== undefined) {
    checkPath(report, [...path, 'workdir'], raw.workdir);
    checkTemplate(report, [...path, 'workdir'], raw.workdir, ['matrix'], scope);
  }
  const { plain, sealed } = splitEnv(report, [...path, 'env'], raw.env);
  const env = variablesOf(report, [...path, 'env'], plain);
  for (const [name, value] of Object.entries(env))
    checkTemplate(report, [...path, 'env', name], value, contexts, scope);
  return {
    ...compileSecrets(report, path, raw, sealed),
    ...compileAccess(report, path, raw),
    ...environmentOf(report, [...path, 'environment'], raw.environment, environments),
    ...(raw.docker === true ? { docker: true } : {}),
    steps: stepsOf(report, [...path, 'run'], raw.run, scope),
    env,
    workdir: raw.workdir ?? null,
    shell: raw.shell ?? ('sh' as const),
    services: Object.entries(raw.services ?? {}).map(([name, service]) =>
      serviceOf(report, [...path, 'services', name], name, service, scope),
    ),
    artifacts: globsOf(report, [...path, 'artifacts'], raw.artifacts),
    reports: { junit: globsOf(report, [...path, 'reports', 'junit'], raw.reports?.junit) },
  };
}

/** A text is one step, each item of a list is one; its first line that says something is its name. */
function stepsOf(report: Report, path: Path, run: RawJob['run'], scope: Scope): readonly StepSpec[] {
  return asList<RawStep>(run).map((item, index) => {
    const step = typeof item === 'string' ? { run: item } : item;
    const script = step.run;
    const itemPath = Array.isArray(run) ? [...path, index] : path;
    const place = typeof item === 'string' ? itemPath : [...itemPath, 'run'];
    if (step.name !== undefined) checkTemplate(report, [...itemPath, 'name'], step.name, ['matrix'], scope);
    checkTemplate(report, place, script, ['matrix'], scope);
    const lines = script.split('\n').map((line) => line.trim());
    const name = lines.find((line) => line !== '' && !line.startsWith('#')) ?? lines.find((line) => line !== '') ?? '';
    if (name === '')
      report.error('empty-step', report.yaml.at(place), `${show(place)} is blank.`, 'Write a command or remove it.');
    const shown = step.name ?? name;
    return {
      name: shown.length > 100 ? `${shown.slice(0, 99)}…` : shown,
      script: script.trimEnd(),
      ...(step.secrets === undefined ? {} : { secrets: namedSecrets(step.secrets) }),
    };
  });
}

function serviceOf(
  report: Report,
  path: Path,
  name: string,
  raw: NonNullable<RawJob['services']>[string],
  scope: Scope,
): ServiceSpec {
  const service = typeof raw === 'string' ? { image: raw } : raw;
  checkImage(report, typeof raw === 'string' ? path : [...path, 'image'], service.image, scope);
  const env = variablesOf(report, [...path, 'env'], service.env);
  for (const [key, value] of Object.entries(env))
    checkTemplate(report, [...path, 'env', key], value, ['event', 'matrix'], scope);
  const { command } = service;
  return {
    name,
    image: service.image,
    env,
    command: command === undefined ? null : typeof command === 'string' ? command.trim().split(/\s+/) : command,
    port: service.port ?? null,
    readyTimeoutSeconds: Math.round(minutesOf(report, [...path, 'timeout'], service.timeout, 1) * 60),
  };
}

function checkImage(report: Report, path: Path, image: string, scope: Scope): void {
  checkTemplate(report, path, image, ['matrix'], scope);
  const problem = image.includes('${{') ? null : imageProblem(image, false);
  if (problem !== null)
    report.error(
      'bad-image',
      report.yaml.at(path),
      `"${image}" is no image: ${problem}.`,
      'Write it as for docker pull: node:24.',
    );
}

function globsOf(report: Report, path: Path, globs: string | readonly string[] | undefined): readonly string[] {
  return asList(globs).map((glob, index) => {
    checkPath(report, Array.isArray(globs) ? [...path, index] : path, glob);
    return glob;
  });
}

function conditionOf(report: Report, path: Path, condition: string | boolean | undefined, scope: Scope): string | null {
  if (condition === undefined) return null;
  return typeof condition === 'boolean' ? String(condition) : checkCondition(report, path, condition, scope);
}

function matrixKeys(
  matrix: { readonly axes: object; readonly include: readonly Readonly<Record<string, Scalar>>[] } | null,
): readonly string[] {
  return matrix === null
    ? []
    : [...new Set([...Object.keys(matrix.axes), ...matrix.include.flatMap((entry) => Object.keys(entry))])];
}

/** The name must be one of the file's: a misspelt one would silently give another secret. */
function environmentOf(
  report: Report,
  path: Path,
  name: string | undefined,
  known: readonly string[],
): { readonly environment?: string } {
  if (name === undefined) return {};
  if (known.includes(name)) return { environment: name };
  report.error(
    'unknown-environment',
    report.yaml.at(path),
    `${show(path)}: there is no environment "${name}" in this file.`,
    known.length === 0
      ? 'Variables are in "env"; environments stand beside "jobs".'
      : suggestion(name, known) || 'Add it to "environments".',
  );
  return {};
}

const SCRIPT_KEYS = [
  'image',
  'run',
  'env',
  'secrets',
  'environment',
  'docker',
  'privileged',
  'network',
  'devices',
  'volumes',
  'workdir',
  'shell',
  'services',
  'artifacts',
  'reports',
] as const;

function refuseBoth(report: Report, path: Path, raw: Parts): void {
  for (const key of SCRIPT_KEYS.filter((key) => raw[key] !== undefined)) {
    report.error(
      'build-and-run',
      report.yaml.atKey([...path, key]),
      `${show(path)} has a "build", so it can't have "${key}" too.`,
      key === 'secrets'
        ? 'Secrets of a build stand in "build" itself.'
        : 'Make two jobs: one that builds the image, one that runs commands.',
    );
  }
}

function missing(report: Report, path: Path, present: readonly string[]): void {
  if (present.includes('build')) return;
  const lacking = (['image', 'run'] as const).filter((key) => !present.includes(key));
  if (lacking.length === 0) return;
  const hints = { image: 'image: node:24, say', run: 'run: [npm ci, npm test], say' };
  report.error(
    'missing-key',
    report.yaml.atKey(path),
    `${show(path)} has no ${list(lacking.map((key) => `"${key}"`))}.`,
    `Add ${list(lacking.map((key) => hints[key]))} (or "build" for an image).`,
  );
}
