import { expandMatrix } from '#src/model/matrix.ts';
import type { JobSpec, RolloutTarget, WorkloadKind } from '#src/model/pipeline.ts';
import type { Path } from '../yaml.ts';
import { guess, type Report, show } from './report.ts';
import { type RawTarget, rolloutTarget } from './schema-environment.ts';

/** Jobs of the file: all ids, and those that could be compiled. */
export interface Jobs {
  readonly ids: readonly string[];
  readonly jobs: readonly JobSpec[];
}

/** Keys that name a workload, and what each names. */
const KINDS = {
  deployment: 'deployment',
  statefulset: 'statefulset',
  daemonset: 'daemonset',
  deploymentconfig: 'deploymentconfig',
  'argo-rollout': 'rollout',
} as const satisfies Record<string, WorkloadKind>;

/** The key under which a workload of this kind stands in the file. */
export function keyOfKind(kind: WorkloadKind): string {
  return kind === 'rollout' ? 'argo-rollout' : kind;
}

/** What `rollout` means. Item by item: a wrong one doesn't hide what is wrong with the others. */
export function compileTargets(report: Report, path: Path, raw: unknown, jobs: Jobs): readonly RolloutTarget[] {
  const items: readonly unknown[] = Array.isArray(raw) ? raw : [];
  const targets = items.flatMap((item, index) => {
    const parsed = rolloutTarget.safeParse(item);
    return parsed.success ? (targetOf(report, [...path, index], parsed.data, jobs) ?? []) : [];
  });
  checkTwice(report, path, targets);
  return targets;
}

function targetOf(report: Report, path: Path, raw: RawTarget, jobs: Jobs): RolloutTarget | null {
  checkImageJob(report, [...path, 'image'], raw.image, jobs);
  const named = Object.keys(KINDS).filter(
    (key): key is keyof typeof KINDS => raw[key as keyof RawTarget] !== undefined,
  );
  const [kind, another] = named;
  if (kind === undefined) {
    report.error(
      'missing-key',
      report.yaml.at(path),
      `${show(path)} names no workload.`,
      'Add deployment: namespace/name (or statefulset, daemonset, deploymentconfig, argo-rollout).',
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
  const { container, image } = raw;
  return { kind: KINDS[kind], cluster: raw.cluster ?? null, namespace, name, container, image };
}

/** The image that is rolled out must be one that a job of this file builds, pushes, and builds once. */
export function checkImageJob(report: Report, path: Path, id: string, jobs: Jobs): void {
  const at = report.yaml.at(path);
  const builders = jobs.jobs.filter((job) => job.kind === 'image').map((job) => job.id);
  const add = 'Add a job with build: { image: registry/name }.';
  const job = jobs.jobs.find((candidate) => candidate.id === id);
  if (!jobs.ids.includes(id)) {
    const hint = builders.length === 0 ? add : guess(report, id, builders);
    report.error(
      'unknown-image-job',
      at,
      `${show(path)} must be the id of the job that builds the image, and there is no job "${id}".`,
      hint,
    );
  } else if (job?.kind === 'script') {
    const hint = builders.length === 0 ? add : guess(report, id, builders);
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
