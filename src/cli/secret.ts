import { UserError } from '#src/model/outcome.ts';
import { patternProblem } from '#src/model/pattern.ts';
import {
  type SecretInfo,
  type SecretLimits,
  type SecretScope,
  scopeWords,
  secretEvents,
  secretNameProblem,
  secretScope,
} from '#src/model/secret.ts';
import { list, suggestion } from '#src/model/suggest.ts';
import { type Installation, withInstallation } from './installation.ts';
import { readValue, warnOfShort } from './value.ts';

export interface SetOptions {
  readonly environment: string | null;
  readonly branches: readonly string[];
  readonly events: readonly string[];
}

/** Sets or replaces a secret; the value comes from standard input. */
export async function setSecret(place: string, name: string, options: SetOptions): Promise<void> {
  const scope = scopeOf(place, options.environment);
  const problem = secretNameProblem(name);
  if (problem !== null) {
    // What can't be a variable's name may be a value, or NAME=VALUE.
    const isName = /^\w+$/.test(name);
    throw new UserError(isName ? problem : `${problem} The value is no argument: it is read from standard input.`);
  }
  const limits = limitsOf(options);
  await withInstallation(async ({ secrets, user, record, data }) => {
    console.error(`slipway: using ${data}`);
    const value = await readValue();
    warnOfShort(value);
    const before = (await secrets.list(scope)).some((one) => one.name === name && isSame(one.scope, scope));
    await secrets.set({ scope, name, limits, value, setBy: user });
    await record({ ...subjectOf('secret set', scope, name), reason: limitWords(limits) });
    console.log(
      `${name} of ${scopeWords(scope)} is ${before ? 'replaced' : 'set'} (${limitWords(limits)}). Jobs that begin from now on get it.`,
    );
  });
}

/** Prints the secrets of an owner, of a repository with its environments and its owner's, or (null) all: never values. */
export async function listSecrets(place: string | null): Promise<void> {
  const scope = place === null ? null : scopeOf(place, null);
  await withInstallation(async ({ secrets, data }) => {
    console.error(`slipway: using ${data}`);
    const found = await secrets.list(scope);
    if (found.length === 0) {
      const whose = scope === null ? '' : ` of ${scopeWords(scope)}`;
      console.log(`There are no secrets${whose}. Set one by: slipway secret set ${place ?? 'OWNER/REPO'} NAME`);
      return;
    }
    const rows = found.map((secret) => [
      secret.name,
      scopeWords(secret.scope),
      limitWords(secret.limits),
      `set ${new Date(secret.setAt).toISOString().slice(0, 16).replace('T', ' ')} UTC by ${secret.setBy}`,
    ]);
    const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
    for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  });
}

/** Removes a secret. UserError if there is none. */
export async function removeSecret(place: string, name: string, environment: string | null): Promise<void> {
  const scope = scopeOf(place, environment);
  await withInstallation(async ({ secrets, record }) => {
    if (!(await secrets.remove(scope, name))) throw new UserError(await noSuch(secrets, scope, name));
    await record({ ...subjectOf('secret remove', scope, name), reason: '' });
    console.log(`${name} of ${scopeWords(scope)} is removed. Jobs that run already still have it.`);
  });
}

/** Encrypts everything with the newest key. Resolves with the exit code: 1 if something couldn't be opened. */
export async function rotateSecrets(): Promise<number> {
  return await withInstallation(async ({ secrets, record, keys }) => {
    const { key, changed, unchanged, failures, unused } = await secrets.rotate();
    const reason = `Key ${key}: ${changed} encrypted again, ${unchanged} were already, ${failures.length} can't be opened.`;
    await record({ action: 'secret rotate', repository: '', subject: key, reason });
    console.log(reason);
    if (unused.length > 0) {
      console.log(
        `No secret needs ${unused.length === 1 ? 'the key' : 'the keys'} ${list(unused)} any more. Sealed values in pipeline files may: remove it only when those are sealed again.`,
      );
    }
    for (const failure of failures) console.error(`slipway: ${failure}`);
    if (failures.length > 0) console.error(`slipway: the keys are read from ${keys}`);
    return failures.length > 0 ? 1 : 0;
  });
}

async function noSuch(secrets: Installation['secrets'], scope: SecretScope, name: string): Promise<string> {
  const all = await secrets.list(scope);
  const elsewhere = all.filter((one) => one.name === name).map((one) => scopeWords(one.scope));
  if (elsewhere.length > 0) return `There is no secret ${name} of ${scopeWords(scope)}; ${list(elsewhere)} has one.`;
  const names = all.filter((one) => isSame(one.scope, scope)).map((one) => one.name);
  return `There is no secret ${name} of ${scopeWords(scope)}. ${suggestion(name, names)}`.trimEnd();
}

function scopeOf(place: string, environment: string | null): SecretScope {
  const scope = secretScope(place, environment);
  if (scope !== null) return scope;
  throw new UserError(
    environment === null
      ? `${JSON.stringify(place)} is neither OWNER nor OWNER/REPO.`
      : `${JSON.stringify(place)} with an environment must read OWNER/REPO, and the environment must have a name.`,
  );
}

function limitsOf({ branches, events }: SetOptions): SecretLimits {
  for (const branch of branches) {
    const problem = patternProblem(branch);
    if (problem !== null) throw new UserError(`${JSON.stringify(branch)} is no pattern of branches: ${problem}.`);
  }
  const known: readonly string[] = secretEvents;
  for (const event of events) {
    if (known.includes(event)) continue;
    throw new UserError(`There is no event ${JSON.stringify(event)}. There are: ${known.join(', ')}.`);
  }
  return { branches: [...new Set(branches)], events: known.filter((event) => events.includes(event)) };
}

function limitWords({ branches, events }: SecretLimits): string {
  const parts = [
    branches.length > 0 ? `branches: ${branches.join(', ')}` : '',
    events.length > 0 ? `events: ${events.join(', ')}` : '',
  ].filter((part) => part !== '');
  return parts.length > 0 ? parts.join('; ') : 'no limits';
}

function subjectOf(action: string, scope: SecretScope, name: string) {
  return {
    action,
    repository: scope.kind === 'owner' ? scope.owner : scope.repository,
    subject: scope.kind === 'environment' ? `${name} (environment ${scope.environment})` : name,
  };
}

function isSame(a: SecretInfo['scope'], b: SecretScope): boolean {
  return scopeWords(a) === scopeWords(b);
}
