import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createMarkParser } from '#src/adapters/docker/markers.ts';
import { parseMountInfo, sharedAt } from '#src/adapters/docker/mounts.ts';
import { createOutput } from '#src/adapters/docker/output.ts';
import { listensOn, withoutHeaders } from '#src/adapters/docker/services.ts';
import type { JobListener } from '#src/engine/ports.ts';
import { createMasker } from '#src/model/mask.ts';
import { anyBytes, anyText, check, cutBy, cuts, madeOf, patience, subject } from './support.ts';

const nonce = '0123456789abcdef';
const secret = 'hunter2-hunter2';
const words = [
  '\x1e',
  '\x1f',
  nonce,
  `\x1e${nonce} `,
  `\x1e${nonce}`,
  `\x1e${nonce.slice(0, -1)}0 done 0 0\x1f`,
  `\x1e${nonce} step 0 1\x1f`,
  `\x1e${nonce} step 1 2\x1f`,
  `\x1e${nonce} step 7\x1f`,
  `\x1e${nonce} done 1 0\x1f`,
  `\x1e${nonce} begun\x1f`,
  `\x1e${nonce} end\x1f`,
  `\x1e${nonce} ${'x'.repeat(199)}\x1f`,
  `\x1e${nonce} ${'x'.repeat(200)}\x1f`,
  `\x1e${nonce} inputs\x1f`,
  'text',
  '\n',
  secret,
  secret.slice(0, 7),
  secret.slice(7),
  Buffer.from(secret).toString('base64'),
];
/** Bytes, one a character. */
const stream = madeOf(words).map((text) => Buffer.from(text, 'latin1'));

function reference(bytes: Buffer): string {
  return bytes.toString('latin1').replace(new RegExp(`\\x1e${nonce} ([^\\x1f]{0,199})\\x1f`, 'g'), '[$1]');
}

function marksIn(parts: readonly Buffer[]): string {
  const parser = createMarkParser(nonce);
  const pieces = parts.flatMap((part) => parser.push(part));
  const told = pieces.map((piece) =>
    piece.kind === 'text' ? piece.bytes.toString('latin1') : `[${piece.words.join(' ')}]`,
  );
  return told.join('') + parser.flush().toString('latin1');
}

function masked(values: readonly string[], parts: readonly Buffer[]): Buffer {
  const masker = createMasker(values);
  return Buffer.concat([...parts.map((part) => masker.push(part)), masker.flush()]);
}

/** What the listener is told, logs between two steps as one. */
function output(parts: readonly Buffer[]): readonly string[] {
  const told: string[] = [''];
  const listener = {
    log: (bytes: Buffer) => {
      told[told.length - 1] += bytes.toString('latin1');
    },
    step: (event: { readonly kind: string; readonly index: number; readonly exitCode?: number }) => {
      told.push(`${event.kind} ${event.index} ${event.exitCode ?? ''}`, '');
    },
  } as unknown as JobListener;
  const steps = [
    { name: 'a', script: `echo ${secret}\n\n` },
    { name: 'b', script: 'b' },
  ];
  const job = createOutput({ nonce, secrets: [secret], steps, listener, clock: { now: () => 0 } });
  for (const part of parts) job.feed(part);
  job.close(1);
  return told;
}

describe(subject('logs of jobs'), () => {
  it(
    'takes out exactly the marks with the right nonce, however the stream is cut',
    () => {
      check(
        fc.tuple(fc.oneof(stream, anyBytes), cuts),
        ([bytes, at]) => {
          expect(marksIn(cutBy(bytes, at))).toBe(reference(bytes));
        },
        2,
      );
    },
    patience,
  );

  it(
    'shows a secret in no part, however the stream is cut',
    () => {
      const value = fc.oneof(
        fc.constant(secret),
        fc.string({ unit: 'grapheme', minLength: 4, maxLength: 20 }),
        fc.constantFrom('aaaa', 'abababab', 'line one\nline two', '  padded-value '),
      );
      const given = fc.tuple(
        fc.array(value, { minLength: 1, maxLength: 3 }),
        fc.array(fc.oneof(anyBytes, stream, fc.nat(2)), { maxLength: 8 }),
        cuts,
      );
      check(given, ([values, parts, at]) => {
        const usable = values.filter((each) => each.trim().length >= 4 && !each.includes('*'));
        const bytes = Buffer.concat(
          parts.map((part) => (typeof part === 'number' ? Buffer.from(usable[part] ?? '') : part)),
        );
        const shown = masked(usable, cutBy(bytes, at));
        for (const each of usable) expect(shown.includes(each.trim())).toBe(false);
        expect(shown.equals(masked(usable, [bytes]))).toBe(true);
      });
    },
    patience,
  );

  it(
    'leaves bytes as they are where there is no secret',
    () => {
      check(fc.tuple(anyBytes, cuts), ([bytes, at]) => {
        expect(masked(['no-such-secret-at-all'], cutBy(bytes, at)).equals(bytes)).toBe(true);
      });
    },
    patience,
  );

  it(
    'tells the same steps and the same log, without secrets, however the stream is cut',
    () => {
      check(fc.tuple(fc.oneof(stream, anyBytes), cuts), ([bytes, at]) => {
        const told = output(cutBy(bytes, at));
        expect(told).toEqual(output([bytes]));
        expect(told.join('')).not.toContain(secret);
        const steps = told.filter((line) => /^(started|finished) /.test(line));
        steps.forEach((line, index) =>
          expect(line).toContain(`${index % 2 === 0 ? 'started' : 'finished'} ${Math.floor(index / 2)} `),
        );
      });
    },
    patience,
  );

  it(
    "takes Docker's headers out of any bytes",
    () => {
      const frame = fc.tuple(fc.nat(3), anyBytes);
      check(fc.tuple(fc.array(frame, { maxLength: 5 }), anyBytes, fc.boolean()), ([frames, rest, torn]) => {
        const pieces = frames.flatMap(([kind, bytes]) => {
          const header = Buffer.alloc(8);
          header[0] = kind;
          header.writeUInt32BE(bytes.length, 4);
          return [header, bytes];
        });
        const text = Buffer.concat(frames.map(([, bytes]) => bytes));
        expect(withoutHeaders(Buffer.concat(pieces)).equals(text)).toBe(true);
        const shown = withoutHeaders(Buffer.concat([...pieces, ...(torn ? [rest] : [])]));
        expect(shown.length).toBeLessThanOrEqual(text.length + rest.length);
        expect(shown.subarray(0, text.length).equals(text)).toBe(true);
      });
    },
    patience,
  );

  it(
    'reads any table of mounts and of sockets',
    () => {
      const table = fc.oneof(
        anyText,
        madeOf([
          '27 1 254:0 / /data rw shared:1 - ext4 /dev/vda rw',
          '\n',
          ' ',
          '- ',
          '\\040',
          '\\999',
          'shared:2',
          ': 0A',
          '00000000:1F90 ',
          '/',
        ]),
      );
      check(fc.tuple(table, anyText, fc.nat(65_535)), ([text, folder, port]) => {
        expect(typeof sharedAt(parseMountInfo(text), folder)).toBe('boolean');
        expect(typeof listensOn(text, port)).toBe('boolean');
      });
    },
    patience,
  );
});
