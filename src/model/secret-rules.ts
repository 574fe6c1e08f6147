import type { Trigger } from './event.ts';
import { matchesPattern } from './pattern.ts';
import { fullName, type Repository } from './repository.ts';
import { type SecretInfo, type SecretLimits, type SecretScope, scopeWords, secretNameProblem } from './secret.ts';
import { list, nearest } from './suggest.ts';

/** For what a secret is asked. */
export interface SecretAsk {
  readonly repository: Pick<Repository, 'owner' | 'name'>;
  readonly trigger: Trigger;
  /** The environment to which the event deploys, or null. */
  readonly environment: string | null;
  /** The environments to which the run deploys, as far as is known: the job may name one. */
  readonly deploysTo?: readonly string[];
}

export type SecretChoice<Secret> =
  | { readonly kind: 'given'; readonly secret: Secret }
  /** `reason`: sentences for people, with what to do. */
  | { readonly kind: 'refused'; readonly reason: string; readonly unknown?: UnknownSecret };

/** Nothing of this name is stored for the repository. */
interface UnknownSecret {
  /** The name that was probably meant. */
  readonly meant: string | null;
  /** Sets it. */
  readonly command: string;
}

/**
 * Which of the stored secrets has this name for this event. The environment's goes before the repository's, and that
 * before the owner's. Where the limits of the one that goes first exclude the event, none is given: a wider one is
 * another value, for other purposes, and nobody decided that it stands in.
 */
export function chooseSecret<Secret extends SecretInfo>(
  stored: readonly Secret[],
  ask: SecretAsk,
  name: string,
): SecretChoice<Secret> {
  const problem = secretNameProblem(name);
  if (problem !== null) return { kind: 'refused', reason: `${JSON.stringify(name.slice(0, 80))}: ${problem}` };
  const named = stored.filter((secret) => secret.name === name && ofRepository(secret.scope, ask));
  const first = named
    .filter((secret) => secret.scope.kind !== 'environment' || isOf(secret.scope.environment, ask.environment))
    .toSorted((a, b) => order[a.scope.kind] - order[b.scope.kind])[0];
  if (first === undefined) {
    if (named.length > 0) return { kind: 'refused', reason: elsewhere(named, ask, name) };
    return missing(stored, ask, name);
  }
  const excluded = excludes(first.limits, ask.trigger);
  if (excluded === null) return { kind: 'given', secret: first };
  const reason = `The secret ${name} of ${scopeWords(first.scope)} is ${excluded}, and this is ${wordsOf(ask.trigger)}. Run this job only where the secret is given, or set it again with other limits: ${command(first.scope, name)} (its help names the options).`;
  return { kind: 'refused', reason };
}

const order: Readonly<Record<SecretScope['kind'], number>> = { environment: 0, repository: 1, owner: 2 };

/** `limited to ...` if the limits exclude the trigger, otherwise null. */
function excludes(limits: SecretLimits, trigger: Trigger): string | null {
  if (limits.events.length > 0 && !limits.events.includes(trigger.kind)) {
    return `limited to the ${limits.events.length === 1 ? 'event' : 'events'} ${list(limits.events)}`;
  }
  if (limits.branches.length === 0) return null;
  const branch = branchOf(trigger);
  const fits =
    branch === null
      ? // What has no branch can't fit; but if the event itself is named, then it was meant.
        trigger.kind !== 'pull_request' && limits.events.includes(trigger.kind)
      : limits.branches.some((pattern) => matchesPattern(pattern, branch));
  return fits
    ? null
    : `limited to the ${limits.branches.length === 1 ? 'branch' : 'branches'} ${list(limits.branches)}`;
}

/** The branch on which the commit lies in this repository. A fork's branch may be called like a protected one here. */
function branchOf(trigger: Trigger): string | null {
  switch (trigger.kind) {
    case 'push':
    case 'deploy':
      return trigger.branch;
    case 'pull_request':
      return trigger.fork ? null : trigger.branch;
    case 'tag':
    case 'merge_group':
      return null;
  }
}

/**
 * Why a job doesn't get what it names, for people: all names in the first line, which becomes a title, then what to do.
 * '' if nothing is refused.
 */
