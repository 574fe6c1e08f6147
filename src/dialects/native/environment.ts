import { noRules } from '#src/model/deploy-rules.ts';
import { expandMatrix } from '#src/model/matrix.ts';
import { patternProblem } from '#src/model/pattern.ts';
import type { EnvironmentSpec, JobSpec, RolloutTarget } from '#src/model/pipeline.ts';
import { suggestion } from '#src/model/suggest.ts';
import type { Path } from '../yaml.ts';
import { checkTemplate } from './expressions.ts';
import { type Report, show } from './report.ts';
import { type RawEnvironment, rolloutTarget } from './schema.ts';
import { asList, minutesOf } from './values.ts';

/** The keys that are right by themselves; `targets` is the rollout as it stands in the file. */
type Parts = { readonly [K in keyof RawEnvironment]?: RawEnvironment[K] } & { readonly targets: unknown };
type RawTarget = RawEnvironment['rollout'][number];

/** Jobs of the file: all ids, and those that could be compiled. */
interface Jobs {
  readonly ids: readonly string[];
  readonly jobs: readonly JobSpec[];
}

const KINDS = ['deployment', 'statefulset', 'daemonset'] as const;

/** What an environment's keys mean, or null if it can't be told (then something was reported). */
export function compileEnvironment(
  report: Report,
  path: Path,
  name: string,
  raw: Parts,
  jobs: Jobs,
): EnvironmentSpec | null {
  const on = raw.on ?? {};
  if (raw.on && on.branch === undefined && on.tag === undefined) {
    report.error(
      'empty-on',
      report.yaml.atKey([...path, 'on']),
      `${show([...path, 'on'])} names neither branch nor tag.`,
      'Write on: { branch: main }, or remove it: then only /deploy deploys here.',
    );
  }
  if (raw.url !== undefined) checkTemplate(report, [...path, 'url'], raw.url, ['event'], null);
  // One by one: a wrong target doesn't hide what is wrong with the others.
  const rollout = (Array.isArray(raw.targets) ? raw.targets : []).flatMap((target: unknown, index) => {
    const at = [...path, 'rollout', index];
    const parsed = rolloutTarget.safeParse(target);
    return parsed.success ? (targetOf(report, at, parsed.data, jobs) ?? []) : [];
  });
  checkTwice(report, [...path, 'rollout'], rollout);
  if (raw.rollout === undefined) return null;
  return {
    name,
    on: {
      branches: patternsOf(report, [...path, 'on', 'branch'], on.branch),
      tags: patternsOf(report, [...path, 'on', 'tag'], on.tag),
      releases: false,
    },
    rules: noRules,
    queue: 'all',
    stableSeconds: 0,
    atOnce: false,
    strategy: null,
    gitops: null,
    url: raw.url ?? null,
    timeoutMinutes: minutesOf(report, [...path, 'timeout'], raw.timeout, 10),
    rollout,
    at: report.yaml.atKey(path),
  };
}

function targetOf(report: Report, path: Path, raw: RawTarget, jobs: Jobs): RolloutTarget | null {
  checkImageJob(report, [...path, 'image'], raw.image, jobs);
  const named = KINDS.filter((kind) => raw[kind] !== undefined);
  const [kind, another] = named;
  if (kind === undefined) {
    report.error(
      'missing-key',
      report.yaml.at(path),
      `${show(path)} names no workload.`,
      'Add deployment: namespace/name (or statefulset, daemonset).',
    );
    return null;
  }
  if (another !== undefined) {
    report.error(
      'two-workloads',
      report.yaml.atKey([...path, another]),
      `${show(path)} names a ${kind} and a ${another}.`,
      'Make two items of it.',
    );
  }
  const [namespace = '', name = ''] = (raw[kind] ?? '').split('/');
  return { kind, cluster: raw.cluster ?? null, namespace, name, container: raw.container, image: raw.image };
}

/** The image that is rolled out must be one that a job of this file builds, pushes, and builds once. */
function checkImageJob(report: Report, path: Path, id: string, jobs: Jobs): void {
  const at = report.yaml.at(path);
  const builders = jobs.jobs.filter((job) => job.kind === 'image').map((job) => job.id);
  const add = 'Add a job with build: { image: registry/name }.';
  const job = jobs.jobs.find((candidate) => candidate.id === id);
  if (!jobs.ids.includes(id)) {
    const hint = builders.length === 0 ? add : suggestion(id, builders);
    report.error(
      'unknown-image-job',
      at,
      `${show(path)} must be the id of the job that builds the image, and there is no job "${id}".`,
      hint,
    );
  } else if (job?.kind === 'script') {
    const hint = builders.length === 0 ? add : suggestion(id, builders);
    report.error('no-image-job', at, `${show(path)}: the job "${id}" runs commands and builds no image.`, hint);
  } else if (job?.kind === 'image' && job.build.image === null) {
    report.error(
      'image-not-pushed',
      at,
      `${show(path)}: the job "${id}" builds an image that is pushed nowhere.`,
      `Add build.image to the job "${id}": ghcr.io/acme/shop, say.`,
    );
  } else if (job && expandMatrix(job.matrix).length > 1) {
    report.error(
      'ambiguous-image',
      at,
      `${show(path)}: the job "${id}" builds several images by its matrix, and one container gets one.`,
      'Give the image that is rolled out a job of its own.',
    );
  }
}

function checkTwice(report: Report, path: Path, targets: readonly RolloutTarget[]): void {
  const seen = new Set<string>();
  for (const [index, target] of targets.entries()) {
    const key = `${target.cluster ?? ''} ${target.kind} ${target.namespace}/${target.name} ${target.container}`;
    if (seen.has(key)) {
      const what = `the container ${target.container} of the ${target.kind} ${target.namespace}/${target.name}`;
      report.error(
        'duplicate-target',
        report.yaml.at([...path, index]),
        `${show(path)} names ${what} twice.`,
        'Remove one of them.',
      );
    }
    seen.add(key);
  }
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
