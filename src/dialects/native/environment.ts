import { patternProblem } from '#src/model/pattern.ts';
import type { EnvironmentSpec } from '#src/model/pipeline.ts';
import type { Path } from '../yaml.ts';
import { checkTemplate } from './expressions.ts';
import { compileGitOps } from './gitops.ts';
import { type Report, show } from './report.ts';
import { compileRules } from './rules.ts';
import type { RawEnvironment } from './schema-environment.ts';
import { isMap } from './shape.ts';
import { compileStrategy } from './strategy.ts';
import { compileTargets, type Jobs } from './targets.ts';
import { asList, minutesOf, WEEKS } from './values.ts';

/** The keys that are right by themselves. */
type Parts = { readonly [K in keyof RawEnvironment]?: RawEnvironment[K] };
/** The keys as they stand in the file. */
type Raw = { readonly [K in keyof RawEnvironment]?: unknown };

interface Around extends Jobs {
  /** Names of all environments. */
  readonly environments: readonly string[];
}

/** What an environment's keys mean, or null if it can't be told (then something was reported). */
export function compileEnvironment(
  report: Report,
  path: Path,
  name: string,
  parts: Parts,
  raw: Raw,
  around: Around,
): EnvironmentSpec | null {
  const { yaml } = report;
  const twin = around.environments.find((other) => other.toLowerCase() === name.toLowerCase());
  if (twin !== name) {
    report.error(
      'bad-name',
      yaml.atKey(path),
      `The environments "${twin ?? ''}" and "${name}" differ only in capital letters.`,
      'Rename one.',
    );
  }
  const on = onOf(report, [...path, 'on'], parts.on);
  if (parts.url !== undefined) checkTemplate(report, [...path, 'url'], parts.url, ['event'], null);
  const rollout = compileTargets(report, [...path, 'rollout'], raw.rollout, around);
  const gitops = compileGitOps(report, path, raw, around);
  const strategy = compileStrategy(report, path, raw, rollout, around);
  const followed = isMap(raw.gitops) && raw.gitops['pull-request'] === true;
  const timeoutMinutes = timeoutOf(report, [...path, 'timeout'], parts.timeout, followed);
  const stableSeconds = stableOf(report, [...path, 'stable'], parts.stable, timeoutMinutes);
  const rules = compileRules(report, path, parts);
  if (raw.rollout === undefined && raw.gitops === undefined) {
    report.error(
      'missing-key',
      yaml.atKey(path),
      `${show(path)} has neither "rollout" nor "gitops".`,
      'Add rollout: [{ deployment: namespace/name, container: NAME, image: JOB }].',
    );
    return null;
  }
  return {
    name,
    on,
    rules,
    queue: parts.queue ?? 'all',
    url: parts.url ?? null,
    timeoutMinutes,
    stableSeconds,
    atOnce: parts.parallel ?? false,
    strategy,
    gitops,
    rollout: gitops === null ? rollout : [],
    at: yaml.atKey(path),
  };
}

function onOf(report: Report, path: Path, raw: Parts['on']): EnvironmentSpec['on'] {
  if (raw === undefined || typeof raw === 'string') return { branches: [], tags: [], releases: false };
  if (Object.keys(raw).length === 0) {
    report.error(
      'empty-on',
      report.yaml.atKey(path),
      `${show(path)} names nothing.`,
      'Write on: { branch: main }, or tag, release or manual: true.',
    );
  }
  return {
    branches: patternsOf(report, [...path, 'branch'], raw.branch),
    tags: patternsOf(report, [...path, 'tag'], raw.tag),
    releases: raw.release ?? false,
  };
}

function patternsOf(report: Report, path: Path, patterns: string | readonly string[] | undefined): readonly string[] {
  return asList(patterns).map((pattern, index) => {
    const problem = patternProblem(pattern);
    const at = report.yaml.at(Array.isArray(patterns) ? [...path, index] : path);
    if (problem !== null)
      report.error(
        'bad-pattern',
        at,
        `"${pattern}" is no pattern: ${problem}.`,
        'Write names with * for anything: release/*.',
      );
    return pattern;
  });
}

/** A pull request is merged by people: it has longer. */
function timeoutOf(report: Report, path: Path, raw: Parts['timeout'], pullRequest: boolean): number {
  return pullRequest ? minutesOf(report, path, raw, 24 * 60, { most: 2 * WEEKS }) : minutesOf(report, path, raw, 10);
}

function stableOf(report: Report, path: Path, raw: Parts['stable'], timeoutMinutes: number): number {
  const minutes = minutesOf(report, path, raw, 5 / 60, { zero: true });
  if (minutes >= timeoutMinutes) {
    report.error(
      'never-stable',
      report.yaml.at(path),
      `${show(path)} isn't less than the timeout, so no rollout could ever succeed.`,
      'Write less, or a longer timeout.',
    );
  }
  return Math.round(minutes * 60);
}
