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
    const home = openHome(path);
    home.close();
    const again = openHome(path);
    again.close();
    expect(again.linkKey.equals(home.linkKey)).toBe(true);
  });

  it.each(['', 'zz', 'abcdef'])('is refused with a damaged key (%j), which is named', (text) => {
    writeFileSync(join(path, 'link.key'), text);
    expect(() => openHome(path)).toThrow(/link\.key, which is damaged/);
  });

  it.each(['', '{', '{"appId":"1"}'])("is refused with damaged credentials (%j), which it doesn't show", (text) => {
    writeFileSync(join(path, 'app.json'), text);
    const home = openHome(path);
    expect(() => home.readApp()).toThrow(/app\.json, which is damaged/);
    home.close();
  });

  it('belongs to one server at a time', () => {
    const home = openHome(path);
    expect(() => openHome(path, 10)).toThrow(SettingsError);
    expect(() => openHome(path, 10)).toThrow(/another Slipway uses/);
    home.close();
    openHome(path).close();
  });
});
