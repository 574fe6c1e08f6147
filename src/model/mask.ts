/** Replaces secret values in a stream of bytes. */
export interface Masker {
  /** Takes the next bytes and answers those that are safe to show. Holds back only what may be the start of a secret. */
  push(bytes: Buffer): Buffer;
  /** The rest, at the end of the stream. */
  flush(): Buffer;
}

const MASK = Buffer.from('***');
const NOTHING = Buffer.alloc(0);
/** Shorter lines of a multi-line value ("{", "---") would mask half the log and give nothing away. */
const SHORTEST_LINE = 4;
/** Shorter pieces of base64 would hit innocent text. */
const SHORTEST_BASE64 = 6;

/**
 * A masker for the values: each is hidden as it is, URL-encoded, in base64 (wherever it stands in what was
 * encoded), and line by line if it has several. Bytes that are no secret pass unchanged, whatever their encoding.
 */
export function createMasker(values: readonly string[]): Masker {
  const needles = needlesOf(values);
  const longest = needles.reduce((length, needle) => Math.max(length, needle.length), 0);
  let carry: Buffer = NOTHING;
  // So many bytes at the head of `carry` belong to a secret whose mask has been shown already.
  let covered = 0;

  function take(buffer: Buffer, cut: number): Buffer {
    const ranges = merge(find(buffer, needles), covered);
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
      if (needles.length === 0) return bytes;
      const buffer = carry.length > 0 ? Buffer.concat([carry, bytes]) : bytes;
      return take(buffer, buffer.length - heldBack(buffer, needles, longest));
    },
    flush() {
      const rest = take(carry, carry.length);
      covered = 0;
      return rest;
    },
  };
}

function needlesOf(values: readonly string[]): readonly Buffer[] {
  const texts = new Set<string>();
  for (const value of values) {
    const trimmed = value.trim();
    if (trimmed === '') continue;
    texts.add(trimmed);
    const lines = trimmed.split(/\r?\n/).map((line) => line.trim());
    if (lines.length > 1) for (const line of lines) if (line.length >= SHORTEST_LINE) texts.add(line);
    texts.add(urlEncoded(trimmed));
    for (const text of new Set([value, trimmed])) for (const form of base64Forms(text)) texts.add(form);
  }
  return [...texts].map((text) => Buffer.from(text));
}

function urlEncoded(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}

/**
 * The value's base64 as it appears wherever it stands in a longer text that was encoded (`user:password`): three
 * alignments, without the characters at the ends that depend on the neighbours. Both alphabets.
 */
function base64Forms(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  const forms: string[] = [];
  for (const shift of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const from = shift === 0 ? 0 : shift + 1;
    const to = (shift + bytes.length) % 3 === 0 ? encoded.length : encoded.length - 1;
    const stable = encoded.slice(from, to);
    if (stable.length < SHORTEST_BASE64) continue;
    forms.push(stable, stable.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return forms;
}

type Range = readonly [start: number, end: number];

function find(buffer: Buffer, needles: readonly Buffer[]): Range[] {
  const ranges: Range[] = [];
  for (const needle of needles) {
    for (let at = buffer.indexOf(needle); at !== -1; at = buffer.indexOf(needle, at + 1)) {
      ranges.push([at, at + needle.length]);
    }
  }
  return ranges;
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

/** Length of the longest end of the buffer that a secret may begin with. */
function heldBack(buffer: Buffer, needles: readonly Buffer[], longest: number): number {
  const tail = buffer.subarray(Math.max(0, buffer.length - longest + 1));
  let held = 0;
  for (const needle of needles) {
    const first = needle[0] ?? 0;
    const from = Math.max(0, tail.length - needle.length + 1);
    for (let at = tail.indexOf(first, from); at !== -1; at = tail.indexOf(first, at + 1)) {
      const length = tail.length - at;
      if (length <= held) break;
      if (needle.compare(tail, at, tail.length, 0, length) === 0) {
        held = length;
        break;
      }
    }
  }
  return held;
}
