import type { ApprovalRule, DeployRules, PeopleRule } from '#src/model/deploy-rules.ts';
import type { EnvironmentSpec } from '#src/model/pipeline.ts';
import { imageJobs } from '#src/model/environment.ts';
import type { Path } from '../yaml.ts';
import { circles } from './needs.ts';
import { guess, type Report, show } from './report.ts';
import type { RawApprovals, RawEnvironment, RawPeople } from './schema-environment.ts';
import { asList } from './values.ts';
import { compileWindow } from './windows.ts';

type Parts = { readonly [K in 'after' | 'approvals' | 'allow' | 'protect' | 'windows']?: RawEnvironment[K] };

/** What must hold before a deployment to the environment begins. `after` is checked by checkAfter. */
export function compileRules(report: Report, path: Path, raw: Parts): DeployRules {
  return {
    allow: raw.allow === undefined ? null : peopleOf(report, [...path, 'allow'], raw.allow),
    after: asList(raw.after),
    approvals: raw.approvals === undefined ? null : approvalsOf(report, [...path, 'approvals'], raw.approvals),
    protect: once(report, [...path, 'protect'], raw.protect, (name) => name),
    windows: asList(raw.windows).map((window, index) =>
      compileWindow(report, [...path, 'windows', ...(Array.isArray(raw.windows) ? [index] : [])], window),
    ),
  };
}

function approvalsOf(report: Report, path: Path, raw: RawApprovals): ApprovalRule {
  if (typeof raw === 'number') return { count: raw, by: { permission: 'write', people: [], teams: [] } };
  const { count = 1, ...named } = raw;
  const anybody = named.people === undefined && named.teams === undefined && named.permission === undefined;
  const by = anybody ? { permission: 'write' as const, people: [], teams: [] } : peopleOf(report, path, named);
  if (by.permission === null && by.teams.length === 0 && by.people.length < count) {
    const people = by.people.length === 1 ? 'one person is' : `${by.people.length} people are`;
    report.error(
      'never-approved',
      report.yaml.at([...path, 'count']),
      `${show([...path, 'count'])} is ${count}, and only ${people} named.`,
      'Name more people, a team or a permission.',
    );
  }
  return { count, by };
}

function peopleOf(report: Report, path: Path, raw: RawPeople): PeopleRule {
  const people = once(report, [...path, 'people'], raw.people);
  const teams = once(report, [...path, 'teams'], raw.teams);
  if (raw.permission === undefined && people.length === 0 && teams.length === 0) {
    report.error(
      'nobody',
      report.yaml.atKey(path),
      `${show(path)} names nobody.`,
      'Add people, teams or permission: maintain.',
    );
  }
  return { permission: raw.permission ?? null, people, teams };
}

/** A list as it is; what is in it twice is reported. Capital letters make no difference on GitHub, but for checks' names. */
function once(
  report: Report,
  path: Path,
  raw: string | readonly string[] | undefined,
  same: (name: string) => string = (name) => name.toLowerCase(),
): readonly string[] {
  const seen = new Set<string>();
  for (const [index, name] of asList(raw).entries()) {
    if (seen.has(same(name)))
      report.error(
        'named-twice',
        report.yaml.at([...path, index]),
        `${show(path)} names "${name}" twice.`,
        'Remove one of them.',
      );
    seen.add(same(name));
  }
  return asList(raw);
}

/** Reports what `after` names and can never be: nothing, itself, a circle, or an environment of other images. */
export function checkAfter(
  report: Report,
  raw: Readonly<Record<string, unknown>>,
  environments: readonly EnvironmentSpec[],
): void {
  const names = Object.keys(raw);
  const known = new Set(names);
  const others = (name: string) => names.filter((other) => other !== name);
  const edges = new Map<string, readonly string[]>(names.map((name) => [name, []]));
  const byName = new Map(environments.map((environment) => [environment.name, environment]));
  for (const environment of environments) {
    const { name } = environment;
    const path = ['environments', name, 'after'];
    const list = Array.isArray(Object(raw[name])['after']);
    const seen = new Set<string>();
    for (const [index, before] of environment.rules.after.entries()) {
      const at = report.yaml.at(list ? [...path, index] : path);
      if (before === name) {
        report.error(
          'after-itself',
          at,
          `The environment "${name}" comes after itself.`,
          'Remove it from its "after".',
        );
      } else if (!known.has(before)) {
        const message = `The environment "${name}" comes after "${before}", and there is no such environment.`;
        report.error('unknown-environment', at, message, guess(report, before, others(name)));
      } else if (seen.has(before)) {
        report.error('named-twice', at, `"${before}" is named twice.`, 'Remove one of them.');
      } else {
        checkSameImages(report, at, environment, byName.get(before));
      }
      seen.add(before);
    }
    edges.set(
      name,
      environment.rules.after.filter((before) => before !== name && known.has(before)),
    );
  }
  for (const circle of circles(edges)) {
    const at = report.yaml.atKey(['environments', circle[0] ?? '', 'after']);
    const chain = [...circle, circle[0]].map((name) => `"${name}"`).join(' comes after ');
    report.error('circular-after', at, `These environments wait for each other: ${chain}.`, 'Remove one of these.');
  }
}

/** The same images must be healthy there: an environment that has none of them can never have. */
function checkSameImages(
  report: Report,
  at: ReturnType<Report['yaml']['at']>,
  own: EnvironmentSpec,
  before: EnvironmentSpec | undefined,
): void {
  if (before === undefined) return;
  const there = new Set(imageJobs(before));
  const here = imageJobs(own);
  if (here.length === 0 || there.size === 0 || here.some((image) => there.has(image))) return;
  report.error(
    'after-other-image',
    at,
    `"${before.name}" gets none of the images of "${own.name}" (${here.join(', ')}), so it says nothing about them.`,
    'Name an environment that gets the same image.',
  );
}