export function refusalWords(choices: readonly (readonly [name: string, SecretChoice<unknown>])[], of: string): string {
  const refused = choices.flatMap(([name, choice]) => (choice.kind === 'refused' ? [{ name, ...choice }] : []));
  const [first, ...others] = refused;
  if (first === undefined || others.length === 0) return first?.reason ?? '';
  const names = refused.map(({ name, unknown }) => {
    const shown = secretNameProblem(name) === null ? name : JSON.stringify(name.slice(0, 80));
    return unknown?.meant ? `${shown} (did you mean ${unknown.meant}?)` : shown;
  });
  const commands = refused.flatMap(({ unknown }) => unknown?.command ?? []);
  const which = commands.length === refused.length ? 'them' : 'what is missing';
  return [
    `No secret ${names.join(', ')} for ${of}.`,
    ...refused.flatMap(({ unknown, reason }) => (unknown === undefined ? [reason] : [])),
    ...(commands.length === 0 ? [] : [`The operator sets ${which} on the server by:`, ...commands]),
  ].join('\n');
}

/** Why those of the name, which belong to environments, aren't for this job. */
function elsewhere(named: readonly SecretInfo[], ask: SecretAsk, name: string): string {
  const environments = named
    .flatMap(({ scope }) => (scope.kind === 'environment' ? [scope.environment] : []))
    .toSorted();
  if (ask.environment === null) {
    // As the pipeline writes it.
    const nameable = ask.deploysTo?.find((one) => environments.some((environment) => isOf(environment, one)));
    if (nameable !== undefined) {
      return `The secret ${name} belongs to the environment ${nameable}, which this job doesn't name: add \`environment: ${nameable}\` to the job.`;
    }
  }
  const where = `${environments.length === 1 ? 'the environment' : 'the environments'} ${list(environments)}`;
  const goes =
    ask.environment !== null
      ? `this job is for ${ask.environment}`
      : `this event (${wordsOf(ask.trigger)}) ${ask.deploysTo?.length ? `deploys to ${list(ask.deploysTo)} only` : 'deploys to no environment'}`;
  return `The secret ${name} belongs to ${where} of ${fullName(ask.repository)}, and ${goes}. If all of the repository's jobs may have it, the operator sets it on the server by: ${command(repositoryOf(ask), name)}`;
}

function missing(stored: readonly SecretInfo[], ask: SecretAsk, name: string): SecretChoice<never> {
  const names = stored
    .filter((secret) => chooseable(secret, ask))
    .map((secret) => secret.name)
    .toSorted();
  const unknown = { meant: nearest(name, names), command: command(repositoryOf(ask), name) };
  const suggestion = unknown.meant === null ? '' : ` Did you mean ${unknown.meant}?`;
  const reason = `There is no secret ${name} for ${fullName(ask.repository)}.${suggestion} The operator sets it on the server by: ${unknown.command}`;
  return { kind: 'refused', reason, unknown };
}

function repositoryOf({ repository }: SecretAsk): SecretScope {
  return { kind: 'repository', repository: fullName(repository) };
}

/** Whether this very secret may be given for the event. */
function chooseable(secret: SecretInfo, ask: SecretAsk): boolean {
  const { scope } = secret;
  if (!ofRepository(scope, ask) || excludes(secret.limits, ask.trigger) !== null) return false;
  return scope.kind !== 'environment' || isOf(scope.environment, ask.environment);
}

function ofRepository(scope: SecretScope, { repository }: SecretAsk): boolean {
  if (scope.kind === 'owner') return isOf(scope.owner, repository.owner);
  return isOf(scope.repository, fullName(repository));
}

/** GitHub doesn't tell capital letters from small ones. */
function isOf(own: string, asked: string | null): boolean {
  return own.toLowerCase() === asked?.toLowerCase();
}

/** The command that sets it, to be copied as it is. */
function command(scope: SecretScope, name: string): string {
  const place = scope.kind === 'owner' ? scope.owner : scope.repository;
  const environment = scope.kind === 'environment' ? ` --environment ${quoted(scope.environment)}` : '';
  return `slipway secret set ${place} ${name}${environment}`;
}

function quoted(word: string): string {
  return /^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function wordsOf(trigger: Trigger): string {
  switch (trigger.kind) {
    case 'push':
      return `a push to the branch ${trigger.branch}`;
    case 'tag':
      return `the tag ${trigger.tag}`;
    case 'pull_request':
      return trigger.fork
        ? `the pull request #${trigger.number} from a fork`
        : `the pull request #${trigger.number} from the branch ${trigger.branch}`;
    case 'merge_group':
      return `the merge queue of ${trigger.base}`;
    case 'deploy':
      return `a deployment of the branch ${trigger.branch} to ${trigger.environment}`;
  }
}
