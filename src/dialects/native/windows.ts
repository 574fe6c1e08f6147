import type { Window } from '#src/model/deploy-rules.ts';
import type { Path } from '../yaml.ts';
import { guess, type Report, show } from './report.ts';
import type { RawWindow } from './schema-environment.ts';
import { asList } from './values.ts';

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** What an item of `windows` means. */
export function compileWindow(report: Report, path: Path, raw: RawWindow): Window {
  if (raw.days === undefined && raw.hours === undefined) {
    report.error(
      'always-open',
      report.yaml.at(path),
      `${show(path)} names neither days nor hours.`,
      'Write { days: mon-fri, hours: "09:00-17:00" }, or remove it.',
    );
  }
  const days = new Set(asList(raw.days).flatMap(daysOf));
  const [from, until] = raw.hours?.split('-').map(minuteOf) ?? [0, 1440];
  if (from === until) {
    report.error(
      'empty-window',
      report.yaml.at([...path, 'hours']),
      `${show([...path, 'hours'])} begins when it ends.`,
      'Leave "hours" out for the whole day.',
    );
  }
  const zone = raw.zone ?? 'UTC';
  if (!isZone(zone)) {
    const known = Intl.supportedValuesOf('timeZone');
    report.error(
      'unknown-zone',
      report.yaml.at([...path, 'zone']),
      `${show([...path, 'zone'])}: there is no time zone "${zone}".`,
      zone.length > 50 ? 'Write it as in Europe/Berlin.' : zoneHint(report, zone, known),
    );
  }
  const all = days.size === 0 ? DAYS.map((_, day) => day) : [...days].sort((a, b) => a - b);
  return { days: all, from: from ?? 0, until: until ?? 1440, zone };
}

/** `mon`, or all of `fri-mon`. */
function daysOf(span: string): readonly number[] {
  const [first = '', last = first] = span.split('-');
  const from = DAYS.indexOf(first);
  const length = (DAYS.indexOf(last) - from + 7) % 7;
  return Array.from({ length: length + 1 }, (_, index) => (from + index) % 7);
}

function minuteOf(time: string): number {
  const [hours, minutes] = time.split(':').map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}

function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** Four hundred names are no help; a place alone (`Berlin`) is found. */
function zoneHint(report: Report, zone: string, known: readonly string[]): string {
  const place = zone.toLowerCase();
  const found = known.find((name) => name.toLowerCase().endsWith(`/${place}`));
  if (found !== undefined) return `Did you mean "${found}"?`;
  const hint = guess(report, zone, known);
  return hint.startsWith('Did') ? hint : 'Write it as in Europe/Berlin.';
}
