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
}

export type SecretChoice<Secret> =
  | { readonly kind: 'given'; readonly secret: Secret }
  /** `reason`: sentences for people, with what to do. */
  | { readonly kind: 'refused'; readonly reason: string };

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
  if (first === undefined) return { kind: 'refused', reason: missing(stored, named, ask, name) };
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

/** Why there is none of this name. `named`: those of the name that belong elsewhere in the repository. */
function missing(stored: readonly SecretInfo[], named: readonly SecretInfo[], ask: SecretAsk, name: string): string {
  const here: SecretScope = { kind: 'repository', repository: fullName(ask.repository) };
  if (named.length > 0) {
    const environments = named
      .flatMap(({ scope }) => (scope.kind === 'environment' ? [scope.environment] : []))
      .toSorted();
    const where = `${environments.length === 1 ? 'the environment' : 'the environments'} ${list(environments)}`;
    const goes = ask.environment === null ? 'deploys to no environment' : `deploys to ${ask.environment}`;
    return `The secret ${name} belongs to ${where} of ${fullName(ask.repository)}, and this event (${wordsOf(ask.trigger)}) ${goes}. If all of the repository's jobs may have it, the operator sets it on the server by: ${command(here, name)}`;
  }
  const names = stored
    .filter((secret) => chooseable(secret, ask))
    .map((secret) => secret.name)
    .toSorted();
  const meant = nearest(name, names);
  const suggestion = meant === null ? '' : ` Did you mean ${meant}?`;
  return `There is no secret ${name} for ${fullName(ask.repository)}.${suggestion} The operator sets it on the server by: ${command(here, name)}`;
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
