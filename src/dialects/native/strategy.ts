import type { RolloutStep, Strategy } from '#src/model/delivery.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Path } from '../yaml.ts';
import { compileCheck } from './checks.ts';
import { type Report, show } from './report.ts';
import { blueGreen, stepMap, stepText } from './schema-environment.ts';
import { checkShape, isMap } from './shape.ts';
import { type Jobs, keyOfKind } from './targets.ts';

/** What `steps` or `blue-green` of an environment mean; null: a plain rolling update. `raw`: as they stand in the file. */
export function compileStrategy(
  report: Report,
  path: Path,
  raw: { readonly steps?: unknown; readonly 'blue-green'?: unknown },
  targets: readonly RolloutTarget[],
  jobs: Jobs,
): Strategy | null {
  const key = raw['blue-green'] === undefined ? 'steps' : 'blue-green';
  if (raw[key] === undefined) return null;
  if (raw.steps !== undefined && raw['blue-green'] !== undefined) {
    report.error(
      'steps-and-blue-green',
      report.yaml.atKey([...path, 'blue-green']),
      `${show(path)} has "steps" and "blue-green", and a rollout goes one way.`,
      'Remove one of them.',
    );
  }
  checkKinds(report, path, key, targets);
  if (raw.steps !== undefined) return canary(report, [...path, 'steps'], raw.steps, jobs);
  return compileBlueGreen(report, [...path, 'blue-green'], raw['blue-green'], targets, jobs);
}

/** Only what has a number of pods that others can stand beside. */
function checkKinds(report: Report, path: Path, key: string, targets: readonly RolloutTarget[]): void {
  for (const [index, { kind, namespace, name }] of targets.entries()) {
    if (kind === 'deployment' || kind === 'deploymentconfig') continue;
    const own =
      kind === 'rollout'
        ? 'the steps of an Argo Rollout stand in the Rollout itself'
        : 'none of its pods can stand in for another';
    report.error(
      'no-canary',
      report.yaml.at([...path, 'rollout', index, keyOfKind(kind)]),
      `${show([...path, key])} can't be done with the ${keyOfKind(kind)} ${namespace}/${name}: ${own}.`,
      `Remove "${key}", or give this workload an environment of its own.`,
    );
  }
}

function canary(report: Report, path: Path, raw: unknown, jobs: Jobs): Strategy | null {
  const items: readonly unknown[] = Array.isArray(raw) ? raw : [];
  const steps: RolloutStep[] = [];
  let weight = 0;
  for (const [index, item] of items.entries()) {
    const at = [...path, index];
    const step = compileStep(report, at, item, jobs, SHARES);
    if (step === null) continue;
    if (weight === 100) {
      report.error(
        'after-the-end',
        report.yaml.at(at),
        `${show(at)} comes after 100%, and then the rollout is done.`,
        'Put it before 100%.',
      );
    } else if (step.kind === 'weight' && step.percent <= weight) {
      report.error(
        'falling-weight',
        report.yaml.at(at),
        `${show(at)} is ${step.percent}%, and ${weight}% came before: shares rise.`,
        `Write more than ${weight}%.`,
      );
    } else if (step.kind !== 'weight' && weight === 0 && steps.length === index) {
      report.error(
        'before-the-start',
        report.yaml.at(at),
        `${show(at)} comes before the first share, when nothing runs the new version yet.`,
        'Put a share such as 10% before it; approval before anything starts is "approvals".',
      );
    }
    if (step.kind === 'weight') weight = Math.max(weight, step.percent);
    steps.push(step);
  }
  if (weight < 100) steps.push({ kind: 'weight', percent: 100 });
  // A share of 100% alone is what a rollout does anyway.
  return steps.length === 1 ? null : { kind: 'canary', steps };
}

function compileBlueGreen(
  report: Report,
  path: Path,
  raw: unknown,
  targets: readonly RolloutTarget[],
  jobs: Jobs,
): Strategy | null {
  const parts = checkShape(report, path, raw, blueGreen, 'blue-green', ['before', 'after']);
  if (parts === null || !isMap(raw)) return null;
  const list = (key: 'before' | 'after') => {
    const items: readonly unknown[] = Array.isArray(raw[key]) ? raw[key] : [];
    return items.flatMap((item, index): RolloutStep[] => {
      const at = [...path, key, index];
      const step = compileStep(report, at, item, jobs, CHECKS);
      if (step?.kind !== 'weight') return step === null ? [] : [step];
      report.error(
        'weight-in-blue-green',
        report.yaml.at(at),
        `${show(at)} is a share of the pods, and blue-green switches all of them at once.`,
        'Write "steps" in place of "blue-green" to shift pods by and by.',
      );
      return [];
    });
  };
  const [before, after] = [list('before'), list('after')];
  if (parts.service === undefined) return null;
  const [namespace = '', name = ''] = parts.service.split('/');
  checkBehind(report, path, namespace, targets);
  return { kind: 'blue-green', service: { namespace, name }, before, after };
}

/** A Service has pods of its own namespace, and one workload's behind it is all that can be switched. */
function checkBehind(report: Report, path: Path, namespace: string, targets: readonly RolloutTarget[]): void {
  const names = new Set(targets.map((target) => `${target.cluster ?? ''} ${target.namespace}/${target.name}`));
  if (names.size > 1) {
    report.error(
      'several-blue-green',
      report.yaml.atKey(path),
      `${show(path)} switches a Service between two sets of pods of one workload, and "rollout" names ${names.size}.`,
      'Give each workload an environment of its own, or write "steps".',
    );
  }
  const other = targets.find((target) => target.namespace !== namespace);
  if (names.size !== 1 || other === undefined) return;
  report.error(
    'other-namespace',
    report.yaml.at([...path, 'service']),
    `${show([...path, 'service'])} is in the namespace ${namespace}, and ${other.namespace}/${other.name} is not.`,
    'Name the Service in front of this workload.',
  );
}

const SHARES = 'must be a share of the pods such as 25%, approval, or a map such as { pause: 5m }';
const CHECKS = 'must be approval, or a map such as { pause: 5m }';

/** One step, or null if it can't be told (then something was reported). `wanted`: what may stand there. */
function compileStep(report: Report, path: Path, raw: unknown, jobs: Jobs, wanted: string): RolloutStep | null {
  if (isMap(raw)) {
    const parts = checkShape(report, path, raw, stepMap, 'step', []);
    return parts && compileCheck(report, path, parts, Object.keys(raw), jobs);
  }
  const parsed = stepText.safeParse(raw);
  if (!parsed.success) {
    const hint = typeof raw === 'number' && wanted === SHARES ? `Write ${raw}%.` : undefined;
    report.error('wrong-value', report.yaml.at(path), `${show(path)} ${wanted}.`, hint);
    return null;
  }
  if (parsed.data === 'approval') return { kind: 'approval' };
  return { kind: 'weight', percent: Number(parsed.data.slice(0, -1)) };
}
