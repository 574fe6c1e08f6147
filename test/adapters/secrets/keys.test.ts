import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { isOpenToOthers, openKeys, parseKeys } from '#src/adapters/secrets/keys.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { keysOf, keyText } from './keyring.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-keys-'));
  file = join(folder, 'secret.key');
});
afterEach(() => rm(folder, { recursive: true }));

const none = { given: null, file: null };
const ids = (...bytes: number[]) => keysOf(...bytes).map((key) => key.id);

describe('the text of keys', () => {
  const hex = '01'.repeat(32);
  it.each([
    ['base64', keyText(1), ids(1)],
    ['base64 without its end', keyText(1).replace('=', ''), ids(1)],
    ['base64 for addresses', Buffer.alloc(32, 0xfb).toString('base64url'), ids(0xfb)],
    ['hex', hex, ids(1)],
    ['hex in capital letters', 'FB'.repeat(32), ids(0xfb)],
    ['several lines, remarks and blanks', `# new\n ${keyText(2)} \n\n# old\n${hex}\r\n`, ids(2, 1)],
    ['commas', `${keyText(2)},${hex}, ${keyText(3)}`, ids(2, 1, 3)],
    ['the same twice', `${hex}\n${keyText(1)}`, ids(1)],
  ])('may be %s', (_how, text, expected) => {
    expect(parseKeys(text, 'X').map((key) => key.id)).toEqual(expected);
  });

  it.each([
    ['nothing', '# only a remark\n'],
    ['a key that is too short', Buffer.alloc(31, 1).toString('base64')],
    ['a key that is too long', Buffer.alloc(33, 1).toString('base64')],
    ['a password', 'correct horse battery staple'],
    ['a second key that is none', `${keyText(1)}\nverysecretbutshort`],
  ])('is refused if it holds %s, without showing it', (_what, text) => {
    expect(() => parseKeys(text, 'X')).toThrow(PlatformError);
    expect(() => parseKeys(text, 'X')).toThrow(/^X.*head -c 32 \/dev\/urandom \| base64$/);
    expect(() => parseKeys(text, 'X')).not.toThrow(/battery|verysecret|AQEB/);
  });

  it('is read or refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        expect(() => {
          try {
            parseKeys(text, 'X');
          } catch (error) {
            if (!(error instanceof PlatformError)) throw error;
          }
        }).not.toThrow();
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the keys of an installation', () => {
  it('are made once where there are none, for nobody else to read', async () => {
    const ring = openKeys({ ...none, own: { path: file, isUsed: true } });
    expect(ring.all()).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
    const { id } = ring.newest();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['secret.key']);
    expect(ring.newest().id).toBe(id);
    expect(
      openKeys({ ...none, own: { path: file, isUsed: true } })
        .all()
        .map((key) => key.id),
    ).toEqual([id]);
  });

  it('are the same for two who make them at once', () => {
    const rings = [1, 2, 3].map(() => openKeys({ ...none, own: { path: file, isUsed: true } }));
    expect(new Set(rings.map((ring) => ring.newest().id)).size).toBe(1);
  });

  it('are not made where servers share a database: the message says what to set, and which key there was', async () => {
    const own = { path: file, isUsed: false };
    expect(() => openKeys({ ...none, own }).newest()).toThrow(
      /set SLIPWAY_SECRET_KEY or SLIPWAY_SECRET_KEY_FILE on each/,
    );
    expect(() => openKeys({ ...none, own }).newest()).not.toThrow(file);
    expect(await readdir(folder)).toEqual([]);
    await writeFile(file, keyText(1), { mode: 0o600 });
    expect(() => openKeys({ ...none, own }).newest()).toThrow(file);
  });

  it.each(['604', '644', '660', '620', '606', '601'])(
    'are refused in a file of mode %s, with what to do',
    async (mode) => {
      await writeFile(file, keyText(1));
      await chmod(file, Number.parseInt(mode, 8));
      for (const options of [{ ...none, file }, none]) {
        const ring = openKeys({ ...options, own: { path: file, isUsed: true } });
        for (const use of [() => ring.all(), () => ring.newest()]) {
          expect(use).toThrow(PlatformError);
          expect(use).toThrow(`(mode ${mode}): run "chmod 600 ${file}"`);
        }
      }
    },
  );

  it.each([
    ['440', 0, false],
    ['640', 0, false],
    ['460', 0, true],
    ['450', 0, true],
    ['444', 0, true],
    ['600', 12_345, false],
    ['400', 12_345, false],
    ['440', 12_345, true],
    ['640', 12_345, true],
    ['404', 12_345, true],
  ])("may be read by the group of root's file, and of no other: mode %s of user %i", (mode, uid, open) => {
    expect(isOpenToOthers(Number.parseInt(mode, 8), uid)).toBe(open);
  });

  it('follow the file as it changes', async () => {
    await writeFile(file, keyText(1), { mode: 0o600 });
    const ring = openKeys({ given: null, file, own: { path: '/nowhere', isUsed: true } });
    expect(ring.all().map((key) => key.id)).toEqual(ids(1));
    await writeFile(file, `${keyText(2)}\n${keyText(1)}\n`);
    await utimes(file, 1, 1);
    expect(ring.all().map((key) => key.id)).toEqual(ids(2, 1));
    expect(ring.newest().id).toBe(ids(2)[0]);
    await rm(file);
    expect(() => ring.all()).toThrow(`SLIPWAY_SECRET_KEY_FILE names ${file}, but there is no such file.`);
    expect(() => ring.newest()).toThrow('there is no such file');
    expect(await readdir(folder)).toEqual([]);
  });

  it('come from one setting alone', () => {
    expect(() => openKeys({ given: keyText(1), file, own: { path: file, isUsed: true } })).toThrow('are both set');
  });

  it('derive different material for each purpose, and the same again', async () => {
    const [a] = keysOf(1);
    const [b] = keysOf(2);
    expect(a?.derive('x', 32)).toEqual(keysOf(1)[0]?.derive('x', 32));
    expect(a?.derive('x', 32)).not.toEqual(a?.derive('y', 32));
    expect(a?.derive('x', 32)).not.toEqual(b?.derive('x', 32));
    await writeFile(file, keyText(1), { mode: 0o600 });
    expect(await readFile(file, 'utf8')).not.toContain(a?.id);
  });
});
