import type { JobSecrets, Scalar } from '#src/model/pipeline.ts';
import type { SecretUse } from '#src/model/secret.ts';
import { nearest } from '#src/model/suggest.ts';
import type { Path } from '../yaml.ts';
import { type Report, show } from './report.ts';
import type { RawJob, RawSecrets } from './schema.ts';
import { checkReserved } from './values.ts';

type Env = NonNullable<RawJob['env']>;
type Sealed = Extract<Env[string], object>;

/** The variables of a job whose values stand in the file, and the texts of those that are sealed. */
export function splitEnv(
  report: Report,
  path: Path,
  env: Env | undefined,
): { readonly plain: Readonly<Record<string, Scalar>>; readonly sealed: Readonly<Record<string, string>> } {
  const entries = Object.entries(env ?? {});
  const isSealed = (entry: [string, Env[string]]): entry is [string, Sealed] => typeof entry[1] === 'object';
  const sealed = entries.filter(isSealed).map(([name, value]) => [name, value.sealed] as const);
  for (const [name] of sealed) checkReserved(report, [...path, name], name);
  const plain = entries.filter((entry): entry is [string, Scalar] => !isSealed(entry));
  return { plain: Object.fromEntries(plain), sealed: Object.fromEntries(sealed) };
}

/** What `secrets` of the job means, with mistakes in it and in its steps' reported. Nothing if there are none. */
export function compileSecrets(
  report: Report,
  path: Path,
  raw: { readonly [K in 'env' | 'secrets' | 'run']?: RawJob[K] },
  sealed: Readonly<Record<string, string>>,
): { readonly secrets?: JobSecrets } {
  const named = namedSecrets(raw.secrets);
  const inEnv = new Set(Object.keys(raw.env ?? {}));
  checkVariables(report, [...path, 'secrets'], raw.secrets, (name) => (inEnv.has(name) ? 'stands in "env" too' : null));
  const items = Array.isArray(raw.run) ? raw.run : [];
  for (const [index, item] of items.entries()) {
    if (typeof item === 'string') continue;
    checkVariables(report, [...path, 'run', index, 'secrets'], item.secrets, (name) => {
      if (inEnv.has(name)) return 'stands in "env" of the job too';
      return Object.hasOwn(named, name) ? 'stands in "secrets" of the job too' : null;
    });
  }
  if (Object.keys(named).length === 0 && Object.keys(sealed).length === 0) return {};
  return { secrets: { named, sealed } };
}

/** Secrets by the variable that gets them. */
export function namedSecrets(raw: RawSecrets | undefined): Readonly<Record<string, SecretUse>> {
  if (Array.isArray(raw)) return Object.fromEntries(raw.map((name) => [name, { name, file: false }]));
  return Object.fromEntries(
    Object.entries(raw ?? {}).map(([variable, use]) => [
      variable,
      typeof use === 'string' ? { name: use, file: false } : { name: use.secret ?? variable, file: use.file ?? false },
    ]),
  );
}

/** Secrets of a build by their ids. */
export function buildSecrets(
  raw: NonNullable<NonNullable<RawJob['build']>['secrets']>,
): Readonly<Record<string, string>> {
  return Array.isArray(raw) ? Object.fromEntries(raw.map((name) => [name, name])) : { ...raw };
}

function checkVariables(
  report: Report,
  path: Path,
  raw: RawSecrets | undefined,
  taken: (name: string) => string | null,
): void {
  const names = Array.isArray(raw) ? raw : Object.keys(raw ?? {});
  for (const [index, name] of names.entries()) {
    const place = [...path, Array.isArray(raw) ? index : name];
    checkReserved(report, place, name, Array.isArray(raw));
    const why = names.indexOf(name) < index ? 'is named twice' : taken(name);
    if (why === null) continue;
    report.error(
      'variable-twice',
      Array.isArray(raw) ? report.yaml.at(place) : report.yaml.atKey(place),
      `${show(path)}: the variable ${name} ${why}.`,
      'Keep one of the two, or give one another name.',
    );
  }
}

/** Said where somebody puts a sealed value into a place that can't hold one. */
export function sealedHint(value: unknown, path: Path): string | undefined {
  const found = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
  if (typeof found !== 'object' || found === null) return undefined;
  if (!Object.hasOwn(found, 'sealed')) {
    const [key, ...others] = Object.keys(found);
    const isMeant = path[2] === 'env' && key !== undefined && others.length === 0 && nearest(key, ['sealed']) !== null;
    return isMeant ? `Did you mean "sealed"? A sealed value reads { sealed: "sealed:v1:..." }.` : undefined;
  }
  if (path[2] === 'services') return 'Sealed values stand only in "env" of a job: services are given none.';
  if (path[2] !== 'build') return undefined;
  return 'Sealed values stand only in "env" of a job, and build arguments are visible in the image: use "secrets" of the build.';
}
