import type { CheckTimes, RolloutStep } from '#src/model/delivery.ts';
import { expandMatrix } from '#src/model/matrix.ts';
import { list } from '#src/model/suggest.ts';
import type { Path } from '../yaml.ts';
import { checkTemplate } from './expressions.ts';
import { guess, type Report, show } from './report.ts';
import { type RawStep, stepMap } from './schema-environment.ts';
import type { Jobs } from './targets.ts';
import { DAYS, minutesOf } from './values.ts';

type Parts = { readonly [K in keyof RawStep]?: RawStep[K] };

/** What each kind of step may have beside its own key. */
const BESIDE = {
  pause: [],
  approval: [],
  probe: ['status', 'contains', 'every', 'count', 'failures'],
  prometheus: ['query', 'min', 'max', 'every', 'count', 'failures'],
  job: [],
} as const satisfies Record<string, readonly (keyof RawStep)[]>;

/** What a step that is written as a map means, or null. `parts`: what is right by itself; `present`: all keys. */
export function compileCheck(
  report: Report,
  path: Path,
  parts: Parts,
  present: readonly string[],
  jobs: Jobs,
): RolloutStep | null {
  const kinds = (Object.keys(BESIDE) as (keyof typeof BESIDE)[]).filter((kind) => present.includes(kind));
  const [kind, another] = kinds;
  if (kind === undefined) {
    // A key that isn't known was reported, and may be the one.
    if (present.some((key) => !Object.hasOwn(stepMap.shape, key))) return null;
    report.error(
      'missing-key',
      report.yaml.at(path),
      `${show(path)} names nothing to do.`,
      'Write one of pause, approval, probe, prometheus and job.',
    );
    return null;
  }
  if (another !== undefined) {
    const message = `${show(path)} has "${kind}" and "${another}", and a step does one thing.`;
    report.error('two-steps', report.yaml.atKey([...path, another]), message, 'Make two steps of it.');
    return null;
  }
  const beside: readonly string[] = BESIDE[kind];
  const foreign = Object.keys(parts).find((key) => key !== kind && !beside.includes(key));
  if (foreign !== undefined) {
    const hint = beside.length === 0 ? 'Remove it.' : `Beside ${kind} there may be ${list(beside)}.`;
    const message = `${show(path)}: "${foreign}" means nothing beside "${kind}".`;
    report.error('wrong-key', report.yaml.atKey([...path, foreign]), message, hint);
  }
  switch (kind) {
    case 'pause':
      if (parts.pause === undefined) return null;
      if (parts.pause === 'approval') return { kind: 'approval' };
      return {
        kind: 'pause',
        seconds: Math.round(minutesOf(report, [...path, 'pause'], parts.pause, 0, { most: DAYS }) * 60),
      };
    case 'approval':
      return parts.approval === undefined ? null : { kind: 'approval' };
    case 'probe':
      return probe(report, path, parts);
    case 'prometheus':
      return prometheus(report, path, parts, present);
    case 'job':
      return parts.job === undefined ? null : jobStep(report, [...path, 'job'], parts.job, jobs);
  }
}

function probe(report: Report, path: Path, parts: Parts): RolloutStep | null {
  const { probe: url, status = 200, contains = null } = parts;
  if (url === undefined) return null;
  checkTemplate(report, [...path, 'probe'], url, ['event'], null);
  if (!/^(https?:\/\/\S|\$\{\{)/.test(url)) {
    report.error(
      'bad-address',
      report.yaml.at([...path, 'probe']),
      `${show([...path, 'probe'])} is no address: "${url}".`,
      'Start it with https:// or http://.',
    );
  }
  return { kind: 'probe', url, status, contains, every: timesOf(report, path, parts) };
}

function prometheus(report: Report, path: Path, parts: Parts, present: readonly string[]): RolloutStep | null {
  const { prometheus: server, query, min = null, max = null } = parts;
  if (!present.includes('query'))
    report.error('missing-key', report.yaml.at(path), `${show(path)} has no "query".`, 'Add the key "query".');
  if (!present.includes('min') && !present.includes('max')) {
    report.error(
      'missing-key',
      report.yaml.at(path),
      `${show(path)} has neither "max" nor "min", so any number would do.`,
      'Add max: 0.01, say.',
    );
  }
  if (min !== null && max !== null && min > max) {
    const message = `${show(path)}: no number is at least ${min} and at most ${max}.`;
    report.error('empty-range', report.yaml.atKey([...path, 'min']), message, 'Swap "min" and "max".');
  }
  if (query?.includes('${{')) {
    // A branch may be called anything, and could so make the query answer what it likes.
    const message = `Expressions can't be used in "query".`;
    report.error('bad-expression', report.yaml.at([...path, 'query']), message, 'Write it out.');
  }
  if (server === undefined || query === undefined) return null;
  return { kind: 'prometheus', server, query, min, max, every: timesOf(report, path, parts) };
}

function timesOf(report: Report, path: Path, parts: Parts): CheckTimes {
  const { count = 1, failures = 0 } = parts;
  const intervalSeconds = Math.round(minutesOf(report, [...path, 'every'], parts.every, 1 / 6) * 60);
  if (failures >= count) {
    report.error(
      'never-fails',
      report.yaml.at([...path, 'failures']),
      `${show(path)} asks ${count === 1 ? 'once' : `${count} times`} and lets ${failures} ${failures === 1 ? 'answer' : 'answers'} be bad, so it can't fail.`,
      'Write a larger "count", or fewer "failures".',
    );
  }
  if (intervalSeconds < 1)
    report.error('bad-duration', report.yaml.at([...path, 'every']), `${show([...path, 'every'])} is less than 1s.`);
  if ((count - 1) * intervalSeconds > DAYS * 60) {
    const message = `${show(path)} takes more than a day: ${count} times every ${intervalSeconds}s.`;
    report.error('bad-duration', report.yaml.at([...path, 'count']), message, 'Ask less often.');
  }
  return { intervalSeconds: Math.max(1, intervalSeconds), count, failures };
}

function jobStep(report: Report, path: Path, id: string, jobs: Jobs): RolloutStep {
  const at = report.yaml.at(path);
  const job = jobs.jobs.find((candidate) => candidate.id === id);
  const scripts = jobs.jobs.filter((candidate) => candidate.kind === 'script').map((candidate) => candidate.id);
  if (!jobs.ids.includes(id)) {
    const message = `${show(path)} must be the id of a job, and there is no job "${id}".`;
    report.error('unknown-job', at, message, guess(report, id, scripts));
  } else if (job?.kind === 'image') {
    const message = `${show(path)}: the job "${id}" builds an image, and a check runs commands.`;
    report.error('no-script-job', at, message, guess(report, id, scripts));
  } else if (job !== undefined && expandMatrix(job.matrix).length > 1) {
    const message = `${show(path)}: the job "${id}" runs several times by its matrix, and a check runs once.`;
    report.error('ambiguous-job', at, message, 'Give the check a job of its own.');
  }
  return { kind: 'job', job: id };
}
