import type { Window } from '#src/model/deploy-rules.ts';
import { list } from './words.ts';

/**
 * Whether the clock on the wall of a window's zone shows a time within it; no windows: always. Where the clock is put back
 * an hour comes twice, and so does a window in it; an hour that is left out opens nothing. A zone that isn't known is closed.
 */
export function isOpen(windows: readonly Window[], now: number): boolean {
  return windows.length === 0 || windows.some((window) => isWithin(window, now));
}

/** When one of the windows opens, exactly, milliseconds since the epoch; `now` if one is open; null: none ever does. */
export function nextOpening(windows: readonly Window[], now: number): number | null {
  if (windows.length === 0) return now;
  const openings = windows.map((window) => openingOf(window, now)).filter((at) => at !== null);
  return openings.length === 0 ? null : Math.min(...openings);
}

const minuteMs = 60_000;
const dayMinutes = 24 * 60;
const weekMinutes = 7 * dayMinutes;

/** A zone's time: minutes since Sunday's midnight, and by how much it is ahead of UTC. */
interface WallTime {
  readonly minute: number;
  readonly offsetMs: number;
}

function isWithin(window: Window, at: number): boolean {
  const wall = wallTime(window.zone, at);
  return wall !== null && spans(window).some(({ from, length }) => modulo(wall.minute - from, weekMinutes) < length);
}

/** Parts of the week, in its minutes; one may go over the week's end. */
function spans({ days, from, until }: Window): readonly { readonly from: number; readonly length: number }[] {
  const length = until > from ? until - from : until + dayMinutes - from;
  return days.map((day) => ({ from: day * dayMinutes + from, length }));
}

function openingOf(window: Window, now: number): number | null {
  let at = now;
  // A week holds every window once; a zone's clock is changed a few times a year.
  for (let changes = 0; changes < 10; changes += 1) {
    if (isWithin(window, at)) return at;
    const wall = wallTime(window.zone, at);
    if (wall === null || window.days.length === 0) return null;
    const begun = modulo(at, minuteMs);
    const ahead = Math.min(...spans(window).map(({ from }) => modulo(from - wall.minute, weekMinutes) || weekMinutes));
    const opening = at - begun + ahead * minuteMs;
    const change = changeOfClock(window.zone, at, opening);
    if (change === null) return opening;
    // Until then no window began; from then on the clock shows another time.
    at = change;
  }
  return null;
}

/** When the zone's clock is changed first after `from`, at `to` at the latest, as an exact time; null: it isn't. */
function changeOfClock(zone: string, from: number, to: number): number | null {
  const offset = wallTime(zone, from)?.offsetMs;
  // Changes lie weeks apart, so none is missed between days.
  let before = from;
  while (before < to) {
    const after = Math.min(to, before + dayMinutes * minuteMs);
    if (wallTime(zone, after)?.offsetMs !== offset) return bisect(zone, offset, before, after);
    before = after;
  }
  return null;
}

function bisect(zone: string, offset: number | undefined, from: number, to: number): number {
  let [before, after] = [from, to];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (wallTime(zone, middle)?.offsetMs === offset) before = middle;
    else after = middle;
  }
  return after;
}

function wallTime(zone: string, at: number): WallTime | null {
  const format = formatOf(zone);
  if (format === null || !Number.isFinite(at)) return null;
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
  const wall = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  const day = new Date(wall).getUTCDay();
  return {
    minute: day * dayMinutes + part('hour') * 60 + part('minute'),
    offsetMs: wall - (at - modulo(at, 1000)),
  };
}

const formats = new Map<string, Intl.DateTimeFormat | null>();

/** Making one takes longer than using it a hundred times. */
function formatOf(zone: string): Intl.DateTimeFormat | null {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const made = makeFormat(zone);
  // Zones come from users' files.
  if (formats.size > 500) formats.clear();
  formats.set(zone, made);
  return made;
}

function makeFormat(zone: string): Intl.DateTimeFormat | null {
  const numeric = { year: 'numeric', month: 'numeric', day: 'numeric' } as const;
  const time = { hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23' } as const;
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: zone, ...numeric, ...time });
  } catch {
    return null;
  }
}

/** Never negative. */
function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

const dayNames = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

/** `Mon-Fri 09:00-17:00 (Europe/Berlin)`. */
export function windowsText(windows: readonly Window[]): string {
  return list(
    windows.map(({ days, from, until, zone }) => `${daysText(days)} ${clock(from)}-${clock(until)} (${zone})`),
    'or',
  );
}

function daysText(days: readonly number[]): string {
  const sorted = [...new Set(days)].sort((a, b) => modulo(a - 1, 7) - modulo(b - 1, 7));
  if (sorted.length === 7) return 'every day';
  const [first, last] = [sorted[0] ?? 0, sorted.at(-1) ?? 0];
  const inRow = sorted.length > 2 && modulo(last - first, 7) === sorted.length - 1;
  return inRow ? `${dayNames[first]}-${dayNames[last]}` : list(sorted.map((day) => dayNames[day] ?? '?'));
}

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
}

/** `Mon 2026-11-23, 09:00 (Europe/Berlin)`: an instant as the clock of the first window's zone shows it. */
export function openingText(windows: readonly Window[], at: number): string {
  const [{ zone } = { zone: 'UTC' }] = windows.filter((window) => isWithin(window, at));
  const offset = wallTime(zone, at)?.offsetMs ?? 0;
  const wall = new Date(at + offset);
  const iso = wall.toISOString();
  return `${dayNames[wall.getUTCDay()]} ${iso.slice(0, 10)}, ${iso.slice(11, 16)} (${zone})`;
}
