import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openHome } from '#src/home.ts';
import { SettingsError } from '#src/settings.ts';

describe('the data folder', () => {
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'slipway-home-'));
  });
  afterEach(() => rmSync(path, { recursive: true, force: true }));

  it('keeps the key of the links', () => {
    expect(openHome(path).linkKey.equals(openHome(path).linkKey)).toBe(true);
  });

  it.each(['', 'zz', 'abcdef'])('is refused with a damaged key (%j), which is named', (text) => {
    writeFileSync(join(path, 'link.key'), text);
    expect(() => openHome(path)).toThrow(SettingsError);
    expect(() => openHome(path)).toThrow(/link\.key, which is damaged/);
  });

  it.each(['', '{', '{"appId":"1"}'])("is refused with damaged credentials (%j), which it doesn't show", (text) => {
    writeFileSync(join(path, 'app.json'), text);
    expect(() => openHome(path).readApp()).toThrow(/app\.json, which is damaged/);
  });
});
