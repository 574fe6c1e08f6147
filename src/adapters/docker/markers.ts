/**
 * Marks are how a job's shell tells the server where it is, in the stream of its output: the byte 0x1E, the job's
 * nonce, a space, words, the byte 0x1F. Text that looks like a mark but lacks the nonce is text.
 */
export type Piece =
  | { readonly kind: 'text'; readonly bytes: Buffer }
  | { readonly kind: 'mark'; readonly words: readonly string[] };

export interface MarkParser {
  push(bytes: Buffer): readonly Piece[];
  /** What was held back as the possible start of a mark. */
  flush(): Buffer;
}

const END = 0x1f;
const LONGEST = 200;
const NOTHING = Buffer.alloc(0);

/** Words of a mark as a format for `printf` in any shell (octal escapes, so that `set -x` doesn't print a mark). */
export function markFormat(nonce: string, words: string): string {
  return `\\036${nonce} ${words}\\037`;
}

export function createMarkParser(nonce: string): MarkParser {
  const head = Buffer.from(`\x1e${nonce} `);
  let carry: Buffer = NOTHING;

  return {
    push(bytes) {
      const buffer = carry.length > 0 ? Buffer.concat([carry, bytes]) : bytes;
      const pieces: Piece[] = [];
      let position = 0;
      carry = NOTHING;
      for (let at = buffer.indexOf(head); at !== -1; at = buffer.indexOf(head, position)) {
        const from = at + head.length;
        const end = buffer.subarray(from, from + LONGEST).indexOf(END);
        if (end === -1 && buffer.length - from < LONGEST) {
          addText(pieces, buffer.subarray(position, at));
          carry = Buffer.from(buffer.subarray(at));
          return pieces;
        }
        addText(pieces, buffer.subarray(position, end === -1 ? from : at));
        position = from;
        if (end === -1) continue;
        pieces.push({ kind: 'mark', words: buffer.toString('latin1', from, from + end).split(' ') });
        position = from + end + 1;
      }
      const rest = buffer.subarray(position);
      const held = startOf(head, rest);
      addText(pieces, rest.subarray(0, rest.length - held));
      if (held > 0) carry = Buffer.from(rest.subarray(rest.length - held));
      return pieces;
    },
    flush() {
      const rest = carry;
      carry = NOTHING;
      return rest;
    },
  };
}

function addText(pieces: Piece[], bytes: Buffer): void {
  if (bytes.length > 0) pieces.push({ kind: 'text', bytes });
}

/** Length of the end of `bytes` that is a start of `head`. */
function startOf(head: Buffer, bytes: Buffer): number {
  const at = bytes.lastIndexOf(0x1e);
  const length = bytes.length - at;
  if (at === -1 || length >= head.length) return 0;
  return head.compare(bytes, at, bytes.length, 0, length) === 0 ? length : 0;
}
