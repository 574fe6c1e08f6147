import type { Scalar } from '#src/model/pipeline.ts';
import type { Path } from '../yaml.ts';
import { type Report, show } from './report.ts';

/** In minutes. */
export const DAYS = 24 * 60;
export const WEEKS = 7 * DAYS;
const HOURS = 60;

export function asList<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

/**
 * Minutes of `1h30m`, `90s`, `2d` or a number of minutes; reports what exceeds `most` minutes (default 6 hours), and no time
 * at all unless `zero` allows it.
 */
export function minutesOf(
  report: Report,
  path: Path,
  value: string | number | undefined,
  otherwise: number,
  { most = 6 * HOURS, zero = false }: { readonly most?: number; readonly zero?: boolean } = {},
): number {
  if (value === undefined) return otherwise;
  const [, d = '0', h = '0', m = '0', s = '0'] =
    /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(String(value)) ?? [];
  const written = Number(d) * DAYS + Number(h) * HOURS + Number(m) + Number(s) / 60;
  const minutes = typeof value === 'number' ? value : written;
  const limit = most % DAYS === 0 ? `${most / DAYS}d` : `${most / HOURS}h`;
  if (minutes > most)
    report.error(
      'bad-duration',
      report.yaml.at(path),
      `${show(path)} is more than ${limit}.`,
      `Write ${limit} or less.`,
    );
  if (minutes <= 0 && !zero)
    report.error('bad-duration', report.yaml.at(path), `${show(path)} is no time at all.`, 'Write 10m, say.');
  return minutes;
}

/** Reports a path that is absolute or leads out of the repository. */
export function checkPath(report: Report, path: Path, value: string): void {
  let depth = 0;
  let out = value.startsWith('/') || value.startsWith('~') || value.includes('\\') || value.includes('\0');
  for (const part of value.split('/')) {
    if (part === '..') depth -= 1;
    else if (part !== '' && part !== '.') depth += 1;
    if (depth < 0) out = true;
  }
  if (!out) return;
  report.error(
    'bad-path',
    report.yaml.at(path),
    `${show(path)} leads out of the repository: "${value}".`,
    "Write a path relative to the repository's root, with /.",
  );
}

/** Variables as texts. A number is taken as it is written: 1.10 stays 1.10. */
export function variablesOf(
  report: Report,
  path: Path,
  values: Readonly<Record<string, Scalar>> | undefined,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values ?? {}).map(([name, value]) => {
      checkReserved(report, [...path, name], name);
      return [
        name,
        typeof value === 'number' ? (report.yaml.written([...path, name]) ?? String(value)) : String(value),
      ];
    }),
  );
}

/** Reports a variable that Slipway sets itself. `item`: the path is that of an item of a list, not of a key. */
export function checkReserved(report: Report, path: Path, name: string, item = false): void {
  if (!/^(SLIPWAY(_.*)?|CI)$/.test(name)) return;
  const at = item ? report.yaml.at(path) : report.yaml.atKey(path);
  report.error('reserved-variable', at, `The variable ${name} is set by Slipway.`, 'Choose another name.');
}

/** Reports numbers that YAML reads as something else than what is written: 3.10 is 3.1. */
export function checkNumber(report: Report, path: Path, value: Scalar): void {
  const written = report.yaml.written(path);
  if (typeof value !== 'number' || written === null || written === String(value)) return;
  report.error(
    'number-changes',
    report.yaml.at(path),
    `YAML reads ${written} as the number ${value}.`,
    `Put it in quotes: '${written}'.`,
  );
}

// The grammar of https://github.com/distribution/reference, without `${{ }}` in it.
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-f:]+\])(?::\d{1,5})?$/;

/** Why this is no name of an image, or null. `bare`: without tag and digest. */
export function imageProblem(image: string, bare: boolean): string | null {
  if (image !== image.trim() || /\s/.test(image)) return 'it has blanks in it';
  if (/^[a-z]+:\/\//.test(image)) return 'it is no address: leave out what stands before the host';
  const [withTag = '', digest, ...more] = image.split('@');
  if (more.length > 0 || (digest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(digest)))
    return 'its digest is not sha256: and 64 hex digits';
  const colon = withTag.lastIndexOf(':');
  const tagged = colon > withTag.lastIndexOf('/');
  const tag = tagged ? withTag.slice(colon + 1) : null;
  const name = tagged ? withTag.slice(0, colon) : withTag;
  if (bare && (tag !== null || digest !== undefined)) return 'it has a tag or digest: Slipway adds the tags itself';
  if (tag !== null && !/^\w[\w.-]{0,127}$/.test(tag)) return `"${tag}" can't be a tag`;
  const parts = name.split('/');
  const host = parts.length > 1 && /[.:]|^localhost$/.test(parts[0] ?? '') ? parts.shift() : undefined;
  if (host !== undefined && !HOST.test(host)) return `"${host}" can't be the host of a registry`;
  const wrong = parts.find((part) => !NAME.test(part));
  if (wrong === undefined) return name.length > 255 ? 'it is longer than 255 characters' : null;
  return /[A-Z]/.test(wrong) ? `"${wrong}" has capital letters` : `"${wrong}" can't be part of an image's name`;
}
