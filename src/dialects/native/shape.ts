import { suggestion } from '#src/model/suggest.ts';
import type { z } from 'zod';
import type { Path } from '../yaml.ts';
import { type Problem, problemsOf } from '../zod-problems.ts';
import { type Report, show } from './report.ts';
import { sealedHint } from './secrets.ts';
import { ELSEWHERE, LATER, type Level } from './words.ts';

type PartsOf<T> = { readonly [K in keyof T]?: T[K] };

/**
 * Reports what the schema finds and answers the keys that are right by themselves; null if there are none.
 * The items under a key of `apart` are checked on their own, and so is the value of a key of `wholly`.
 */
export function checkShape<S extends z.ZodRawShape>(
  report: Report,
  path: Path,
  value: unknown,
  schema: z.ZodObject<S, z.core.$strict>,
  level: Level,
  apart: readonly string[],
  wholly: readonly string[] = [],
): PartsOf<z.infer<z.ZodObject<S>>> | null {
  const result = schema.safeParse(value);
  const issues = (result.error?.issues ?? []).filter(
    (issue) =>
      !wholly.includes(String(issue.path[0])) &&
      (!apart.includes(String(issue.path[0])) ||
        issue.path.length < 2 ||
        (issue.code === 'invalid_key' && issue.path.length === 2)),
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

/** Keys of the maps inside a job, an environment and so on. */
function siblings(path: Path, level: Level): readonly string[] {
  if (path.at(-1) === 'concurrency') return ['group', 'cancel-in-progress', 'queue'];
  if (level === 'gitops') return ['file', 'field', 'image', 'value'];
  if (level === 'environment') return OF_ENVIRONMENT[String(path[2])] ?? [];
  if (path[2] === 'build') return ['context', 'dockerfile', 'image', 'target', 'args', 'secrets'];
  if (path.at(-2) === 'secrets') return ['secret', 'file'];
  if (path[2] === 'run') return ['name', 'run', 'secrets'];
  if (path[2] === 'env') return ['sealed'];
  return path[2] === 'reports' ? ['junit'] : ['image', 'env', 'command', 'port', 'timeout'];
}

const OF_ENVIRONMENT: Readonly<Record<string, readonly string[]>> = {
  on: ['branch', 'tag', 'release', 'manual'],
  approvals: ['count', 'people', 'teams', 'permission'],
  allow: ['people', 'teams', 'permission'],
  windows: ['days', 'hours', 'zone'],
  rollout: [
    'deployment',
    'statefulset',
    'daemonset',
    'deploymentconfig',
    'argo-rollout',
    'container',
    'image',
    'cluster',
  ],
};

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
