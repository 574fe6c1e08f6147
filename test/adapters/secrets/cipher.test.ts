import { scopeWords } from '#src/model/secret.ts';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { type CipherPlace, decrypt, encrypt, keyIdOf } from '#src/adapters/secrets/cipher.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { keysOf, keyText, ringOf, tampered } from './keyring.ts';

const place: CipherPlace = {
  scope: { kind: 'repository', repository: 'acme/shop' },
  name: 'TOKEN',
  limits: { branches: ['main'], events: [] },
};
const [key] = keysOf(1);
if (key === undefined) throw new Error('no key');
const value = Buffer.from('hunter22-hunter22');

/** What an attempt to open it comes to. */
function opened(where: CipherPlace, text: string, ...keys: number[]): string {
  try {
    return decrypt(ringOf(...keys), where, text).toString();
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    if (error.message.includes('hunter22') || error.message.includes(keyText(1))) return 'told';
    if (!error.message.includes(where.name)) return 'not told which';
    return 'refused';
  }
}

describe('the cipher of secrets', () => {
  it('opens what it encrypted, and never writes the same twice', () => {
    const texts = Array.from({ length: 50 }, () => encrypt(key, place, value));
    expect(new Set(texts).size).toBe(50);
    for (const text of texts) {
      expect(text).toMatch(new RegExp(`^v1:${key.id}:`));
      expect(text).not.toContain(value.toString('base64url').slice(0, 8));
      expect(opened(place, text, 1)).toBe('hunter22-hunter22');
    }
  });

  it('takes back any bytes, in any place', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.string(), fc.string(), (bytes, name, environment) => {
        const where: CipherPlace = { ...place, name, scope: { kind: 'environment', repository: 'a/b', environment } };
        const back = decrypt(ringOf(9, 1), where, encrypt(key, where, Buffer.from(bytes)));
        expect(back.equals(Buffer.from(bytes))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('refuses a text of which any character was changed, or that was cut', () => {
    const text = encrypt(key, place, value);
    for (let at = 0; at < text.length; at += 1)
      expect([at, opened(place, tampered(text, at), 1)]).toEqual([at, 'refused']);
    for (let end = 0; end < text.length; end += 1) expect(opened(place, text.slice(0, end), 1)).toBe('refused');
    expect(opened(place, `${text}A`, 1)).toBe('refused');
    expect(opened(place, `${text}=`, 1)).toBe('refused');
  });

  const moves: readonly (readonly [string, Partial<CipherPlace>])[] = [
    ['another name', { name: 'TOKEN2' }],
    ['the name in other letters', { name: 'token' }],
    ['another repository', { scope: { kind: 'repository', repository: 'acme/shop2' } }],
    ['the owner', { scope: { kind: 'owner', owner: 'acme/shop' } }],
    ['an environment', { scope: { kind: 'environment', repository: 'acme/shop', environment: '' } }],
    ['other branches', { limits: { branches: ['**'], events: [] } }],
    ['no limits', { limits: { branches: [], events: [] } }],
    ['limits that read alike', { limits: { branches: [], events: ['main'] } }],
  ];
  it.each(moves)('refuses a text that was moved to %s', (_where, change) => {
    expect(opened({ ...place, ...change }, encrypt(key, place, value), 1)).toBe('refused');
  });

  it("doesn't tell capital letters of owners, repositories and environments apart, as GitHub", () => {
    const text = encrypt(key, place, value);
    expect(opened({ ...place, scope: { kind: 'repository', repository: 'Acme/SHOP' } }, text, 1)).toBe(
      'hunter22-hunter22',
    );
  });

  it('names the key that is missing and whose secret it is, but no key and no path', () => {
    const text = encrypt(key, place, value);
    expect(keyIdOf(text)).toBe(key.id);
    expect(opened(place, text, 2)).toBe('refused');
    const other = keysOf(2)[0]?.id ?? '';
    expect(() => decrypt(ringOf(2), place, text)).toThrow(
      `The secret TOKEN of ${scopeWords(place.scope)} is encrypted with the key ${key.id}, which is missing (there is ${other}). The operator puts that key back (behind the newest), or sets the secret again.`,
    );
  });

  it('refuses garbage by a PlatformError and nothing else', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String().map((s) => `v1:${key.id}:${s}`),
        ),
        (text) => {
          expect(opened(place, text, 1)).toBe('refused');
        },
      ),
      { numRuns: 2000 },
    );
  });
});
