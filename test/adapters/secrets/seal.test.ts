import { createPrivateKey } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { seal, sealKey, sealWith, unseal } from '#src/adapters/secrets/seal.ts';
import { UserError } from '#src/model/outcome.ts';
import { keysOf, tampered } from './keyring.ts';

const keys = keysOf(1);
const [key] = keys;
if (key === undefined) throw new Error('no key');
const publicKey = sealKey(key, 'acme/shop');
const sealed = seal(publicKey, 'acme/shop', 'hunter22');

/** The value, or `refused`. Anything but a UserError is a failure of the test. */
function opened(text: string, repository = 'acme/shop', all = keys): string {
  try {
    return unseal(all, repository, text);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message.includes('hunter22') ? 'told' : 'refused';
  }
}

describe('a sealed value', () => {
  it('opens for its repository, however it is written, and is never the same twice', () => {
    expect(opened(sealed)).toBe('hunter22');
    expect(opened(sealed, 'Acme/Shop')).toBe('hunter22');
    expect(opened(seal(`${publicKey}\n`, 'ACME/shop', 'hunter22'))).toBe('hunter22');
    expect(seal(publicKey, 'acme/shop', 'hunter22')).not.toBe(sealed);
  });

  it('opens as ever: these were sealed once and stand in pipeline files', () => {
    expect(publicKey).toBe('seal-key:v1:acme/shop:gpDGTDS6-__EK1e8_vHueOTufosYK3j_r4Vv93TTcSY');
    expect(
      opened('sealed:v1:E75P6uryBMf9M1j8nAByGIHRdCeBKCJ-xnTzf3_pe20ht7F2T0aDWiZ9LptO2ErSdSIPCiwCE85bqwlQuY0'),
    ).toBe('moin, Welt ⚓');
  });

  it('is made of its parts alone', () => {
    const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), Buffer.alloc(32, 7)]);
    const ephemeral = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const to = Buffer.from(publicKey.split(':').at(-1) ?? '', 'base64url');
    expect(sealWith(ephemeral, to, 'Acme/Shop', Buffer.from('moin, Welt ⚓'))).toBe(
      'sealed:v1:E75P6uryBMf9M1j8nAByGIHRdCeBKCJ-xnTzf3_pe20ht7F2T0aDWiZ9LptO2ErSdSIPCiwCE85bqwlQuY0',
    );
  });

  it.each(['acme/shop2', 'evil/shop', 'acme/shop.git', 'acme', '', '../acme/shop', 'acme/shop/x'])(
    'opens for no other repository: %j',
    (repository) => {
      expect(opened(sealed, repository)).toBe('refused');
      expect(() => unseal(keys, repository, sealed)).toThrow(/sealed for another repository or with another key/);
    },
  );

  it("opens neither where only its additional data, nor where only its key is the other repository's", () => {
    // Sealed with this repository's key, but bound to another.
    const to = Buffer.from(publicKey.split(':').at(-1) ?? '', 'base64url');
    const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), Buffer.alloc(32, 8)]);
    const ephemeral = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    expect(opened(sealWith(ephemeral, to, 'acme/other', Buffer.from('x')))).toBe('refused');
    expect(opened(sealWith(ephemeral, to, 'acme/other', Buffer.from('x')), 'acme/other')).toBe('refused');
  });

  it('opens with any key of the ring, and with none but those', () => {
    expect(opened(sealed, 'acme/shop', keysOf(3, 2, 1))).toBe('hunter22');
    expect(opened(sealed, 'acme/shop', keysOf(2, 3))).toBe('refused');
    expect(opened(sealed, 'acme/shop', [])).toBe('refused');
  });

  it('is refused if any character of it was changed, or if it was cut', () => {
    for (let at = 0; at < sealed.length; at += 1) expect([at, opened(tampered(sealed, at))]).toEqual([at, 'refused']);
    for (let end = 0; end < sealed.length; end += 1) expect(opened(sealed.slice(0, end))).toBe('refused');
    for (const more of ['A', '=', ' ', '\n', sealed]) expect(opened(sealed + more)).toBe('refused');
  });

  it.each([
    ['', /This is no sealed value/],
    ['hunter22', /This is no sealed value/],
    ['sealed:hunter22', /This is no sealed value/],
    ['sealed:v2:AAAA', /the form v2, which this version of Slipway doesn't know/],
    ['sealed:v1:', /damaged/],
    ['sealed:v1:hunter22', /damaged/],
    ['sealed:v1:####', /damaged/],
    [`sealed:v1:${'A'.repeat(200_000)}`, /damaged/],
  ])('is told from what is none: %#', (text, message) => {
    expect(() => unseal(keys, 'acme/shop', text)).toThrow(UserError);
    expect(() => unseal(keys, 'acme/shop', text)).toThrow(message);
    expect(() => unseal(keys, 'acme/shop', text)).not.toThrow(/hunter22/);
  });

  it('with a key that yields the same secret for everybody is refused', () => {
    // Points of small order: https://cr.yp.to/ecdh.html#validate
    const small = [
      '00'.repeat(32),
      `01${'00'.repeat(31)}`,
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      `ec${'ff'.repeat(30)}7f`,
    ];
    for (const point of small) {
      const bytes = Buffer.concat([Buffer.from(point, 'hex'), Buffer.alloc(40, 1)]);
      expect(opened(`sealed:v1:${bytes.toString('base64url')}`)).toBe('refused');
    }
  });

  it('holds any text that a variable can hold', () => {
    const texts = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 500 });
    fc.assert(
      fc.property(texts, (text) => {
        fc.pre(!text.includes('\0') && text.isWellFormed());
        expect(opened(seal(publicKey, 'acme/shop', text))).toBe(text);
      }),
      { numRuns: 300 },
    );
    const longest = 'x'.repeat(64 * 1024);
    expect(opened(seal(publicKey, 'acme/shop', longest))).toBe(longest);
    for (const bad of ['', `${longest}x`, 'a\0b']) expect(() => seal(publicKey, 'acme/shop', bad)).toThrow(UserError);
  });

  it("is refused if a stranger sealed bytes that are no value: anybody has the repository's key", () => {
    const to = Buffer.from(publicKey.split(':').at(-1) ?? '', 'base64url');
    const der = (byte: number) =>
      Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), Buffer.alloc(32, byte)]);
    const ephemeral = (byte: number) => createPrivateKey({ key: der(byte), format: 'der', type: 'pkcs8' });
    for (const [index, bytes] of [[255, 254], [97, 0], []].entries()) {
      expect(opened(sealWith(ephemeral(20 + index), to, 'acme/shop', Buffer.from(bytes)))).toBe('refused');
    }
  });

  it('garbage of any kind is a UserError, never anything else', () => {
    const body = fc.oneof(
      fc.string({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
    );
    const garbage = fc.oneof(
      body,
      body.map((text) => `sealed:v1:${text}`),
      body.map((text) => `sealed:${text}`),
    );
    fc.assert(
      fc.property(garbage, fc.oneof(fc.string(), fc.constant('acme/shop')), (text, repository) => {
        expect(opened(text, repository)).toBe('refused');
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a seal key', () => {
  it.each([
    ['', 'is none'],
    ['seal-key:v1:acme/shop:short', 'is none'],
    [`seal-key:v2:acme/shop:${'A'.repeat(43)}`, 'is none'],
    ['<html>', 'is none'],
    [sealKey(key, 'acme/other'), 'belongs to acme/other, not to acme/shop'],
  ])('is refused if it is %j', (text, message) => {
    expect(() => seal(text, 'acme/shop', 'hunter22')).toThrow(message);
    expect(() => seal(text, 'acme/shop', 'hunter22')).toThrow(UserError);
  });

  it('differs between repositories and between keys', () => {
    const other = keysOf(2)[0] ?? key;
    const all = [sealKey(key, 'a/b'), sealKey(key, 'a/c'), sealKey(other, 'a/b'), sealKey(key, 'A/B')];
    expect(new Set(all.map((one) => one.split(':')[3])).size).toBe(3);
  });
});
