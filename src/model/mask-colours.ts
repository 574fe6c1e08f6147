/** Where secrets are in some bytes, and how long an end of them may be the beginning of one. */
export interface Finder {
  /** Every place of every secret. */
  readonly find: (buffer: Buffer) => [start: number, end: number][];
  /** Length of the longest end of the buffer that a secret may begin with. */
  readonly heldBack: (buffer: Buffer) => number;
}

const ESCAPE = 0x1b;
const MOST_PARAMETERS = 32;
/** More than this isn't held back, or somebody who prints the beginning of a secret and colours without end fills the memory. */
const MOST_HELD = 256 * 1024;

/**
 * The same finder, which also finds what a tool coloured in the middle (`grep --color`): control sequences (ESC [ ... letter)
 * count for nothing. What was found covers those within it.
 */
export function throughColours({ find, heldBack }: Finder): Finder {
  return {
    find(buffer) {
      const found = find(buffer);
      if (!buffer.includes(ESCAPE)) return found;
      const { text, places } = withoutSequences(buffer);
      for (const [start, end] of find(text)) found.push([places[start] ?? 0, (places[end - 1] ?? 0) + 1]);
      return found.sort((a, b) => a[0] - b[0]);
    },
    heldBack(buffer) {
      const held = heldBack(buffer);
      if (!buffer.includes(ESCAPE)) return held;
      const { text, places, open } = withoutSequences(buffer);
      // What begins at `open` may be nothing, and the secret go on behind it.
      const told = open < buffer.length ? text.subarray(0, places.subarray(0, text.length).indexOf(open)) : text;
      const begun = heldBack(told);
      const from = begun > 0 ? (places[told.length - begun] ?? 0) : buffer.length;
      const all = buffer.length - outside(places.subarray(0, text.length), Math.min(from, open, buffer.length - held));
      return all > MOST_HELD ? held : all;
    },
  };
}

/** The place, or where the row of sequences begins in which it is: cut in two, they would be read as other ones. */
function outside(places: Uint32Array, at: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return places[low] === at ? at : low === 0 ? 0 : (places[low - 1] ?? 0) + 1;
}

interface Bare {
  readonly text: Buffer;
  /** Of each byte of the text, its place in the buffer. */
  readonly places: Uint32Array;
  /** Where a sequence begins of which the end isn't there yet; the buffer's length if there is none. */
  readonly open: number;
}

function withoutSequences(buffer: Buffer): Bare {
  const text = Buffer.allocUnsafe(buffer.length);
  const places = new Uint32Array(buffer.length);
  let length = 0;
  let open = buffer.length;
  for (let at = 0; at < buffer.length; ) {
    const size = buffer[at] === ESCAPE ? sequenceAt(buffer, at) : 0;
    if (size > 0) {
      at += size;
      continue;
    }
    if (size < 0) open = Math.min(open, at);
    text[length] = buffer[at] ?? 0;
    places[length] = at;
    length += 1;
    at += 1;
  }
  return { text: text.subarray(0, length), places, open };
}

/** Bytes of the sequence; 0 if it is none, -1 if that can't be told yet. */
function sequenceAt(buffer: Buffer, start: number): number {
  if (start + 1 >= buffer.length) return -1;
  if (buffer[start + 1] !== 0x5b) return 0;
  for (let at = start + 2; at <= start + 2 + MOST_PARAMETERS; at += 1) {
    const byte = buffer[at];
    if (byte === undefined) return -1;
    if (byte >= 0x40 && byte <= 0x7e) return at + 1 - start;
    if (byte < 0x20 || byte > 0x3f) return 0;
  }
  return 0;
}
