import { type Finder, throughColours } from './mask-colours.ts';
import { formsOf } from './mask-forms.ts';

type Range = readonly [start: number, end: number];

/** Replaces secret values in a stream of bytes. */
export interface Masker {
  /** Takes the next bytes and answers those that are safe to show. Holds back only what may be the start of a secret. */
  push(bytes: Buffer): Buffer;
  /** The rest, at the end of the stream. */
  flush(): Buffer;
}

const MASK = Buffer.from('***');
const NOTHING = Buffer.alloc(0);

/**
 * A masker for the values, in all the forms that formsOf names. Bytes that are no secret pass unchanged, whatever their
 * encoding. Costs nothing without values; with them, time doesn't grow with their number.
 */
export function createMasker(values: readonly string[]): Masker {
  const needles = needlesOf(values);
  if (needles === null) return { push: (bytes) => bytes, flush: () => NOTHING };
  const { find, heldBack } = needles;
  let carry: Buffer = NOTHING;
  // So many bytes at the head of `carry` belong to a secret whose mask has been shown already.
  let covered = 0;

  function take(buffer: Buffer, cut: number): Buffer {
    const ranges = merge(find(buffer), covered);
    const pieces: Buffer[] = [];
    let position = 0;
    let over = 0;
    for (const [start, end] of ranges) {
      if (start >= cut) {
        if (start === 0) over = covered;
        break;
      }
      if (start > position) pieces.push(buffer.subarray(position, start));
      if (start > 0 || covered === 0) pieces.push(MASK);
      position = Math.min(end, cut);
      over = Math.max(0, end - cut);
    }
    if (position < cut) pieces.push(buffer.subarray(position, cut));
    covered = over;
    carry = cut < buffer.length ? Buffer.from(buffer.subarray(cut)) : NOTHING;
    return pieces.length === 1 ? (pieces[0] ?? NOTHING) : Buffer.concat(pieces);
  }

  return {
    push(bytes) {
      const buffer = carry.length > 0 ? Buffer.concat([carry, bytes]) : bytes;
      return take(buffer, buffer.length - heldBack(buffer));
    },
    flush() {
      const rest = take(carry, carry.length);
      covered = 0;
      return rest;
    },
  };
}

/** A text as people may see it: for whatever leaves and isn't a log. */
export function maskText(text: string, values: readonly string[]): string {
  const needles = needlesOf(values);
  if (needles === null) return text;
  const buffer = Buffer.from(text);
  const pieces: Buffer[] = [];
  let position = 0;
  for (const [start, end] of merge(needles.find(buffer), 0)) {
    pieces.push(buffer.subarray(position, start), MASK);
    position = end;
  }
  return position === 0 ? text : Buffer.concat([...pieces, buffer.subarray(position)]).toString();
}

/** By the list itself: a job's texts are masked with one list. */
const known = new WeakMap<readonly string[], Finder | null>();

/** Null if there is nothing to hide. */
function needlesOf(values: readonly string[]): Finder | null {
  const before = known.get(values);
  if (before !== undefined) return before;
  const texts = [...formsOf(values)];
  const needles = texts.length === 0 ? null : throughColours(searchFor(texts.map((text) => Buffer.from(text))));
  known.set(values, needles);
  return needles;
}

/**
 * Looks for many needles at once, as Wu and Manber do: two bytes tell how far to move on, or which needles may begin
 * here (those that have these two bytes at the end of the window).
 */
function searchFor(needles: readonly Buffer[]): Finder {
  const window = Math.min(...needles.map((needle) => needle.length), 255);
  const longest = Math.max(...needles.map((needle) => needle.length));
  const shifts = new Uint8Array(65_536).fill(window - 1);
  const endings = new Map<number, Buffer[]>();
  const beginnings = new Map<number, Buffer[]>();
  for (const needle of needles) {
    for (let i = 1; i < window; i += 1) {
      const pair = pairAt(needle, i);
      shifts[pair] = Math.min(shifts[pair] ?? 0, window - 1 - i);
    }
    add(endings, pairAt(needle, window - 1), needle);
    add(beginnings, needle[0] ?? 0, needle);
  }

  return {
    find(buffer) {
      const ranges: [number, number][] = [];
      for (let end = window - 1; end < buffer.length; ) {
        const pair = pairAt(buffer, end);
        const shift = shifts[pair] ?? 0;
        if (shift > 0) {
          end += shift;
          continue;
        }
        const start = end - window + 1;
        for (const needle of endings.get(pair) ?? []) {
          if (start + needle.length <= buffer.length && matches(needle, buffer, start))
            ranges.push([start, start + needle.length]);
        }
        end += 1;
      }
      return ranges;
    },
    heldBack(buffer) {
      for (let at = Math.max(0, buffer.length - longest + 1); at < buffer.length; at += 1) {
        const rest = buffer.length - at;
        for (const needle of beginnings.get(buffer[at] ?? 0) ?? []) {
          if (needle.length > rest && matches(needle, buffer, at)) return rest;
        }
      }
      return 0;
    },
  };
}

function pairAt(buffer: Buffer, end: number): number {
  return ((buffer[end - 1] ?? 0) << 8) | (buffer[end] ?? 0);
}

function add(map: Map<number, Buffer[]>, key: number, needle: Buffer): void {
  const there = map.get(key);
  if (there) there.push(needle);
  else map.set(key, [needle]);
}

/** Whether the needle stands there, as far as the buffer goes. */
function matches(needle: Buffer, buffer: Buffer, start: number): boolean {
  const length = Math.min(needle.length, buffer.length - start);
  for (let i = 0; i < length; i += 1) if (needle[i] !== buffer[start + i]) return false;
  return true;
}

/** In order, overlapping ones made one, beginning with the `covered` bytes at the head. */
function merge(ranges: Range[], covered: number): readonly Range[] {
  if (covered > 0) ranges.push([0, covered]);
  ranges.sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [start, end] of ranges) {
    const last = merged.at(-1);
    if (last && start < last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
}
