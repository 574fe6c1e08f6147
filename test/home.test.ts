import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
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
    expect(() => openHome(path, { patienceMs: 10 })).toThrow(SettingsError);
    expect(() => openHome(path, { patienceMs: 10 })).toThrow(/another Slipway uses/);
    home.close();
    openHome(path).close();
  });

  it('is made with the folders above it, for its user only', () => {
    const home = openHome(join(path, 'a', 'b'));
    for (const folder of ['a', 'a/b']) expect(statSync(join(path, folder)).mode & 0o777).toBe(0o700);
    home.close();
  });

  it.each([
    ['where nothing can be made', () => '/proc/slipway/home', /ENOENT.*Name a folder on a disk/],
    ['that is a file', () => join(path, 'file'), /EEXIST/],
    ['below a file', () => join(path, 'file', 'home'), /EEXIST/],
    ['that a link names, but is not there', () => join(path, 'link'), /ENOENT|EEXIST/],
  ])('%s is refused at once', (_, where, message) => {
    writeFileSync(join(path, 'file'), '');
    symlinkSync(join(path, 'nowhere', 'else'), join(path, 'link'));
    expect(() => openHome(where())).toThrow(SettingsError);
    expect(() => openHome(where())).toThrow(message);
  });

  it('keeps credentials', () => {
    const home = openHome(path);
    const app = { appId: 7, privateKey: 'pem', webhookSecret: 'secret' };
    home.saveApp({ ...app, appId: 6 });
    home.saveApp(app);
    expect(home.readApp()).toEqual(app);
    expect(statSync(join(path, 'app.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(path).filter((name) => name.includes('new'))).toEqual([]);
    home.close();
  });

  it('is shared by servers on one database, each with a place and a folder of its own', () => {
    const first = openHome(path, { shared: true });
    const second = openHome(path, { shared: true });
    const third = openHome(path, { shared: true });
    expect([first, second, third].map((home) => home.own)).toEqual([
      path,
      join(path, 'server-1'),
      join(path, 'server-2'),
    ]);
    expect(new Set([first, second, third].map((home) => home.place)).size).toBe(3);
    expect(third.linkKey.equals(first.linkKey)).toBe(true);
    second.close();
    const again = openHome(path, { shared: true });
    expect([again.place, again.own]).toEqual([second.place, second.own]);
    for (const home of [first, third, again]) home.close();
    const alone = openHome(path);
    expect([alone.place, alone.own]).toEqual([first.place, path]);
    alone.close();
  });

  it('is not shared with a server that has a database of its own', () => {
    const shared = openHome(path, { shared: true });
    expect(() => openHome(path, { patienceMs: 10 })).toThrow(/another Slipway uses: stop that one/);
    shared.close();
    const alone = openHome(path);
    expect(() => openHome(path, { shared: true, patienceMs: 10 })).toThrow(/another Slipway uses without DATABASE_URL/);
    alone.close();
  });

  it('is the same for servers that start at once, and given free when one is killed', async () => {
    const script = `
      import { openHome } from ${JSON.stringify(new URL('../src/home.ts', import.meta.url).href)};
      const home = openHome(process.argv[1], { shared: true });
      console.log(JSON.stringify([home.place, home.linkKey.toString('hex')]));
      process.stdin.resume();`;
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script, path], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    try {
      const said = await Promise.all(
        children.map(async (child) => {
          const [line] = (await once(child.stdout, 'data')) as [Buffer];
          return JSON.parse(line.toString()) as [string, string];
        }),
      );
      expect(new Set(said.map(([place]) => place)).size).toBe(4);
      expect(new Set(said.map(([place]) => place.split('/')[0])).size).toBe(1);
      expect(new Set(said.map(([, key]) => key)).size).toBe(1);
    } finally {
      const gone = children.map((child) => once(child, 'exit'));
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(gone);
    }
    openHome(path).close();
  });
});
