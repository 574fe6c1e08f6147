import { randomBytes } from 'node:crypto';
import type { Clock } from '#src/engine/ports.ts';

/** Crockford's base 32, in the order of its characters: no i, l, o, u. https://www.crockford.com/base32.html */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** Makes ids of 24 characters that sort by the time they were made, also within a millisecond and when the clock is set back. */
export function idMaker(clock: Clock): () => string {
  let time = 0;
  let inTime = 0;
  return () => {
    const now = clock.now();
    if (now > time) {
      time = now;
      inTime = 0;
    } else {
      inTime += 1;
    }
    // 45 bits of time, 15 of order, 60 of chance.
    return `${digits(time, 9)}${digits(inTime, 3)}${random(12)}`;
  };
}

function digits(value: number, length: number): string {
  let text = '';
  let rest = value;
  for (let i = 0; i < length; i += 1) {
    text = `${alphabet[rest % 32] ?? ''}${text}`;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function random(length: number): string {
  return Array.from(randomBytes(length), (byte) => alphabet[byte % 32]).join('');
}
