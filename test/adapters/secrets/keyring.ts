import { type KeyRing, openKeys, parseKeys } from '#src/adapters/secrets/keys.ts';

/** A key of 32 equal bytes, as the setting writes it. */
export function keyText(byte: number): string {
  return Buffer.alloc(32, byte).toString('base64');
}

/** Keys as from the setting. */
export function ringOf(...bytes: number[]): KeyRing {
  return openKeys({ given: bytes.map(keyText).join(','), file: null, own: { path: '/nowhere', isUsed: false } });
}

export function keysOf(...bytes: number[]) {
  return parseKeys(bytes.map(keyText).join('\n'), 'test');
}

/** The text with one bit changed at this place. */
export function tampered(text: string, at: number): string {
  const replaced = String.fromCharCode(text.charCodeAt(at) ^ 1);
  return text.slice(0, at) + replaced + text.slice(at + 1);
}
