import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { isOpen, nextOpening, openingText, windowsText } from '#src/model/deploy/windows.ts';
import type { Window } from '#src/model/deploy-rules.ts';
import '../seeded.ts';

const berlin = 'Europe/Berlin';
const everyDay = [0, 1, 2, 3, 4, 5, 6];

/** `13:30` as minutes since midnight. */
function at(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number);
  return hours * 60 + minutes;
}

function window(days: readonly number[], from: string, until: string, zone = berlin): Window {
  return { days, from: at(from), until: at(until), zone };
}

const office = window([1, 2, 3, 4, 5], '09:00', '17:00');

describe('a window', () => {
  // In 2026 the clocks of Berlin go forward on 29 March at 01:00 UTC, and back on 25 October at 01:00 UTC.
  it.each<[string, readonly Window[], string, boolean, string | null]>([
    ['isn’t needed', [], '2026-11-23T03:00Z', true, '2026-11-23T03:00Z'],
    ['is open', [office], '2026-11-23T08:00Z', true, '2026-11-23T08:00Z'],
    ['is shut before it opens', [office], '2026-11-23T07:59:59.999Z', false, '2026-11-23T08:00Z'],
    ['is open until it shuts', [office], '2026-11-23T15:59:59.999Z', true, '2026-11-23T15:59:59.999Z'],
    ['shuts', [office], '2026-11-23T16:00Z', false, '2026-11-24T08:00Z'],
    ['waits for the weekend’s end', [office], '2026-11-20T18:00Z', false, '2026-11-23T08:00Z'],
    ['is an hour earlier in summer', [office], '2026-07-06T06:30Z', false, '2026-07-06T07:00Z'],
    ['opens after the clocks went forward', [office], '2026-03-27T16:30Z', false, '2026-03-30T07:00Z'],
    ['opens after the clocks went back', [office], '2026-10-23T16:30Z', false, '2026-10-26T08:00Z'],
    ['goes over midnight', [window([5], '22:00', '02:00')], '2026-11-21T00:30Z', true, '2026-11-21T00:30Z'],
    [
      'over midnight ends on the day after',
      [window([5], '22:00', '02:00')],
      '2026-11-21T01:00Z',
      false,
      '2026-11-27T21:00Z',
    ],
    [
      'over midnight belongs to the day before',
      [window([6], '22:00', '02:00')],
      '2026-11-21T00:30Z',
      false,
      '2026-11-21T21:00Z',
    ],
    ['goes over the week’s end', [window([6], '23:00', '01:00')], '2026-11-21T23:30Z', true, '2026-11-21T23:30Z'],
    ['is a whole day', [window([1], '00:00', '24:00')], '2026-11-23T22:59Z', true, '2026-11-23T22:59Z'],
    ['of a whole day ends with it', [window([1], '00:00', '24:00')], '2026-11-23T23:00Z', false, '2026-11-29T23:00Z'],
    [
      'from a time to itself is 24 hours',
      [window([1], '09:00', '09:00')],
      '2026-11-24T07:59Z',
      true,
      '2026-11-24T07:59Z',
    ],
    ['is always open', [window(everyDay, '00:00', '24:00')], '2026-03-29T01:00Z', true, '2026-03-29T01:00Z'],
    [
      'in the hour that is left out never opens that day',
      [window([0], '02:00', '03:00')],
      '2026-03-29T00:30Z',
      false,
      '2026-04-05T00:00Z',
    ],
    [
      'that begins in the hour that is left out opens behind it',
      [window([0], '02:30', '04:00')],
      '2026-03-29T00:30Z',
      false,
      '2026-03-29T01:00Z',
    ],
    [
      'that ends in the hour that is left out ends before it',
      [window([0], '01:00', '02:30')],
      '2026-03-29T01:00Z',
      false,
      '2026-04-04T23:00Z',
    ],
    [
      'in the hour that comes twice is open',
      [window([0], '02:00', '03:00')],
      '2026-10-25T00:30Z',
      true,
      '2026-10-25T00:30Z',
    ],
    [
      'in the hour that comes twice is open twice',
      [window([0], '02:00', '03:00')],
      '2026-10-25T01:30Z',
      true,
      '2026-10-25T01:30Z',
    ],
    [
      'within the hour that comes twice opens again',
      [window([0], '02:00', '02:30')],
      '2026-10-25T00:45Z',
      false,
      '2026-10-25T01:00Z',
    ],
    [
      'later in the hour that comes twice opens again',
      [window([0], '02:15', '02:30')],
      '2026-10-25T00:45Z',
      false,
      '2026-10-25T01:15Z',
    ],
    [
      'takes the nearest of two',
      [office, window([0], '12:00', '13:00', 'UTC')],
      '2026-11-21T12:00Z',
      false,
      '2026-11-22T12:00Z',
    ],
    [
      'counts days by its zone',
      [window([1], '00:00', '01:00', 'Pacific/Auckland')],
      '2026-11-22T11:30Z',
      true,
      '2026-11-22T11:30Z',
    ],
    [
      'has a zone with half hours',
      [window([1], '09:00', '10:00', 'Asia/Kolkata')],
      '2026-11-23T03:00Z',
      false,
      '2026-11-23T03:30Z',
    ],
    [
      'of a zone that changes by half an hour',
      [window([0], '01:45', '02:15', 'Australia/Lord_Howe')],
      '2026-10-03T15:30Z',
      false,
      '2026-10-10T14:45Z',
    ],
    ['on no day never opens', [window([], '09:00', '17:00')], '2026-11-23T08:00Z', false, null],
    ['of no known zone never opens', [window([1], '09:00', '17:00', 'Mars/Olympus')], '2026-11-23T08:00Z', false, null],
    [
      'of no known zone leaves the others',
      [window([1], '00:00', '24:00', 'Mars'), office],
      '2026-11-23T07:00Z',
      false,
      '2026-11-23T08:00Z',
    ],
  ])('%s', (_name, windows, now, open, opens) => {
    expect(isOpen(windows, Date.parse(now))).toBe(open);
    const next = nextOpening(windows, Date.parse(now));
    expect(next === null ? null : new Date(next).toISOString()).toBe(
      opens === null ? null : new Date(opens).toISOString(),
    );
  });

  it('is open when it opens, and not before', () => {
    const zones = [berlin, 'UTC', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Africa/Casablanca'];
    const windowOf = fc.record({
      days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 }),
      from: fc.integer({ min: 0, max: 1439 }),
      until: fc.integer({ min: 0, max: 1440 }),
      zone: fc.constantFrom(...zones),
    });
    const now = fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2028, 0, 1) });
    fc.assert(
      fc.property(
        fc.array(windowOf, { minLength: 1, maxLength: 2 }),
        now,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (windows, now, part) => {
          const opens = nextOpening(windows, now);
          if (opens === null) throw new Error('It never opens.');
          expect(opens).toBeGreaterThanOrEqual(now);
          // In the hours that are left out a window may be missed once.
          expect(opens - now).toBeLessThan(15 * 24 * 3_600_000);
          expect(isOpen(windows, opens)).toBe(true);
          const before = now + Math.floor((opens - now) * part);
          const missed = before < opens && isOpen(windows, before);
          expect(missed).toBe(false);
          expect(opens > now && isOpen(windows, opens - 1)).toBe(false);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a window in words', () => {
  it.each<[readonly Window[], string]>([
    [[office], 'Mon-Fri 09:00-17:00 (Europe/Berlin)'],
    [[window(everyDay, '00:00', '24:00', 'UTC')], 'every day 00:00-24:00 (UTC)'],
    [[window([6, 0], '10:00', '12:00', 'UTC')], 'Sat and Sun 10:00-12:00 (UTC)'],
    [[window([1, 3, 5], '10:00', '12:00', 'UTC')], 'Mon, Wed and Fri 10:00-12:00 (UTC)'],
    [[window([5, 6, 0], '22:00', '02:00', 'UTC')], 'Fri-Sun 22:00-02:00 (UTC)'],
    [[office, window([6], '10:00', '12:30')], 'Mon-Fri 09:00-17:00 (Europe/Berlin) or Sat 10:00-12:30 (Europe/Berlin)'],
  ])('%j', (windows, text) => {
    expect(windowsText(windows)).toBe(text);
  });

  it('says when it opens by the clock of its zone', () => {
    expect(openingText([office], Date.parse('2026-11-23T08:00Z'))).toBe('Mon 2026-11-23, 09:00 (Europe/Berlin)');
    expect(openingText([office], Date.parse('2026-07-06T07:00Z'))).toBe('Mon 2026-07-06, 09:00 (Europe/Berlin)');
  });
});
